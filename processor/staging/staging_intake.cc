// Intake: messages of a queue become events of the store, in one synced write.
#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "base/log.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"
#include "processor/staging/stored_event.h"

namespace verbatim::processor {
namespace {

constexpr size_t kConversationNamesMaxCount = 100'000;

// Of the rows that they become, roughly.
size_t size_of(const std::vector<v1::QueueMessage>& messages) {
  constexpr size_t kRowsBytes = 256;
  size_t bytes = 4'096;
  for (const v1::QueueMessage& message : messages) {
    bytes += message.envelope().size() + message.body().size() + kRowsBytes;
  }
  return bytes;
}

}  // namespace

Result<StageOutcome> Staging::stage(const std::string& queue,
                                    std::vector<v1::QueueMessage>& messages,
                                    const std::string& log_id) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  auto outcome = stage_locked(queue, messages, log_id);
  if (!outcome) return spoil(outcome.error());
  changed_.notify_all();
  return outcome;
}

Result<StageOutcome> Staging::stage_locked(const std::string& queue,
                                           std::vector<v1::QueueMessage>& messages,
                                           const std::string& log_id) {
  StageOutcome outcome;
  Changes changes(*store_, size_of(messages));
  const int64_t now_unix_ns = options_.clock->unix_now_ns();
  RETURN_IF_ERROR(expire_source_keys(2 * messages.size() + 16, now_unix_ns, changes));
  Queue& taken = queues_[queue];
  enter_numbering(taken, queue, log_id, changes);
  ASSIGN_OR_RETURN(std::vector<std::optional<v1::SourceKeyRow>> known, load_source_keys(messages));
  // Most messages are of the source of the one before them.
  std::string_view last_source;
  uint32_t reference = 0;
  std::unordered_set<std::string_view> fresh_keys;
  fresh_keys.reserve(messages.size());
  for (size_t i = 0; i < messages.size(); ++i) {
    v1::QueueMessage& message = messages[i];
    if (is_taken(taken, message.lookup_id())) {
      ++outcome.known_count;
      continue;
    }
    if (reference == 0 || message.source() != last_source) {
      reference = source_ref(queue, message.source());
      last_source = message.source();
    }
    take_position(taken, queue, message, reference, changes);
    const std::string& source_key = message.source_key();
    if (fresh_keys.contains(source_key) ||
        is_known_key(source_key, known[i], now_unix_ns, changes)) {
      ++outcome.repeat_count;
      auto& counters = sources_.at(reference);
      counters.set_repeats(counters.repeats() + 1);
      continue;
    }
    store_event(queue, message, reference, changes, outcome);
    if (!source_key.empty()) fresh_keys.insert(source_key);  // the message keeps it
  }
  const bool is_news = outcome.known_count < messages.size();
  RETURN_IF_ERROR(commit(changes, is_news));
  return outcome;
}

uint32_t Staging::source_ref(const std::string& queue, const std::string& source) {
  const uint32_t next = sources_.empty() ? 1 : sources_.rbegin()->first + 1;
  const auto [found, is_new] = source_refs_.try_emplace({queue, source}, next);
  if (is_new) {
    sources_[next].set_queue(queue);
    sources_[next].set_source(source);
  }
  return found->second;
}

bool Staging::is_taken(const Queue& queue, uint64_t lookup_id) const {
  if (queue.position.start_lookup_id() == 0) return false;
  // What an earlier store should have taken, and did not, is below the start and no repeat.
  const bool is_in_prefix =
      lookup_id >= queue.position.start_lookup_id() && lookup_id <= queue.position.prefix();
  return is_in_prefix || queue.exceptions.contains(lookup_id);
}

// Lookup ids of another folder of the queue's service (it was emptied) are no repeats of those
// taken so far, however old their messages are: to call them repeats would lose them.
void Staging::enter_numbering(Queue& taken, const std::string& name, const std::string& log_id,
                              Changes& changes) {
  if (log_id.empty() || taken.position.log_id() == log_id) return;
  if (!taken.position.log_id().empty()) begin_anew(taken, name, changes);
  taken.position.set_log_id(log_id);
  changes.queues.insert(name);
}

