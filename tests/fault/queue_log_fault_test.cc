// A log whose bytes rot, or whose disk fails at any one operation.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

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

// Segments of a log, as they lie on the disk; all but the last one are closed.
struct Image {
  std::vector<std::string> names;
  std::vector<std::string> segments;
  uint64_t last_mark = 0;  // in the last one: everything below is known to be synced
  std::vector<std::string> payloads;

  void add(QueueLogHarness& harness, uint64_t generation) {
    names.push_back(queue::segment_name(generation));
    segments.push_back(harness.disk().contents(std::string(kLogFolder) + "/" + names.back()));
  }
};

Image make_image(bool has_last_mark) {
  QueueLogHarness harness(kSegmentBytes);
  EXPECT_EQ(harness.open(), "");
  for (uint64_t i = 0; i < kRecordCount / 2; ++i) EXPECT_TRUE(harness.put(2, 700));
  const auto position = harness.keeper().records.rbegin()->second.position;
  Image image;
  image.last_mark = position.offset / kBlockSize * kBlockSize;
  if (has_last_mark) {
    EXPECT_TRUE(harness.write_mark());
    image.last_mark += kBlockSize;
  }
  image.add(harness, position.generation);
  return image;
}

// A closed segment full of records, and one behind it that says so.
Image make_summarised_image() {
  QueueLogHarness harness(kSegmentBytes);
  EXPECT_EQ(harness.open(), "");
  while (harness.log().newest_generation() == 1) EXPECT_TRUE(harness.put(2, 700));
  EXPECT_TRUE(harness.write_mark());
  Image image;
  for (const uint64_t generation : {1u, 2u}) image.add(harness, generation);
  for (const auto& [number, kept] : harness.keeper().records) {
    image.payloads.push_back(kept.payload);
  }
  return image;
}

struct Opened {
  FaultFileSystem disk;
  RecordKeeper keeper;
  std::unique_ptr<Log> log;
  Status status;
  uint64_t record_count = 0;
  uint64_t cut_bytes = 0;
};

// Opens the image with one segment's bytes replaced.
std::unique_ptr<Opened> open_bytes(const Image& image, size_t which, std::string_view bytes) {
  auto opened = std::make_unique<Opened>();
  EXPECT_TRUE(opened->disk.create_directories(kLogFolder).ok());
  for (size_t i = 0; i < image.names.size(); ++i) {
    auto file = opened->disk.open(std::string(kLogFolder) + "/" + image.names[i],
                                  base::OpenMode::kCreateOrOpen);
    EXPECT_TRUE(file && (*file)->write_at(0, i == which ? bytes : image.segments[i]).ok());
  }
  LogOptions options;
  options.directory = kLogFolder;
  options.segment_bytes = kSegmentBytes;
  auto log = Log::open(opened->disk, options, opened->keeper);
  opened->status = log.error();
  if (!log) return opened;
  opened->log = *std::move(log);
  opened->record_count = opened->keeper.records.size();
  opened->cut_bytes = opened->log->stats().cut_bytes;
  return opened;
}

std::unique_ptr<Opened> open_bytes(const Image& image, std::string_view bytes) {
  return open_bytes(image, image.names.size() - 1, bytes);
}

// The byte to flip after `at`: each one that says something or stands near one, a few of the zeros.
uint64_t next_byte(const std::string& bytes, uint64_t at) {
  const size_t near = at < 8 ? 0 : at - 8;
  const bool is_among_zeros = bytes.find_first_not_of('\0', near) > at + 24;
  return is_among_zeros ? at + 61 : at + 1;
}

std::string flipped(const std::string& bytes, uint64_t at) {
  std::string result = bytes;
  result[at] = static_cast<char>(result[at] ^ 0xFF);
  return result;
}

bool names_the_place(const Status& status, const Image& image, size_t which = 0) {
  return status.code() == StatusCode::kDataLoss &&
         status.message().find("segment=" + image.names[which]) != std::string::npos &&
         status.message().find("offset=") != std::string::npos;
}

