// Filters of adapters: which events they leave out, and what no required adapter takes.
#include <algorithm>

#include "base/fault_point.h"
#include "base/log.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

constexpr uint32_t kFilterSlotCount = 64;
// Index rows are made anew in writes of so many.
constexpr size_t kWriteMaxCount = 4'096;

// What was chosen for a batch under way is not chosen again.
uint64_t chosen_through(const v1::AdapterRow& row, const std::optional<SealedBatch>& sealed) {
  if (!sealed || is_behind_cursor(sealed->row)) return row.cursor();
  return std::max(last_of(sealed->row), sealed->row.passed_through());
}

uint64_t filtered_in(const std::optional<SealedBatch>& sealed) {
  return sealed ? sealed->row.filtered_count() : 0;
}

Result<v1::Envelope> envelope_of(std::string_view bytes) {
  v1::StoredEvent stored;
  v1::Envelope envelope;
  RETURN_IF_ERROR(parse_row(bytes, "events", stored));
  RETURN_IF_ERROR(parse_row(stored.envelope(), "events (envelope)", envelope));
  return envelope;
}

}  // namespace

// At intake: the bits of the adapters that are not given the event, and their counts.
uint64_t Staging::leave_out(const v1::Envelope& envelope, uint64_t size, Changes& changes) {
  uint64_t bits = 0;
  for (auto& [name, adapter] : adapters_) {
    v1::AdapterRow& row = adapter.row;
    if (row.filter_slot() == 0 || adapter.selector.takes(envelope)) continue;
    bits |= filter_bit(row.filter_slot());
    row.set_filtered(row.filtered() + 1);
    row.set_filtered_ahead(row.filtered_ahead() + 1);
    row.set_filtered_ahead_bytes(row.filtered_ahead_bytes() + size);
    changes.adapters.insert(name);
  }
  return bits;
}

// Takes effect with apply_new_filter(); the row says so until then.
Status Staging::set_filter(const std::string& name, const v1::AdapterFilter& filter,
                           Changes& changes) {
  Adapter& adapter = adapters_.at(name);
  v1::AdapterRow& row = adapter.row;
  if (row.filter_slot() == 0) {
    ASSIGN_OR_RETURN(const uint32_t slot, free_filter_slot());
    row.set_filter_slot(slot);
    row.set_filter_sequence(chosen_through(row, adapter.sealed));
  }
  *row.mutable_filter() = filter;
  row.set_is_filter_new(true);
  row.set_is_route_new(row.required() && state_.unrouted_count() > 0);
  adapter.selector = EventSelector(filter);
  changes.adapters.insert(name);
  return {};
}

Result<uint32_t> Staging::free_filter_slot() const {
  std::set<uint32_t> used;
  for (const auto& [name, adapter] : adapters_) used.insert(adapter.row.filter_slot());
  for (uint32_t slot = 1; slot <= kFilterSlotCount; ++slot) {
    if (!used.contains(slot)) return slot;
  }
  return invalid_argument("more than " + std::to_string(kFilterSlotCount) +
                          " adapters have filters");
}

Status Staging::apply_new_filters() {
  for (const auto& [name, adapter] : adapters_) {
    if (adapter.row.is_filter_new()) RETURN_IF_ERROR(apply_new_filter(name));
  }
  return {};
}

// Makes the bits of all that the adapter was not given yet anew. A crash leaves is_filter_new, so
// that the opening does it again.
Status Staging::apply_new_filter(const std::string& name) {
  Adapter& adapter = adapters_.at(name);
  v1::AdapterRow& row = adapter.row;
  const uint64_t bit = filter_bit(row.filter_slot());
  const uint64_t passed = chosen_through(row, adapter.sealed);
  LeftOut ahead;
  auto rows = std::make_unique<Changes>(*store_);
  size_t row_count = 0;
  Status status;
  RETURN_IF_ERROR(store_->for_each(
      Family::kEvents, number_key(passed + 1), [&](auto key, auto value) REQUIRES(mutex_) {
        const auto envelope = envelope_of(value);
        auto index = index_of(number_of(key));
        status = envelope ? index.error() : envelope.error();
        if (!status.ok()) return false;
        // What the adapter has in quarantine was given to it, and is counted there.
        const bool is_out = !adapter.quarantined_ahead.contains(number_of(key)) &&
                            !adapter.selector.takes(*envelope);
        ahead.count += is_out ? 1 : 0;
        ahead.bytes += is_out ? index->size : 0;
        const uint64_t before = index->left_out;
        index->left_out = is_out ? before | bit : before & ~bit;
        if (index->left_out == before) return true;
        rows->writes.put(Family::kIndex, key, std::string_view(encode_index(*index)));
        if (++row_count % kWriteMaxCount != 0) return true;
        status = commit(*rows, /*is_synced=*/false);
        rows = std::make_unique<Changes>(*store_);
        return status.ok();
      }));
  RETURN_IF_ERROR(status);
  if (adapter.sealed) {
    ahead.count += adapter.sealed->row.filtered_count();
    ahead.bytes += adapter.sealed->row.filtered_bytes();
  }
  row.set_filtered(row.filtered() - row.filtered_ahead() + ahead.count);
  row.set_filtered_ahead(ahead.count);
  row.set_filtered_ahead_bytes(ahead.bytes);
  row.set_is_filter_new(false);
  adapter.interval.reset();
  rows->adapters.insert(name);
  FAULT_POINT("processor.filter_rows_before_counts");
  LOG_INFO("the filter of an adapter is in force adapter={} from={} left_out={}", name, passed + 1,
           ahead.count - filtered_in(adapter.sealed));
  return commit(*rows, /*is_synced=*/true);
}

