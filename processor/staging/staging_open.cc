// Opening: format, epoch, and everything that is kept in memory.
#include "base/endian.h"
#include "base/log.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

// 2: rows of file_names for every event of the store. 3: rows of conversation_events may be of more
// more than one event; those of format 2 are of one. 4: batches of what was unrouted. 5: rows of
// exceptions are ranges; those of format 4 are of one lookup id.
constexpr uint32_t kFormatVersion = 5;
constexpr std::string_view kFormatKey = "format";

// Refuses what a newer program has written; gives the format, 0 for a store that is new.
Result<uint32_t> check_format(const RocksStore& store) {
  ASSIGN_OR_RETURN(const auto bytes, store.load(Family::kMeta, kFormatKey));
  if (!bytes) {
    bool is_empty = true;
    RETURN_IF_ERROR(store.for_each(Family::kEvents, "", [&](auto, auto) {
      is_empty = false;
      return false;
    }));
    // Damaged metadata never means "begin anew".
    if (!is_empty) return data_loss("staging: the store has events and no format version");
    return uint32_t{0};
  }
  if (bytes->size() != 4) return data_loss("staging: the format version has the wrong size");
  const uint32_t version = base::get_le32(bytes->data());
  if (version > kFormatVersion) {
    return failed_precondition("the staging store has format " + std::to_string(version) +
                               ", and this program reads up to format " +
                               std::to_string(kFormatVersion) + ": use the newer program");
  }
  return version;
}

}  // namespace

Result<std::unique_ptr<Staging>> Staging::open(const StagingOptions& options) {
  ASSIGN_OR_RETURN(auto store, RocksStore::open(options.path, options.env));
  std::unique_ptr<Staging> staging(new Staging(options, std::move(store)));
  {
    base::MutexLock lock(staging->mutex_);
    RETURN_IF_ERROR(staging->load());
  }
  {
    // What a crash between two steps has left to do.
    base::MutexLock lock(staging->mutex_);
    RETURN_IF_ERROR(staging->apply_new_filters());
    RETURN_IF_ERROR(staging->apply_new_routes());
    RETURN_IF_ERROR(staging->settle_quarantined());
    RETURN_IF_ERROR(staging->delete_archived_locked());
  }
  RETURN_IF_ERROR(staging->finish_releases().error());
  return staging;
}

Status Staging::load() {
  ASSIGN_OR_RETURN(const uint32_t format, check_format(*store_));
  if (format > 0) RETURN_IF_ERROR(load_state());
  if (format == 1) RETURN_IF_ERROR(add_rows_of_format_2());
  RETURN_IF_ERROR(begin_epoch());
  return join_exceptions();
}

Status Staging::load_state() {
  ASSIGN_OR_RETURN(const bool has_state, store_->load(Family::kMeta, "state", state_));
  if (!has_state) return data_loss("staging: the row meta/state is missing");
  Status parsed;
  RETURN_IF_ERROR(
      store_->for_each(Family::kSources, "", [&](auto key, auto value) REQUIRES(mutex_) {
        v1::SourceCounters counters;
        parsed = parse_row(value, "sources", counters);
        if (!parsed.ok()) return false;
        const uint32_t reference = base::get_be32(key.data());
        source_refs_[{counters.queue(), counters.source()}] = reference;
        sources_[reference] = std::move(counters);
        return true;
      }));
  RETURN_IF_ERROR(parsed);
  if (state_.last_sequence() > state_.deleted_through()) {
    ASSIGN_OR_RETURN(const EventIndex last, index_of(state_.last_sequence()));
    last_staged_unix_ns_ = last.staged_unix_ns;
  }
  RETURN_IF_ERROR(load_positions());
  RETURN_IF_ERROR(load_adapters());
  RETURN_IF_ERROR(load_quarantine());
  RETURN_IF_ERROR(load_holds());
  return load_participation();
}

