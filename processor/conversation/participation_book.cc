#include "processor/conversation/participation_book.h"

#include <algorithm>

namespace verbatim::processor {
namespace {

int64_t time_of(const v1::Envelope& envelope) {
  return envelope.source_time_unix_ns() != 0 ? envelope.source_time_unix_ns()
                                             : envelope.accept_time_unix_ns();
}

const std::string& address_of(const v1::Party& party) {
  return party.normalised().empty() ? party.address() : party.normalised();
}

bool is_stopped(std::string_view event_bytes) {
  v1::Event event;
  // What does not parse has no verdict that anyone can read; the collector answers PASS by default.
  if (!event.ParseFromArray(event_bytes.data(), static_cast<int>(event_bytes.size()))) return false;
  return std::any_of(event.verdicts().begin(), event.verdicts().end(), [](const auto& verdict) {
    return verdict.decision() == v1::DECISION_HANDLE || verdict.decision() == v1::DECISION_ERROR;
  });
}

}  // namespace

bool moves_participation(const v1::Envelope& envelope, std::string_view event) {
  const auto kind = envelope.kind();
  if (kind != v1::EVENT_KIND_JOINED && kind != v1::EVENT_KIND_LEFT &&
      kind != v1::EVENT_KIND_ROOM_DESTROYED) {
    return false;
  }
  if (envelope.is_participation_neutral() || envelope.role() == v1::ROLE_EVIDENCE) return false;
  return envelope.phase() != v1::PHASE_ATTEMPT || !is_stopped(event);
}

std::vector<ParticipationBook::Row> ParticipationBook::apply(const v1::Envelope& envelope,
                                                             uint64_t sequence) {
  switch (envelope.kind()) {
    case v1::EVENT_KIND_JOINED:
      return join(envelope, sequence);
    case v1::EVENT_KIND_LEFT:
      return leave(envelope, sequence);
    case v1::EVENT_KIND_ROOM_DESTROYED:
      return close_room(envelope, sequence);
    default:
      return {};
  }
}

std::vector<ParticipationBook::Row> ParticipationBook::join(const v1::Envelope& envelope,
                                                            uint64_t sequence) {
  auto& intervals = conversations_[envelope.conversation_key()];
  const bool is_present =
      std::any_of(intervals.begin(), intervals.end(), [&](const v1::ParticipationRow& row) {
        return row.left_sequence() == 0 && row.participation().session() == envelope.session() &&
               address_of(row.participation().party()) == address_of(envelope.actor());
      });
  if (is_present) return {};
  v1::ParticipationRow row;
  *row.mutable_participation()->mutable_party() = envelope.actor();
  row.mutable_participation()->set_joined_unix_ns(time_of(envelope));
  row.mutable_participation()->set_joined_sequence(sequence);
  row.mutable_participation()->set_session(envelope.session());
  intervals.push_back(row);
  return {{envelope.conversation_key(), sequence, std::move(row)}};
}

std::vector<ParticipationBook::Row> ParticipationBook::leave(const v1::Envelope& envelope,
                                                             uint64_t sequence) {
  const auto found = conversations_.find(envelope.conversation_key());
  if (found == conversations_.end()) return {};
  std::vector<Row> changed;
  for (auto& row : found->second) {
    if (row.left_sequence() != 0) continue;
    if (address_of(row.participation().party()) != address_of(envelope.actor())) continue;
    // A leave that names no session ends them all.
    if (!envelope.session().empty() && row.participation().session() != envelope.session()) {
      continue;
    }
    changed.push_back(close(found->first, envelope, sequence, row));
  }
  return changed;
}

std::vector<ParticipationBook::Row> ParticipationBook::close_room(const v1::Envelope& envelope,
                                                                  uint64_t sequence) {
  const auto found = conversations_.find(envelope.conversation_key());
  if (found == conversations_.end()) return {};
  std::vector<Row> changed;
  for (auto& row : found->second) {
    if (row.left_sequence() == 0) changed.push_back(close(found->first, envelope, sequence, row));
  }
  return changed;
}

ParticipationBook::Row ParticipationBook::close(const std::string& conversation,
                                                const v1::Envelope& envelope, uint64_t sequence,
                                                v1::ParticipationRow& row) {
  row.set_left_sequence(sequence);
  row.set_left_unix_ns(time_of(envelope));
  const uint64_t joined = row.participation().joined_sequence();
  closed_.emplace(sequence, std::make_pair(conversation, joined));
  return {conversation, joined, row};
}

void ParticipationBook::restore(const std::string& conversation, const v1::ParticipationRow& row) {
  conversations_[conversation].push_back(row);
  if (row.left_sequence() != 0) {
    closed_.emplace(row.left_sequence(),
                    std::make_pair(conversation, row.participation().joined_sequence()));
  }
}

std::vector<v1::Participation> ParticipationBook::present_at(const std::string& conversation,
                                                             uint64_t position) const {
  std::vector<v1::Participation> present;
  const auto found = conversations_.find(conversation);
  if (found == conversations_.end()) return present;
  for (const auto& row : found->second) {
    if (row.participation().joined_sequence() > position) continue;
    if (row.left_sequence() != 0 && row.left_sequence() <= position) continue;
    present.push_back(row.participation());
  }
  return present;
}

std::vector<std::pair<std::string, uint64_t>> ParticipationBook::purge(uint64_t position) {
  std::vector<std::pair<std::string, uint64_t>> purged;
  while (!closed_.empty() && closed_.begin()->first <= position) {
    const auto& [conversation, joined] = closed_.begin()->second;
    const auto found = conversations_.find(conversation);
    std::erase_if(found->second, [sequence = joined](const v1::ParticipationRow& row) {
      return row.participation().joined_sequence() == sequence;
    });
    if (found->second.empty()) conversations_.erase(found);
    purged.emplace_back(closed_.begin()->second);
    closed_.erase(closed_.begin());
  }
  return purged;
}

size_t ParticipationBook::interval_count() const {
  size_t count = 0;
  for (const auto& [conversation, intervals] : conversations_) count += intervals.size();
  return count;
}

}  // namespace verbatim::processor