Result<Staging::LeftOut> Staging::count_left_out(const Adapter& adapter, uint64_t after,
                                                 uint64_t through) const {
  LeftOut left_out;
  if (adapter.row.filtered_ahead() == 0) return left_out;
  Status decoded;
  RETURN_IF_ERROR(
      store_->for_each(Family::kIndex, number_key(after + 1), [&](auto key, auto value) {
        const uint64_t sequence = number_of(key);
        if (sequence > through) return false;
        const auto index = decode_index(value);
        decoded = index.error();
        if (!decoded.ok()) return false;
        if (is_left_out(adapter.row, sequence, *index)) {
          ++left_out.count;
          left_out.bytes += index->size;
        }
        return true;
      }));
  RETURN_IF_ERROR(decoded);
  return left_out;
}

// Moves the cursor up to the next event that the adapter is to be given.
Status Staging::pass_left_out(Adapter& adapter) {
  v1::AdapterRow& row = adapter.row;
  if (row.filtered_ahead() == 0) return {};
  Status decoded;
  RETURN_IF_ERROR(
      store_->for_each(Family::kIndex, number_key(row.cursor() + 1), [&](auto key, auto value) {
        const uint64_t sequence = number_of(key);
        const auto index = decode_index(value);
        decoded = index.error();
        if (!decoded.ok()) return false;
        if (adapter.quarantined_ahead.contains(sequence)) {
          adapter.quarantined_ahead.erase(sequence);
        } else if (is_left_out(row, sequence, *index)) {
          row.set_filtered_ahead(row.filtered_ahead() - 1);
          row.set_filtered_ahead_bytes(row.filtered_ahead_bytes() - index->size);
        } else {
          return false;
        }
        row.set_cursor(sequence);
        return true;
      }));
  return decoded;
}

Result<bool> Staging::pass_filtered(const std::string& name) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  ASSIGN_OR_RETURN(Adapter * adapter, find_adapter(name));
  const uint64_t cursor = adapter->row.cursor();
  if (adapter->sealed || adapter->row.filtered_ahead() == 0) return false;
  Changes changes(*store_);
  changes.adapters.insert(name);
  Status status = pass_quarantined(*adapter);
  if (status.ok() && adapter->row.cursor() == cursor) return false;
  const uint64_t front = state_.archived_through();
  if (status.ok()) status = advance_archive(changes);
  if (status.ok()) status = commit(changes, /*is_synced=*/false);
  if (!status.ok()) return spoil(status);
  return state_.archived_through() != front;
}

// The first event above `after` that the adapter is to be given; 0: there is none.
Result<uint64_t> Staging::first_pending(const Adapter& adapter, uint64_t after) const {
  uint64_t first = after + 1;
  while (adapter.quarantined_ahead.contains(first)) ++first;
  if (first > state_.last_sequence()) return 0;
  if (adapter.row.filtered_ahead() == 0) return first;
  uint64_t found = 0;
  Status decoded;
  RETURN_IF_ERROR(store_->for_each(Family::kIndex, number_key(first), [&](auto key, auto value) {
    const uint64_t sequence = number_of(key);
    const auto index = decode_index(value);
    decoded = index.error();
    if (!decoded.ok()) return false;
    if (adapter.quarantined_ahead.contains(sequence)) return true;
    if (is_left_out(adapter.row, sequence, *index)) return true;
    found = sequence;
    return false;
  }));
  RETURN_IF_ERROR(decoded);
  return found;
}

// True if a required adapter was to be given the event.
bool Staging::is_routed(uint64_t sequence, const EventIndex& index) const {
  return std::any_of(adapters_.begin(), adapters_.end(), [&](const auto& one) {
    const v1::AdapterRow& row = one.second.row;
    return row.required() && row.start_sequence() <= sequence && !is_left_out(row, sequence, index);
  });
}

// Deletion may pass the original from now on; the event goes on counting as staged.
Status Staging::keep_unrouted(uint64_t sequence, uint32_t reference, Changes& changes) {
  ASSIGN_OR_RETURN(auto bytes, store_->load(Family::kEvents, number_key(sequence)));
  if (!bytes) return data_loss("staging: an event is missing sequence=" + std::to_string(sequence));
  v1::KeptRow row;
  row.set_stored_event(std::move(*bytes));
  row.set_source_ref(reference);
  changes.writes.put(Family::kUnrouted, number_key(sequence), row);
  state_.set_unrouted_count(state_.unrouted_count() + 1);
  return {};
}

}  // namespace verbatim::processor
