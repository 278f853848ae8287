// ReleasedRows: up to which key nobody reads the numbered families any more, and the filter that
// keeps such rows out of the tables that RocksDB writes.
//
// A view pins the bound as it is when the view begins: RocksDB's filters do not respect snapshots.
// Threads: any; RocksDB asks on its own threads.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/mutex.h"

namespace rocksdb {
class CompactionFilterFactory;
}

namespace verbatim::processor {

class ReleasedRows {
 public:
  // Never goes back.
  void raise(std::string_view to);
  // Rows below it may vanish; the lowest pinned one while there are views.
  std::string bound() const;

  // Gives what is to be unpinned.
  std::string pin();
  void unpin(const std::string& bound);

 private:
  mutable base::Mutex mutex_;
  std::string bound_ GUARDED_BY(mutex_);
  std::multiset<std::string> pins_ GUARDED_BY(mutex_);
};

// For families in which each key is written once and ends with a number, as the bound is: RocksDB
// leaves out, without a trace, every row whose number is below the bound whenever it writes a
// table.
std::shared_ptr<rocksdb::CompactionFilterFactory> make_released_filter_factory(
    std::shared_ptr<const ReleasedRows> released);

}  // namespace verbatim::processor
