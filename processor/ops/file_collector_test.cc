#include "processor/ops/file_collector.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <random>
#include <thread>

#include "base/content_store.h"
#include "base/hex.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_seed.h"

namespace verbatim::processor {
namespace {

using Set = std::set<std::string>;
constexpr std::chrono::nanoseconds kAtOnce{0};
const auto kSettled = [] { return true; };

Status upload(base::ContentStore& store, const std::string& bytes) {
  auto upload = store.begin_upload(base::sha256(bytes), static_cast<int64_t>(bytes.size()));
  if (!upload) return upload.error();
  if (*upload == nullptr) return {};
  RETURN_IF_ERROR((*upload)->append(std::string_view(bytes).substr((*upload)->stored_bytes())));
  return (*upload)->finish();
}

class FileCollectorTest : public ::testing::Test {
 protected:
  FileCollectorTest()
      : store_(base::ContentStore::open(base::posix_file_system(),
                                        {.directory = dir_.file("files"), .is_writer = true})
                   .value()) {}

  std::unique_ptr<FileCollector> make() {
    FileCollectorOptions options;
    options.interval = std::chrono::hours(1);
    options.queues.push_back({"events", [this]() -> Result<QueueFacts> {
                                if (!error_.ok()) return error_;
                                return facts_;
                              }});
    options.unnamed = [this](const std::vector<std::string>& digests) -> Result<Set> {
      Set unnamed(digests.begin(), digests.end());
      for (const std::string& one : named_) unnamed.erase(one);
      return unnamed;
    };
    return std::make_unique<FileCollector>(
        base::ContentRemoval(base::posix_file_system(), dir_.file("files")), std::move(options));
  }
  void store_released() {
    ASSERT_TRUE(upload(*store_, "x").ok());
    ASSERT_EQ(store_->release_claims(kAtOnce, kSettled).value(), 1u);
  }
  bool is_stored() { return store_->size(digest_).has_value(); }

