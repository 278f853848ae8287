#include "queue/state/queue_store.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace verbatim::queue {
namespace {

// Hops kept with a message: the first of all, and the newest.
constexpr int kHopMaxCount = 16;
constexpr uint64_t kHopBytes = 512;

void add_hop(v1::LogMessageExtra& extra, v1::MessageHop hop) {
  if (extra.hops_size() >= kHopMaxCount) extra.mutable_hops()->DeleteSubrange(1, 1);
  *extra.add_hops() = std::move(hop);
}

}  // namespace

QueueStore::QueueStore(base::Clock& clock, const StoreOptions& options)
    : clock_(clock), options_(options) {}

QueueStore::~QueueStore() = default;

Result<std::unique_ptr<QueueStore>> QueueStore::open(base::FileSystem& file_system,
                                                     base::Clock& clock,
                                                     const StoreOptions& options) {
  StoreOptions used = options;
  used.log.writes_summaries = true;
  ASSIGN_OR_RETURN(const uint64_t largest,
                   largest_segment_bytes(file_system, options.log.directory));
  if (largest > options.log.segment_bytes) {
    LOG_WARN("log: its segments are larger than the settings say and stay so bytes={} settings={}",
             largest, options.log.segment_bytes);
    used.log.segment_bytes = largest;
  }
  std::unique_ptr<QueueStore> store(new QueueStore(clock, used));
  ASSIGN_OR_RETURN(store->log_, Log::open(file_system, used.log, *store));
  RETURN_IF_ERROR(store->finish_replay());
  return store;
}

NamedQueue* QueueStore::find(std::string_view name) {
  return const_cast<NamedQueue*>(std::as_const(*this).find(name));
}

const NamedQueue* QueueStore::find(std::string_view name) const {
  const auto it = ids_.find(name);
  return it == ids_.end() ? nullptr : queues_.at(it->second).get();
}

NamedQueue* QueueStore::find(uint32_t id) {
  const auto it = queues_.find(id);
  return it == queues_.end() ? nullptr : it->second.get();
}

bool QueueStore::reserve(uint64_t bytes, uint64_t count, uint64_t range_bytes) {
  // Ranges are their own digests.
  const Log::Unit unit{.payload_bytes = bytes,
                       .record_count = count,
                       .digest_bytes = count * Log::kDigestUsualBytes + range_bytes};
  if (!log_->has_room(unit)) return false;
  // Opening a group may take the snapshot: before anything is changed.
  log_->prepare_append(unit);
  return true;
}

// --- queues ---

NamedQueue& QueueStore::make_queue(const std::string& name, const v1::QueueSettings& settings) {
  v1::LogQueueMade made;
  made.set_queue_id(next_queue_id_);
  made.set_name(name);
  *made.mutable_settings() = settings;
  const auto retired = retired_names_.find(name);
  const bool is_new = retired == retired_names_.end() || options_.canaries.reuses_lookup_ids;
  made.set_next_lookup_id(is_new ? 1 : retired->second);
  log_->append(RecordType::kQueueMade, made.SerializeAsString());
  NamedQueue& queue = queue_of(made.queue_id());
  queue.name = name;
  queue.settings = settings;
  queue.next_lookup_id = made.next_lookup_id();
  queue.index.finish_loading();
  ids_[name] = queue.id;
  use_name(name);
  return queue;
}

void QueueStore::change_queue(NamedQueue& queue, const v1::QueueSettings& settings,
                              const v1::QueueFlags& flags) {
  v1::LogQueueChanged changed;
  changed.set_queue_id(queue.id);
  *changed.mutable_settings() = settings;
  *changed.mutable_flags() = flags;
  log_->append(RecordType::kQueueChanged, changed.SerializeAsString());
  queue.settings = settings;
  queue.flags = flags;
}

void QueueStore::delete_queue(NamedQueue& queue) {
  v1::LogQueueDeleted deleted;
  deleted.set_queue_id(queue.id);
  deleted.set_name(queue.name);
  deleted.set_next_lookup_id(queue.next_lookup_id);
  log_->append(RecordType::kQueueDeleted, deleted.SerializeAsString());
  CHECK(apply_deleted(deleted).ok(), "only an empty queue is deleted");
}

// --- messages ---

void QueueStore::open_producer(NamedQueue& queue, const v1::LogProducerOpened& opened) {
  log_->append(RecordType::kProducerOpened, opened.SerializeAsString());
  set_opened(queue, opened);
}

void QueueStore::set_opened(NamedQueue& queue, const v1::LogProducerOpened& opened) {
  run_count_ -= queue.producers.run_count();
  queue.producers.open(opened);
  run_count_ += queue.producers.run_count();
  control_bytes_.reset();
}