Status Staging::load_positions() {
  Status parsed;
  RETURN_IF_ERROR(
      store_->for_each(Family::kPositions, "", [&](auto key, auto value) REQUIRES(mutex_) {
        parsed = parse_row(value, "positions", queues_[std::string(key)].position);
        return parsed.ok();
      }));
  RETURN_IF_ERROR(parsed);
  RETURN_IF_ERROR(
      store_->for_each(Family::kExceptions, "", [&](auto key, auto value) REQUIRES(mutex_) {
        v1::PositionException exception;
        parsed = parse_row(value, "exceptions", exception);
        if (parsed.ok()) {
          queues_[name_of(key)].exceptions.restore(number_of(key), std::move(exception));
        }
        return parsed.ok();
      }));
  return parsed;
}

// Rows from before format 5, of one lookup id each. After the epoch, which says the format; a crash
// leaves the rest to the next opening.
Status Staging::join_exceptions() {
  constexpr size_t kWriteMaxCount = 65'536;
  for (auto& [name, queue] : queues_) {
    while (true) {
      Changes changes(*store_);
      if (!queue.exceptions.join_some(kWriteMaxCount, changes.exceptions[name])) break;
      RETURN_IF_ERROR(commit(changes, /*is_synced=*/false));
    }
  }
  return {};
}

Status Staging::load_adapters() {
  Status parsed;
  RETURN_IF_ERROR(
      store_->for_each(Family::kAdapters, "", [&](auto key, auto value) REQUIRES(mutex_) {
        parsed = parse_row(value, "adapters", adapters_[std::string(key)].row);
        return parsed.ok();
      }));
  RETURN_IF_ERROR(parsed);
  for (auto& [name, adapter] : adapters_) {
    adapter.selector = EventSelector(adapter.row.filter());
    const uint64_t batch = adapter.row.last_sealed_batch();
    const uint64_t acked = adapter.row.last_acked_batch();
    RETURN_IF_ERROR(
        store_->load(Family::kSeals, named_key(name, acked), adapter.last_acked).error());
    adapter.last_acked.clear_header();
    adapter.last_acked.clear_member_ranges();
    if (batch == acked) continue;
    SealedBatch sealed{batch, {}};
    ASSIGN_OR_RETURN(const bool is_there,
                     store_->load(Family::kSeals, named_key(name, batch), sealed.row));
    // Missing: the batch was voided and nothing has been sealed since.
    if (is_there) adapter.sealed = std::move(sealed);
  }
  return {};
}

Status Staging::load_quarantine() {
  Status parsed;
  RETURN_IF_ERROR(
      store_->for_each(Family::kQuarantine, "", [&](auto key, auto value) REQUIRES(mutex_) {
        const std::string name = name_of(key);
        const uint64_t sequence = number_of(key);
        v1::QuarantineRow row;
        parsed = parse_row(value, "quarantine", row);
        if (!parsed.ok()) return false;
        if (row.is_final()) ++final_counts_[sequence];
        if (sequence > state_.archived_through()) quarantined_[sequence].insert(name);
        const auto adapter = adapters_.find(name);
        if (adapter != adapters_.end() && sequence > adapter->second.row.cursor()) {
          adapter->second.quarantined_ahead.insert(sequence);
        }
        if (adapter != adapters_.end() && row.is_released() &&
            (sequence >= adapter->second.row.start_sequence() || row.was_owed())) {
          adapter->second.released.insert(sequence);
        }
        return true;
      }));
  return parsed;
}

Status Staging::load_participation() {
  Status parsed;
  RETURN_IF_ERROR(
      store_->for_each(Family::kParticipation, "", [&](auto key, auto value) REQUIRES(mutex_) {
        v1::ParticipationRow row;
        parsed = parse_row(value, "participation", row);
        if (parsed.ok()) book_.restore(name_of(key), row);
        return parsed.ok();
      }));
  return parsed;
}

Status Staging::begin_epoch() {
  state_.set_store_epoch(state_.store_epoch() + 1);
  Changes changes(*store_);
  std::string version;
  base::put_le32(version, kFormatVersion);
  changes.writes.put(Family::kMeta, kFormatKey, std::string_view(version));
  RETURN_IF_ERROR(commit(changes, /*is_synced=*/true));
  LOG_INFO("staging opened epoch={} last_sequence={} archived_through={} adapters={}",
           state_.store_epoch(), state_.last_sequence(), state_.archived_through(),
           adapters_.size());
  return {};
}

}  // namespace verbatim::processor
