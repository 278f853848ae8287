#include "queue/log/group_cache.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>

#include "queue/log/read_windows.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::queue {
namespace {

std::shared_ptr<const GroupBuffer> group_of(char content) {
  auto buffer = std::make_shared<GroupBuffer>(kBlockSize);
  buffer->append(std::string(kBlockSize, content));
  return buffer;
}

LogPosition block(uint64_t number) { return {1, number * kBlockSize}; }

// Groups 1 to `count`, one block and one retained record each, all synced.
void fill(GroupCache& cache, uint64_t count) {
  for (uint64_t i = 1; i <= count; ++i) {
    cache.insert(block(i), group_of(static_cast<char>('a' + i % 26)), 1);
  }
  cache.set_evictable_below(block(count + 1));
}

TEST(GroupCacheTest, RecordsAreFoundInAnyOrder) {
  GroupCache cache(1 << 20);
  fill(cache, 20);
  for (const uint64_t i : {1u, 2u, 3u, 20u, 7u, 8u, 1u}) {
    const auto bytes = cache.find({1, i * kBlockSize + 96}, 10);
    ASSERT_TRUE(bytes.has_value()) << i;
    EXPECT_EQ(*bytes, std::string(10, static_cast<char>('a' + i % 26))) << i;
  }
  EXPECT_FALSE(cache.find({1, 0}, 1).has_value());
  EXPECT_FALSE(cache.find(block(21), 1).has_value());
  EXPECT_FALSE(cache.find({2, kBlockSize}, 1).has_value());
}

TEST(GroupCacheTest, AGroupLeavesWithItsLastRecordOnceItIsSynced) {
  GroupCache cache(1 << 20);
  cache.insert(block(1), group_of('a'), 2);
  cache.release(block(1));
  cache.release(block(1));
  EXPECT_TRUE(cache.find(block(1), 1).has_value()) << "it is being written";
  cache.set_evictable_below(block(2));
  EXPECT_FALSE(cache.find(block(1), 1).has_value());
  EXPECT_EQ(cache.size_bytes(), 0u);
}

TEST(GroupCacheTest, TheOldestLeaveWhereMemoryIsFull) {
  GroupCache cache(3 * kBlockSize);
  fill(cache, 5);
  EXPECT_EQ(cache.size_bytes(), 3 * kBlockSize);
  EXPECT_FALSE(cache.find(block(2), 1).has_value());
  EXPECT_TRUE(cache.find(block(3), 1).has_value());
}

TEST(GroupCacheTest, GroupsBehindOneThatStaysAreForgottenAndFoundAllTheSame) {
  GroupCache cache(1 << 20);
  for (uint64_t i = 1; i <= 1'000; ++i) {
    cache.insert(block(i), group_of('x'), 1);
    cache.set_evictable_below(block(i + 1));
    if (i % 100 != 1) cache.release(block(i));
    for (uint64_t kept = 1; kept <= i; kept += 100) {
      ASSERT_TRUE(cache.find(block(kept), 1).has_value()) << kept << " of " << i;
    }
  }
  EXPECT_EQ(cache.size_bytes(), 10 * kBlockSize);
  EXPECT_FALSE(cache.find(block(500), 1).has_value());
}

TEST(ReadWindowsTest, OneReadServesWhatLiesBehindAndNothingThatIsNotSynced) {
  testing::FaultFileSystem disk;
  const auto file = *disk.open("/f", base::OpenMode::kCreateExclusive);
  std::string bytes;
  while (bytes.size() < 2 * ReadWindows::kWindowBytes)
    bytes.push_back(static_cast<char>(bytes.size() / 64));
  ASSERT_TRUE(file->write_at(0, bytes).ok());
  ReadWindows windows;
  const LogPosition at{1, kBlockSize + 100};
  EXPECT_FALSE(windows.find(at, 10).has_value());
  const uint64_t end = 3 * kBlockSize;
  EXPECT_EQ(*windows.load(*file, at, 10, end), bytes.substr(at.offset, 10));
  EXPECT_EQ(windows.find({1, end - 10}, 10), bytes.substr(end - 10, 10));
  EXPECT_FALSE(windows.find({1, end - 10}, 11).has_value()) << "behind the end it may change";
  EXPECT_FALSE(windows.find({2, at.offset}, 10).has_value());
  // In order: each window begins where the one before could not go on.
  const uint64_t before = disk.operation_count();
  for (uint64_t offset = 0; offset + 1'000 <= bytes.size(); offset += 1'000) {
    auto read = windows.find({3, offset}, 1'000);
    if (!read) read = *windows.load(*file, {3, offset}, 1'000, bytes.size());
    ASSERT_EQ(*read, bytes.substr(offset, 1'000)) << offset;
  }
  EXPECT_LE(disk.operation_count() - before, 3u);
  windows.forget_below(4);
  EXPECT_FALSE(windows.find({3, 0}, 1).has_value());
}

}  // namespace
}  // namespace verbatim::queue
