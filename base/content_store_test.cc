#include "base/content_store.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/hex.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/test_seed.h"

namespace verbatim::base {
namespace {

using verbatim::testing::FaultFileSystem;
using verbatim::testing::IoKind;

const std::string kDirectory = "/files";

std::unique_ptr<ContentStore> open(FaultFileSystem& disk) {
  return ContentStore::open(
             disk, {.directory = kDirectory, .is_writer = true, .file_max_bytes = 1'000'000})
      .value();
}

// Content that differs in every part.
std::string content(size_t size) {
  std::string bytes;
  for (uint64_t i = 0; bytes.size() < size; ++i) bytes += sha256(std::to_string(i));
  bytes.resize(size);
  return bytes;
}

Status upload(ContentStore& store, const std::string& bytes, size_t part_bytes = 4'096) {
  auto upload = store.begin_upload(sha256(bytes), static_cast<int64_t>(bytes.size()));
  if (!upload) return upload.error();
  if (*upload == nullptr) return {};
  while ((*upload)->stored_bytes() < bytes.size()) {
    RETURN_IF_ERROR(
        (*upload)->append(std::string_view(bytes).substr((*upload)->stored_bytes(), part_bytes)));
  }
  return (*upload)->finish();
}

std::string read_all(const ContentStore& store, const std::string& digest) {
  auto file = store.open_file(digest).value();
  std::string bytes(store.size(digest).value(), '\0');
  bytes.resize(file->read_at(0, std::span<char>(bytes)).value());
  return bytes;
}

TEST(ContentStore, AFinishedUploadSurvivesAPowerCut) {
  FaultFileSystem disk;
  const std::string bytes = content(50'000);
  ASSERT_TRUE(upload(*open(disk), bytes).ok());
  disk.power_cut_dropping_all();
  const auto store = open(disk);
  EXPECT_EQ(read_all(*store, sha256(bytes)), bytes);
}

TEST(ContentStore, AnEmptyFileIsAFile) {
  FaultFileSystem disk;
  const auto store = open(disk);
  ASSERT_TRUE(upload(*store, "").ok());
  EXPECT_TRUE(store->has(sha256("")));
  EXPECT_EQ(store->size(sha256("")).value(), 0u);
}

TEST(ContentStore, AnUploadThatWasCutOffGoesOnWhereItStood) {
  FaultFileSystem disk;
  const std::string bytes = content(10'000);
  {
    const auto store = open(disk);
    const auto begun = store->begin_upload(sha256(bytes), 10'000).value();
    ASSERT_TRUE(begun->append(std::string_view(bytes).substr(0, 6'000)).ok());
  }
  disk.kill_process();
  const auto store = open(disk);
  EXPECT_FALSE(store->has(sha256(bytes)));
  const auto resumed = store->begin_upload(sha256(bytes), 10'000).value();
  ASSERT_EQ(resumed->stored_bytes(), 6'000u);
  ASSERT_TRUE(resumed->append(std::string_view(bytes).substr(6'000)).ok());
  ASSERT_TRUE(resumed->finish().ok());
  EXPECT_EQ(read_all(*store, sha256(bytes)), bytes);
}

TEST(ContentStore, OtherContentThanAnnouncedIsRemovedAndCanBeSentAnew) {
  FaultFileSystem disk;
  const auto store = open(disk);
  const std::string bytes = content(1'000);
  const std::string digest = sha256(bytes);
  {
    const auto wrong = store->begin_upload(digest, 1'000).value();
    ASSERT_TRUE(wrong->append(std::string(1'000, 'x')).ok());
    EXPECT_EQ(wrong->finish().code(), StatusCode::kDataLoss);
  }
  EXPECT_FALSE(store->has(digest));
  EXPECT_TRUE(upload(*store, bytes).ok());
}

TEST(ContentStore, WhatIsThereIsNotSentAgain) {
  FaultFileSystem disk;
  const auto store = open(disk);
  const std::string bytes = content(100);
  ASSERT_TRUE(upload(*store, bytes).ok());
  EXPECT_EQ(store->begin_upload(sha256(bytes), 100).value(), nullptr);
}

TEST(ContentStore, OneUploadOfAFileAtATime) {
  FaultFileSystem disk;
  const auto store = open(disk);
  const std::string digest = sha256("x");
  auto first = store->begin_upload(digest, 1).value();
  EXPECT_EQ(store->begin_upload(digest, 1).error().code(), StatusCode::kAborted);
  EXPECT_TRUE(store->begin_upload(sha256("y"), 1).has_value());
  first.reset();
  EXPECT_TRUE(store->begin_upload(digest, 1).has_value());
}

TEST(ContentStore, BoundsAreTold) {
  FaultFileSystem disk;
  const auto store = open(disk);
  EXPECT_EQ(store->begin_upload("short", 1).error().code(), StatusCode::kInvalidArgument);
  const Status large = store->begin_upload(sha256("x"), 1'000'001).error();
  EXPECT_EQ(large.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(large.message().find("size_bytes=1000001 file_max_bytes=1000000"), std::string::npos);
  EXPECT_EQ(store->begin_upload(sha256("x"), -1).error().code(), StatusCode::kInvalidArgument);
  const auto begun = store->begin_upload(sha256("x"), 3).value();
  EXPECT_EQ(begun->append("four").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(begun->finish().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store->open_file(sha256("nothing")).error().code(), StatusCode::kNotFound);
  EXPECT_FALSE(store->has("short"));
}

TEST(ContentStore, AFullDiskRefusesUploads) {
  FaultFileSystem disk;
  const auto store =
      ContentStore::open(disk,
                         {.directory = kDirectory, .is_writer = true, .free_disk_min_bytes = 1'000})
          .value();
  disk.set_capacity(5'000);
  EXPECT_TRUE(upload(*store, content(3'000)).ok());
  EXPECT_EQ(store->begin_upload(sha256("x"), 1'500).error().code(), StatusCode::kResourceExhausted);
  // What is under way counts with all that was announced of it.
  auto first = store->begin_upload(sha256("x"), 600).value();
  EXPECT_EQ(store->begin_upload(sha256("y"), 600).error().code(), StatusCode::kResourceExhausted);
  first.reset();
  EXPECT_TRUE(store->begin_upload(sha256("y"), 600).has_value());
}

TEST(ContentStore, WhatIsUnderWayIsNotThere) {
  FaultFileSystem disk;
  const auto store = open(disk);
  const auto begun = store->begin_upload(sha256("x"), 1).value();
  ASSERT_TRUE(begun->append("x").ok());
  EXPECT_FALSE(store->has(sha256("x")));
  // Another process, or the name before its folder is synced: not this store's word.
  ASSERT_TRUE(
      disk.create_directories(kDirectory + "/files/" + to_hex(sha256("x")).substr(0, 2)).ok());
  const std::string place =
      kDirectory + "/files/" + to_hex(sha256("x")).substr(0, 2) + "/" + to_hex(sha256("x"));
  ASSERT_TRUE(disk.open(place, OpenMode::kCreateExclusive).has_value());
  EXPECT_FALSE(store->has(sha256("x")));
  ASSERT_TRUE(begun->finish().ok());
  EXPECT_TRUE(store->has(sha256("x")));
}

TEST(ContentStore, OneProcessWrites) {
  FaultFileSystem disk;
  auto writer = open(disk);
  const ContentStoreOptions options{.directory = kDirectory, .is_writer = true};
  EXPECT_EQ(ContentStore::open(disk, options).error().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(ContentStore::open(disk, {.directory = kDirectory}).has_value());
  writer.reset();
  EXPECT_TRUE(ContentStore::open(disk, options).has_value());
}

TEST(ContentStore, UnfinishedUploadsAreToldAndRemovedOnceTheyAreOld) {
  FaultFileSystem disk;
  const auto store = open(disk);
  ASSERT_TRUE(upload(*store, "whole").ok());
  for (const char* name : {"a", "b"}) {
    ASSERT_TRUE(store->begin_upload(sha256(name), 10).value()->append("xyz").ok());
  }
  const auto under_way = store->begin_upload(sha256("c"), 10).value();
  ASSERT_TRUE(disk.open(kDirectory + "/incoming/foreign", OpenMode::kCreateExclusive).has_value());

  std::set<std::string> told;
  const auto tell = [&](const UnfinishedUpload& unfinished) {
    told.insert(unfinished.sha256);
    EXPECT_EQ(unfinished.size_bytes, 10u);
    EXPECT_EQ(unfinished.stored_bytes, 3u);
    EXPECT_EQ(store->begin_upload(unfinished.sha256, 10).error().code(), StatusCode::kAborted);
    return unfinished.sha256 == sha256("a");
  };
  const int64_t minute_ns = 60'000'000'000;
  const int64_t now = system_clock().unix_now_ns();
  EXPECT_EQ(store->remove_unfinished(now - minute_ns, tell).value(), 0u);
  EXPECT_TRUE(told.empty());
  EXPECT_EQ(store->remove_unfinished(now + minute_ns, tell).value(), 1u);
  EXPECT_EQ(told, (std::set<std::string>{sha256("a"), sha256("b")}));
  EXPECT_EQ(disk.list_directory(kDirectory + "/incoming").value().size(), 3u);
  EXPECT_TRUE(store->has(sha256("whole")));
  EXPECT_EQ(store->begin_upload(sha256("a"), 10).value()->stored_bytes(), 0u);
  EXPECT_EQ(store->begin_upload(sha256("b"), 10).value()->stored_bytes(), 3u);
}

TEST(ContentStore, AnUnfinishedUploadOfWhatCameWholeIsRemovedWithoutAWord) {
  FaultFileSystem disk;
  const auto store = open(disk);
  ASSERT_TRUE(store->begin_upload(sha256("whole"), 10).value()->append("xyz").ok());
  ASSERT_TRUE(upload(*store, "whole").ok());
  const int64_t later = system_clock().unix_now_ns() + 60'000'000'000;
  const auto removed = store->remove_unfinished(later, [](const auto&) { return false; });
  EXPECT_EQ(removed.value(), 1u);
  EXPECT_TRUE(store->has(sha256("whole")));
}

// Whatever fails, and whatever a power cut drops: a name that is there has its content, and what
// was called finished is there.
TEST(ContentStore, NoFaultLeavesAWrongFileOrLosesAFinishedOne) {
  const uint64_t seed = verbatim::testing::test_seed();
  const std::string bytes = content(20'000);
  bool was_hit = true;
  uint64_t nth = 1;
  for (; was_hit; ++nth) {
    FaultFileSystem disk;
    { const auto store = open(disk); }
    disk.fail({.nth = nth});
    auto store = ContentStore::open(disk, {.directory = kDirectory, .is_writer = true});
    const Status status = store ? upload(**store, bytes) : store.error();
    was_hit = disk.has_failed();
    ASSERT_TRUE(status.ok() || was_hit) << status.to_string();
    if (store) store->reset();
    disk.clear_faults();
    disk.power_cut(seed + nth);
    const auto again = open(disk);
    ASSERT_TRUE(!status.ok() || again->has(sha256(bytes))) << nth;
    if (again->has(sha256(bytes))) {
      ASSERT_EQ(read_all(*again, sha256(bytes)), bytes) << nth;
    }
    Status second = upload(*again, bytes);
    if (second.code() == StatusCode::kDataLoss) second = upload(*again, bytes);
    ASSERT_TRUE(second.ok()) << nth << " " << second.to_string();
    ASSERT_EQ(read_all(*again, sha256(bytes)), bytes) << nth;
  }
  EXPECT_GT(nth, 8u);
}

TEST(ContentStore, AFailedSyncIsSaidAloud) {
  FaultFileSystem disk;
  int failed_sync_count = 0;
  const auto store =
      ContentStore::open(disk, {.directory = kDirectory,
                                .is_writer = true,
                                .on_failed_sync = [&](const Status&) { ++failed_sync_count; }})
          .value();
  disk.fail({.nth = 1, .kinds = {IoKind::kSync}});
  EXPECT_FALSE(upload(*store, content(10)).ok());
  EXPECT_EQ(failed_sync_count, 1);
}

}  // namespace
}  // namespace verbatim::base
