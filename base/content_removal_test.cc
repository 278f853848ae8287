#include "base/content_removal.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/content_store.h"
#include "base/hex.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/test_seed.h"

namespace verbatim::base {
namespace {

using Outcome = ContentRemoval::Outcome;
using verbatim::testing::FaultFileSystem;

const std::string kDirectory = "/files";
const auto kSettled = [] { return true; };

std::unique_ptr<ContentStore> open(FaultFileSystem& disk) {
  return ContentStore::open(disk, {.directory = kDirectory, .is_writer = true}).value();
}

Status upload(ContentStore& store, const std::string& bytes) {
  auto upload = store.begin_upload(sha256(bytes), static_cast<int64_t>(bytes.size()));
  if (!upload) return upload.error();
  if (*upload == nullptr) return {};
  RETURN_IF_ERROR((*upload)->append(std::string_view(bytes).substr((*upload)->stored_bytes())));
  return (*upload)->finish();
}

class ContentRemovalTest : public ::testing::Test {
 protected:
  ContentRemovalTest() : store_(open(disk_)), removal_(disk_, kDirectory) {
    EXPECT_TRUE(upload(*store_, "x").ok());
  }
  void release() {
    ASSERT_EQ(store_->release_claims(std::chrono::nanoseconds(0), kSettled).value(), 1u);
  }
  // What another process would see of the disk.
  bool is_stored() const {
    const std::string name = to_hex(digest_);
    return const_cast<FaultFileSystem&>(disk_).exists(kDirectory + "/files/" + name.substr(0, 2) +
                                                      "/" + name);
  }

