#include "collector/outbox/alive_mark.h"

#include <gtest/gtest.h>

#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

using testing::FaultFileSystem;

v1::AliveMark mark_at(int64_t unix_ns) {
  v1::AliveMark mark;
  mark.set_unix_ns(unix_ns);
  return mark;
}

TEST(AliveMark, TheFirstStartKnowsNothing) {
  FaultFileSystem disk;
  const auto alive = AliveMarkFile::open(disk, "/alive").value();
  EXPECT_FALSE(alive->previous().has_value());
}

TEST(AliveMark, TheNextStartFindsTheLastMark) {
  FaultFileSystem disk;
  auto alive = AliveMarkFile::open(disk, "/alive").value();
  for (int64_t at = 1; at <= 5; ++at) ASSERT_TRUE(alive->write(mark_at(at)).ok());
  alive.reset();
  disk.power_cut_dropping_all();
  alive = AliveMarkFile::open(disk, "/alive").value();
  ASSERT_TRUE(alive->previous().has_value());
  EXPECT_EQ(alive->previous()->unix_ns(), 5);
}

TEST(AliveMark, ATornMarkLeavesTheOneBefore) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    FaultFileSystem disk;
    auto alive = AliveMarkFile::open(disk, "/alive").value();
    ASSERT_TRUE(alive->write(mark_at(1)).ok());
    ASSERT_TRUE(alive->write(mark_at(2)).ok());
    disk.fail({.nth = 1, .error_number = 5, .is_sticky = true, .kinds = {testing::IoKind::kSync}});
    v1::AliveMark large = mark_at(3);
    for (int i = 0; i < 100; ++i) large.add_gaps()->set_source("a source with a long name");
    EXPECT_FALSE(alive->write(large).ok());
    alive.reset();
    disk.clear_faults();
    disk.power_cut(seed);
    alive = AliveMarkFile::open(disk, "/alive").value();
    ASSERT_TRUE(alive->previous().has_value());
    EXPECT_GE(alive->previous()->unix_ns(), 2);
  }
}

TEST(AliveMark, MoreGapsThanFitAreLeftOut) {
  FaultFileSystem disk;
  auto alive = AliveMarkFile::open(disk, "/alive").value();
  v1::AliveMark mark = mark_at(7);
  for (int i = 0; i < 2'000; ++i) mark.add_gaps()->set_source(std::string(100, 's'));
  ASSERT_TRUE(alive->write(mark).ok());
  alive = AliveMarkFile::open(disk, "/alive").value();
  ASSERT_TRUE(alive->previous().has_value());
  EXPECT_EQ(alive->previous()->unix_ns(), 7);
  EXPECT_GT(alive->previous()->gaps_size(), 100);
}

}  // namespace
}  // namespace verbatim::collector
