#include "collector/compliance/compliance_store.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <thread>

#include "collector/compliance/compliance_file.h"
#include "collector/compliance/state_rules.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/test_seed.h"

namespace verbatim::collector {
namespace {

using testing::FaultFileSystem;
using Request = v1::ChangeComplianceRequest;

constexpr const char* kPath = "/data/compliance";

Request set_profile(const std::string& name) {
  Request request;
  auto& profile = *request.mutable_set_profile();
  profile.set_name(name);
  profile.set_description(std::string(900, 'd'));  // so that a file has several sectors
  profile.add_events()->set_event("onLeave");
  return request;
}

std::unique_ptr<ComplianceStore> open(FaultFileSystem& disk,
                                      const ComplianceStoreOptions& options = {}) {
  auto store = ComplianceStore::open(disk, kPath, options);
  EXPECT_TRUE(store) << store.error().to_string();
  return store ? *std::move(store) : nullptr;
}

std::unique_ptr<FaultFileSystem> make_disk() {
  auto disk = std::make_unique<FaultFileSystem>();
  EXPECT_TRUE(disk->create_directories("/data").ok());
  return disk;
}

std::string profiles_of(const ComplianceStore& store) {
  std::string text;
  for (const auto& profile : store.routing()->state().profiles()) text += profile.name() + " ";
  return text;
}

TEST(ComplianceStore, AFreshFolderBeginsClusterWideWithTheDefaultProfile_C025) {
  const auto disk = make_disk();
  const auto store = open(*disk);
  EXPECT_EQ(profiles_of(*store), "SystemDefaultComplianceProfile ");
  EXPECT_TRUE(store->routing()->state().is_cluster_wide());
  EXPECT_TRUE(store->routing()->routes("n", "onLeave", "").empty());
}

TEST(ComplianceStore, AnUpgradedFolderBeginsNodeBasedWithTheDefaultProfile_C025_C076) {
  const auto disk = make_disk();
  auto store = open(*disk, {.is_upgrade = true});
  EXPECT_EQ(profiles_of(*store), "SystemDefaultComplianceProfile ");
  EXPECT_FALSE(store->routing()->state().is_cluster_wide());
  // The mode is the file's from then on.
  store = open(*disk, {.is_upgrade = false});
  EXPECT_FALSE(store->routing()->state().is_cluster_wide());
}

TEST(ComplianceStore, WhatWasAnsweredIsThereAfterAPowerCut) {
  const auto disk = make_disk();
  auto store = open(*disk);
  ASSERT_TRUE(store->change(set_profile("wall")));
  store.reset();
  disk->power_cut_dropping_all();
  store = open(*disk);
  EXPECT_EQ(profiles_of(*store), "SystemDefaultComplianceProfile wall ");
  EXPECT_EQ(store->routing()->state().revision(), 1U);
}

TEST(ComplianceStore, AChangeIsInForceForTheNextEventAndNotForOneUnderWay_C031_C073) {
  const auto disk = make_disk();
  const auto store = open(*disk);
  Request server;
  server.mutable_set_server()->set_name("s");
  server.mutable_set_server()->set_kind(v1::ComplianceServer::KIND_PLUGIN);
  ASSERT_TRUE(store->change(server));
  ASSERT_TRUE(store->change(set_profile("wall")));
  Request assign;
  assign.mutable_assign()->set_server("s");
  assign.mutable_assign()->set_profile("wall");
  ASSERT_TRUE(store->change(assign));
  const auto under_way = store->routing();
  Request edit = set_profile("wall");
  edit.mutable_set_profile()->mutable_events(0)->set_event("onBeforeSend");
  ASSERT_TRUE(store->change(edit));
  EXPECT_EQ(under_way->routes("n", "onLeave", "").size(), 1U);
  EXPECT_EQ(store->routing()->routes("n", "onLeave", "").size(), 0U);
  EXPECT_EQ(store->routing()->routes("n", "onBeforeSend", "").size(), 1U);
}

TEST(ComplianceStore, ARefusedChangeWritesNothing) {
  const auto disk = make_disk();
  const auto store = open(*disk);
  const uint64_t operations = disk->operation_count();
  EXPECT_EQ(store->change(set_profile("a wall")).error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(disk->operation_count(), operations);
  EXPECT_EQ(store->routing()->state().revision(), 0U);
}

// After a failure of each operation in turn and a power cut that keeps any part of what was not
// synced, the old or the new state stands; where OK was said, the new one.
TEST(ComplianceStore, AfterAFailureAtAnyWriteAndAPowerCutTheOldOrTheNewStateStands) {
  const uint64_t seed = testing::test_seed();
  for (const bool is_sticky : {false, true}) {
    bool has_struck = true;
    for (uint64_t nth = 1; has_struck; ++nth) {
      const auto disk = make_disk();
      auto store = open(*disk);
      ASSERT_TRUE(store->change(set_profile("old")));
      disk->fail({.nth = nth, .error_number = EIO, .is_sticky = is_sticky});
      const bool is_done = store->change(set_profile("new")).has_value();
      has_struck = disk->has_failed();
      EXPECT_EQ(is_done, !has_struck) << nth;
      const std::string in_force = profiles_of(*store);
      EXPECT_EQ(in_force, is_done ? "SystemDefaultComplianceProfile old new "
                                  : "SystemDefaultComplianceProfile old ");
      const bool is_doubtful = !store->alarm_conditions().empty();
      EXPECT_EQ(is_doubtful, has_struck && is_sticky) << nth;
      store.reset();
      disk->clear_faults();
      disk->power_cut(seed + nth);
      store = open(*disk);
      ASSERT_NE(store, nullptr) << nth;
      if (is_doubtful) {
        EXPECT_TRUE(profiles_of(*store).starts_with("SystemDefaultComplianceProfile old ")) << nth;
      } else {
        EXPECT_EQ(profiles_of(*store), in_force) << nth;
      }
      // It goes on from there.
      ASSERT_TRUE(store->change(set_profile("next"))) << nth;
    }
  }
}

// The machine stops in the middle of a change, before any answer.
TEST(ComplianceStore, AfterAPowerCutInTheMiddleOfAChangeTheOldOrTheNewStateStands) {
  const uint64_t seed = testing::test_seed();
  int old_count = 0;
  int new_count = 0;
  bool has_struck = true;
  for (uint64_t nth = 1; has_struck; ++nth) {
    for (uint64_t turn = 0; turn < 20; ++turn) {
      const auto disk = make_disk();
      auto store = open(*disk);
      ASSERT_TRUE(store->change(set_profile("old")));
      // Sticky: nothing of what would come later reaches the disk.
      disk->fail({.nth = nth, .error_number = EIO, .is_sticky = true});
      ignore_error(store->change(set_profile("new")), "the machine stops");
      has_struck = disk->has_failed();
      store.reset();
      disk->clear_faults();
      disk->power_cut(seed + nth * 100 + turn);
      store = open(*disk);
      ASSERT_NE(store, nullptr) << nth;
      const std::string found = profiles_of(*store);
      if (found == "SystemDefaultComplianceProfile old ") ++old_count;
      if (found == "SystemDefaultComplianceProfile old new ") ++new_count;
      EXPECT_TRUE(found == "SystemDefaultComplianceProfile old " ||
                  found == "SystemDefaultComplianceProfile old new ")
          << nth << " " << found;
    }
  }
  EXPECT_GT(old_count, 0);
  EXPECT_GT(new_count, 0);
}

TEST(ComplianceStore, AfterAFailureTheNextChangeThatSucceedsEndsTheDoubt) {
  const auto disk = make_disk();
  const auto store = open(*disk);
  disk->fail({.nth = 1, .error_number = ENOSPC, .is_sticky = true});
  EXPECT_EQ(store->change(set_profile("wall")).error().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(store->alarm_conditions().size(), 1U);
  disk->clear_faults();
  ASSERT_TRUE(store->change(set_profile("wall")));
  EXPECT_TRUE(store->alarm_conditions().empty());
}

TEST(ComplianceStore, EachFlippedByteAndEachCutLengthIsRefusedAndTheFileStays) {
  const auto disk = make_disk();
  ASSERT_TRUE(open(*disk)->change(set_profile("wall")));
  const std::string whole = disk->contents(kPath);
  for (uint64_t at = 0; at < whole.size(); ++at) {
    disk->flip_byte(kPath, at, 0x01);
    const auto store = ComplianceStore::open(*disk, kPath);
    ASSERT_FALSE(store) << at;
    EXPECT_NE(store.error().message().find(kPath), std::string::npos);
    EXPECT_NE(disk->contents(kPath), whole);
    disk->flip_byte(kPath, at, 0x01);
  }
  EXPECT_TRUE(ComplianceStore::open(*disk, kPath));
  for (uint64_t size = whole.size(); size-- > 0;) {
    disk->truncate_file(kPath, size);
    EXPECT_EQ(ComplianceStore::open(*disk, kPath).error().code(), StatusCode::kDataLoss) << size;
  }
}

TEST(ComplianceStore, ANewerVersionIsRefusedInOneClearSentence) {
  const auto disk = make_disk();
  open(*disk).reset();
  disk->flip_byte(kPath, 8, kComplianceVersion ^ 2);
  const Status error = ComplianceStore::open(*disk, kPath).error();
  EXPECT_EQ(error.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(error.message().find(
                "it is of version 2, which is newer than this program: it reads version 1"),
            std::string::npos)
      << error.message();
}

TEST(ComplianceStore, AFileThatIsWholeAndBreaksARuleIsRefused) {
  const auto disk = make_disk();
  v1::ComplianceState state = initial_compliance(true);
  state.mutable_profiles(0)->mutable_events()->RemoveLast();
  ASSERT_TRUE(base::write_file_atomically(*disk, kPath, encode_compliance(state)).ok());
  EXPECT_EQ(ComplianceStore::open(*disk, kPath).error().code(), StatusCode::kDataLoss);
}

TEST(ComplianceStore, ChangesFromSeveralThreadsAreMadeOneByOne) {
  const auto disk = make_disk();
  const auto store = open(*disk);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&store, i] {
      for (int k = 0; k < 5; ++k) {
        EXPECT_TRUE(store->change(set_profile("p" + std::to_string(i) + "x" + std::to_string(k))));
        EXPECT_FALSE(store->routing()->state().profiles().empty());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store->routing()->state().profiles_size(), 21);
  EXPECT_EQ(store->routing()->state().revision(), 20U);
}

}  // namespace
}  // namespace verbatim::collector
