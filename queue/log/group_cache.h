// GroupCache: the bytes of recent groups, so that what was just put is given out without a read.
// Oldest groups leave first, and each as soon as nothing of it will be read any more.
// I1 Groups are kept in the order of the log; those that have left stay as empty places until the
//    places make up most of the list.
// Threads: one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "queue/log/group_buffer.h"
#include "queue/log/log_format.h"

namespace verbatim::queue {

class GroupCache {
 public:
  explicit GroupCache(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Groups come in the order of the log.
  void insert(LogPosition begin, std::shared_ptr<const GroupBuffer> bytes, int64_t retained_count) {
    size_bytes_ += bytes->capacity();
    groups_.push_back({begin, begin.offset + bytes->size(), retained_count, std::move(bytes)});
  }

  // The bytes at `position`, if its group is here.
  std::optional<std::string_view> find(LogPosition position, uint64_t size) {
    const Group* group = group_of(position);
    if (group == nullptr) return std::nullopt;
    return group->bytes->view().substr(position.offset - group->begin.offset, size);
  }

  void release(LogPosition position) {
    Group* group = group_of(position);
    if (group == nullptr) return;
    if (--group->retained_count <= 0 && group->begin < evictable_below_) drop(*group);
  }

  // Groups below are on the disk and may leave.
  void set_evictable_below(LogPosition position) {
    const LogPosition before = std::exchange(evictable_below_, position);
    for (auto it = groups_.rbegin(); it != groups_.rend() && !(it->begin < before); ++it) {
      if (it->bytes && it->begin < position && it->retained_count <= 0) drop(*it);
    }
    while (!groups_.empty() && groups_.front().begin < position &&
           (!groups_.front().bytes || size_bytes_ > bytes_max_)) {
      if (groups_.front().bytes) {
        drop(groups_.front());
      } else {
        --empty_count_;
        groups_.pop_front();
        last_ = 0;
      }
    }
    if (empty_count_ > kEmptyMinCount && empty_count_ * 2 > groups_.size()) remove_empty();
  }

  uint64_t size_bytes() const { return size_bytes_; }

 private:
  static constexpr size_t kEmptyMinCount = 64;

  struct Group {
    LogPosition begin;
    uint64_t end = 0;  // offset
    int64_t retained_count = 0;
    std::shared_ptr<const GroupBuffer> bytes;  // null: has left
  };

  static bool is_inside(const Group& group, LogPosition position) {
    return group.begin.generation == position.generation && group.begin.offset <= position.offset &&
           position.offset < group.end;
  }

  // Reads come in order, so the group of the last one is looked at first, then the next.
  Group* group_of(LogPosition position) {
    for (size_t at = last_; at < std::min(last_ + 2, groups_.size()); ++at) {
      if (is_inside(groups_[at], position)) return found(at);
    }
    const auto it =
        std::upper_bound(groups_.begin(), groups_.end(), position,
                         [](LogPosition at, const Group& group) { return at < group.begin; });
    if (it == groups_.begin() || !is_inside(*std::prev(it), position)) return nullptr;
    return found(static_cast<size_t>(std::prev(it) - groups_.begin()));
  }
  Group* found(size_t at) {
    last_ = at;
    return groups_[at].bytes ? &groups_[at] : nullptr;
  }
  void drop(Group& group) {
    size_bytes_ -= group.bytes->capacity();
    group.bytes.reset();
    ++empty_count_;
  }
  void remove_empty() {
    std::erase_if(groups_, [](const Group& group) { return !group.bytes; });
    empty_count_ = 0;
    last_ = 0;
  }

  const uint64_t bytes_max_;
  uint64_t size_bytes_ = 0;
  std::deque<Group> groups_;
  size_t empty_count_ = 0;
  size_t last_ = 0;
  LogPosition evictable_below_;
};

}  // namespace verbatim::queue
