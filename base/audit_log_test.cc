#include "base/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/endian.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/test_seed.h"

namespace verbatim::base {
namespace {

using testing::FakeClock;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kFile = "/data/audit-000001/0000000001.log";
constexpr const char* kHead = "/data/audit-000001/head";

v1::AuditEntry entry_of(const std::string& action) {
  v1::AuditEntry entry;
  entry.set_action(action);
  entry.set_subject("events");
  entry.set_reason("a test");
  return entry;
}

class AuditLogTest : public ::testing::Test {
 protected:
  AuditLogTest() { open(); }

  void open() {
    log_.reset();
    auto log = AuditLog::open(disk_, clock_, "/data", "verbatim-test");
    ASSERT_TRUE(log.has_value()) << log.error().to_string();
    log_ = *std::move(log);
  }
  void append(int count) {
    for (int i = 0; i < count; ++i) {
      const auto number = log_->append(entry_of("change"));
      ASSERT_TRUE(number.has_value()) << number.error().to_string();
    }
  }
  std::vector<uint64_t> numbers() {
    std::vector<uint64_t> numbers;
    const auto entries = log_->read(1'000);
    EXPECT_TRUE(entries.has_value()) << entries.error().to_string();
    if (!entries) return numbers;
    for (const auto& entry : *entries) numbers.push_back(entry.number());
    return numbers;
  }
  bool is_damaged() { return !log_->alarm_conditions().empty(); }

  FaultFileSystem disk_;
  FakeClock clock_;
  std::unique_ptr<AuditLog> log_;
};

TEST_F(AuditLogTest, EntriesAreNumberedAndComeBackAfterAPowerCut) {
  append(3);
  disk_.power_cut_dropping_all();
  open();
  append(2);
  EXPECT_EQ(numbers(), (std::vector<uint64_t>{1, 2, 3, 4, 5}));
  const auto newest = log_->read(2);
  ASSERT_TRUE(newest.has_value());
  ASSERT_THAT(*newest, SizeIs(2));
  EXPECT_EQ(newest->front().number(), 4U);
  EXPECT_EQ(newest->front().service(), "verbatim-test");
  EXPECT_FALSE(is_damaged());
}

TEST_F(AuditLogTest, AnAlteredByteOfAnyEntryIsNoticedByReadingAndAtTheNextStart) {
  append(3);
  const size_t size = disk_.contents(kFile).size();
  for (size_t offset = 0; offset < size; ++offset) {
    disk_.flip_byte(kFile, offset);
    EXPECT_EQ(log_->read(10).error().code(), StatusCode::kDataLoss) << "offset " << offset;
    disk_.flip_byte(kFile, offset);
  }
  EXPECT_TRUE(is_damaged());
  disk_.flip_byte(kFile, size / 2);
  open();
  EXPECT_TRUE(is_damaged());
}

TEST_F(AuditLogTest, EntriesCutOffTheEndAreNoticed) {
  append(3);
  const std::string whole = disk_.contents(kFile);
  disk_.truncate_file(kFile, whole.size() - 1);
  EXPECT_THAT(log_->read(10).error().message(), HasSubstr("number=3"));
  open();
  EXPECT_TRUE(is_damaged());
}

TEST_F(AuditLogTest, ARemovedFileIsNoticed) {
  append(2);
  open();
  append(2);
  open();
  append(1);
  ASSERT_TRUE(disk_.remove("/data/audit-000001/0000000002.log").ok());
  EXPECT_THAT(log_->read(10).error().message(), HasSubstr("number=3"));
  ASSERT_TRUE(disk_.remove("/data/audit-000001/0000000001.log").ok());
  EXPECT_EQ(log_->read(10).error().code(), StatusCode::kDataLoss);
  ASSERT_TRUE(disk_.remove("/data/audit-000001/0000000003.log").ok());
  EXPECT_EQ(log_->read(10).error().code(), StatusCode::kDataLoss);
  open();
  EXPECT_TRUE(is_damaged());
}

TEST_F(AuditLogTest, ADamagedHeadIsNoticed) {
  append(2);
  disk_.flip_byte(kHead, 20);
  EXPECT_EQ(log_->read(10).error().code(), StatusCode::kDataLoss);
  disk_.flip_byte(kHead, 20);
  ASSERT_TRUE(disk_.remove(kHead).ok());
  open();
  EXPECT_TRUE(is_damaged());
}

TEST_F(AuditLogTest, ADamagedChainIsKeptAndANewOneSaysSoUnderHigherNumbers) {
  append(3);
  disk_.flip_byte(kFile, 100);
  const std::string before = disk_.contents(kFile);
  open();
  EXPECT_EQ(disk_.contents(kFile), before);
  append(1);
  const auto entries = log_->read(10);
  ASSERT_TRUE(entries.has_value()) << entries.error().to_string();
  ASSERT_THAT(*entries, SizeIs(2));
  EXPECT_EQ(entries->front().action(), "audit began anew");
  EXPECT_GT(entries->front().number(), 3U);
  const auto alarms = log_->alarm_conditions();
  ASSERT_THAT(alarms, SizeIs(1));
  EXPECT_EQ(alarms[0].name, "audit-damaged");
  EXPECT_EQ(alarms[0].subject, "/data/audit-000001");
  // Moved away by an operator: the alarm is over, the numbers stay.
  const auto names = disk_.list_directory("/data/audit-000001");
  ASSERT_TRUE(names.has_value());
  for (const std::string& name : *names) {
    ASSERT_TRUE(disk_.remove("/data/audit-000001/" + name).ok());
  }
  ASSERT_TRUE(disk_.remove("/data/audit-000001").ok());
  EXPECT_THAT(log_->alarm_conditions(), IsEmpty());
  open();
  EXPECT_THAT(numbers(), SizeIs(2));
}

TEST_F(AuditLogTest, AnUnfinishedEntryIsPassedOver) {
  append(2);
  const std::string whole = disk_.contents(kFile);
  auto file = disk_.open(kFile, OpenMode::kReadWrite);
  ASSERT_TRUE(file.has_value());
  ASSERT_TRUE((*file)->append(std::string_view("VBAU and no more")).ok());
  open();
  append(1);
  EXPECT_EQ(numbers(), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_FALSE(is_damaged());
}

TEST_F(AuditLogTest, AFileOfANewerVersionStopsTheStart) {
  append(1);
  std::string header = disk_.contents(kFile).substr(0, audit_header_size());
  header[12] = 2;
  put_le32(header.data() + 8, crc32c(std::string_view(header).substr(12)));
  auto file = disk_.open(kFile, OpenMode::kReadWrite);
  ASSERT_TRUE(file.has_value());
  ASSERT_TRUE((*file)->write_at(0, std::string_view(header)).ok());
  const auto log = AuditLog::open(disk_, clock_, "/data", "verbatim-test");
  EXPECT_EQ(log.error().code(), StatusCode::kFailedPrecondition);
}

// Every operation of a start and three entries fails once; what was confirmed is there after a
// power cut, and nothing is called damage.
TEST(AuditLogFaults, WhereAnyOperationFailsConfirmedEntriesStay) {
  for (const bool is_sticky : {false, true}) {
    for (uint64_t nth = 1;; ++nth) {
      FaultFileSystem disk;
      FakeClock clock;
      std::vector<uint64_t> confirmed;
      disk.fail({.nth = nth, .error_number = 5, .is_sticky = is_sticky, .kinds = {}});
      if (auto log = AuditLog::open(disk, clock, "/data", "verbatim-test")) {
        for (int i = 0; i < 3; ++i) {
          if (const auto number = (*log)->append(entry_of("change"))) confirmed.push_back(*number);
        }
      }
      const bool has_failed = disk.has_failed();
      disk.clear_faults();
      disk.power_cut(testing::test_seed() + nth);
      auto log = AuditLog::open(disk, clock, "/data", "verbatim-test");
      ASSERT_TRUE(log.has_value()) << "nth " << nth << ": " << log.error().to_string();
      EXPECT_THAT((*log)->alarm_conditions(), IsEmpty()) << "nth " << nth;
      const auto entries = (*log)->read(100);
      ASSERT_TRUE(entries.has_value()) << "nth " << nth << ": " << entries.error().to_string();
      std::vector<uint64_t> found;
      for (const auto& entry : *entries) found.push_back(entry.number());
      EXPECT_THAT(found, ::testing::IsSupersetOf(confirmed)) << "nth " << nth;
      ASSERT_TRUE((*log)->append(entry_of("after")).has_value()) << "nth " << nth;
      if (has_failed) continue;
      EXPECT_THAT(confirmed, SizeIs(3));
      EXPECT_GT(nth, 15U);
      break;
    }
  }
}

std::string golden(const std::string& name) {
  const char* root = std::getenv("VERBATIM_SOURCE_DIR");
  std::ifstream file(std::string(root == nullptr ? "." : root) + "/tests/golden/" + name,
                     std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

TEST(AuditLogGolden, TheBytesOfVersionOneAreWrittenAndReadAsEver) {
  FaultFileSystem disk;
  FakeClock clock(1'770'000'000'000'000'000);
  auto log = AuditLog::open(disk, clock, "/data", "verbatim-queue");
  ASSERT_TRUE(log.has_value());
  ASSERT_TRUE((*log)->append(entry_of("queues create")).has_value());
  ASSERT_TRUE((*log)->append(entry_of("queues pause")).has_value());
  if (const char* folder = std::getenv("WRITE_GOLDEN")) {
    std::ofstream(std::string(folder) + "/audit-v1.log", std::ios::binary) << disk.contents(kFile);
    std::ofstream(std::string(folder) + "/audit-v1.head", std::ios::binary) << disk.contents(kHead);
  }
  EXPECT_EQ(disk.contents(kFile), golden("audit-v1.log"));
  EXPECT_EQ(disk.contents(kHead), golden("audit-v1.head"));
}

}  // namespace
}  // namespace verbatim::base
