#include "queue/state/message_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>

#include "queue/state/source_keys.h"
#include "tests/support/test_seed.h"

namespace verbatim::queue {
namespace {

using std::chrono::nanoseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What may be given out, told by looking at everything.
struct Model {
  struct Message {
    uint64_t key = 0;
    bool is_leased = false;
    nanoseconds until{};
  };
  std::map<uint64_t, Message> messages;

  std::vector<uint64_t> take(size_t count, const std::set<uint64_t>& behind) {
    std::set<uint64_t> blocked;
    std::map<uint64_t, uint64_t> last_held;
    for (const auto& [id, message] : messages) {
      if (!message.is_leased) continue;
      if (!behind.contains(id)) blocked.insert(message.key);
      last_held[message.key] = id;
    }
    std::vector<uint64_t> taken;
    for (auto& [id, message] : messages) {
      if (taken.size() == count) break;
      if (message.is_leased) continue;
      if (message.until.count() > 0 || id < last_held[message.key]) blocked.insert(message.key);
      if (blocked.contains(message.key)) continue;
      message.is_leased = true;
      taken.push_back(id);
    }
    return taken;
  }
  void release(nanoseconds now) {
    for (auto& [id, message] : messages) {
      if (message.until <= now) message.until = {};
    }
  }
};

class Lives {
 public:
  explicit Lives(uint64_t seed) : random_(seed) { index_.finish_loading(); }

  void run(int step_count) {
    for (int step = 0; step < step_count && !::testing::Test::HasFailure(); ++step) run_step();
    ASSERT_EQ(index_.count(), static_cast<int64_t>(model_.messages.size()));
    ASSERT_EQ(index_.leased_count(), static_cast<int64_t>(leased_.size()));
  }

 private:
  void run_step() {
    switch (random_() % 6) {
      case 0:
      case 1:
        index_.add({.lookup_id = next_id_, .payload_size = 1, .order_key_hash = random_() % 5});
        model_.messages[next_id_].key = *key_of(next_id_);
        ++next_id_;
        return;
      case 2: {
        const size_t count = 1 + random_() % 6;
        const std::set<uint64_t> behind = some_leased();
        const MessageIndex::TakeLimits limits{.max_count = static_cast<int64_t>(count),
                                              .max_bytes = 1'000,
                                              .behind = {behind.begin(), behind.end()}};
        const bool has_any = index_.has_ready() || index_.has_behind(limits.behind);
        const auto taken = index_.take(limits, 1);
        ASSERT_EQ(taken, model_.take(count, behind));
        ASSERT_EQ(has_any, !taken.empty());
        leased_.insert(leased_.end(), taken.begin(), taken.end());
        return;
      }
      case 3:
        now_ += nanoseconds(random_() % 4);
        index_.release_due(now_);
        model_.release(now_);
        return;
      case 4:
        return remove_pending();
      default:
        return settle();
    }
  }
  // The key is known by who may be given with whom: ask the index.
  std::optional<uint64_t> key_of(uint64_t id) { return index_.find(id)->lane; }

  // None, all or some of what is leased.
  std::set<uint64_t> some_leased() {
    std::set<uint64_t> some;
    const uint64_t share = random_() % 5;
    for (const uint64_t id : leased_) {
      if (random_() % 4 < share) some.insert(id);
    }
    return some;
  }
  void remove_pending() {
    const auto it = model_.messages.lower_bound(random_() % next_id_);
    if (it == model_.messages.end() || it->second.is_leased) return;
    index_.remove(it->first);
    model_.messages.erase(it);
  }
  void settle() {
    if (leased_.empty()) return;
    const size_t at = random_() % leased_.size();
    const uint64_t id = leased_[at];
    leased_.erase(leased_.begin() + static_cast<std::ptrdiff_t>(at));
    if (random_() % 2 == 0) {
      index_.remove(id);
      model_.messages.erase(id);
      return;
    }
    index_.give_back(id);
    model_.messages[id].is_leased = false;
    if (random_() % 2 == 0) return;
    const nanoseconds until = now_ + nanoseconds(1 + random_() % 20);
    index_.delay(id, until);
    model_.messages[id].until = until;
  }