TEST(QueueLogFault, AnyFlippedByteOfACleanlyClosedLogShowsAllRecordsOrRefusesTheStart) {
  const Image image = make_image(true);
  uint64_t refused_count = 0;
  for (uint64_t at = 0; at < image.segments[0].size(); at = next_byte(image.segments[0], at)) {
    const auto opened = open_bytes(image, flipped(image.segments[0], at));
    if (opened->status.ok()) {
      ASSERT_EQ(opened->record_count, kRecordCount) << "offset=" << at;
    } else {
      ASSERT_TRUE(names_the_place(opened->status, image)) << opened->status.to_string();
      ++refused_count;
    }
  }
  // All records at the least.
  EXPECT_GT(refused_count, kRecordCount * 700);
}

TEST(QueueLogFault, ACleanlyClosedLogCutAtAnyLengthIsRefused) {
  const Image image = make_image(true);
  for (uint64_t size = 0; size < image.segments[0].size(); ++size) {
    const auto opened = open_bytes(image, std::string_view(image.segments[0]).substr(0, size));
    ASSERT_TRUE(names_the_place(opened->status, image))
        << "size=" << size << ": " << opened->status.to_string();
  }
  EXPECT_EQ(open_bytes(image, image.segments[0])->record_count, kRecordCount);
}

// Reads all records back. A bad one is refused with its place and found by the verifier; the others
// are right.
void expect_right_or_refused(Opened& opened, const Image& image, uint64_t at) {
  ASSERT_EQ(opened.record_count, image.payloads.size()) << "offset=" << at;
  uint64_t refused_count = 0;
  for (uint64_t number = 0; number < image.payloads.size(); ++number) {
    const auto payload = opened.keeper.read(*opened.log, number);
    if (payload) {
      ASSERT_EQ(*payload, image.payloads[number]) << "offset=" << at;
      continue;
    }
    ++refused_count;
    ASSERT_TRUE(names_the_place(payload.error(), image)) << payload.error().to_string();
  }
  ASSERT_LE(refused_count, 1u) << "offset=" << at;
  uint64_t found_count = 0;
  for (int step = 0;; ++step) {
    ASSERT_LT(step, 10);
    const auto has_more = opened.log->verify_step();
    if (!has_more) {
      ASSERT_TRUE(names_the_place(has_more.error(), image)) << has_more.error().to_string();
      ++found_count;
    } else if (!*has_more) {
      break;
    }
  }
  ASSERT_GE(found_count, refused_count) << "offset=" << at;
}

TEST(QueueLogFault, AnyFlippedByteOfASummarisedSegmentIsRefusedAtTheStartOrWhereItIsRead) {
  const Image image = make_summarised_image();
  uint64_t start_count = 0;
  uint64_t refused_count = 0;
  for (uint64_t at = 0; at < image.segments[0].size(); at = next_byte(image.segments[0], at)) {
    const auto opened = open_bytes(image, 0, flipped(image.segments[0], at));
    if (!opened->status.ok()) {
      ASSERT_TRUE(names_the_place(opened->status, image)) << opened->status.to_string();
      ++refused_count;
      continue;
    }
    ++start_count;
    ASSERT_NO_FATAL_FAILURE(expect_right_or_refused(*opened, image, at));
  }
  // All but the header, the first group record and the summary.
  EXPECT_GT(start_count, image.payloads.size() * 600);
  EXPECT_GT(refused_count, image.payloads.size() * (8 + queue::kSummaryEntryHeaderSize));
}

TEST(QueueLogFault, AnyFlippedByteBehindASummarisedSegmentIsRefusedOrShowsAllRecords) {
  const Image image = make_summarised_image();
  for (uint64_t at = 0; at < image.segments[1].size(); at = next_byte(image.segments[1], at)) {
    const auto opened = open_bytes(image, 1, flipped(image.segments[1], at));
    if (!opened->status.ok()) {
      ASSERT_TRUE(names_the_place(opened->status, image, 1)) << opened->status.to_string();
      continue;
    }
    ASSERT_EQ(opened->log->stats().summarised_segment_count, 1u) << "offset=" << at;
    ASSERT_NO_FATAL_FAILURE(expect_right_or_refused(*opened, image, at));
  }
}

