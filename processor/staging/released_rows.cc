#include "processor/staging/released_rows.h"

#include <rocksdb/compaction_filter.h>

#include <algorithm>
#include <utility>

namespace verbatim::processor {
namespace {

// kRemove would write a tombstone for each row; skipping a range writes nothing. It may bring older
// values of a key to light, of which there are none.
class ReleasedFilter final : public rocksdb::CompactionFilter {
 public:
  explicit ReleasedFilter(std::string bound) : bound_(std::move(bound)) {}
  const char* Name() const override { return "ReleasedFilter"; }
  Decision FilterV2(int /*level*/, const rocksdb::Slice& key, ValueType /*type*/,
                    const rocksdb::Slice& /*value*/, std::string* /*new_value*/,
                    std::string* skip_until) const override {
    const rocksdb::Slice number(key.data() + key.size() - std::min(key.size(), bound_.size()),
                                std::min(key.size(), bound_.size()));
    if (bound_.empty() || number.compare(bound_) >= 0) return Decision::kKeep;
    *skip_until = key.size() == number.size() ? bound_ : key.ToString() + '\0';
    return Decision::kRemoveAndSkipUntil;
  }

 private:
  const std::string bound_;
};

class ReleasedFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit ReleasedFilterFactory(std::shared_ptr<const ReleasedRows> released)
      : released_(std::move(released)) {}
  const char* Name() const override { return "ReleasedFilterFactory"; }
  bool ShouldFilterTableFileCreation(rocksdb::TableFileCreationReason reason) const override {
    return reason == rocksdb::TableFileCreationReason::kFlush ||
           reason == rocksdb::TableFileCreationReason::kCompaction;
  }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context& /*context*/) override {
    return std::make_unique<ReleasedFilter>(released_->bound());
  }

 private:
  const std::shared_ptr<const ReleasedRows> released_;
};

}  // namespace

void ReleasedRows::raise(std::string_view to) {
  base::MutexLock lock(mutex_);
  if (to > bound_) bound_ = to;
}

std::string ReleasedRows::bound() const {
  base::MutexLock lock(mutex_);
  return pins_.empty() ? bound_ : *pins_.begin();
}

std::string ReleasedRows::pin() {
  base::MutexLock lock(mutex_);
  pins_.insert(bound_);
  return bound_;
}

void ReleasedRows::unpin(const std::string& bound) {
  base::MutexLock lock(mutex_);
  pins_.erase(pins_.find(bound));
}

std::shared_ptr<rocksdb::CompactionFilterFactory> make_released_filter_factory(
    std::shared_ptr<const ReleasedRows> released) {
  return std::make_shared<ReleasedFilterFactory>(std::move(released));
}

}  // namespace verbatim::processor
