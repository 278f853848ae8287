#include "processor/staging/rocks_store.h"

#include <google/protobuf/message_lite.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <utility>
#include <vector>

#include "base/log.h"
#include "processor/staging/keys.h"
#include "processor/staging/released_rows.h"
#include "processor/staging/rocks_log.h"
#include "processor/staging/rocks_status.h"
#include "processor/staging/roomy_file_system.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::processor {
namespace {

// The first name is RocksDB's own for the family that always exists.
constexpr std::array<const char*, kFamilyCount> kFamilyNames = {
    "default",          "events",  "index",    "positions", "exceptions",    "source_keys",
    "source_key_order", "sources", "adapters", "seals",     "conversations", "participation",
    "quarantine",       "audit",   "holds",    "kept",      "unrouted",      "conversation_events",
    "file_names"};

constexpr size_t kMiB = 1024 * 1024;
// RocksDB's own bound of one that is not moved as it is.
constexpr uint64_t kTableMaxBytes = 72 * kMiB;

size_t at(Family family) { return static_cast<size_t>(family); }

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

std::string_view view(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

rocksdb::DBOptions store_options(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // Only an unfinished last record may be cut; anything else damaged refuses the opening.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  // A failed write is never tried again behind our back.
  options.max_bgerror_resume_count = 0;
  // Half of the space that may stand beside what is staged.
  options.max_total_wal_size = 128 * kMiB;
  options.info_log = std::make_shared<RocksLog>();
  // A new one is small; it grows with each flush.
  options.max_manifest_file_size = 8 * kMiB;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  options.max_file_opening_threads = 2;
  options.env = env;
  return options;
}

bool is_in_order_of_number(size_t family) {
  return family == at(Family::kEvents) || family == at(Family::kIndex);
}

// Rows come in the order of their keys and go in the same order, so a table overlaps no other:
// it is moved to level 1, where files can be dropped, without being read, and stays as it is.
void leave_files_alone(rocksdb::ColumnFamilyOptions& options) {
  options.level0_file_num_compaction_trigger = 1;
  options.max_bytes_for_level_base = std::numeric_limits<int64_t>::max();
  options.ttl = 0;
  options.periodic_compaction_seconds = 0;
  options.compression = rocksdb::kLZ4Compression;
}

// Where keys of one family come in many runs that each ascend, the next key of a run is found to
// belong behind the one before it, without a search through the memtable. Gives what the keys of a
// run have in common.
class KeyRuns : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "verbatim.KeyRuns"; }
  bool InDomain(const rocksdb::Slice& key) const override { return common_size(key) > 0; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), common_size(key)};
  }

 private:
  // 0: in no run.
  virtual size_t common_size(const rocksdb::Slice& key) const = 0;
};

// Named keys: a run for each name.
class RunsOfNames final : public KeyRuns {
  size_t common_size(const rocksdb::Slice& key) const override {
    return key.size() - std::min(key.size(), sizeof(uint64_t));
  }
};

// Source keys of a numbered producer end in a varint, the lowest bits first: a run for each value
// of those.
class RunsOfNumberedKeys final : public KeyRuns {
  size_t common_size(const rocksdb::Slice& key) const override {
    constexpr char kTag = v1::SourceKey::Numbered::kSequenceFieldNumber << 3;
    size_t number_at = key.empty() ? 0 : key.size() - 1;
    while (number_at > 0 && (key[number_at - 1] & 0x80) != 0) --number_at;
    const bool is_numbered =
        number_at > 0 && number_at + 1 < key.size() && key[number_at - 1] == kTag;
    return is_numbered ? number_at + 1 : 0;
  }
};