TEST(QueueLogFault, ASummarisedLogCutAtAnyLengthIsRefused) {
  const Image image = make_summarised_image();
  for (const size_t which : {0u, 1u}) {
    for (uint64_t size = 0; size < image.segments[which].size(); size += 7) {
      const auto opened =
          open_bytes(image, which, std::string_view(image.segments[which]).substr(0, size));
      ASSERT_TRUE(names_the_place(opened->status, image, which))
          << "size=" << size << ": " << opened->status.to_string();
    }
  }
}

// Zeroed from the front of a segment's summary on: what the successor says of it does not hold.
TEST(QueueLogFault, ALostSummaryBelowTheMarkIsRefused) {
  const Image image = make_summarised_image();
  std::string bytes = image.segments[0];
  const size_t blocks = bytes.size() / kBlockSize;
  for (size_t block = 1; block < blocks; ++block) {
    std::string cut = bytes;
    cut.replace(block * kBlockSize, std::string::npos, bytes.size() - block * kBlockSize, '\0');
    const auto opened = open_bytes(image, 0, cut);
    const bool is_used = bytes.find_first_not_of('\0', block * kBlockSize) != std::string::npos;
    ASSERT_EQ(opened->status.ok(), !is_used) << opened->status.to_string();
    ASSERT_TRUE(!is_used || names_the_place(opened->status, image));
  }
}

TEST(QueueLogFault, AFlippedByteOfAnOpenLogIsRefusedBelowTheMarkAndCutLoudlyAbove) {
  const Image image = make_image(false);
  uint64_t loud_count = 0;
  for (uint64_t at = 0; at < image.segments[0].size(); at = next_byte(image.segments[0], at)) {
    const auto opened = open_bytes(image, flipped(image.segments[0], at));
    if (at < image.last_mark) {
      // Padding apart, which no one reads.
      if (opened->status.ok()) {
        ASSERT_EQ(opened->record_count, kRecordCount) << "offset=" << at;
      } else {
        ASSERT_TRUE(names_the_place(opened->status, image)) << opened->status.to_string();
      }
      continue;
    }
    ASSERT_TRUE(opened->status.ok()) << "offset=" << at << ": " << opened->status.to_string();
    if (opened->record_count == kRecordCount) continue;
    // The last group's two records go together, and the cut is told.
    ASSERT_EQ(opened->record_count, kRecordCount - 2) << "offset=" << at;
    ASSERT_GT(opened->cut_bytes, 0u) << "offset=" << at;
    ++loud_count;
  }
  EXPECT_GT(loud_count, 2u * 700);
}

// Each I/O operation of a whole life fails once, or for ever: the start or the put says so, and
// nothing answered is lost. Only what is done ahead of need may fail in silence.
void fail_every_operation(bool is_sticky, int error_number, std::set<IoKind> kinds) {
  uint64_t silent_count = 0;
  for (uint64_t nth = 1;; ++nth) {
    QueueLogHarness harness(kSegmentBytes);
    harness.disk().fail(
        {.nth = nth, .error_number = error_number, .is_sticky = is_sticky, .kinds = kinds});
    std::string wrong = harness.open();
    bool is_alive = wrong.empty();
    for (int round = 0; round < 12 && is_alive; ++round) {
      is_alive = harness.put(2, 900);
      if (is_alive && harness.log().segment_count() > 2) harness.release_oldest();
      if (is_alive && round % 5 == 4) is_alive = harness.write_mark();
    }
    if (is_alive) is_alive = harness.close();
    const bool was_hit = harness.disk().has_failed();
    ASSERT_TRUE(is_alive || was_hit) << "nth=" << nth << " " << harness.error().to_string();
    if (is_alive && was_hit) ++silent_count;
    harness.disk().clear_faults();
    harness.kill();
    harness.disk().power_cut(nth);
    ASSERT_EQ(harness.open(), "") << "nth=" << nth;
    if (!was_hit) {
      // A spare takes an open, writes and syncs; and what is left of it is removed.
      EXPECT_LE(silent_count, nth / 2) << "nth=" << nth;
      break;
    }
  }
}

