#include "tests/support/fault_file_system.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/file_system_contract.h"

namespace verbatim::testing {
namespace {

using base::OpenMode;

INSTANTIATE_TEST_SUITE_P(Fault, FileSystemContract,
                         ::testing::Values(FileSystemUnderTest{
                             .name = "fault",
                             .set_up =
                                 [] {
                                   auto disk = std::make_shared<FaultFileSystem>();
                                   ignore_error(disk->create_directories("/data"),
                                                "the first test to use it fails");
                                   return std::shared_ptr<void>(disk);
                                 },
                             .file_system = [](void* holder) -> base::FileSystem& {
                               return *static_cast<FaultFileSystem*>(holder);
                             },
                             .directory = [](void*) { return std::string("/data"); }}),
                         [](const auto& suite) { return suite.param.name; });

// A disk with the file /f that holds "AAAA…" durably, two sectors long.
class FaultDisk : public ::testing::Test {
 protected:
  FaultDisk() {
    file_ = open(OpenMode::kCreateExclusive);
    EXPECT_TRUE(file_->write_at(0, std::string(1024, 'A')).ok());
    EXPECT_TRUE(file_->sync().ok());
    EXPECT_TRUE(disk_.sync_directory("/").ok());
  }

  std::unique_ptr<base::File> open(OpenMode mode = OpenMode::kReadWrite) {
    return *disk_.open("/f", mode);
  }

