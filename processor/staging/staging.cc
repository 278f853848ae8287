#include "processor/staging/staging.h"

#include <algorithm>

#include "base/log.h"
#include "processor/staging/conversation_rows.h"
#include "processor/staging/keys.h"

namespace verbatim::processor {

Staging::Staging(const StagingOptions& options, std::unique_ptr<RocksStore> store)
    : options_(options), store_(std::move(store)) {}

Staging::~Staging() = default;

uint64_t Staging::epoch() const {
  base::MutexLock lock(mutex_);
  return state_.store_epoch();
}

Status Staging::fatal() const {
  base::MutexLock lock(mutex_);
  return fatal_;
}

uint64_t Staging::last_sequence() const {
  base::MutexLock lock(mutex_);
  return state_.last_sequence();
}

uint64_t Staging::staged_bytes() const {
  base::MutexLock lock(mutex_);
  return state_.total_bytes() - state_.deleted_bytes();
}

uint64_t Staging::taken_bytes() const {
  base::MutexLock lock(mutex_);
  return state_.total_bytes();
}

StagingCounts Staging::counts() const {
  base::MutexLock lock(mutex_);
  StagingCounts counts;
  counts.last_sequence = state_.last_sequence();
  counts.staged_count = state_.last_sequence() - state_.deleted_through();
  counts.staged_bytes = state_.total_bytes() - state_.deleted_bytes();
  counts.kept_count = state_.kept_count();
  counts.kept_bytes = state_.kept_bytes();
  for (const auto& [reference, one] : sources_) counts.quarantined_count += one.quarantined();
  counts.unrouted_count = state_.unrouted_count();
  counts.has_required_adapter =
      std::any_of(adapters_.begin(), adapters_.end(),
                  [](const auto& one) { return one.second.row.required(); });
  for (const auto& [name, adapter] : adapters_) {
    if (adapter.row.skipped() > 0) counts.skipped[name] = adapter.row.skipped();
  }
  return counts;
}

void Staging::reclaim_space() {
  uint64_t deleted = 0;
  {
    base::MutexLock lock(mutex_);
    if (!fatal_.ok()) return;
    deleted = state_.deleted_through();
  }
  store_->reclaim_below(Family::kEvents, number_key(deleted + 1));
}

Status Staging::note_command(v1::AuditRow row) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  return audit_first(std::move(row));
}

void Staging::wait_for_events(uint64_t sequence, std::chrono::milliseconds timeout) {
  base::MutexLock lock(mutex_);
  const uint64_t wakes = wake_count_;
  changed_.wait_for(mutex_, timeout, [&]() REQUIRES(mutex_) {
    return state_.last_sequence() > sequence || wake_count_ != wakes || !fatal_.ok();
  });
}

void Staging::wake() {
  base::MutexLock lock(mutex_);
  ++wake_count_;
  changed_.notify_all();
}

Status Staging::commit(Changes& changes, bool is_synced) {
  WriteSet& writes = changes.writes;
  for (const uint32_t reference : changes.sources) {
    writes.put(Family::kSources, reference_key(reference), sources_.at(reference));
  }
  for (const std::string& name : changes.adapters) {
    writes.put(Family::kAdapters, name, adapters_.at(name).row);
  }
  for (const std::string& name : changes.queues) {
    writes.put(Family::kPositions, name, queues_.at(name).position);
  }
  for (const auto& [name, firsts] : changes.exceptions) {
    const TakenRanges& ranges = queues_.at(name).exceptions;
    for (const uint64_t first : firsts) {
      const std::string key = named_key(name, first);
      const v1::PositionException* row = ranges.find(first);
      if (row != nullptr) writes.put(Family::kExceptions, key, *row);
      if (row == nullptr) writes.remove(Family::kExceptions, key);
    }
  }
  for (const auto& [conversation, sequences] : changes.conversations) {
    writes.put(Family::kConversationEvents, named_key(conversation, sequences.back()),
               std::string_view(encode_earlier(sequences)));
  }
  writes.put(Family::kMeta, "state", state_);
  RETURN_IF_ERROR(store_->write(writes, is_synced));
  // Rows may vanish only once it is durable that they are deleted.
  if (is_synced) store_->release_below(number_key(state_.deleted_through() + 1));
  return {};
}

Status Staging::spoil(Status error) {
  if (fatal_.ok()) {
    LOG_ERROR("staging is of no more use, the service ends: {}", error.to_string());
    fatal_ = error;
    changed_.notify_all();
  }
  return error;
}

Result<Staging::Adapter*> Staging::find_adapter(const std::string& name) {
  const auto found = adapters_.find(name);
  if (found == adapters_.end()) return not_found("staging knows no such adapter adapter=" + name);
  return &found->second;
}

Result<const Staging::Adapter*> Staging::find_adapter(const std::string& name) const {
  const auto found = adapters_.find(name);
  if (found == adapters_.end()) return not_found("staging knows no such adapter adapter=" + name);
  return &found->second;
}

Status Staging::put_audit(v1::AuditRow row, WriteSet& writes) {
  row.set_unix_ns(options_.clock->unix_now_ns());
  state_.set_last_audit(state_.last_audit() + 1);
  writes.put(Family::kAudit, number_key(state_.last_audit()), row);
  return {};
}

Status Staging::audit_first(v1::AuditRow row) {
  Changes changes(*store_);
  RETURN_IF_ERROR(put_audit(std::move(row), changes.writes));
  const Status status = commit(changes, /*is_synced=*/true);
  return status.ok() ? status : spoil(status);
}

Result<EventIndex> Staging::index_of(uint64_t sequence) const {
  ASSIGN_OR_RETURN(const auto bytes, store_->load(Family::kIndex, number_key(sequence)));
  if (!bytes) {
    return data_loss("staging: an index row is missing sequence=" + std::to_string(sequence));
  }
  return decode_index(*bytes);
}

}  // namespace verbatim::processor
