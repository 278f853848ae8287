#include <gtest/gtest.h>

#include "processor/staging/keys.h"
#include "processor/staging/staging.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::test_envelope;
using testing::TestQueue;

class StagingFilesTest : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}});
  }
  // An event of the room that names these files.
  void post(const std::vector<std::string>& digests, const std::string& room = "room@x") {
    v1::Envelope envelope = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, room);
    for (const std::string& digest : digests) envelope.add_file_sha256(digest);
    stage({queue_.make(envelope)});
  }
  void archive_all() {
    while (const auto batch = seal("xml")) ASSERT_TRUE(acknowledge("xml", *batch).ok());
  }
  std::set<std::string> unnamed() {
    const auto found = staging_->unnamed_files({a_, b_, c_});
    EXPECT_TRUE(found) << found.error().to_string();
    return found ? *found : std::set<std::string>();
  }
  uint64_t hold(const std::string& room) {
    v1::AddHoldRequest request;
    request.mutable_filter()->set_room(room);
    request.set_reason("case 1");
    return staging_->add_hold(request, {"peer", "user"})->number();
  }

  using Set = std::set<std::string>;
  TestQueue queue_;
  const std::string a_ = std::string(32, 'a');
  const std::string b_ = std::string(32, 'b');
  const std::string c_ = std::string(32, 'c');
};

TEST_F(StagingFilesTest, AFileIsNamedUntilTheLastEventThatNamesItIsDeleted) {
  post({a_, b_});
  post({a_});
  EXPECT_EQ(unnamed(), (Set{c_}));
  const auto first = seal("xml", 1);
  EXPECT_EQ(unnamed(), (Set{c_}));
  ASSERT_TRUE(acknowledge("xml", *first).ok());
  EXPECT_EQ(unnamed(), (Set{b_, c_}));
  archive_all();
  EXPECT_EQ(unnamed(), (Set{a_, b_, c_}));
}

TEST_F(StagingFilesTest, WhatADigestIsNotNamesNothing) {
  post({"short", std::string(33, 'a')});
  EXPECT_EQ(unnamed(), (Set{a_, b_, c_}));
}

TEST_F(StagingFilesTest, AnEventThatAHoldKeepsNamesItsFiles) {
  const uint64_t number = hold("held@x");
  post({a_}, "held@x");
  post({b_});
  archive_all();
  EXPECT_EQ(unnamed(), (Set{b_, c_}));
  open();
  EXPECT_EQ(unnamed(), (Set{b_, c_}));
  v1::ReleaseHoldRequest release;
  release.set_number(number);
  release.set_reason("closed");
  ASSERT_TRUE(staging_->release_hold(release, {"peer", "user"}));
  EXPECT_EQ(unnamed(), (Set{a_, b_, c_}));
}

TEST_F(StagingFilesTest, AnEventInQuarantineNamesItsFilesUntilItIsReleasedAndAcknowledged) {
  post({a_});
  post({b_});
  const auto batch = seal("xml");
  ASSERT_TRUE(staging_->replace("xml", batch->seal.batch, {{.sequence = 1, .reason = "no"}}, "no"));
  archive_all();
  EXPECT_EQ(unnamed(), (Set{b_, c_}));
  v1::ReleaseQuarantineRequest request;
  request.set_adapter("xml");
  request.set_all(true);
  request.set_reason("mended");
  ASSERT_TRUE(staging_->release(request, {"peer", "user"}));
  EXPECT_EQ(unnamed(), (Set{b_, c_}));
  archive_all();
  EXPECT_EQ(unnamed(), (Set{a_, b_, c_}));
}

TEST_F(StagingFilesTest, AnEventThatNoRequiredAdapterTakesNamesItsFiles) {
  v1::AdapterSettings settings;
  settings.set_name("xml");
  settings.set_required(true);
  settings.mutable_filter()->add_conversations("other@x");
  ASSERT_TRUE(staging_->reconcile({settings}));
  post({a_});
  post({b_}, "other@x");
  archive_all();
  EXPECT_EQ(unnamed(), (Set{b_, c_}));
}

TEST_F(StagingFilesTest, AStoreOfFormatOneHasItsNamesNoted) {
  hold("held@x");
  post({a_}, "held@x");
  archive_all();
  post({b_});
  staging_.reset();
  {
    auto store = RocksStore::open(dir_.file("staging"), nullptr);
    ASSERT_TRUE(store);
    WriteSet changes(**store);
    for (const auto& [digest, sequence] : {std::pair(a_, 1), std::pair(b_, 2)}) {
      changes.remove(Family::kFileNames, digest + number_key(static_cast<uint64_t>(sequence)));
    }
    changes.remove(Family::kConversationEvents, named_key("room@x", 2));
    changes.put(Family::kMeta, "format", std::string_view("\x01\0\0\0", 4));
    ASSERT_TRUE((*store)->write(changes, true).ok());
  }
  open();
  EXPECT_EQ(unnamed(), (Set{c_}));
  check_accounting();
}

}  // namespace
}  // namespace verbatim::processor