// What was accepted so far is carried over; the position begins as for a queue never met.
void Staging::begin_anew(Queue& taken, const std::string& name, Changes& changes) {
  LOG_ERROR(
      "the queue's numbering has begun anew: what it held and had not given out is lost "
      "queue={} position={}",
      name, taken.position.prefix());
  v1::AuditRow audit;
  audit.set_action("queue began anew");
  audit.set_reason(name);
  audit.set_last_sequence(state_.last_sequence());
  ignore_error(put_audit(audit, changes.writes), "it only appends to the change");
  for (auto& [reference, counters] : sources_) {
    if (counters.queue() != name) continue;
    counters.set_carried(counters.carried() + counters.stamp() - counters.base() +
                         counters.exceptions());
    counters.clear_stamp();
    counters.clear_base();
    counters.clear_exceptions();
    changes.sources.insert(reference);
  }
  for (const auto& [first, row] : taken.exceptions.rows()) changes.exceptions[name].insert(first);
  const uint64_t times = taken.position.begun_anew_count() + 1;
  taken = Queue();
  taken.position.set_begun_anew_count(times);
}

void Staging::take_position(Queue& queue, const std::string& name, const v1::QueueMessage& message,
                            uint32_t reference, Changes& changes) {
  v1::QueuePosition& position = queue.position;
  const uint64_t lookup_id = message.lookup_id();
  changes.queues.insert(name);
  changes.sources.insert(reference);
  if (position.start_lookup_id() == 0) {
    // Nothing is leased to anyone when a store meets a queue, so this is the oldest message.
    position.set_start_lookup_id(lookup_id);
    position.set_prefix(lookup_id - 1);
    if (lookup_id > 1) {
      LOG_WARN("the queue's older messages were taken by an earlier store queue={} start={}", name,
               lookup_id);
    }
  }
  if (lookup_id != position.prefix() + 1) {
    queue.exceptions.add(lookup_id, reference, message.source_count(), changes.exceptions[name]);
    auto& counters = sources_.at(reference);
    counters.set_exceptions(counters.exceptions() + 1);
    return;
  }
  position.set_prefix(lookup_id);
  v1::TakenOfSource one;
  one.set_first_source_count(message.source_count());
  one.set_largest_source_count(message.source_count());
  stamp(queue, reference, one, changes);
  // The range that begins behind it joins the prefix; no other adjoins that one.
  const auto range = queue.exceptions.take(lookup_id + 1);
  if (!range) return;
  changes.exceptions[name].insert(lookup_id + 1);
  position.set_prefix(range->last_lookup_id());
  for (const auto& [source, taken] : range->sources()) {
    stamp(queue, source, taken, changes);
    sources_.at(source).set_exceptions(sources_.at(source).exceptions() - taken.count());
  }
}

void Staging::stamp(const Queue& queue, uint32_t reference, const v1::TakenOfSource& taken,
                    Changes& changes) {
  auto& counters = sources_.at(reference);
  const bool is_first = counters.stamp() == 0 && taken.first_source_count() > 0;
  if (is_first && queue.position.start_lookup_id() > 1) {
    counters.set_base(taken.first_source_count() - 1);
  }
  counters.set_stamp(std::max(counters.stamp(), taken.largest_source_count()));
  changes.sources.insert(reference);
}

Result<std::vector<std::optional<v1::SourceKeyRow>>> Staging::load_source_keys(
    const std::vector<v1::QueueMessage>& messages) const {
  std::vector<std::string_view> keys;
  keys.reserve(messages.size());
  for (const v1::QueueMessage& message : messages) keys.emplace_back(message.source_key());
  ASSIGN_OR_RETURN(const auto values, store_->load_all(Family::kSourceKeys, keys));
  std::vector<std::optional<v1::SourceKeyRow>> rows(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!values[i]) continue;
    RETURN_IF_ERROR(parse_row(*values[i], "source_keys", rows[i].emplace()));
  }
  return rows;
}

bool Staging::is_known_key(const std::string& key, const std::optional<v1::SourceKeyRow>& row,
                           int64_t now_unix_ns, Changes& changes) {
  if (!row) return false;
  const auto window = std::chrono::nanoseconds(options_.source_key_window).count();
  // Where it is out of the window the key begins anew, so its old place must not expire it.
  changes.writes.remove(Family::kSourceKeyOrder, number_key(row->sequence()));
  if (now_unix_ns - row->staged_unix_ns() > window) return false;
  // Known for another window from now, so that a redelivery of this repeat is known, too.
  put_source_key(key, row->sequence(), now_unix_ns, changes);
  return true;
}

