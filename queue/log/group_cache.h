// GroupCache: the bytes of recent groups, so that what was just put is given out without a read.
// Oldest groups leave first, and each as soon as nothing of it will be read any more.
// Threads: one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "queue/log/log_format.h"

namespace verbatim::queue {

class GroupCache {
 public:
  explicit GroupCache(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  void insert(LogPosition begin, std::shared_ptr<const std::string> bytes, int64_t retained_count) {
    size_bytes_ += bytes->size();
    groups_[begin] = {std::move(bytes), retained_count};
  }

  // The bytes at `position`, if its group is here.
  std::optional<std::string_view> find(LogPosition position, uint64_t size) const {
    const auto it = group_of(position);
    if (it == groups_.end()) return std::nullopt;
    const uint64_t at = position.offset - it->first.offset;
    return std::string_view(*it->second.bytes).substr(at, size);
  }

  void release(LogPosition position) {
    const auto it = group_of(position);
    if (it == groups_.end()) return;
    if (--it->second.retained_count <= 0 && it->first < evictable_below_) erase(it);
  }

  // Groups below are on the disk and may leave.
  void set_evictable_below(LogPosition position) {
    for (auto it = groups_.lower_bound(evictable_below_);
         it != groups_.end() && it->first < position;) {
      const auto next = std::next(it);
      if (it->second.retained_count <= 0) erase(it);
      it = next;
    }
    evictable_below_ = position;
    while (size_bytes_ > bytes_max_ && !groups_.empty() &&
           groups_.begin()->first < evictable_below_) {
      erase(groups_.begin());
    }
  }

  uint64_t size_bytes() const { return size_bytes_; }

 private:
  struct Group {
    std::shared_ptr<const std::string> bytes;
    int64_t retained_count = 0;
  };
  using Groups = std::map<LogPosition, Group>;

  Groups::const_iterator group_of(LogPosition position) const {
    auto it = groups_.upper_bound(position);
    if (it == groups_.begin()) return groups_.end();
    --it;
    const bool is_inside = it->first.generation == position.generation &&
                           position.offset < it->first.offset + it->second.bytes->size();
    return is_inside ? it : groups_.end();
  }
  Groups::iterator group_of(LogPosition position) {
    const auto it = std::as_const(*this).group_of(position);
    return it == groups_.end() ? groups_.end() : groups_.find(it->first);
  }
  void erase(Groups::iterator it) {
    size_bytes_ -= it->second.bytes->size();
    groups_.erase(it);
  }

  const uint64_t bytes_max_;
  uint64_t size_bytes_ = 0;
  Groups groups_;
  LogPosition evictable_below_;
};

}  // namespace verbatim::queue