rocksdb::ColumnFamilyOptions family_options(size_t family,
                                            const std::shared_ptr<rocksdb::Cache>& cache,
                                            const std::shared_ptr<ReleasedRows>& released) {
  rocksdb::ColumnFamilyOptions options;
  const bool is_bulky = family == at(Family::kEvents);
  options.write_buffer_size = is_bulky ? 64 * kMiB : 8 * kMiB;
  options.max_write_buffer_number = 3;
  options.arena_block_size = is_bulky ? kMiB : 64 * 1024;
  if (is_in_order_of_number(family)) leave_files_alone(options);
  if (is_in_order_of_number(family) || family == at(Family::kConversationEvents)) {
    options.compaction_filter_factory = make_released_filter_factory(released);
  }
  if (family == at(Family::kConversationEvents)) {
    options.memtable_insert_with_hint_prefix_extractor = std::make_shared<RunsOfNames>();
  }
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  if (family == at(Family::kSourceKeys)) {
    // Nearly every look-up is for a key that is not there.
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.memtable_insert_with_hint_prefix_extractor = std::make_shared<RunsOfNumberedKeys>();
    options.memtable_whole_key_filtering = true;
    options.memtable_prefix_bloom_size_ratio = 0.1;
    options.write_buffer_size = 16 * kMiB;
  }
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

struct WriteSet::State {
  State(RocksStore& rocks_store, size_t reserved_bytes)
      : store(rocks_store), batch(reserved_bytes) {}
  RocksStore& store;
  rocksdb::WriteBatch batch;
};

namespace {
// Intake must not take the room that a compaction was begun with.
class Reserved {
 public:
  Reserved(std::atomic<uint64_t>& total, uint64_t bytes) : total_(total), bytes_(bytes) {
    total_ += bytes_;
  }
  ~Reserved() { total_ -= bytes_; }

 private:
  std::atomic<uint64_t>& total_;
  const uint64_t bytes_;
};
}  // namespace

struct RocksStore::State {
  State(rocksdb::Env* given, const CompactionBounds& compaction_bounds)
      : bounds(compaction_bounds),
        disk(std::make_shared<RoomyFileSystem>(
            (given == nullptr ? rocksdb::Env::Default() : given)->GetFileSystem())),
        env(rocksdb::NewCompositeEnv(disk)) {}

  const CompactionBounds bounds;
  const std::shared_ptr<RoomyFileSystem> disk;
  const std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  std::shared_ptr<ReleasedRows> released = std::make_shared<ReleasedRows>();
  // What a compaction for space may write still, while it runs.
  std::atomic<uint64_t> compacting_bytes{0};
  // Up to where the tables of conversation_events were last freed of what is released.
  std::atomic<uint64_t> conversations_compacted{0};

  ~State() {
    disk->set_waits(false);
    for (auto* family : families) {
      ignore_error(from_rocks(db->DestroyColumnFamilyHandle(family), "release of a handle"),
                   "the store is closed next");
    }
    if (db != nullptr) {
      ignore_error(from_rocks(db->Close(), "close"), "all that counts was synced before");
    }
  }
  rocksdb::ColumnFamilyHandle* handle(Family family) const { return families[at(family)]; }

  // Beside what is in memory, which has to be written some day.
  bool has_room_for(uint64_t bytes) const {
    uint64_t in_memory = 0;
    uint64_t free = 0;
    return db->GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables,
                                        &in_memory) &&
           db->GetEnv()->GetFreeSpace(db->GetName(), &free).ok() &&
           free >= in_memory + bytes + RocksStore::kAheadBytes;
  }
};

WriteSet::WriteSet(RocksStore& store, size_t reserved_bytes)
    : state_(std::make_unique<State>(store, reserved_bytes)) {}
WriteSet::~WriteSet() = default;

void WriteSet::put(Family family, std::string_view key, std::string_view value) {
  const auto status =
      state_->batch.Put(state_->store.state_->handle(family), slice(key), slice(value));
  CHECK(status.ok(), "a write batch in memory takes what it is given");
}

void WriteSet::put(Family family, std::string_view key,
                   const google::protobuf::MessageLite& value) {
  put(family, key, std::string_view(value.SerializeAsString()));
}

void WriteSet::remove(Family family, std::string_view key) {
  const auto status = state_->batch.Delete(state_->store.state_->handle(family), slice(key));
  CHECK(status.ok(), "a write batch in memory takes what it is given");
}

namespace {
// RocksDB notes the moment first and then takes the tables of each family, from which a flush may
// have removed what was overwritten meanwhile. Where nothing was written meanwhile, it cannot have.
std::vector<std::unique_ptr<rocksdb::Iterator>> rows_of_one_moment(
    rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& families) {
  constexpr int kTriesMax = 1'000;
  std::vector<std::unique_ptr<rocksdb::Iterator>> rows;
  for (int i = 0; i < kTriesMax; ++i) {
    rows.clear();
    const auto before = db.GetLatestSequenceNumber();
    std::vector<rocksdb::Iterator*> found;
    const auto status = db.NewIterators({}, families, &found);
    CHECK(status.ok(), "iterators without a timestamp are always given");
    for (rocksdb::Iterator* one : found) rows.emplace_back(one);
    if (db.GetLatestSequenceNumber() == before) break;
  }
  return rows;
}
}  // namespace