TEST(QueueLogFault, EachOperationFailingOnceLosesNothingAnswered) {
  fail_every_operation(false, EIO, {});
}
TEST(QueueLogFault, EachOperationFailingForEverLosesNothingAnswered) {
  fail_every_operation(true, EIO, {});
}
TEST(QueueLogFault, EachKindOfOperationOnAFullDiskLosesNothingAnswered) {
  for (const IoKind kind : {IoKind::kOpen, IoKind::kRead, IoKind::kWrite, IoKind::kSync,
                            IoKind::kRename, IoKind::kRemove, IoKind::kDirectory}) {
    fail_every_operation(false, ENOSPC, {kind});
    fail_every_operation(true, ENOSPC, {kind});
  }
}

TEST(QueueLogFault, AFullDiskStopsGrowthWhileTheReserveIsLeft) {
  constexpr uint64_t kLargeBytes = 4 * kSegmentBytes;
  QueueLogHarness harness(kLargeBytes);
  ASSERT_EQ(harness.open(), "");
  EXPECT_TRUE(harness.log().can_grow());
  // The open segment, the reserve, and a piece of one more.
  harness.disk().set_capacity(2 * kLargeBytes + kLargeBytes / 2);
  while (harness.log().can_grow()) {
    ASSERT_TRUE(harness.put(17, 900));
    ASSERT_EQ(harness.log().newest_generation(), 1u);
  }
  // What the owner still lets in takes the rest of the segment, and a whole one if a start could
  // not pack the first one's records into it.
  EXPECT_EQ(harness.log().spare_count(), 1u);
  while (harness.log().spare_count() == 1) ASSERT_TRUE(harness.put(17, 900));
  EXPECT_FALSE(harness.log().can_grow());
  EXPECT_EQ(harness.log().newest_generation(), 2u);
  while (harness.put(17, 900)) ASSERT_EQ(harness.log().newest_generation(), 2u);
  harness.kill();
  harness.disk().power_cut_dropping_all();
  harness.disk().set_capacity(uint64_t{1} << 40);
  EXPECT_EQ(harness.open(), "");
  EXPECT_TRUE(harness.put(2, 900));
}

TEST(QueueLogFault, OnAFullDiskCopiesLeaveTheLastSpareAndHalfASegment) {
  constexpr uint64_t kLargeBytes = 4 * kSegmentBytes;
  QueueLogHarness harness(kLargeBytes);
  ASSERT_EQ(harness.open(), "");
  harness.log().keep_second_reserve(true);
  harness.disk().set_capacity(harness.log().disk_bytes());
  while (harness.log().can_grow()) ASSERT_TRUE(harness.put(17, 900));
  EXPECT_EQ(harness.log().spare_count(), 2u);
  uint64_t copied_bytes = 0;
  for (; harness.log().has_room_to_copy(); copied_bytes += 17 * 900) {
    ASSERT_TRUE(harness.put(17, 900));
  }
  EXPECT_GT(copied_bytes, kLargeBytes / 2);
  EXPECT_EQ(harness.log().spare_count(), 1u);
  // What commits have left, one in a group.
  for (uint64_t i = 0; i < kLargeBytes / 8 * 3 / kBlockSize; ++i) {
    ASSERT_TRUE(harness.put(1, 16)) << i;
  }
  EXPECT_FALSE(harness.log().has_room_to_copy());
  EXPECT_EQ(harness.log().spare_count(), 1u) << "the last one is the start's";
  for (int life = 0; life < 3; ++life) {
    harness.disk().power_cut_dropping_all();
    ASSERT_EQ(harness.open(), "");
    ASSERT_TRUE(harness.put(1, 16));
  }
}

// Two full segments, one that is a third full, the last spare, and not a byte more.
void fill_disk(QueueLogHarness& harness) {
  ASSERT_EQ(harness.open(), "");
  while (harness.log().segment_count() < 3) ASSERT_TRUE(harness.put(2, 900));
  ASSERT_EQ(harness.log().spare_count(), 1u);
  harness.disk().set_capacity(harness.log().disk_bytes());
}

// As commits do it, one after the other: a little in each group.
void put_until_it_ends(QueueLogHarness& harness) {
  for (int i = 0; harness.put(1, 16); ++i) ASSERT_LT(i, 100) << "the disk is not full";
}