  FaultFileSystem disk_;
  std::unique_ptr<ContentStore> store_;
  ContentRemoval removal_;
  const std::string digest_ = sha256("x");
};

TEST_F(ContentRemovalTest, WhatIsClaimedStays) {
  EXPECT_TRUE(removal_.list()->claimed.contains(digest_));
  EXPECT_EQ(removal_.remove(digest_)->outcome, Outcome::kStays);
  EXPECT_TRUE(is_stored());
  EXPECT_TRUE(store_->has(digest_));
}

TEST_F(ContentRemovalTest, WhatIsReleasedStaysUntilTheReleaseIsTaken) {
  release();
  EXPECT_FALSE(store_->has(digest_));
  EXPECT_TRUE(removal_.list()->released.contains(digest_));
  EXPECT_EQ(removal_.remove(digest_)->outcome, Outcome::kStays);
  ASSERT_TRUE(removal_.take_release(digest_).ok());
  const auto removed = removal_.remove(digest_);
  EXPECT_EQ(removed->outcome, Outcome::kRemoved);
  EXPECT_EQ(removed->bytes, 1u);
  EXPECT_FALSE(is_stored());
  EXPECT_EQ(removal_.remove(digest_).error().code(), StatusCode::kNotFound);
}

TEST_F(ContentRemovalTest, AClaimThatCameAndWentIsSeen) {
  release();
  ASSERT_TRUE(removal_.take_release(digest_).ok());
  ASSERT_TRUE(upload(*store_, "x").ok());
  EXPECT_TRUE(store_->has(digest_));
  release();
  EXPECT_EQ(removal_.remove(digest_)->outcome, Outcome::kStays);
}

TEST_F(ContentRemovalTest, ClaimsInUseAreNotReleased) {
  auto use = store_->use({digest_, sha256("another")});
  const auto second = use;
  use.reset();
  EXPECT_EQ(store_->release_claims(std::chrono::nanoseconds(0), kSettled).value(), 0u);
  EXPECT_EQ(store_->release_claims(std::chrono::hours(1), kSettled).value(), 0u);
  EXPECT_TRUE(store_->has(digest_));
}

TEST_F(ContentRemovalTest, ClaimsStandWhileEventsAreOnTheirWay) {
  EXPECT_EQ(store_
                ->release_claims(std::chrono::nanoseconds(0),
                                 [&] {
                                   // Nothing can take it up any more, but what named it before may
                                   // be anywhere.
                                   EXPECT_FALSE(store_->has(digest_));
                                   EXPECT_EQ(store_->begin_upload(digest_, 1).error().code(),
                                             StatusCode::kAborted);
                                   return false;
                                 })
                .value(),
            0u);
  EXPECT_TRUE(store_->has(digest_));
  EXPECT_EQ(store_->begin_upload(digest_, 1).value(), nullptr);
}

TEST_F(ContentRemovalTest, ClaimsSurviveARestartAndAPowerCut) {
  store_.reset();
  disk_.power_cut_dropping_all();
  store_ = open(disk_);
  EXPECT_TRUE(store_->has(digest_));
  EXPECT_EQ(removal_.remove(digest_)->outcome, Outcome::kStays);
}

TEST_F(ContentRemovalTest, WhatAKilledProcessorHadOutOfItsPlaceIsReadAndComesBack) {
  const std::string name = to_hex(digest_);
  const std::string place = kDirectory + "/files/" + name.substr(0, 2) + "/" + name;
  ASSERT_TRUE(disk_.rename(place, kDirectory + "/condemned/" + name).ok());
  // The writer knows by its claim, the reader looks there, too.
  EXPECT_TRUE(store_->has(digest_));
  EXPECT_EQ(store_->size(digest_).value(), 1u);
  EXPECT_TRUE(store_->open_file(digest_));
  ASSERT_TRUE(removal_.restore().ok());
  EXPECT_TRUE(is_stored());
  // A collector that starts meanwhile takes it back itself.
  ASSERT_TRUE(disk_.rename(place, kDirectory + "/condemned/" + name).ok());
  store_.reset();
  store_ = open(disk_);
  EXPECT_TRUE(store_->has(digest_));
  EXPECT_TRUE(is_stored());
  EXPECT_TRUE(removal_.restore().ok());
}

TEST_F(ContentRemovalTest, AnUnfinishedUploadHasAClaimAndIsNotThere) {
  ASSERT_TRUE(store_->begin_upload(sha256("long"), 4).value()->append("lo").ok());
  store_.reset();
  store_ = open(disk_);
  EXPECT_FALSE(store_->has(sha256("long")));
  EXPECT_TRUE(removal_.list()->claimed.contains(sha256("long")));
}

// Whatever operation fails and whatever a power cut drops: claimed content is there afterwards, and
// what was removed had been released.
TEST_F(ContentRemovalTest, NoFaultRemovesWhatIsClaimed) {
  const uint64_t seed = verbatim::testing::test_seed();
  for (const bool is_claimed : {true, false}) {
    bool was_hit = true;
    uint64_t nth = 1;
    for (; was_hit; ++nth) {
      FaultFileSystem disk;
      auto store = open(disk);
      ContentRemoval removal(disk, kDirectory);
      ASSERT_TRUE(upload(*store, "x").ok());
      ASSERT_TRUE(store->release_claims(std::chrono::nanoseconds(0), kSettled).has_value());
      ASSERT_TRUE(removal.take_release(digest_).ok());
      if (is_claimed) {
        ASSERT_TRUE(upload(*store, "x").ok());
      }
      disk.fail({.nth = nth});
      const auto removed = removal.remove(digest_);
      was_hit = disk.has_failed();
      ASSERT_TRUE(removed || was_hit);
      if (is_claimed && removed) {
        ASSERT_EQ(removed->outcome, Outcome::kStays) << nth;
      }
      disk.clear_faults();
      store.reset();
      disk.power_cut(seed + nth);
      ASSERT_TRUE(removal.restore().ok());
      store = open(disk);
      // A power cut may bring back a claim that had been released.
      if (is_claimed) {
        ASSERT_TRUE(store->has(digest_)) << nth;
      }
      if (store->has(digest_)) {
        ASSERT_TRUE(store->open_file(digest_)) << nth;
      }
      ASSERT_TRUE(upload(*store, "x").ok());
      ASSERT_TRUE(store->open_file(digest_)) << nth;
    }
    EXPECT_GT(nth, 3u);
  }
}

// Claims, releases and events under failing operations: what has() says is there.
TEST_F(ContentRemovalTest, NoFaultLeavesAClaimWithoutItsContent) {
  const uint64_t seed = verbatim::testing::test_seed();
  bool was_hit = true;
  uint64_t nth = 1;
  for (; was_hit; ++nth) {
    FaultFileSystem disk;
    { const auto store = open(disk); }
    disk.fail({.nth = nth});
    auto store = ContentStore::open(disk, {.directory = kDirectory, .is_writer = true});
    bool has = false;
    if (store && upload(**store, "x").ok()) {
      const auto released = (*store)->release_claims(std::chrono::nanoseconds(0), kSettled);
      if (released && *released == 1) {
        ignore_error(upload(**store, "x"), "the fault may have hit it");
      }
      has = (*store)->has(digest_);
    }
    was_hit = disk.has_failed();
    if (store) store->reset();
    disk.clear_faults();
    disk.power_cut(seed + nth);
    const auto again = open(disk);
    ASSERT_TRUE(!has || again->has(digest_)) << nth;
    if (again->has(digest_)) {
      ASSERT_TRUE(again->open_file(digest_)) << nth;
    }
  }
  EXPECT_GT(nth, 12u);
}

}  // namespace
}  // namespace verbatim::base
