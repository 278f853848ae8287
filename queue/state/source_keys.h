// SourceKeys: the source keys of one queue within the window: by hash, with the place of the record
// that has the key itself and its first verdict. About 80 bytes a key.
//
// A key belongs to the log segment that holds its record; before that segment is recycled, keys
// still valid are moved to a newer one.
// Threads: one.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "queue/state/key_hash.h"
#include "queue/state/message_index.h"

namespace verbatim::queue {

struct SourceKeyState {
  uint64_t lookup_id = 0;
  int64_t put_unix_ns = 0;
  PackedPosition position{};
  // Payload of the record, and whether it is a LogSourceKey and no message.
  uint32_t payload_size = 0;
  bool is_copy = false;
};

class SourceKeys {
 public:
  explicit SourceKeys(std::chrono::milliseconds window) : window_ns_(window.count() * 1'000'000) {}

  // Nothing for a key that is not known or past the window. Who gets one compares the key's bytes
  // in the record.
  std::optional<SourceKeyState> find(const SourceKeyHash& key, int64_t unix_now_ns) const;
  // A new key, or a newer record of a known one. Nothing if a message behind that one, put when the
  // window had passed, has the key: the older one may still be copied forward.
  void add(const SourceKeyHash& key, const SourceKeyState& state);

  // Forgets up to `count` keys past the window.
  void expire(int64_t unix_now_ns, size_t count);

  // The first key that belongs to `generation`; nothing if there is none (expired ones left out).
  std::optional<std::pair<SourceKeyHash, SourceKeyState>> first_of(uint64_t generation,
                                                                   int64_t unix_now_ns);
  bool has_keys_of(uint64_t generation) const { return by_generation_.contains(generation); }

  size_t size() const { return keys_.size(); }
  // Of memory.
  size_t bytes() const { return keys_.size() * kBytesPerKey; }
  // Of the log: what the keys would take if they were copied without their messages.
  int64_t live_bytes() const { return live_bytes_; }
  // About what a key's own record takes in the log.
  static constexpr int64_t kLogBytesPerKey = 256;

 private:
  static constexpr size_t kBytesPerKey = 80;
  bool is_expired(const SourceKeyState& state, int64_t unix_now_ns) const {
    return unix_now_ns - state.put_unix_ns > window_ns_;
  }
  // Drops the first place of a generation, and the key if this is where it belongs.
  void pop(uint64_t generation);

  const int64_t window_ns_;
  absl::flat_hash_map<SourceKeyHash, SourceKeyState> keys_;
  // Places, oldest first; those of keys that have moved on since are left until they are come
  // across.
  std::map<uint64_t, std::deque<SourceKeyHash>> by_generation_;
  int64_t live_bytes_ = 0;
};

}  // namespace verbatim::queue
