#include "queue/message_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>

#include "queue/source_keys.h"
#include "tests/support/test_seed.h"

namespace verbatim::queue {
namespace {

using ::testing::ElementsAre;

// What may be given out, told by looking at everything.
struct Model {
  struct Message {
    std::string key;
    bool is_leased = false;
  };
  std::map<uint64_t, Message> messages;

  std::vector<uint64_t> take(size_t count) {
    std::set<std::string> blocked;
    for (const auto& [id, message] : messages) {
      if (message.is_leased) blocked.insert(message.key);
    }
    std::vector<uint64_t> taken;
    for (auto& [id, message] : messages) {
      if (taken.size() == count) break;
      if (blocked.contains(message.key)) continue;
      message.is_leased = true;
      taken.push_back(id);
    }
    return taken;
  }
};

TEST(MessageIndex, RandomLivesAgreeWithAModel) {
  std::mt19937_64 random(testing::test_seed());
  for (int life = 0; life < 30; ++life) {
    MessageIndex index;
    Model model;
    std::vector<uint64_t> leased;
    uint64_t next_id = 1;
    for (int step = 0; step < 300; ++step) {
      const uint64_t choice = random() % 4;
      if (choice < 2) {
        const std::string key(1, static_cast<char>('a' + random() % 5));
        index.add(next_id, {.payload_size = 1}, key);
        model.messages[next_id++].key = key;
      } else if (choice == 2) {
        const size_t count = 1 + random() % 6;
        const auto taken =
            index.take({.max_count = static_cast<int64_t>(count), .max_bytes = 1'000}, 1);
        ASSERT_EQ(taken, model.take(count)) << "life " << life << " step " << step;
        leased.insert(leased.end(), taken.begin(), taken.end());
      } else if (!leased.empty()) {
        const size_t at = random() % leased.size();
        const uint64_t id = leased[at];
        leased.erase(leased.begin() + static_cast<std::ptrdiff_t>(at));
        if (random() % 2 == 0) {
          index.give_back(id);
          model.messages[id].is_leased = false;
        } else {
          index.remove(id);
          model.messages.erase(id);
        }
      }
    }
    ASSERT_EQ(index.messages().size(), model.messages.size());
    ASSERT_EQ(index.leased_count(), static_cast<int64_t>(leased.size()));
  }
}

TEST(MessageIndex, AtLeastOneMessageIsGivenWhateverItsSize) {
  MessageIndex index;
  index.add(1, {.payload_size = 100}, "a");
  index.add(2, {.payload_size = 100}, "a");
  EXPECT_THAT(index.take({.max_count = 10, .max_bytes = 1}, 7), ElementsAre(1));
}

TEST(SourceKeys, AKeyIsForgottenOnceAfterTheWindowWhereverItsRecordsLie) {
  SourceKeys keys(std::chrono::milliseconds(10));
  keys.add("a", {.lookup_id = 1, .put_unix_ns = 0, .verdict = "v"}, 1);
  keys.add("b", {.lookup_id = 2, .put_unix_ns = 5'000'000, .verdict = "w"}, 1);
  ASSERT_NE(keys.first_of(1, 0), nullptr);
  keys.move_first(1, 2);
  EXPECT_EQ(keys.find("a", 9'000'000)->verdict, "v");
  EXPECT_EQ(keys.find("a", 11'000'000), nullptr);
  keys.expire(11'000'000, 100);
  EXPECT_EQ(keys.size(), 1u);
  EXPECT_FALSE(keys.has_keys_of(2));
  EXPECT_TRUE(keys.has_keys_of(1));
  keys.expire(16'000'000, 100);
  EXPECT_EQ(keys.size(), 0u);
  EXPECT_EQ(keys.bytes(), 0u);
}

TEST(SourceKeys, ANewerRecordOfAKeyReplacesThePlaceOfTheOldOne) {
  SourceKeys keys(std::chrono::milliseconds(10));
  keys.add("a", {.lookup_id = 1, .put_unix_ns = 0, .verdict = "v"}, 1);
  keys.add("a", {.lookup_id = 1, .put_unix_ns = 0, .verdict = "v"}, 3);
  EXPECT_EQ(keys.first_of(1, 0), nullptr);
  EXPECT_FALSE(keys.has_keys_of(1));
  ASSERT_NE(keys.first_of(3, 0), nullptr);
  EXPECT_EQ(keys.size(), 1u);
}

}  // namespace
}  // namespace verbatim::queue
