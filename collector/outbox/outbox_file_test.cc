#include "collector/outbox/outbox_file.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/fault_file_system.h"
#include "tests/support/test_seed.h"

namespace verbatim::collector {
namespace {

using testing::FaultFileSystem;
using testing::IoKind;

const std::string kDirectory = "/outbox";

Result<std::unique_ptr<OutboxFile>> open(base::FileSystem& disk, uint64_t segment_bytes = 1'000) {
  return OutboxFile::open(disk, {.directory = kDirectory, .segment_bytes = segment_bytes});
}

std::vector<std::string> contents(OutboxFile& outbox) {
  std::vector<std::string> messages;
  for (uint64_t i = 0; i < outbox.count(); ++i) messages.push_back(outbox.read(i).value());
  return messages;
}

std::string message(int number) {
  return "message " + std::to_string(number) + " " + std::string(50, 'x');
}

std::vector<std::string> messages(int first, int last) {
  std::vector<std::string> all;
  for (int i = first; i <= last; ++i) all.push_back(message(i));
  return all;
}

void append_synced(OutboxFile& outbox, int first, int last) {
  for (int i = first; i <= last; ++i) ASSERT_TRUE(outbox.append(message(i)).ok());
  ASSERT_TRUE(outbox.sync().ok());
}

std::string only_segment(FaultFileSystem& disk) {
  std::string path;
  const auto names = disk.list_directory(kDirectory).value();
  for (const auto& name : names) {
    if (name.starts_with("outbox-")) path = kDirectory + "/" + name;
  }
  return path;
}

TEST(OutboxFile, SyncedMessagesSurviveAPowerCutInOrder) {
  FaultFileSystem disk;
  auto outbox = open(disk).value();
  append_synced(*outbox, 1, 50);  // several segments
  outbox.reset();
  disk.power_cut_dropping_all();
  outbox = open(disk).value();
  EXPECT_EQ(contents(*outbox), messages(1, 50));
  EXPECT_EQ(outbox->cut_bytes(), 0u);
}

TEST(OutboxFile, ConfirmedMessagesDoNotComeBack) {
  FaultFileSystem disk;
  auto outbox = open(disk).value();
  append_synced(*outbox, 1, 50);
  ASSERT_TRUE(outbox->confirm(20).ok());
  ASSERT_TRUE(outbox->sync().ok());
  EXPECT_EQ(contents(*outbox), messages(21, 50));
  outbox.reset();
  disk.power_cut_dropping_all();
  outbox = open(disk).value();
  EXPECT_EQ(contents(*outbox), messages(21, 50));
  ASSERT_TRUE(outbox->confirm(30).ok());
  ASSERT_TRUE(outbox->sync().ok());
  outbox.reset();
  outbox = open(disk).value();
  EXPECT_EQ(outbox->count(), 0u);
  EXPECT_EQ(outbox->bytes(), 0u);
}

TEST(OutboxFile, ALongLivedOutboxStaysSmallOnDisk) {
  FaultFileSystem disk;
  auto outbox = open(disk).value();
  for (int round = 0; round < 200; ++round) {
    append_synced(*outbox, 1, 5);
    ASSERT_TRUE(outbox->confirm(round % 2 == 0 ? 4 : 6).ok());
  }
  uint64_t size = 0;
  const auto names = disk.list_directory(kDirectory).value();
  for (const auto& name : names) {
    size += disk.file_size(kDirectory + "/" + name).value();
  }
  EXPECT_LT(size, 10'000u);
}

TEST(OutboxFile, ASecondOneIsKeptOut) {
  FaultFileSystem disk;
  const auto outbox = open(disk).value();
  EXPECT_EQ(open(disk).error().code(), StatusCode::kFailedPrecondition);
}

// Whatever of the unsynced end a power cut leaves, what was synced is there, and of what was not a
// prefix.
TEST(OutboxFile, AnyRestOfAnUnsyncedEndIsCutBehindWhatWasSynced) {
  const uint64_t seed = testing::test_seed();
  for (uint64_t round = 0; round < 300; ++round) {
    FaultFileSystem disk;
    auto outbox = open(disk, 100'000).value();
    append_synced(*outbox, 1, 10);
    for (int i = 11; i <= 60; ++i) ASSERT_TRUE(outbox->append(message(i)).ok());
    outbox.reset();
    disk.power_cut(seed + round);
    auto reopened = open(disk, 100'000);
    ASSERT_TRUE(reopened.has_value()) << "seed " << seed + round << reopened.error().to_string();
    const auto found = contents(**reopened);
    ASSERT_GE(found.size(), 10u) << "seed " << seed + round;
    EXPECT_EQ(found, messages(1, static_cast<int>(found.size()))) << "seed " << seed + round;
  }
}

TEST(OutboxFile, CutAtEveryByteItGivesAPrefixOrRefuses) {
  FaultFileSystem original;
  auto outbox = open(original).value();
  append_synced(*outbox, 1, 3);
  append_synced(*outbox, 4, 6);
  outbox.reset();
  const std::string path = only_segment(original);
  const std::string bytes = original.contents(path);
  for (uint64_t size = 0; size < bytes.size(); ++size) {
    FaultFileSystem disk;
    ASSERT_TRUE(disk.create_directories(kDirectory).ok());
    ASSERT_TRUE(base::write_file_atomically(disk, path, bytes.substr(0, size)).ok());
    auto reopened = open(disk);
    if (!reopened.has_value()) {
      EXPECT_EQ(reopened.error().code(), StatusCode::kDataLoss) << size;
      continue;
    }
    const auto found = contents(**reopened);
    EXPECT_EQ(found, messages(1, static_cast<int>(found.size()))) << size;
    // What is cut is said.
    const uint64_t kept = 16 + found.size() * (message(1).size() + 32);
    if (size > kept + 64) {
      EXPECT_GT((*reopened)->cut_bytes(), 0u) << size;
    }
  }
}

TEST(OutboxFile, EveryFlippedByteBelowTheLastMarkIsADamageThatRefusesTheStart) {
  FaultFileSystem original;
  auto outbox = open(original).value();
  append_synced(*outbox, 1, 3);
  outbox.reset();
  const std::string path = only_segment(original);
  const std::string bytes = original.contents(path);
  const size_t mark_size = 32;  // the mark written after the last sync
  for (size_t at = 0; at < bytes.size(); ++at) {
    FaultFileSystem disk;
    ASSERT_TRUE(disk.create_directories(kDirectory).ok());
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    ASSERT_TRUE(base::write_file_atomically(disk, path, damaged).ok());
    auto reopened = open(disk);
    if (at + mark_size >= bytes.size()) {
      ASSERT_TRUE(reopened.has_value()) << at;
      EXPECT_EQ(contents(**reopened), messages(1, 3)) << at;
    } else {
      ASSERT_FALSE(reopened.has_value()) << at;
      const StatusCode code = reopened.error().code();
      EXPECT_TRUE(code == StatusCode::kDataLoss || code == StatusCode::kFailedPrecondition) << at;
    }
  }
}

TEST(OutboxFile, ANewerFormatIsRefusedInOneSentence) {
  FaultFileSystem disk;
  auto outbox = open(disk).value();
  append_synced(*outbox, 1, 1);
  outbox.reset();
  disk.flip_byte(only_segment(disk), 8, 0x03);  // version 1 becomes 2
  const Status error = open(disk).error();
  EXPECT_EQ(error.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(error.message().find("newer version"), std::string::npos);
}

// The Nth operation fails, N = 1, 2, …: whatever was said to be synced is there afterwards.
TEST(OutboxFile, WhateverOperationFailsNothingSyncedIsLost) {
  for (uint64_t nth = 1;; ++nth) {
    FaultFileSystem disk;
    int synced = 0;
    int appended = 0;
    int confirmed = 0;
    disk.fail({.nth = nth, .error_number = 5, .is_sticky = true, .kinds = {}});
    if (auto outbox = open(disk, 400); outbox.has_value()) {
      while (appended < 20) {
        if (!(*outbox)->append(message(appended + 1)).ok()) break;
        ++appended;
        if (appended % 3 != 0) continue;
        if (!(*outbox)->sync().ok()) break;
        synced = appended;
        if (appended % 6 != 0) continue;
        if (!(*outbox)->confirm(2).ok()) break;
        confirmed += 2;
      }
    }
    const bool has_failed = disk.has_failed();
    disk.clear_faults();
    disk.power_cut(nth);
    auto outbox = open(disk, 400);
    ASSERT_TRUE(outbox.has_value()) << nth << outbox.error().to_string();
    const auto found = contents(**outbox);
    // The first is one that was not confirmed, and then all synced ones follow in order.
    int first = 1;
    if (!found.empty()) {
      while (first <= 21 && message(first) != found.front()) ++first;
      EXPECT_EQ(found, messages(first, first + static_cast<int>(found.size()) - 1)) << nth;
    } else {
      first = confirmed + 1;
      EXPECT_LE(synced, confirmed + 2) << nth;
    }
    EXPECT_LE(first, confirmed + 3) << nth;
    if (synced > confirmed + 2) {
      EXPECT_GE(first + static_cast<int>(found.size()) - 1, synced) << nth;
    }
    if (!has_failed) break;
  }
}

// The same while the outbox is opened again.
TEST(OutboxFile, WhateverOperationFailsInRecoveryTheNextStartHasAll) {
  for (uint64_t nth = 1;; ++nth) {
    FaultFileSystem disk;
    auto outbox = open(disk).value();
    append_synced(*outbox, 1, 30);
    ASSERT_TRUE(outbox->confirm(5).ok());
    ASSERT_TRUE(outbox->sync().ok());
    outbox.reset();
    disk.fail({.nth = nth, .error_number = 28, .is_sticky = true, .kinds = {}});
    const bool is_open = open(disk).has_value();
    const bool has_failed = disk.has_failed();
    EXPECT_TRUE(is_open || has_failed);
    disk.clear_faults();
    disk.power_cut(nth);
    outbox = open(disk).value();
    EXPECT_EQ(contents(*outbox), messages(6, 30)) << nth;
    outbox.reset();
    if (!has_failed) break;
  }
}

}  // namespace
}  // namespace verbatim::collector