TEST(QueueLogFault, OnAFullDiskTheLogGoesOnAfterEachStart) {
  QueueLogHarness harness(kSegmentBytes);
  fill_disk(harness);
  for (int life = 0; life < 50; ++life) {
    put_until_it_ends(harness);
    EXPECT_EQ(harness.log().spare_count(), 1u) << "the last one is the start's";
    if (life % 3 == 1) harness.disk().power_cut_dropping_all();
    const uint64_t before = harness.answered_count();
    ASSERT_EQ(harness.open(), "") << "life " << life;
    ASSERT_TRUE(harness.put(1, 16)) << "life " << life;
    ASSERT_GT(harness.answered_count(), before);
  }
}

// The Nth operation of a start fails, and all behind it; then the next start's; then one works.
// Whether the process dies there or the power goes.
TEST(QueueLogFault, OnAFullDiskAStartWorksWhereverTheOneBeforeEnded) {
  enum class Cut { kNone, kDropping, kKeeping };
  for (const Cut cut : {Cut::kNone, Cut::kDropping, Cut::kKeeping}) {
    bool has_failed = true;
    for (uint64_t nth = 1; has_failed; ++nth) {
      for (const uint64_t second : {uint64_t{0}, nth}) {
        QueueLogHarness harness(kSegmentBytes);
        fill_disk(harness);
        put_until_it_ends(harness);
        for (const uint64_t at : {nth, second}) {
          if (at == 0) continue;
          harness.disk().fail({.nth = at, .is_sticky = true});
          const std::string wrong = harness.open();
          has_failed = harness.disk().has_failed();
          ASSERT_TRUE(wrong.empty() || has_failed) << wrong;
          harness.disk().clear_faults();
          harness.kill();
          if (cut == Cut::kDropping) harness.disk().power_cut_dropping_all();
          if (cut == Cut::kKeeping) harness.disk().power_cut_keeping_all();
        }
        ASSERT_EQ(harness.open(), "") << "operations " << nth << " and " << second;
        ASSERT_TRUE(harness.put(1, 16));
        ASSERT_EQ(harness.open(), "");
      }
    }
  }
}

TEST(QueueLogFault, AGivenUpSegmentEndsTheShortage) {
  QueueLogHarness harness(2 * kSegmentBytes);
  ASSERT_EQ(harness.open(), "");
  while (harness.log().segment_count() < 3) ASSERT_TRUE(harness.put(2, 900));
  harness.disk().set_capacity((3 + 1) * 2 * kSegmentBytes);
  while (harness.log().can_grow()) ASSERT_TRUE(harness.put(2, 900));
  harness.release_oldest();
  // The group that says so, and one whose mark is above it.
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(harness.put(1, 10));
  EXPECT_TRUE(harness.log().can_grow());
}

TEST(QueueLogFault, ANewerFormatVersionIsRefusedInOneSentence) {
  Image image = make_image(true);
  std::string header = image.segments[0].substr(0, kLogHeaderSize);
  const auto decoded = queue::decode_segment_header(header);
  ASSERT_TRUE(decoded.has_value());
  image.segments[0].replace(0, kLogHeaderSize, queue::encode_segment_header(*decoded, 99));
  const auto opened = open_bytes(image, image.segments[0]);
  EXPECT_EQ(opened->status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(opened->status.message().find("newer verbatim-queue"), std::string::npos)
      << opened->status.message();
}

TEST(QueueLogFault, TheFormatBeforeTheFirstReleaseIsRefusedInOneSentence) {
  Image image = make_image(true);
  const auto decoded = queue::decode_segment_header(image.segments[0].substr(0, kLogHeaderSize));
  ASSERT_TRUE(decoded.has_value());
  image.segments[0].replace(0, kLogHeaderSize, queue::encode_segment_header(*decoded, 1));
  const auto opened = open_bytes(image, image.segments[0]);
  EXPECT_EQ(opened->status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(opened->status.message().find("before the first release"), std::string::npos)
      << opened->status.message();
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
  // Three segments, the reserve, one ahead, one more that was given up, and the lock.
  EXPECT_LE(names->size(), 7u);
  EXPECT_GT(harness.log().newest_generation(), 50u);
  EXPECT_EQ(harness.open(), "");
}

}  // namespace
}  // namespace verbatim::testing
