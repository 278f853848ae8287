#include "processor/conversation/participation_book.h"

#include <algorithm>

#include "base/check.h"

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

v1::Participation parse(const std::string& bytes) {
  v1::Participation participation;
  CHECK(participation.ParseFromString(bytes), "the book keeps what it has serialised itself");
  return participation;
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
  Room& room = conversations_[envelope.conversation_key()];
  std::vector<uint64_t>& open = room.open[address_of(envelope.actor())];
  const bool is_present = std::any_of(open.begin(), open.end(), [&](uint64_t joined) {
    return parse(room.intervals.at(joined).participation).session() == envelope.session();
  });
  if (is_present) return {};
  Row row{envelope.conversation_key(), sequence, {}};
  v1::Participation& participation = *row.value.mutable_participation();
  *participation.mutable_party() = envelope.actor();
  participation.set_joined_unix_ns(time_of(envelope));
  participation.set_joined_sequence(sequence);
  participation.set_session(envelope.session());
  room.intervals[sequence] = {0, participation.SerializeAsString()};
  open.push_back(sequence);
  return {std::move(row)};
}

std::vector<ParticipationBook::Row> ParticipationBook::leave(const v1::Envelope& envelope,
                                                             uint64_t sequence) {
  const auto found = conversations_.find(envelope.conversation_key());
  if (found == conversations_.end()) return {};
  Room& room = found->second;
  const auto open = room.open.find(address_of(envelope.actor()));
  if (open == room.open.end()) return {};
  std::vector<Row> changed;
  std::erase_if(open->second, [&](uint64_t joined) {
    Interval& interval = room.intervals.at(joined);
    // A leave that names no session ends them all.
    const bool is_meant =
        envelope.session().empty() || parse(interval.participation).session() == envelope.session();
    if (is_meant) changed.push_back(close(found->first, envelope, sequence, joined, interval));
    return is_meant;
  });
  if (open->second.empty()) room.open.erase(open);
  return changed;
}

std::vector<ParticipationBook::Row> ParticipationBook::close_room(const v1::Envelope& envelope,
                                                                  uint64_t sequence) {
  const auto found = conversations_.find(envelope.conversation_key());
  if (found == conversations_.end()) return {};
  std::vector<Row> changed;
  for (const auto& [address, open] : found->second.open) {
    for (const uint64_t joined : open) {
      changed.push_back(
          close(found->first, envelope, sequence, joined, found->second.intervals.at(joined)));
    }
  }
  found->second.open.clear();
  return changed;
}

ParticipationBook::Row ParticipationBook::close(const std::string& conversation,
                                                const v1::Envelope& envelope, uint64_t sequence,
                                                uint64_t joined, Interval& interval) {
  interval.left_sequence = sequence;
  closed_.emplace(sequence, std::make_pair(conversation, joined));
  Row row{conversation, joined, {}};
  *row.value.mutable_participation() = parse(interval.participation);
  row.value.set_left_sequence(sequence);
  row.value.set_left_unix_ns(time_of(envelope));
  return row;
}

void ParticipationBook::restore(const std::string& conversation, const v1::ParticipationRow& row) {
  Room& room = conversations_[conversation];
  const uint64_t joined = row.participation().joined_sequence();
  room.intervals[joined] = {row.left_sequence(), row.participation().SerializeAsString()};
  if (row.left_sequence() != 0) {
    closed_.emplace(row.left_sequence(), std::make_pair(conversation, joined));
  } else {
    room.open[address_of(row.participation().party())].push_back(joined);
  }
}

std::vector<v1::Participation> ParticipationBook::present_at(const std::string& conversation,
                                                             uint64_t position) const {
  std::vector<v1::Participation> present;
  const auto found = conversations_.find(conversation);
  if (found == conversations_.end()) return present;
  for (const auto& [joined, interval] : found->second.intervals) {
    if (joined > position) break;
    if (interval.left_sequence != 0 && interval.left_sequence <= position) continue;
    present.push_back(parse(interval.participation));
  }
  return present;
}

std::vector<std::pair<std::string, uint64_t>> ParticipationBook::purge(uint64_t position) {
  std::vector<std::pair<std::string, uint64_t>> purged;
  while (!closed_.empty() && closed_.begin()->first <= position) {
    const auto& [conversation, joined] = closed_.begin()->second;
    const auto found = conversations_.find(conversation);
    found->second.intervals.erase(joined);
    if (found->second.intervals.empty()) conversations_.erase(found);
    purged.emplace_back(closed_.begin()->second);
    closed_.erase(closed_.begin());
  }
  return purged;
}

size_t ParticipationBook::interval_count() const {
  size_t count = 0;
  for (const auto& [conversation, room] : conversations_) count += room.intervals.size();
  return count;
}

}  // namespace verbatim::processor