void Staging::store_event(const std::string& queue, v1::QueueMessage& message, uint32_t reference,
                          Changes& changes, StageOutcome& outcome) {
  const int64_t now_unix_ns = options_.clock->unix_now_ns();
  const uint64_t sequence = state_.last_sequence() + 1;
  const std::string& source_key = message.source_key();
  const uint64_t lookup_id = message.lookup_id();
  Intake intake = read_message(queue, message, now_unix_ns);
  if (intake.is_undecodable) {
    ++outcome.undecodable_count;
    LOG_WARN("an event is stored raw, its envelope cannot be read queue={} lookup_id={}", queue,
             lookup_id);
  }
  if (moves_participation(intake.envelope, intake.event_bytes)) {
    for (const auto& row : book_.apply(intake.envelope, sequence)) {
      changes.writes.put(Family::kParticipation, named_key(row.conversation, row.joined_sequence),
                         row.value);
    }
  }
  note_conversation(intake.envelope, changes);
  name_files(intake.envelope, sequence, changes);

  v1::StoredEvent stored;
  stored.set_sequence(sequence);
  stored.set_envelope(std::move(intake.envelope_bytes));
  stored.set_event(std::move(intake.event_bytes));
  stored.set_queue(queue);
  stored.set_lookup_id(lookup_id);
  stored.set_staged_unix_ns(now_unix_ns);
  const std::string bytes = stored.SerializeAsString();

  state_.set_last_sequence(sequence);
  state_.set_total_bytes(state_.total_bytes() + bytes.size());
  const EventIndex index{.source_ref = reference,
                         .size = static_cast<uint32_t>(bytes.size()),
                         .total_bytes = state_.total_bytes(),
                         .staged_unix_ns = now_unix_ns,
                         .schema_revision = intake.envelope.schema_revision(),
                         .left_out = leave_out(intake.envelope, bytes.size(), changes)};
  last_staged_unix_ns_ = now_unix_ns;
  const std::string key = number_key(sequence);
  changes.writes.put(Family::kEvents, key, std::string_view(bytes));
  changes.writes.put(Family::kIndex, key, std::string_view(encode_index(index)));
  changes.conversations[intake.envelope.conversation_key()].push_back(sequence);
  if (!source_key.empty()) put_source_key(source_key, sequence, now_unix_ns, changes);
  auto& counters = sources_.at(reference);
  counters.set_staged(counters.staged() + 1);
  ++outcome.stored_count;
}

void Staging::put_source_key(const std::string& source_key, uint64_t sequence, int64_t now_unix_ns,
                             Changes& changes) {
  v1::SourceKeyRow row;
  row.set_sequence(sequence);
  row.set_staged_unix_ns(now_unix_ns);
  changes.writes.put(Family::kSourceKeys, source_key, row);
  std::string order;
  base::put_le64(order, static_cast<uint64_t>(now_unix_ns));
  order += source_key;
  changes.writes.put(Family::kSourceKeyOrder, number_key(sequence), std::string_view(order));
}

void Staging::note_conversation(const v1::Envelope& envelope, Changes& changes) {
  if (envelope.conversation_name().empty()) return;
  if (conversation_names_.size() >= kConversationNamesMaxCount) conversation_names_.clear();
  std::string& known = conversation_names_[envelope.conversation_key()];
  if (known == envelope.conversation_name()) return;
  known = envelope.conversation_name();
  v1::ConversationRow row;
  row.set_name(known);
  changes.writes.put(Family::kConversations, envelope.conversation_key(), row);
}

Status Staging::expire_source_keys(size_t max_count, int64_t now_unix_ns, Changes& changes) {
  const int64_t oldest_kept =
      now_unix_ns - std::chrono::nanoseconds(options_.source_key_window).count();
  size_t count = 0;
  return store_->for_each(Family::kSourceKeyOrder, number_key(oldest_source_key_),
                          [&](auto key, auto value) REQUIRES(mutex_) {
                            if (value.size() < 8 || count++ == max_count) return false;
                            const auto staged = static_cast<int64_t>(base::get_le64(value.data()));
                            oldest_source_key_ = number_of(key);
                            if (staged >= oldest_kept) return false;
                            changes.writes.remove(Family::kSourceKeyOrder, key);
                            changes.writes.remove(Family::kSourceKeys, value.substr(8));
                            return true;
                          });
}

}  // namespace verbatim::processor