  std::mt19937_64 random_;
  MessageIndex index_;
  Model model_;
  std::vector<uint64_t> leased_;
  uint64_t next_id_ = 1;
  nanoseconds now_{1};
};

TEST(MessageIndex, RandomLivesAgreeWithAModel) {
  std::mt19937_64 random(testing::test_seed());
  for (int life = 0; life < 60 && !HasFailure(); ++life) {
    SCOPED_TRACE(life);
    Lives(random()).run(400);
  }
}

TEST(MessageIndex, WhoHoldsAMessageGetsWhatIsBehindItAndNobodyElse) {
  MessageIndex index;
  index.finish_loading();
  for (uint64_t id = 1; id <= 6; ++id) {
    index.add({.lookup_id = id, .payload_size = 1, .order_key_hash = id % 2});
  }
  EXPECT_THAT(index.take({.max_count = 3, .max_bytes = 10}, 7), ElementsAre(1, 2, 3));
  EXPECT_THAT(index.take({.max_count = 3, .max_bytes = 10}, 8), IsEmpty());
  // Of 1 and 3 only one is named: their lane has another lease, as far as the taker says.
  EXPECT_THAT(index.take({.max_count = 1, .max_bytes = 10, .behind = {1, 2}}, 8), ElementsAre(4));
  // What came back goes out before what is behind it.
  index.give_back(1);
  EXPECT_THAT(index.take({.max_count = 3, .max_bytes = 10, .behind = {3}}, 9), IsEmpty());
  index.remove(3);
  EXPECT_THAT(index.take({.max_count = 3, .max_bytes = 10}, 9), ElementsAre(1, 5));
}

TEST(MessageIndex, AtLeastOneMessageIsGivenWhateverItsSize) {
  MessageIndex index;
  index.finish_loading();
  index.add({.lookup_id = 1, .payload_size = 100});
  index.add({.lookup_id = 2, .payload_size = 100});
  EXPECT_THAT(index.take({.max_count = 10, .max_bytes = 1}, 7), ElementsAre(1));
}

TEST(MessageIndex, WhateverTheOrderOfLoadingALaneIsInOrder) {
  MessageIndex index;
  for (const uint64_t id : {900u, 5u, 77u, 6u}) index.load({.lookup_id = id, .payload_size = 1});
  index.unload(77);
  index.finish_loading();
  EXPECT_THAT(index.take({.max_count = 10, .max_bytes = 10}, 7), ElementsAre(5, 6, 900));
}

TEST(MessageIndex, AMessageThatWaitsStopsWhatIsBehindItInItsLaneOnly) {
  MessageIndex index;
  index.finish_loading();
  for (const uint64_t id : {1u, 2u, 3u}) {
    index.add({.lookup_id = id, .payload_size = 1, .order_key_hash = id == 2 ? 2u : 1u});
  }
  index.take({.max_count = 1, .max_bytes = 10}, 7);
  index.give_back(1);
  index.delay(1, nanoseconds(100));
  EXPECT_THAT(index.take({.max_count = 10, .max_bytes = 10}, 8), ElementsAre(2));
  index.release_due(nanoseconds(99));
  EXPECT_THAT(index.take({.max_count = 10, .max_bytes = 10}, 8), IsEmpty());
  index.release_due(nanoseconds(100));
  EXPECT_THAT(index.take({.max_count = 10, .max_bytes = 10}, 8), ElementsAre(1, 3));
}

TEST(MessageIndex, AnUntriedDeliveryIsNotCounted) {
  MessageIndex index;
  index.finish_loading();
  index.add({.lookup_id = 1, .payload_size = 1});
  index.take({.max_count = 1, .max_bytes = 10}, 7);
  index.give_back(1, true);
  EXPECT_EQ(index.find(1)->delivery_count, 0);
}

constexpr SourceKeyHash kA{1, 1};
constexpr SourceKeyHash kB{2, 2};

SourceKeyState state(uint64_t lookup_id, int64_t put_unix_ns, uint64_t generation) {
  return {.lookup_id = lookup_id,
          .put_unix_ns = put_unix_ns,
          .position = PackedPosition({generation, 4096})};
}

TEST(MessageIndex, ItsMemoryGrowsAndShrinksWithItsMessages) {
  MessageIndex index;
  index.finish_loading();
  const size_t empty = index.memory_bytes();
  constexpr uint64_t kCount = 10'000;
  for (uint64_t id = 1; id <= kCount; ++id) {
    index.add({.lookup_id = id, .payload_size = 10, .order_key_hash = 7});
  }
  EXPECT_GE(index.memory_bytes() - empty, kCount * sizeof(IndexedMessage));
  EXPECT_LE(index.memory_bytes() - empty, kCount * sizeof(IndexedMessage) * 2);
  for (uint64_t id = 1; id <= kCount; ++id) index.remove(id);
  EXPECT_LE(index.memory_bytes(), empty + 10'000);
}

TEST(SourceKeys, AKeyIsForgottenOnceAfterTheWindowWhereverItsRecordsLie) {
  SourceKeys keys(std::chrono::milliseconds(10));
  keys.add(kA, state(1, 0, 1));
  keys.add(kB, state(2, 5'000'000, 1));
  ASSERT_TRUE(keys.first_of(1, 0).has_value());
  keys.add(kA, state(1, 0, 2));
  EXPECT_EQ(keys.find(kA, 9'000'000)->lookup_id, 1u);
  EXPECT_FALSE(keys.find(kA, 11'000'000).has_value());
  keys.expire(11'000'000, 100);
  EXPECT_EQ(keys.size(), 1u);
  EXPECT_FALSE(keys.has_keys_of(2));
  EXPECT_TRUE(keys.has_keys_of(1));
  keys.expire(16'000'000, 100);
  EXPECT_EQ(keys.size(), 0u);
  EXPECT_EQ(keys.bytes(), 0u);
}

TEST(SourceKeys, AnOldMessageThatIsCopiedForwardDoesNotTakeItsKeyBack) {
  SourceKeys keys(std::chrono::milliseconds(10));
  const SourceKeyHash key = source_key_hash("key");
  const auto at = [](uint64_t generation) { return PackedPosition(LogPosition{generation, 4096}); };
  keys.add(key, {.lookup_id = 1, .put_unix_ns = 0, .position = at(1)});
  keys.add(key, {.lookup_id = 2, .put_unix_ns = 20'000'000, .position = at(2)});
  keys.add(key, {.lookup_id = 1, .put_unix_ns = 0, .position = at(3)});
  const auto found = keys.find(key, 21'000'000);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->lookup_id, 2u);
  EXPECT_FALSE(keys.has_keys_of(3));
}

TEST(SourceKeys, ANewerRecordOfAKeyReplacesThePlaceOfTheOldOne) {
  SourceKeys keys(std::chrono::milliseconds(10));
  keys.add(kA, state(1, 0, 1));
  keys.add(kA, state(1, 0, 3));
  EXPECT_FALSE(keys.first_of(1, 0).has_value());
  EXPECT_FALSE(keys.has_keys_of(1));
  ASSERT_TRUE(keys.first_of(3, 0).has_value());
  EXPECT_EQ(keys.size(), 1u);
}

}  // namespace
}  // namespace verbatim::queue
