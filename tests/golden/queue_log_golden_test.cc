// The log's format version 2 (docs/formats/log.md), byte for byte: log_v2/ holds a closed segment
// and an open one. GOLDEN_WRITE=1 in the environment writes them anew, after a change of format.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/fault/queue_log_harness.h"

namespace verbatim::testing {
namespace {

constexpr uint64_t kGoldenLogId = 0x0123456789abcdef;

std::string golden_path(uint64_t generation) {
  const char* directory = std::getenv("VERBATIM_GOLDEN_DIR");
  return std::string(directory == nullptr ? "." : directory) + "/log_v2/" +
         queue::segment_name(generation);
}

std::string in_folder(uint64_t generation) {
  return std::string(kLogFolder) + "/" + queue::segment_name(generation);
}

// The same life always: a segment full of records, its summary, the next one, a mark.
void live(QueueLogHarness& harness) {
  harness.options().log_id = kGoldenLogId;
  ASSERT_EQ(harness.open(), "");
  for (size_t i = 0; harness.log().newest_generation() == 1; ++i) {
    ASSERT_TRUE(harness.put(1 + i % 3, 20 + 90 * i));
  }
  ASSERT_TRUE(harness.put(2, 333));
  ASSERT_TRUE(harness.write_mark());
}

TEST(QueueLogGolden, TheSameRecordsAreWrittenAsTheSameBytes) {
  QueueLogHarness harness;
  ASSERT_NO_FATAL_FAILURE(live(harness));
  for (const uint64_t generation : {1u, 2u}) {
    const std::string bytes = harness.disk().contents(in_folder(generation));
    const std::string path = golden_path(generation);
    if (std::getenv("GOLDEN_WRITE") != nullptr) {
      ASSERT_TRUE(base::write_file_atomically(base::posix_file_system(), path, bytes).ok());
    }
    const auto golden = base::posix_file_system().read_file(path);
    ASSERT_TRUE(golden.has_value()) << golden.error().to_string();
    EXPECT_TRUE(bytes == *golden) << queue::segment_name(generation)
                                  << " differs: a change of format needs a new version";
  }
}

TEST(QueueLogGolden, TheBytesAreReadAsTheSameRecordsBySummaryAndInFull) {
  QueueLogHarness written;
  ASSERT_NO_FATAL_FAILURE(live(written));
  FaultFileSystem disk;
  ASSERT_TRUE(disk.create_directories(kLogFolder).ok());
  for (const uint64_t generation : {1u, 2u}) {
    const auto golden = base::posix_file_system().read_file(golden_path(generation));
    ASSERT_TRUE(golden.has_value()) << golden.error().to_string();
    const auto file = disk.open(in_folder(generation), base::OpenMode::kCreateExclusive);
    ASSERT_TRUE(file && (*file)->write_at(0, *golden).ok());
  }
  RecordKeeper keeper;
  const auto log = queue::Log::open(disk, written.options(), keeper);
  ASSERT_TRUE(log.has_value()) << log.error().to_string();
  EXPECT_EQ((*log)->log_id(), kGoldenLogId);
  EXPECT_EQ((*log)->stats().summarised_segment_count, 1u);
  EXPECT_EQ((*log)->stats().replayed_segment_count, 1u);
  ASSERT_EQ(keeper.records.size(), written.keeper().records.size());
  for (const auto& [number, kept] : written.keeper().records) {
    EXPECT_EQ(keeper.records.at(number).position, kept.position) << number;
    const auto payload = keeper.read(**log, number);
    ASSERT_TRUE(payload.has_value()) << payload.error().to_string();
    EXPECT_EQ(*payload, kept.payload) << number;
  }
  while (true) {
    const auto has_more = (*log)->verify_step();
    ASSERT_TRUE(has_more.has_value()) << has_more.error().to_string();
    if (!*has_more) break;
  }
}

}  // namespace
}  // namespace verbatim::testing