  testing::TempDir dir_;
  std::unique_ptr<base::ContentStore> store_;
  QueueFacts facts_{.last_lookup_id = 9};
  Status error_;
  Set named_;
  const std::string digest_ = base::sha256("x");
};

TEST_F(FileCollectorTest, AFileWithoutClaimAndNameGoesAndIsCounted) {
  const auto collector = make();
  ASSERT_TRUE(upload(*store_, "x").ok());
  ASSERT_TRUE(collector->look().ok());
  EXPECT_TRUE(is_stored()) << "it is claimed";
  ASSERT_EQ(store_->release_claims(kAtOnce, kSettled).value(), 1u);
  ASSERT_TRUE(collector->look().ok());
  EXPECT_FALSE(is_stored());
  EXPECT_EQ(collector->state().collected_count(), 1);
  EXPECT_EQ(collector->state().collected_bytes(), 1);
  EXPECT_EQ(collector->state().round_count(), 2);
}

TEST_F(FileCollectorTest, ANamedFileStaysUntilItsNameIsGone) {
  const auto collector = make();
  store_released();
  named_ = {digest_};
  ASSERT_TRUE(collector->look().ok());
  ASSERT_TRUE(is_stored());
  EXPECT_TRUE(collector->unnamed(10)->empty());
  named_.clear();
  ASSERT_TRUE(collector->look().ok());
  EXPECT_FALSE(is_stored());
}

TEST_F(FileCollectorTest, WhatLiesInTheQueueWhenTheClaimEndsIsWaitedFor) {
  const auto collector = make();
  facts_ = {.last_lookup_id = 12, .first_lookup_id = 7};
  store_released();
  ASSERT_TRUE(collector->look().ok());
  // Messages that come later are not waited for; the last of before is.
  facts_ = {.last_lookup_id = 30, .first_lookup_id = 12};
  ASSERT_TRUE(collector->look().ok());
  EXPECT_TRUE(is_stored());
  EXPECT_EQ(collector->state().waiting_count(), 1);
  EXPECT_EQ(collector->unnamed(10)->front().sha256(), base::to_hex(digest_));
  facts_.first_lookup_id = 13;
  ASSERT_TRUE(collector->look().ok());
  EXPECT_FALSE(is_stored());
}

TEST_F(FileCollectorTest, AClaimThatCameAndWentBeginsTheWaitAnew) {
  const auto collector = make();
  facts_ = {.last_lookup_id = 12, .first_lookup_id = 12};
  store_released();
  ASSERT_TRUE(collector->look().ok());
  store_released();
  // The first cut is passed, and an event of the second claim waits.
  facts_ = {.last_lookup_id = 13, .first_lookup_id = 13};
  ASSERT_TRUE(collector->look().ok());
  EXPECT_TRUE(is_stored());
  facts_ = {.last_lookup_id = 13};
  ASSERT_TRUE(collector->look().ok());
  EXPECT_FALSE(is_stored());
}

TEST_F(FileCollectorTest, WhatLeavesOtherwiseThanToUsOrIsMovedInVoidsTheCut) {
  const auto collector = make();
  for (const QueueFacts& moved :
       {QueueFacts{.last_lookup_id = 20, .first_lookup_id = 20, .left_otherwise_count = 1},
        QueueFacts{.last_lookup_id = 20, .first_lookup_id = 20, .moved_in_count = 1},
        QueueFacts{.last_lookup_id = 5, .first_lookup_id = 5}}) {
    facts_ = {.last_lookup_id = 12, .first_lookup_id = 12};
    store_released();
    ASSERT_TRUE(collector->look().ok());
    facts_ = moved;
    ASSERT_TRUE(collector->look().ok());
    EXPECT_TRUE(is_stored());
    facts_.first_lookup_id = 0;
    ASSERT_TRUE(collector->look().ok());
    EXPECT_FALSE(is_stored());
  }
}

TEST_F(FileCollectorTest, NothingGoesWhileAQueueHasDeadLettersOrDoesNotAnswer) {
  const auto collector = make();
  store_released();
  facts_.beside_count = 2;
  EXPECT_EQ(collector->look().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(collector->state().obstacle().find("2 messages"), std::string::npos);
  EXPECT_NE(collector->unnamed(10)->front().stays_because().find("dead letters"),
            std::string::npos);
  facts_.beside_count = 0;
  error_ = unavailable("away");
  EXPECT_EQ(collector->look().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(is_stored());
  error_ = {};
  ASSERT_TRUE(collector->look().ok());
  EXPECT_FALSE(is_stored());
  EXPECT_EQ(collector->state().obstacle(), "");
}

// The whole road in one process: uploads, events that name them, a queue, a store that names and
// forgets. Everything runs as fast as it can, on a few contents only.
class Road {
 public:
  Road(base::ContentStore& store, const std::string& directory, bool is_blind)
      : store_(store), collector_(removal(directory), options(is_blind)) {}

  void run(std::chrono::milliseconds time) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back([this, i] { upload_and_name(i); });
    threads.emplace_back([this] { repeat([this] { release(); }); });
    threads.emplace_back([this] { repeat([this] { stage(); }); });
    threads.emplace_back([this] {
      repeat([this] {
        const Status status = collector_.look();
        if (!status.ok()) ADD_FAILURE() << status.to_string();
      });
    });
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end && lost_ == 0) std::this_thread::yield();
    is_over_ = true;
    for (std::thread& thread : threads) thread.join();
  }
  int lost() const { return lost_; }
  int staged() const { return staged_; }
  int64_t collected() const { return collector_.state().collected_count(); }

 private:
  static base::ContentRemoval removal(const std::string& directory) {
    return {base::posix_file_system(), directory};
  }
  FileCollectorOptions options(bool is_blind) {
    FileCollectorOptions options;
    options.queues.push_back({"events", [this, is_blind]() -> Result<QueueFacts> {
                                std::lock_guard lock(mutex_);
                                QueueFacts facts{.last_lookup_id = last_lookup_id_};
                                // The planted fault: what waits in the queue is not seen.
                                if (!is_blind && !queue_.empty()) {
                                  facts.first_lookup_id = queue_.front().first;
                                }
                                return facts;
                              }});
    options.unnamed = [this](const std::vector<std::string>& digests) -> Result<Set> {
      std::lock_guard lock(mutex_);
      Set unnamed(digests.begin(), digests.end());
      for (const std::string& one : named_) unnamed.erase(one);
      return unnamed;
    };
    return options;
  }
  template <class Step>
  void repeat(Step step) {
    while (!is_over_) step();
  }
  void upload_and_name(int number) {
    std::mt19937_64 random(verbatim::testing::test_seed() + static_cast<uint64_t>(number));
    while (!is_over_) {
      const std::string bytes = "content " + std::to_string(random() % 64);
      const std::string digest = base::sha256(bytes);
      if (!upload(store_, bytes).ok()) continue;
      const auto use = store_.use({digest});
      // Released meanwhile: the event is refused.
      if (!store_.has(digest)) continue;
      std::lock_guard lock(mutex_);
      queue_.emplace_back(++last_lookup_id_, digest);
    }
  }
  void release() {
    const auto released = store_.release_claims(kAtOnce, kSettled);
    if (!released) ADD_FAILURE() << released.error().to_string();
  }
  // The oldest message becomes a named event, and the oldest named event is archived.
  void stage() {
    std::string oldest;
    {
      std::lock_guard lock(mutex_);
      // Messages stay in the queue for a while.
      if (queue_.size() < 8) return;
      named_.push_back(queue_.front().second);
      queue_.pop_front();
      ++staged_;
      if (named_.size() > 2) oldest = named_.front();
    }
    if (oldest.empty()) return;
    if (!store_.open_file(oldest)) ++lost_;
    std::lock_guard lock(mutex_);
    named_.pop_front();
  }

  base::ContentStore& store_;
  std::mutex mutex_;
  std::deque<std::pair<uint64_t, std::string>> queue_;
  uint64_t last_lookup_id_ = 0;
  std::deque<std::string> named_;
  std::atomic<int> lost_{0};
  std::atomic<int> staged_{0};
  std::atomic<bool> is_over_{false};
  FileCollector collector_;
};

TEST_F(FileCollectorTest, NoRaceOfUploadsEventsAndRemovalLosesAFile) {
  Road road(*store_, dir_.file("files"), /*is_blind=*/false);
  road.run(std::chrono::seconds(3));
  EXPECT_EQ(road.lost(), 0);
  EXPECT_GT(road.staged(), 10);
  EXPECT_GT(road.collected(), 0);
}

TEST_F(FileCollectorTest, TheRaceCatchesACollectorThatDoesNotWaitForTheQueue) {
  Road road(*store_, dir_.file("files"), /*is_blind=*/true);
  road.run(std::chrono::seconds(30));
  EXPECT_GT(road.lost(), 0);
}

}  // namespace
}  // namespace verbatim::processor
