#include "queue/source_keys.h"

#include <utility>
#include <vector>

#include "base/check.h"

namespace verbatim::queue {
namespace {

// Nodes, pointers and string headers.
constexpr size_t kOverheadBytes = 160;

size_t cost(const std::pair<const std::string, SourceKeyState>& key) {
  return key.first.size() + key.second.verdict.size() + kOverheadBytes;
}

}  // namespace

const SourceKeyState* SourceKeys::find(const std::string& key, int64_t unix_now_ns) const {
  const auto it = keys_.find(key);
  if (it == keys_.end() || it->second.generation == 0) return nullptr;
  return is_expired(it->second, unix_now_ns) ? nullptr : &it->second;
}

void SourceKeys::add(const std::string& key, SourceKeyState state, uint64_t generation) {
  const auto [it, is_new] = keys_.try_emplace(key);
  if (it->second.generation != 0) bytes_ -= cost(*it);
  state.generation = generation;
  state.place_count = it->second.place_count + 1;
  it->second = std::move(state);
  bytes_ += cost(*it);
  by_generation_[generation].push_back(&*it);
}

void SourceKeys::pop(uint64_t generation, bool forgets) {
  const auto it = by_generation_.find(generation);
  CHECK(it != by_generation_.end(), "a key belongs to a generation");
  Keys::value_type& key = *it->second.front();
  it->second.pop_front();
  if (it->second.empty()) by_generation_.erase(it);
  --key.second.place_count;
  if (forgets) {
    bytes_ -= cost(key);
    key.second.generation = 0;
  }
  if (key.second.generation == 0 && key.second.place_count == 0) {
    keys_.erase(std::string(key.first));
  }
}

void SourceKeys::expire(int64_t unix_now_ns, size_t count) {
  std::vector<uint64_t> generations;
  for (const auto& [generation, places] : by_generation_) generations.push_back(generation);
  for (const uint64_t generation : generations) {
    while (count > 0 && by_generation_.contains(generation)) {
      const SourceKeyState& state = by_generation_.at(generation).front()->second;
      const bool is_current = state.generation == generation;
      if (is_current && !is_expired(state, unix_now_ns)) break;
      pop(generation, is_current);
      --count;
    }
  }
}

const std::pair<const std::string, SourceKeyState>* SourceKeys::first_of(uint64_t generation,
                                                                         int64_t unix_now_ns) {
  while (true) {
    const auto it = by_generation_.find(generation);
    if (it == by_generation_.end()) return nullptr;
    const Keys::value_type* key = it->second.front();
    const bool is_current = key->second.generation == generation;
    if (is_current && !is_expired(key->second, unix_now_ns)) return key;
    pop(generation, is_current);
  }
}

void SourceKeys::move_first(uint64_t from, uint64_t to) {
  Keys::value_type& key = *by_generation_.at(from).front();
  ++key.second.place_count;
  by_generation_[to].push_back(&key);
  key.second.generation = to;
  pop(from, false);
}

}  // namespace verbatim::queue