  FaultFileSystem disk_;
  std::unique_ptr<base::File> file_;
};

TEST_F(FaultDisk, APowerCutDropsWhatWasNotSynced) {
  ASSERT_TRUE(file_->write_at(0, std::string(2000, 'B')).ok());
  disk_.power_cut_dropping_all();
  EXPECT_EQ(disk_.contents("/f"), std::string(1024, 'A'));
}

TEST_F(FaultDisk, APowerCutKeepsWhatWasSynced) {
  ASSERT_TRUE(file_->write_at(0, std::string(2000, 'B')).ok());
  ASSERT_TRUE(file_->sync_data().ok());
  disk_.power_cut_dropping_all();
  EXPECT_EQ(disk_.contents("/f"), std::string(2000, 'B'));
}

TEST_F(FaultDisk, APowerCutKeepsADurableWriteAndEachHalfOfItCanFail) {
  ASSERT_TRUE(file_->write_durable(0, std::string(2000, 'B')).ok());
  for (const IoKind kind : {IoKind::kWrite, IoKind::kSync}) {
    disk_.fail({.nth = 1, .error_number = EIO, .is_sticky = false, .kinds = {kind}});
    EXPECT_FALSE(file_->write_durable(0, std::string(2000, 'C')).ok());
  }
  disk_.power_cut_dropping_all();
  EXPECT_EQ(disk_.contents("/f"), std::string(2000, 'B'));
}

TEST_F(FaultDisk, APowerCutMayKeepASecondSectorWithoutTheFirst) {
  ASSERT_TRUE(file_->write_at(0, std::string(1024, 'B')).ok());
  int asked = 0;
  disk_.power_cut([&asked] { return ++asked == 2; });
  EXPECT_EQ(disk_.contents("/f"), std::string(512, 'A') + std::string(512, 'B'));
}

TEST_F(FaultDisk, SeedsGiveEverySubsetOfTwoSectors) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    FaultFileSystem disk;
    auto file = *disk.open("/f", OpenMode::kCreateExclusive);
    ASSERT_TRUE(disk.sync_directory("/").ok());
    ASSERT_TRUE(file->write_at(0, std::string(1024, 'A')).ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(file->write_at(0, std::string(1024, 'B')).ok());
    disk.power_cut(seed);
    const std::string left = disk.contents("/f");
    seen.insert({left[0], left[512]});
  }
  EXPECT_EQ(seen.size(), 4U);
}

TEST_F(FaultDisk, AnUnsyncedNameIsLost) {
  ASSERT_TRUE(disk_.open("/new", OpenMode::kCreateExclusive));
  ASSERT_TRUE(disk_.rename("/f", "/g").ok());
  disk_.power_cut_dropping_all();
  EXPECT_FALSE(disk_.exists("/new"));
  EXPECT_TRUE(disk_.exists("/f"));
  EXPECT_FALSE(disk_.exists("/g"));
}

TEST_F(FaultDisk, ARenameIsWholeAfterAPowerCut) {
  for (const bool keeps : {false, true}) {
    FaultFileSystem disk;
    ASSERT_TRUE(base::write_file_atomically(disk, "/x", "old").ok());
    ASSERT_TRUE(base::write_file_atomically(disk, "/y", "new").ok());
    ASSERT_TRUE(disk.rename("/y", "/x").ok());
    disk.power_cut([keeps] { return keeps; });
    EXPECT_EQ(disk.contents("/x"), keeps ? "new" : "old");
    EXPECT_EQ(disk.exists("/y"), !keeps);
  }
}

TEST_F(FaultDisk, ASyncedFileOfAnUnsyncedNameIsGone) {
  auto file = *disk_.open("/new", OpenMode::kCreateExclusive);
  ASSERT_TRUE(file->append(std::string_view("x")).ok());
  ASSERT_TRUE(file->sync().ok());
  disk_.power_cut_dropping_all();
  EXPECT_FALSE(disk_.exists("/new"));
}

TEST_F(FaultDisk, FilesAndLocksDieWithThePower) {
  auto lock = disk_.lock_file("/lock");
  ASSERT_TRUE(lock);
  disk_.power_cut_keeping_all();
  EXPECT_EQ(file_->append(std::string_view("x")).code(), StatusCode::kUnavailable);
  EXPECT_EQ(file_->sync().code(), StatusCode::kUnavailable);
  auto again = disk_.lock_file("/lock");
  ASSERT_TRUE(again);
  lock->reset();  // of a process that is gone: it must not free the new one
  EXPECT_FALSE(disk_.lock_file("/lock"));
}

TEST_F(FaultDisk, AFailedSyncLeavesACacheThatLies) {
  ASSERT_TRUE(file_->write_at(0, std::string(512, 'B')).ok());
  disk_.fail({.nth = 1, .error_number = EIO, .is_sticky = false, .kinds = {IoKind::kSync}});
  EXPECT_EQ(file_->sync_data().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(disk_.has_failed());
  EXPECT_TRUE(file_->sync_data().ok());  // says nothing about the bytes of the failed one
  disk_.kill_process();
  EXPECT_EQ(disk_.contents("/f")[0], 'B');
  disk_.power_cut_keeping_all();
  EXPECT_EQ(disk_.contents("/f")[0], 'A');
}

TEST_F(FaultDisk, RewritingAfterAFailedSyncIsDurable) {
  disk_.fail({.nth = 1, .error_number = EIO, .is_sticky = false, .kinds = {IoKind::kSync}});
  ASSERT_TRUE(file_->write_at(0, std::string(512, 'B')).ok());
  EXPECT_FALSE(file_->sync_data().ok());
  ASSERT_TRUE(file_->write_at(0, std::string(512, 'B')).ok());
  ASSERT_TRUE(file_->sync_data().ok());
  disk_.power_cut_dropping_all();
  EXPECT_EQ(disk_.contents("/f")[0], 'B');
}

TEST_F(FaultDisk, TheNthOperationFailsOnceOrForEver) {
  disk_.fail({.nth = 2, .error_number = ENOSPC, .is_sticky = false, .kinds = {}});
  EXPECT_TRUE(file_->write_at(0, std::string_view("x")).ok());
  EXPECT_EQ(file_->write_at(0, std::string_view("x")).code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(file_->write_at(0, std::string_view("x")).ok());
  disk_.fail({.nth = 2, .error_number = EIO, .is_sticky = true, .kinds = {IoKind::kWrite}});
  EXPECT_FALSE(disk_.has_failed());
  EXPECT_TRUE(file_->write_at(0, std::string_view("x")).ok());
  EXPECT_TRUE(file_->sync().ok());
  EXPECT_FALSE(file_->write_at(0, std::string_view("x")).ok());
  EXPECT_FALSE(file_->write_at(0, std::string_view("x")).ok());
  disk_.clear_faults();
  EXPECT_TRUE(file_->write_at(0, std::string_view("x")).ok());
}

TEST_F(FaultDisk, AFullDiskTakesWhatFits) {
  disk_.set_capacity(1100);
  EXPECT_EQ(*disk_.free_bytes("/"), 76U);
  EXPECT_EQ(file_->append(std::string(100, 'B')).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(*file_->size(), 1100U);
  EXPECT_TRUE(file_->write_at(0, std::string(1024, 'C')).ok());
  EXPECT_TRUE(file_->truncate(500).ok());
  EXPECT_EQ(*disk_.free_bytes("/"), 600U);
}

TEST_F(FaultDisk, RotIsOnTheDiskAndInTheCache) {
  disk_.flip_byte("/f", 10, 0x01);
  EXPECT_EQ(disk_.contents("/f")[10], '@');
  disk_.truncate_file("/f", 11);
  disk_.power_cut_dropping_all();
  EXPECT_EQ(disk_.contents("/f"), std::string(10, 'A') + "@");
}

// Atomic writes under every fault and after every power cut: the old contents or the new, whole.
TEST_F(FaultDisk, AnAtomicWriteSurvivesTheFailureOfEachStep) {
  for (uint64_t nth = 1;; ++nth) {
    for (uint64_t seed = 0; seed < 8; ++seed) {
      FaultFileSystem disk;
      ASSERT_TRUE(base::write_file_atomically(disk, "/x", "old").ok());
      disk.fail({.nth = nth, .error_number = EIO, .is_sticky = false, .kinds = {}});
      const bool is_written = base::write_file_atomically(disk, "/x", "new").ok();
      disk.power_cut(seed);
      const std::string left = disk.contents("/x");
      EXPECT_TRUE(left == "new" || (!is_written && left == "old")) << nth << " " << left;
      if (seed == 0 && !disk.has_failed()) return;
    }
  }
}

}  // namespace
}  // namespace verbatim::testing
