// A log whose bytes rot, or whose disk fails at any one operation.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/log.h"
#include "tests/fault/queue_log_harness.h"

namespace verbatim::testing {
namespace {

using queue::kBlockSize;
using queue::kLogHeaderSize;
using queue::Log;
using queue::LogOptions;

constexpr uint64_t kSegmentBytes = 32 * 1024;
constexpr uint64_t kRecordCount = 6;

// A log of one segment, as it lies on the disk.
struct Image {
  std::string name;
  std::string bytes;
  uint64_t end = 0;        // of all groups
  uint64_t last_mark = 0;  // below it everything is known to be synced
};

Image make_image(bool is_closed) {
  QueueLogHarness harness(kSegmentBytes);
  EXPECT_EQ(harness.open(), "");
  for (uint64_t i = 0; i < kRecordCount / 2; ++i) EXPECT_TRUE(harness.put(2, 700));
  const auto position = harness.keeper().records.rbegin()->second.position;
  Image image;
  image.last_mark = position.offset / kBlockSize * kBlockSize;
  image.end = image.last_mark + kBlockSize;
  if (is_closed) {
    EXPECT_TRUE(harness.write_mark());
    image.last_mark = image.end;
    image.end += kBlockSize;
  }
  image.name = queue::segment_name(position.generation);
  image.bytes = harness.disk().contents(std::string(kLogFolder) + "/" + image.name);
  return image;
}

struct Opened {
  Status status;
  uint64_t record_count = 0;
  uint64_t cut_bytes = 0;
};

Opened open_bytes(const Image& image, std::string_view bytes) {
  FaultFileSystem disk;
  EXPECT_TRUE(disk.create_directories(kLogFolder).ok());
  auto file = disk.open(std::string(kLogFolder) + "/" + image.name, base::OpenMode::kCreateOrOpen);
  EXPECT_TRUE(file && (*file)->write_at(0, bytes).ok());
  LogOptions options;
  options.directory = kLogFolder;
  options.segment_bytes = kSegmentBytes;
  RecordKeeper keeper;
  const auto log = Log::open(disk, options, keeper);
  Opened opened;
  opened.status = log.error();
  if (!log) return opened;
  opened.record_count = keeper.records.size();
  opened.cut_bytes = (*log)->stats().cut_bytes;
  return opened;
}

bool names_the_place(const Status& status, const Image& image) {
  return status.code() == StatusCode::kDataLoss &&
         status.message().find("segment=" + image.name) != std::string::npos &&
         status.message().find("offset=") != std::string::npos;
}

TEST(QueueLogFault, AnyFlippedByteOfACleanlyClosedLogShowsAllRecordsOrRefusesTheStart) {
  const Image image = make_image(true);
  uint64_t refused_count = 0;
  for (uint64_t at = 0; at < image.bytes.size(); ++at) {
    std::string bytes = image.bytes;
    bytes[at] = static_cast<char>(bytes[at] ^ 0xFF);
    const Opened opened = open_bytes(image, bytes);
    if (opened.status.ok()) {
      ASSERT_EQ(opened.record_count, kRecordCount) << "offset=" << at;
    } else {
      ASSERT_TRUE(names_the_place(opened.status, image)) << opened.status.to_string();
      ++refused_count;
    }
  }
  // The header's block and all records of six times 700 bytes at the least.
  EXPECT_GT(refused_count, kLogHeaderSize + kRecordCount * 700);
}

TEST(QueueLogFault, ACleanlyClosedLogCutAtAnyLengthIsRefused) {
  const Image image = make_image(true);
  for (uint64_t size = 0; size < image.bytes.size(); ++size) {
    const Opened opened = open_bytes(image, std::string_view(image.bytes).substr(0, size));
    ASSERT_TRUE(names_the_place(opened.status, image))
        << "size=" << size << ": " << opened.status.to_string();
  }
  EXPECT_EQ(open_bytes(image, image.bytes).record_count, kRecordCount);
}

TEST(QueueLogFault, AFlippedByteOfAnOpenLogIsRefusedBelowTheMarkAndCutLoudlyAbove) {
  const Image image = make_image(false);
  uint64_t loud_count = 0;
  for (uint64_t at = 0; at < image.bytes.size(); ++at) {
    std::string bytes = image.bytes;
    bytes[at] = static_cast<char>(bytes[at] ^ 0xFF);
    const Opened opened = open_bytes(image, bytes);
    if (at < image.last_mark) {
      // Padding apart, which no one reads.
      if (opened.status.ok()) {
        ASSERT_EQ(opened.record_count, kRecordCount) << "offset=" << at;
      } else {
        ASSERT_TRUE(names_the_place(opened.status, image)) << opened.status.to_string();
      }
      continue;
    }
    ASSERT_TRUE(opened.status.ok()) << "offset=" << at << ": " << opened.status.to_string();
    if (opened.record_count == kRecordCount) continue;
    // The last group's two records go together, and the cut is told.
    ASSERT_EQ(opened.record_count, kRecordCount - 2) << "offset=" << at;
    ASSERT_GT(opened.cut_bytes, 0u) << "offset=" << at;
    ++loud_count;
  }
  EXPECT_GT(loud_count, 2u * 700);
}

// Each I/O operation of a whole life fails once, or for ever: the start or the put says so, and
// nothing answered is lost.
void fail_every_operation(bool is_sticky) {
  for (uint64_t nth = 1;; ++nth) {
    QueueLogHarness harness(kSegmentBytes);
    harness.disk().fail({.nth = nth, .error_number = 5, .is_sticky = is_sticky});
    std::string wrong = harness.open();
    bool is_alive = wrong.empty();
    for (int round = 0; round < 12 && is_alive; ++round) {
      is_alive = harness.put(2, 900);
      if (is_alive && harness.log().segment_count() > 2) harness.release_oldest();
      if (is_alive && round % 5 == 4) is_alive = harness.write_mark();
    }
    const bool was_hit = harness.disk().has_failed();
    ASSERT_EQ(is_alive, !was_hit) << "nth=" << nth;
    harness.disk().clear_faults();
    harness.kill();
    harness.disk().power_cut(nth);
    ASSERT_EQ(harness.open(), "") << "nth=" << nth;
    if (!was_hit) break;
  }
}

TEST(QueueLogFault, EachOperationFailingOnceLosesNothingAnswered) { fail_every_operation(false); }
TEST(QueueLogFault, EachOperationFailingForEverLosesNothingAnswered) { fail_every_operation(true); }

TEST(QueueLogFault, AFullDiskIsAnErrorAndTheLogGoesOnAfterARestart) {
  QueueLogHarness harness(kSegmentBytes);
  ASSERT_EQ(harness.open(), "");
  harness.disk().set_capacity(2 * kSegmentBytes);
  int count = 0;
  while (harness.put(2, 900)) ASSERT_LT(++count, 100);
  EXPECT_GT(count, 3);
  harness.disk().set_capacity(uint64_t{1} << 40);
  EXPECT_EQ(harness.open(), "");
  EXPECT_TRUE(harness.put(2, 900));
}

TEST(QueueLogFault, ANewerFormatVersionIsRefusedInOneSentence) {
  Image image = make_image(true);
  std::string header = image.bytes.substr(0, kLogHeaderSize);
  const auto decoded = queue::decode_segment_header(header);
  ASSERT_TRUE(decoded.has_value());
  image.bytes.replace(0, kLogHeaderSize, queue::encode_segment_header(*decoded, 99));
  const Opened opened = open_bytes(image, image.bytes);
  EXPECT_EQ(opened.status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(opened.status.message().find("newer verbatim-queue"), std::string::npos)
      << opened.status.message();
}

TEST(QueueLogFault, AMissingSegmentIsRefused) {
  QueueLogHarness harness(kSegmentBytes);
  ASSERT_EQ(harness.open(), "");
  while (harness.log().segment_count() < 4) ASSERT_TRUE(harness.put(2, 900));
  harness.kill();
  const std::string path = std::string(kLogFolder) + "/" + queue::segment_name(2);
  ASSERT_TRUE(harness.disk().remove(path).ok());
  EXPECT_NE(harness.open(), "");
  EXPECT_EQ(harness.error().code(), StatusCode::kDataLoss);
  EXPECT_NE(harness.error().message().find(queue::segment_name(2)), std::string::npos);
}

TEST(QueueLogFault, ASecondProcessIsKeptOut) {
  QueueLogHarness harness(kSegmentBytes);
  ASSERT_EQ(harness.open(), "");
  RecordKeeper keeper;
  const auto second = Log::open(harness.disk(), harness.options(), keeper);
  EXPECT_EQ(second.error().code(), StatusCode::kFailedPrecondition);
}

TEST(QueueLogFault, SegmentsAreRecycledInsteadOfGrowing) {
  QueueLogHarness harness(kSegmentBytes);
  ASSERT_EQ(harness.open(), "");
  for (int round = 0; round < 300; ++round) {
    ASSERT_TRUE(harness.put(2, 900));
    if (harness.log().segment_count() > 2) harness.release_oldest();
  }
  const auto names = harness.disk().list_directory(kLogFolder);
  ASSERT_TRUE(names.has_value());
  EXPECT_LE(names->size(), 10u);
  EXPECT_GT(harness.log().newest_generation(), 50u);
  EXPECT_EQ(harness.open(), "");
}

}  // namespace
}  // namespace verbatim::testing