StoreView::StoreView(RocksStore& store)
    : store_(store),
      // In this order: what is released after it stays for the view.
      released_(store.state_->released->pin()),
      rows_(rows_of_one_moment(*store.state_->db, store.state_->families)) {}
StoreView::~StoreView() {
  rows_.clear();
  store_.state_->released->unpin(released_);
}

RocksStore::RocksStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
RocksStore::~RocksStore() = default;

Result<std::unique_ptr<RocksStore>> RocksStore::open(const std::string& path, rocksdb::Env* env,
                                                     const CompactionBounds& bounds) {
  auto state = std::make_unique<State>(env, bounds);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  const auto cache = rocksdb::NewLRUCache(64 * kMiB);
  for (size_t i = 0; i < kFamilyCount; ++i) {
    families.emplace_back(i == 0 ? rocksdb::kDefaultColumnFamilyName : kFamilyNames[i],
                          family_options(i, cache, state->released));
  }
  // By itself it warns of a folder that is not there yet.
  RETURN_IF_ERROR(from_rocks(state->env->CreateDirIfMissing(path), "folder of the store"));
  rocksdb::DB* db = nullptr;
  const auto status =
      rocksdb::DB::Open(store_options(state->env.get()), path, families, &state->families, &db);
  if (!status.ok()) {
    state->families.clear();
    return from_rocks(status, "opening of the store path=" + path);
  }
  state->db.reset(db);
  state->disk->set_waits(true);
  return std::unique_ptr<RocksStore>(new RocksStore(std::move(state)));
}

Result<std::optional<std::string>> RocksStore::load(Family family, std::string_view key) const {
  std::string value;
  const auto status = state_->db->Get({}, state_->handle(family), slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return from_rocks(status, std::string("read of ") + kFamilyNames[at(family)]);
  return std::optional<std::string>(std::move(value));
}

Result<bool> RocksStore::load(Family family, std::string_view key,
                              google::protobuf::MessageLite& message) const {
  ASSIGN_OR_RETURN(auto value, load(family, key));
  if (!value) return false;
  RETURN_IF_ERROR(parse_row(*value, kFamilyNames[at(family)], message));
  return true;
}

Result<std::vector<std::optional<std::string>>> RocksStore::load_all(
    Family family, const std::vector<std::string_view>& keys) const {
  std::vector<std::optional<std::string>> values(keys.size());
  std::vector<rocksdb::Slice> slices;
  slices.reserve(keys.size());
  for (const std::string_view key : keys) slices.push_back(slice(key));
  std::vector<rocksdb::PinnableSlice> found(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  state_->db->MultiGet({}, state_->handle(family), keys.size(), slices.data(), found.data(),
                       statuses.data());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound() || keys[i].empty()) continue;
    if (!statuses[i].ok()) {
      return from_rocks(statuses[i], std::string("read of ") + kFamilyNames[at(family)]);
    }
    values[i] = found[i].ToString();
  }
  return values;
}

Status RocksStore::for_each(Family family, std::string_view from, const Visit& visit,
                            const StoreView* store_view) const {
  std::unique_ptr<rocksdb::Iterator> own;
  if (store_view == nullptr) own.reset(state_->db->NewIterator({}, state_->handle(family)));
  rocksdb::Iterator* const row = own ? own.get() : store_view->rows_[at(family)].get();
  for (row->Seek(slice(from)); row->Valid(); row->Next()) {
    if (!visit(view(row->key()), view(row->value()))) return {};
  }
  return from_rocks(row->status(), std::string("scan of ") + kFamilyNames[at(family)]);
}

Status RocksStore::for_each_from_last(Family family, const Visit& visit) const {
  std::unique_ptr<rocksdb::Iterator> row(state_->db->NewIterator({}, state_->handle(family)));
  for (row->SeekToLast(); row->Valid(); row->Prev()) {
    if (!visit(view(row->key()), view(row->value()))) return {};
  }
  return from_rocks(row->status(), std::string("scan of ") + kFamilyNames[at(family)]);
}