uint64_t QueueStore::append_message(NamedQueue& queue, MessageRecord& record, RecordType type) {
  record.queue_id = queue.id;
  const auto size = static_cast<uint32_t>(message_record_size(record));
  write_message_record(log_->begin_record(size), record);
  MessageDigest digest = digest_of(record);
  if (options_.canaries.lets_keys_be_overtaken) digest.order_key_hash = record.lookup_id;
  encode_digest(digest, digest_);
  const LogPosition position = log_->end_record(type, digest_);
  if (digest.has_source_key) {
    queue.source_keys.add(digest.source_key_hash, {.lookup_id = record.lookup_id,
                                                   .put_unix_ns = record.put_unix_ns,
                                                   .position = PackedPosition(position),
                                                   .payload_size = size});
  }
  if (IndexedMessage* known = queue.index.find(record.lookup_id)) {
    unuse_segment(known->position.unpack(), known->payload_size);
    log_->release(known->position.unpack());
    known->position = PackedPosition(position);
  } else {
    queue.index.add({.lookup_id = record.lookup_id,
                     .position = position,
                     .payload_size = size,
                     .delivery_count = record.delivery_count,
                     .order_key_hash = digest.order_key_hash,
                     .wants_consumed = digest.wants_consumed,
                     .reason = digest.reason});
  }
  log_->retain(position);
  use_segment(queue, record.lookup_id, position, size);
  return record.lookup_id;
}

uint64_t QueueStore::put(NamedQueue& queue, MessageRecord record, const v1::LogMessageExtra* extra,
                         int64_t unix_now_ns) {
  record.source_count = ++queue.count_of_source(record.source);
  if (record.source_count == 1) control_bytes_.reset();
  record.lookup_id = queue.next_lookup_id++;
  record.put_unix_ns = unix_now_ns;
  std::string extra_bytes;
  if (extra != nullptr) extra_bytes = extra->SerializeAsString();
  record.extra = extra_bytes;
  ++queue.accepted_count;
  queue.put_rate.add(1);
  return append_message(queue, record, RecordType::kMessage);
}

void QueueStore::finish_put(NamedQueue& queue, const v1::LogPut& put) {
  put.SerializeToString(&scratch_);
  log_->append(RecordType::kPut, scratch_);
  add_runs(queue, put);
}

// The bound of all queues together: the queue with the most answers forgets first.
void QueueStore::add_runs(NamedQueue& queue, const v1::LogPut& put) {
  const size_t run_count = queue.producers.run_count();
  const int64_t control_bytes = queue.producers.control_bytes();
  queue.producers.add(put);
  run_count_ += queue.producers.run_count();
  run_count_ -= run_count;
  if (queue.producers.control_bytes() != control_bytes) control_bytes_.reset();
  while (run_count_ > run_max_count() && drop_run(queue, put)) --run_count_;
}

bool QueueStore::drop_run(NamedQueue& queue, const v1::LogPut& newest) {
  NamedQueue* most = nullptr;
  for (const auto& [id, other] : queues_) {
    const size_t least = most == nullptr ? 0 : most->producers.run_count();
    if (other.get() != &queue && other->producers.run_count() > least) most = other.get();
  }
  const bool is_own_most =
      most == nullptr || queue.producers.run_count() >= most->producers.run_count();
  if (is_own_most && queue.producers.drop_run(&newest)) return true;
  return most != nullptr && most->producers.drop_run(nullptr);
}

void QueueStore::append_ranges(RecordType type, const NamedQueue& queue,
                               const std::vector<uint64_t>& lookup_ids, v1::LogRanges& ranges) {
  ranges.set_queue_id(queue.id);
  for (size_t i = 0; i < lookup_ids.size();) {
    size_t end = i + 1;
    while (end < lookup_ids.size() && lookup_ids[end] == lookup_ids[end - 1] + 1) ++end;
    ranges.add_ranges(lookup_ids[i]);
    ranges.add_ranges(end - i);
    i = end;
  }
  ranges.SerializeToString(&scratch_);
  log_->append(type, scratch_, scratch_);
}

std::vector<uint64_t> QueueStore::take(NamedQueue& queue, const MessageIndex::TakeLimits& limits,
                                       uint64_t lease_id) {
  std::vector<uint64_t> taken = queue.index.take(limits, lease_id);
  ranges_.Clear();
  int64_t redelivered = 0;
  for (const uint64_t id : taken) redelivered += queue.index.find(id)->delivery_count > 1 ? 1 : 0;
  ranges_.set_redelivered_count(redelivered);
  queue.redelivered_count += redelivered;
  queue.delivered_count += static_cast<int64_t>(taken.size());
  append_ranges(RecordType::kDelivered, queue, taken, ranges_);
  return taken;
}

void QueueStore::give_back(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids,
                           const Return& how) {
  for (const uint64_t id : lookup_ids) queue.index.give_back(id, how.is_untried);
  if (how.not_before_unix_ns == 0 && !how.is_untried) return;
  for (const uint64_t id : lookup_ids) {
    if (how.not_before_unix_ns != 0) {
      queue.index.delay(id, monotonic_of(how.not_before_unix_ns));
    }
  }
  ranges_.Clear();
  ranges_.set_not_before_unix_ns(how.not_before_unix_ns);
  ranges_.set_is_untried(how.is_untried);
  append_ranges(RecordType::kReturned, queue, lookup_ids, ranges_);
}

