#include "queue/state/source_keys.h"

#include <vector>

namespace verbatim::queue {

std::optional<SourceKeyState> SourceKeys::find(const SourceKeyHash& key,
                                               int64_t unix_now_ns) const {
  const auto it = keys_.find(key);
  if (it == keys_.end() || is_expired(it->second, unix_now_ns)) return std::nullopt;
  return it->second;
}

void SourceKeys::add(const SourceKeyHash& key, const SourceKeyState& state) {
  const auto [it, is_new] = keys_.try_emplace(key, state);
  if (is_new) {
    live_bytes_ += kLogBytesPerKey;
  } else if (it->second.lookup_id > state.lookup_id) {
    return;
  } else {
    it->second = state;
  }
  by_generation_[state.position.generation()].push_back(key);
}

void SourceKeys::pop(uint64_t generation) {
  const auto places = by_generation_.find(generation);
  const auto it = keys_.find(places->second.front());
  if (it != keys_.end() && it->second.position.generation() == generation) {
    keys_.erase(it);
    live_bytes_ -= kLogBytesPerKey;
  }
  places->second.pop_front();
  if (places->second.empty()) by_generation_.erase(places);
}

void SourceKeys::expire(int64_t unix_now_ns, size_t count) {
  std::vector<uint64_t> generations;
  for (const auto& [generation, places] : by_generation_) generations.push_back(generation);
  for (const uint64_t generation : generations) {
    while (count > 0 && by_generation_.contains(generation)) {
      const auto it = keys_.find(by_generation_.at(generation).front());
      const bool is_current = it != keys_.end() && it->second.position.generation() == generation;
      if (is_current && !is_expired(it->second, unix_now_ns)) break;
      pop(generation);
      --count;
    }
  }
}

std::optional<std::pair<SourceKeyHash, SourceKeyState>> SourceKeys::first_of(uint64_t generation,
                                                                             int64_t unix_now_ns) {
  while (true) {
    const auto places = by_generation_.find(generation);
    if (places == by_generation_.end()) return std::nullopt;
    const auto it = keys_.find(places->second.front());
    const bool is_current = it != keys_.end() && it->second.position.generation() == generation;
    if (is_current && !is_expired(it->second, unix_now_ns)) return *it;
    pop(generation);
  }
}

}  // namespace verbatim::queue
