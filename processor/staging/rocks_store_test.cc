// What leaves the store by number: space, and what views still see.
#include "processor/staging/rocks_store.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <filesystem>
#include <thread>

#include "processor/staging/keys.h"
#include "processor/staging/rocks_log.h"
#include "tests/support/temp_dir.h"

namespace verbatim::processor {
namespace {

class RocksStoreTest : public ::testing::Test {
 protected:
  RocksStoreTest() : store_(*RocksStore::open(dir_.path(), nullptr)) {}

  // Rows of 1 MiB; memory holds fewer than 70 of them.
  void put(uint64_t first, uint64_t last) {
    const std::string value(1 << 20, 'v');
    for (uint64_t sequence = first; sequence <= last; ++sequence) {
      WriteSet changes(*store_);
      changes.put(Family::kEvents, number_key(sequence), std::string_view(value));
      ASSERT_TRUE(store_->write(changes, /*is_synced=*/false).ok());
    }
  }
  // Writes what is in memory into tables.
  void reopen() {
    store_.reset();
    store_ = *RocksStore::open(dir_.path(), nullptr);
  }
  std::vector<uint64_t> stored(const StoreView* view = nullptr) {
    std::vector<uint64_t> sequences;
    EXPECT_TRUE(store_
                    ->for_each(
                        Family::kEvents, "",
                        [&](auto key, auto) {
                          sequences.push_back(number_of(key));
                          return true;
                        },
                        view)
                    .ok());
    return sequences;
  }
  uint64_t table_count() {
    uint64_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(dir_.path())) {
      if (file.path().extension() == ".sst") ++count;
    }
    return count;
  }

  testing::TempDir dir_;
  std::unique_ptr<RocksStore> store_;
};

TEST_F(RocksStoreTest, ReleasedRowsInMemoryNeverBecomeATable) {
  put(1, 60);
  store_->release_below(number_key(51));
  // The memory's bound is passed, and what it holds is written.
  put(61, 140);
  while (stored().front() == 1) std::this_thread::yield();
  EXPECT_EQ(stored().front(), 51U);
  EXPECT_EQ(stored().back(), 140U);
  EXPECT_EQ(stored().size(), 90U);
}

// Their number ends the key, whatever stands before it.
TEST_F(RocksStoreTest, ReleasedRowsByConversationGoWhereverTheirKeysLie) {
  const std::string name(1'000, 'c');
  for (uint64_t sequence = 1; sequence <= 4'000; ++sequence) {
    WriteSet changes(*store_);
    changes.put(Family::kConversationEvents,
                named_key(name + std::to_string(sequence % 7), sequence), std::string_view());
    ASSERT_TRUE(store_->write(changes, /*is_synced=*/false).ok());
  }
  store_->release_below(number_key(3'901));
  store_->reclaim_below(Family::kEvents, number_key(3'901));  // writes all that is in memory
  uint64_t count = 0;
  ASSERT_TRUE(store_
                  ->for_each(Family::kConversationEvents, "",
                             [&](auto key, auto) {
                               ++count;
                               EXPECT_GT(number_of(key), 3'900U);
                               return true;
                             })
                  .ok());
  EXPECT_EQ(count, 100U);
}

// Rows by conversation lie among those that stay, so their tables are written anew now and then.
TEST_F(RocksStoreTest, TablesByConversationAreFreedOnceEnoughOfThemIsReleased) {
  store_.reset();
  store_ =
      *RocksStore::open(dir_.path(), nullptr, {.released_min_count = 1'000, .tables_min_bytes = 1});
  for (uint64_t sequence = 1; sequence <= 3'000; ++sequence) {
    WriteSet changes(*store_);
    changes.put(Family::kConversationEvents,
                named_key("room " + std::to_string(sequence % 7), sequence), std::string_view());
    ASSERT_TRUE(store_->write(changes, /*is_synced=*/false).ok());
  }
  store_->reclaim_below(Family::kEvents, number_key(1));  // writes all that is in memory
  const auto first_of_all = [this] {
    uint64_t first = UINT64_MAX;
    EXPECT_TRUE(store_
                    ->for_each(Family::kConversationEvents, "",
                               [&](auto key, auto) {
                                 first = std::min(first, number_of(key));
                                 return true;
                               })
                    .ok());
    return first;
  };
  const auto release_and_drop = [this](uint64_t below) {
    store_->release_below(number_key(below));
    store_->drop_released_files();
  };
  release_and_drop(999);
  EXPECT_EQ(first_of_all(), 1U) << "too few";
  release_and_drop(1'000);
  EXPECT_EQ(first_of_all(), 1'000U);
  release_and_drop(1'999);
  EXPECT_EQ(first_of_all(), 1'000U) << "too few since then";
  release_and_drop(2'500);
  EXPECT_EQ(first_of_all(), 2'500U);
}

TEST_F(RocksStoreTest, FilesOfReleasedRowsAreDropped) {
  put(1, 140);
  reopen();
  ASSERT_GT(table_count(), 1U);
  ASSERT_EQ(stored().size(), 140U);
  store_->release_below(number_key(141));
  // A file may still be on its way to the level in which it can be dropped.
  while (!stored().empty()) {
    store_->drop_released_files();
    std::this_thread::yield();
  }
  EXPECT_EQ(table_count(), 0U);
}

TEST_F(RocksStoreTest, AViewSeesWhatIsReleasedAfterItsBegin) {
  put(1, 60);
  store_->release_below(number_key(11));
  {
    const StoreView view(*store_);
    store_->release_below(number_key(51));
    put(61, 140);
    while (table_count() == 0) std::this_thread::yield();
    store_->drop_released_files();
    const auto seen = stored(&view);
    ASSERT_FALSE(seen.empty());
    EXPECT_LE(seen.front(), 11U);
    EXPECT_EQ(seen.back(), 60U);
    EXPECT_GE(seen.size(), 50U);
  }
}

TEST_F(RocksStoreTest, NoLogOfItsOwnLiesBesideTheTables) {
  put(1, 70);
  reopen();
  for (const auto& file : std::filesystem::directory_iterator(dir_.path())) {
    EXPECT_FALSE(file.path().filename().string().starts_with("LOG")) << file.path();
  }
}

TEST(RocksLogTest, AFreshStoreHasNothingToWarnOf) {
  const testing::TempDir dir;
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(RocksStore::open(dir.file("store"), nullptr));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(RocksLogTest, WarningsAreLinesOfOurLog) {
  RocksLog log;
  ::testing::internal::CaptureStderr();
  rocksdb::Info(&log, "dropped number=%d", 1);
  rocksdb::Warn(&log, "kept\nnumber=%d\n", 2);
  rocksdb::Error(&log, "%s", std::string(4'000, 'x').c_str());
  const std::string lines = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(lines.find("dropped"), std::string::npos);
  EXPECT_NE(lines.find("the staging store says: kept number=2\n"), std::string::npos) << lines;
  EXPECT_EQ(lines.find("\n\n"), std::string::npos) << lines;
  EXPECT_NE(lines.find(std::string(1'023, 'x') + "\n"), std::string::npos) << lines;
}

}  // namespace
}  // namespace verbatim::processor