Status RocksStore::write(WriteSet& changes, bool is_synced) {
  rocksdb::WriteOptions options;
  options.sync = is_synced;
  return from_rocks(state_->db->Write(options, &changes.state_->batch), "write");
}

uint64_t RocksStore::unwritten_bytes() const {
  using Properties = rocksdb::DB::Properties;
  uint64_t bytes = 0;
  state_->db->GetAggregatedIntProperty(Properties::kCurSizeAllMemTables, &bytes);
  bytes += state_->compacting_bytes;
  for (size_t i = 0; i < kFamilyCount; ++i) {
    uint64_t pending = 0;
    // Tables of the others are moved, not written anew.
    if (is_in_order_of_number(i)) continue;
    state_->db->GetIntProperty(state_->families[i], Properties::kEstimatePendingCompactionBytes,
                               &pending);
    bytes += pending;
  }
  return bytes;
}

void RocksStore::release_below(std::string_view to) { state_->released->raise(to); }

void RocksStore::drop_released_files() {
  const std::string from(1, '\0');
  const std::string to = state_->released->bound();
  if (to <= from) return;
  const rocksdb::Slice begin = slice(from);
  const rocksdb::Slice end = slice(to);
  for (const Family family : {Family::kEvents, Family::kIndex}) {
    // Only whole files below the bound.
    ignore_error(from_rocks(rocksdb::DeleteFilesInRange(state_->db.get(), state_->handle(family),
                                                        &begin, &end, /*include_end=*/false),
                            "release of files"),
                 "it costs space, no row");
  }
  compact_conversations();
}

// Their rows go in another order than they come, so no table of them is ever released whole.
void RocksStore::compact_conversations() {
  rocksdb::ColumnFamilyHandle* family = state_->handle(Family::kConversationEvents);
  const uint64_t released = number_of(state_->released->bound());
  uint64_t last = state_->conversations_compacted;
  uint64_t table_bytes = 0;
  if (released < last + state_->bounds.released_min_count) return;
  if (!state_->db->GetIntProperty(family, rocksdb::DB::Properties::kTotalSstFilesSize,
                                  &table_bytes) ||
      table_bytes < state_->bounds.tables_min_bytes || !state_->has_room_for(table_bytes)) {
    return;
  }
  if (!state_->conversations_compacted.compare_exchange_strong(last, released)) return;
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  const Reserved reserved(state_->compacting_bytes, table_bytes);
  ignore_error(from_rocks(state_->db->CompactRange(options, family, nullptr, nullptr),
                          "compaction of released rows"),
               "it costs space, no row");
}

void RocksStore::reclaim_below(Family family, std::string_view to) {
  // A flush that finds the disk full waits, and so would whoever has called this.
  if (!state_->has_room_for(0)) return;
  Status status =
      from_rocks(state_->db->Flush(rocksdb::FlushOptions(), state_->families), "flush for space");
  drop_released_files();
  const std::string from(1, '\0');
  const rocksdb::Slice begin = slice(from);
  const rocksdb::Slice end = slice(to);
  const rocksdb::Range range(begin, end);
  uint64_t table_bytes = 0;
  rocksdb::SizeApproximationOptions whole_tables;
  whole_tables.include_memtables = false;
  whole_tables.include_files = true;
  if (status.ok()) {
    status = from_rocks(state_->db->GetApproximateSizes(whole_tables, state_->handle(family),
                                                        &range, 1, &table_bytes),
                        "size of released rows");
  }
  // What straddles the bound is written anew, at most a table beside what is released.
  if (status.ok() && state_->has_room_for(table_bytes + kTableMaxBytes)) {
    const Reserved reserved(state_->compacting_bytes, table_bytes + kTableMaxBytes);
    status = from_rocks(state_->db->CompactRange(rocksdb::CompactRangeOptions(),
                                                 state_->handle(family), &begin, &end),
                        "compaction for space");
  }
  if (!status.ok()) LOG_WARN("staging gave no space back: {}", status.to_string());
}

Status parse_row(std::string_view value, std::string_view family,
                 google::protobuf::MessageLite& message) {
  if (message.ParseFromArray(value.data(), static_cast<int>(value.size()))) return {};
  return data_loss("staging: a row does not parse family=" + std::string(family) +
                   " size_bytes=" + std::to_string(value.size()));
}

}  // namespace verbatim::processor