void QueueStore::postpone(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids,
                          int64_t not_before_unix_ns) {
  for (const uint64_t id : lookup_ids) queue.index.delay(id, monotonic_of(not_before_unix_ns));
  ranges_.Clear();
  ranges_.set_not_before_unix_ns(not_before_unix_ns);
  append_ranges(RecordType::kReturned, queue, lookup_ids, ranges_);
}

void QueueStore::remove(NamedQueue& queue, const std::vector<uint64_t>& lookup_ids,
                        const Removal& how) {
  ranges_.Clear();
  ranges_.set_end_reason(how.reason);
  ranges_.set_is_destroyed(how.is_destroyed);
  append_ranges(RecordType::kRemoved, queue, lookup_ids, ranges_);
  for (const uint64_t id : lookup_ids) {
    const IndexedMessage& message = *queue.index.find(id);
    const LogPosition position = message.position.unpack();
    unuse_segment(position, message.payload_size);
    log_->release(position);
    queue.index.remove(id);
  }
  const auto count = static_cast<int64_t>(lookup_ids.size());
  if (how.is_destroyed) {
    queue.destroyed_count += count;
  } else if (how.reason == v1::END_REASON_UNSPECIFIED) {
    queue.committed_count += count;
    queue.commit_rate.add(count);
  } else {
    queue.ended_count[how.reason] += count;
  }
}

uint64_t QueueStore::move_bytes(const NamedQueue& queue, uint64_t lookup_id) const {
  return queue.index.find(lookup_id)->payload_size + kHopBytes + 2 * kRecordBytes;
}

Result<uint64_t> QueueStore::copy(NamedQueue& from, uint64_t lookup_id, NamedQueue& to,
                                  const Hop& hop) {
  const IndexedMessage& message = *from.index.find(lookup_id);
  v1::MessageHop added;
  added.set_queue(from.name);
  added.set_lookup_id(lookup_id);
  added.set_delivery_count(message.delivery_count);
  added.set_reason(hop.reason);
  added.set_detail(std::string(hop.detail));
  added.set_unix_ns(clock_.unix_now_ns());
  ASSIGN_OR_RETURN(StoredMessage stored, read(from, lookup_id));
  add_hop(stored.extra, std::move(added));
  // The record may lie in the buffer that is about to grow.
  MessageRecord record = stored.record;
  const std::string extra = stored.extra.SerializeAsString();
  record.extra = extra;
  const std::string bytes = message_record_bytes(record);
  record = *decode_message_record(bytes);
  record.lookup_id = to.next_lookup_id++;
  record.delivery_count = 0;
  record.put_unix_ns = clock_.unix_now_ns();
  ++to.moved_in_count;
  return append_message(to, record, RecordType::kMessageMoved);
}

Result<StoredMessage> QueueStore::read(const NamedQueue& queue, uint64_t lookup_id) {
  StoredMessage stored;
  RETURN_IF_ERROR(read(queue, lookup_id, stored));
  return stored;
}

Status QueueStore::read(const NamedQueue& queue, uint64_t lookup_id, StoredMessage& stored) {
  const IndexedMessage& message = *queue.index.find(lookup_id);
  ASSIGN_OR_RETURN(const std::string_view payload,
                   log_->read(message.position.unpack(), message.payload_size, scratch_));
  const auto record = decode_message_record(payload);
  if (!record || record->lookup_id != lookup_id || record->queue_id != queue.id) {
    return data_loss(fmt::format("a message's record is another one {} lookup_id={}",
                                 to_string(message.position.unpack()), lookup_id));
  }
  if (!stored.record.extra.empty()) stored.extra.Clear();
  stored.record = *record;
  if (!record->extra.empty() &&
      !stored.extra.ParseFromArray(record->extra.data(), static_cast<int>(record->extra.size()))) {
    return data_loss(fmt::format("a message's record cannot be read {} lookup_id={}",
                                 to_string(message.position.unpack()), lookup_id));
  }
  return {};
}

Result<std::optional<QueueStore::Repeat>> QueueStore::find_repeat(NamedQueue& queue,
                                                                  std::string_view source_key,
                                                                  int64_t unix_now_ns) {
  const auto state = queue.source_keys.find(source_key_hash(source_key), unix_now_ns);
  if (!state) return std::optional<Repeat>();
  ASSIGN_OR_RETURN(const std::string_view payload,
                   log_->read(state->position.unpack(), state->payload_size, scratch_));
  if (state->is_copy) {
    v1::LogSourceKey copy;
    if (!copy.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
      return data_loss("a source key's record cannot be read");
    }
    if (copy.source_key() != source_key) return std::optional<Repeat>();
    return std::optional<Repeat>({state->lookup_id, copy.verdict()});
  }
  const auto record = decode_message_record(payload);
  if (!record) return data_loss("a source key's message cannot be read");
  if (record->source_key != source_key) return std::optional<Repeat>();
  return std::optional<Repeat>({state->lookup_id, std::string(record->verdict)});
}

std::chrono::nanoseconds QueueStore::monotonic_of(int64_t unix_ns) const {
  return clock_.monotonic() +
         std::chrono::nanoseconds(std::max<int64_t>(0, unix_ns - clock_.unix_now_ns()));
}

}  // namespace verbatim::queue
