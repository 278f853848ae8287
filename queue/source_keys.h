// SourceKeys: the source keys of one queue within the window, with lookup id and first verdict.
//
// A key belongs to the log segment that holds its record; before that segment is recycled, keys
// still valid are moved to a newer one.
// Threads: one.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

namespace verbatim::queue {

struct SourceKeyState {
  uint64_t lookup_id = 0;
  int64_t put_unix_ns = 0;
  std::string verdict;

  // Kept by SourceKeys: the segment of the newest record, 0 once forgotten; and how often the key
  // stands in by_generation_, where places of older records are left until they are come across.
  uint64_t generation = 0;
  uint32_t place_count = 0;
};

class SourceKeys {
 public:
  explicit SourceKeys(std::chrono::milliseconds window) : window_ns_(window.count() * 1'000'000) {}

  // Nothing for a key that is not known or past the window.
  const SourceKeyState* find(const std::string& key, int64_t unix_now_ns) const;
  // A new key, or a newer record of a known one.
  void add(const std::string& key, SourceKeyState state, uint64_t generation);

  // Forgets up to `count` keys past the window.
  void expire(int64_t unix_now_ns, size_t count);

  // The first key that belongs to `generation`; nothing if there is none (expired ones left out).
  const std::pair<const std::string, SourceKeyState>* first_of(uint64_t generation,
                                                               int64_t unix_now_ns);
  // The first key of `from` now has its record in `to`.
  void move_first(uint64_t from, uint64_t to);
  bool has_keys_of(uint64_t generation) const { return by_generation_.contains(generation); }

  size_t size() const { return keys_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  using Keys = std::unordered_map<std::string, SourceKeyState>;
  bool is_expired(const SourceKeyState& state, int64_t unix_now_ns) const {
    return unix_now_ns - state.put_unix_ns > window_ns_;
  }
  // Drops the first place of a generation; forgets the key where `forgets`.
  void pop(uint64_t generation, bool forgets);

  const int64_t window_ns_;
  Keys keys_;
  // Oldest first.
  std::map<uint64_t, std::deque<Keys::value_type*>> by_generation_;
  size_t bytes_ = 0;
};

}  // namespace verbatim::queue
