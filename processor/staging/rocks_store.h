// RocksStore: the column families of staging, and nothing about what they mean.
//
// All access to RocksDB goes through here. Opening takes RocksDB's own lock, so a second processor
// cannot open the store. A torn end of the write-ahead log (a write that was never synced) is cut;
// damage before it refuses the opening. After a failed write or sync the store refuses everything:
// nothing is retried.
//
// Events and their rows in `index` and `conversation_events` are numbered and leave by number:
// release_below() says up to where nobody reads any more. What is still in memory then never
// becomes a table, and tables go as whole files; no row is deleted one by one, so no reader ever
// steps over the deleted ones (ADR 0026). Threads: any.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rocksdb {
class Env;
class Iterator;
}  // namespace rocksdb
namespace google::protobuf {
class MessageLite;
}

namespace verbatim::processor {

// Column families, in the order of docs/formats/staging.md.
enum class Family : size_t {
  kMeta,
  kEvents,
  kIndex,
  kPositions,
  kExceptions,
  kSourceKeys,
  kSourceKeyOrder,
  kSources,
  kAdapters,
  kSeals,
  kConversations,
  kParticipation,
  kQuarantine,
  kAudit,
  kHolds,
  kKept,
  kUnrouted,
  kConversationEvents,
  kFileNames,
};
inline constexpr size_t kFamilyCount = 19;

// When tables that hold released rows among others are written anew.
struct CompactionBounds {
  uint64_t released_min_count = 1'000'000;
  uint64_t tables_min_bytes = uint64_t{32} << 20;
};

class RocksStore;

// Changes that take effect together or not at all. One thread.
class WriteSet {
 public:
  // Room for so many bytes is made at once; more is made as it is needed.
  explicit WriteSet(RocksStore& store, size_t reserved_bytes = 0);
  ~WriteSet();

  void put(Family family, std::string_view key, std::string_view value);
  void put(Family family, std::string_view key, const google::protobuf::MessageLite& value);
  void remove(Family family, std::string_view key);

 private:
  friend class RocksStore;
  struct State;
  std::unique_ptr<State> state_;
};

// A view that no later write changes; must end before its store. What is released while it lives
// stays readable through it. Not a snapshot of RocksDB: the release of one has the tables of the
// lowest level written anew, 64 MiB each, however full the disk is.
// Threads: one. A visit of a family must not visit the same family again.
class StoreView {
 public:
  explicit StoreView(RocksStore& store);
  ~StoreView();
  StoreView(const StoreView&) = delete;
  StoreView& operator=(const StoreView&) = delete;

 private:
  friend class RocksStore;
  RocksStore& store_;
  const std::string released_;
  std::vector<std::unique_ptr<rocksdb::Iterator>> rows_;  // of each family
};

class RocksStore {
 public:
  // Opens or creates the store in a folder that exists or whose parent does. `env` may be null (the
  // machine's); a given one must outlive the store. Errors: kFailedPrecondition (open elsewhere),
  // kDataLoss (damage), those of the disk.
  static Result<std::unique_ptr<RocksStore>> open(const std::string& path, rocksdb::Env* env,
                                                  const CompactionBounds& bounds = {});
  ~RocksStore();

  // The value, or nothing.
  Result<std::optional<std::string>> load(Family family, std::string_view key) const;
  // Parses the value into `message`; false when there is none. Errors: kDataLoss (does not parse).
  Result<bool> load(Family family, std::string_view key,
                    google::protobuf::MessageLite& message) const;

  // The same of many keys, in their order; an empty key has none.
  Result<std::vector<std::optional<std::string>>> load_all(
      Family family, const std::vector<std::string_view>& keys) const;

  // Calls `visit` for each row from `from` on, in key order, until it gives false.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  Status for_each(Family family, std::string_view from, const Visit& visit,
                  const StoreView* view = nullptr) const;
  // The same downwards from the last row of the family.
  Status for_each_from_last(Family family, const Visit& visit) const;

  // Durable, if `is_synced`: all changes. An unsynced write is lost or whole after a power cut.
  // Errors: the store is of no more use.
  Status write(WriteSet& changes, bool is_synced);

  // What it takes of the disk beside rows: ahead of the ends of its files (the log, the manifest,
  // two tables that are written), and for its folder.
  static constexpr uint64_t kAheadBytes = uint64_t{20} << 20;

  // What the disk must still take of rows that are written already: what is in memory only (and in
  // the log, which goes after it), and what compaction has to write anew.
  uint64_t unwritten_bytes() const;

  // Rows of those families whose number is below that of `to`, a number_key, may vanish at any time
  // from now on. The caller has said durably that they are deleted, and reads none of them again.
  // Never back.
  void release_below(std::string_view to);
  // Removes the files that hold released rows alone, and now and then compacts where there are none
  // such. Blocks on the disk.
  void drop_released_files();
  // The same when space is short: first writes out what is in memory, so that the write-ahead log
  // can go, then compacts; does nothing where the disk has no room for that.
  void reclaim_below(Family family, std::string_view to);

 private:
  friend class WriteSet;
  friend class StoreView;
  struct State;
  explicit RocksStore(std::unique_ptr<State> state);
  void compact_conversations();
  std::unique_ptr<State> state_;
};

// Parses a stored row. Errors: kDataLoss naming the family, never the bytes.
Status parse_row(std::string_view value, std::string_view family,
                 google::protobuf::MessageLite& message);

}  // namespace verbatim::processor
