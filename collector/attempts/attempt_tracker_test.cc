#include "collector/attempts/attempt_tracker.h"

#include <gtest/gtest.h>

#include "collector/attempts/confirmation.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

using std::chrono::milliseconds;

v1::Event room_event(const std::string& name, const std::string& message_id = "") {
  static int count = 0;
  v1::Event event;
  event.set_id("event-" + std::to_string(++count));
  event.mutable_source()->set_name("node");
  event.mutable_source()->set_raw_event(name);
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  event.mutable_conversation()->set_key("r@muc.x");
  event.mutable_actor()->set_normalised("a@x");
  event.mutable_references()->set_message_id(message_id);
  return event;
}

v1::Event about(v1::Event event, const std::string& whom) {
  event.add_others()->set_normalised(whom);
  return event;
}

class AttemptTrackerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(disk_.create_directories("/data").ok());
    options_.path = "/data/attempts";
    options_.profile = Profile::create("all").value();
    options_.wait = milliseconds(1'000);
    options_.clock = &clock_;
  }
  AttemptTracker& tracker() {
    if (!tracker_) tracker_ = AttemptTracker::open(disk_, options_).value();
    return *tracker_;
  }
  // As a kill leaves it: only what was saved is there.
  void restart() { tracker_.reset(); }

  void permit(const v1::Event& event) { tracker().note(event, v1::DECISION_PASS); }
  // Ids of the attempts that end now, all of them recorded.
  std::vector<std::string> unconfirmed(milliseconds after = milliseconds(1'000)) {
    clock_.advance(after);
    std::vector<std::string> ids;
    for (const auto& outcome : tracker().take_due()) {
      ids.push_back(outcome.attempt.about().id());
      details_.push_back(outcome.detail);
      tracker().finish(outcome.number, true);
    }
    return ids;
  }

  testing::FakeClock clock_;
  testing::FaultFileSystem disk_;
  AttemptTrackerOptions options_;
  std::unique_ptr<AttemptTracker> tracker_;
  std::vector<std::string> details_;
};

using Ids = std::vector<std::string>;

TEST_F(AttemptTrackerTest, AnAttemptThatIsConfirmedInTimeIsForgotten) {
  permit(room_event("onBeforeSend", "m1"));
  EXPECT_EQ(tracker().open_count(), 1);
  permit(room_event("onBeforeBroadcast", "m1"));
  EXPECT_EQ(tracker().open_count(), 0);
  EXPECT_EQ(unconfirmed(), Ids());
}

TEST_F(AttemptTrackerTest, AnAttemptWithoutConfirmationIsUnconfirmedOnceAfterTheTime_C100) {
  const v1::Event attempt = room_event("onBeforeSend", "m1");
  permit(attempt);
  EXPECT_EQ(unconfirmed(milliseconds(999)), Ids());
  EXPECT_EQ(unconfirmed(milliseconds(1)), Ids{attempt.id()});
  EXPECT_EQ(details_.at(0), "no onBeforeBroadcast within 1000 ms");
  EXPECT_EQ(unconfirmed(), Ids());
  EXPECT_EQ(tracker().unconfirmed_count(), 1);
}

TEST_F(AttemptTrackerTest, OnlyWhatWasPermittedIsAwaited) {
  for (const auto decision : {v1::DECISION_HANDLE, v1::DECISION_ERROR, v1::DECISION_UNSPECIFIED}) {
    tracker().note(room_event("onBeforeSend", "m1"), decision);
  }
  EXPECT_EQ(tracker().open_count(), 0);
  tracker().note(room_event("onBeforeSend", "m2"), v1::DECISION_PASS_CHANGED);
  EXPECT_EQ(tracker().open_count(), 1);
}

TEST_F(AttemptTrackerTest, AConfirmationThatIsRefusedSettlesItsAttempt) {
  permit(room_event("onBeforeSend", "m1"));
  tracker().note(room_event("onBeforeBroadcast", "m1"), v1::DECISION_HANDLE);
  EXPECT_EQ(unconfirmed(), Ids());
}

TEST_F(AttemptTrackerTest, WhereTheProfileHasNoConfirmingEventNothingIsAwaited) {
  options_.profile = Profile::create("system-default").value();
  for (const char* name :
       {"onBeforeSend", "onBeforeJoin", "onBeforeInvite", "onBeforeRoomCreate"}) {
    permit(room_event(name, "m1"));
  }
  EXPECT_EQ(tracker().open_count(), 0);
}

TEST_F(AttemptTrackerTest, EachAttemptHasItsOwnConfirmingEvent) {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"onBeforeSend", "onBeforeBroadcast"},
      {"onBeforeSubject", "onAfterSubject"},
      {"onBeforeRoomCreate", "onAfterRoomCreate"},
      {"onBeforeMetaInfoSet", "onAfterMetaInfoSet"},
      {"onBeforeChangeAffiliation", "onAfterChangeAffiliation"},
      {"onBeforeRemoveAffiliation", "onAfterRemoveAffiliation"},
      {"onBeforeJoin", "onAfterJoin"},
      {"onBeforeInvite", "onAfterInvite"}};
  for (const auto& [attempt, confirmation] : pairs) {
    permit(room_event(attempt, "m1"));
    for (const auto& [other, wrong] : pairs) {
      if (wrong != confirmation) permit(room_event(wrong, "m1"));
    }
    EXPECT_EQ(tracker().open_count(), 1) << attempt;
    permit(room_event(confirmation, "m1"));
    EXPECT_EQ(tracker().open_count(), 0) << attempt;
  }
}

TEST_F(AttemptTrackerTest, ASubjectIsShownUnderAnotherIdThanItWasSentWith) {
  permit(room_event("onBeforeSubject", "m1"));
  permit(room_event("onAfterSubject"));
  EXPECT_EQ(tracker().open_count(), 0);
}

TEST_F(AttemptTrackerTest, AnOutcomeIsNeitherAttemptNorConfirmation) {
  const auto outcome_of = [](v1::Event event) {
    event.mutable_verdict_outcome();
    return event;
  };
  EXPECT_FALSE(tracker().concerns(outcome_of(room_event("onBeforeSend", "m1"))));
  permit(outcome_of(room_event("onBeforeSend", "m1")));
  EXPECT_EQ(tracker().open_count(), 0);
  permit(room_event("onBeforeSend", "m1"));
  permit(outcome_of(room_event("onBeforeBroadcast", "m1")));
  EXPECT_EQ(tracker().open_count(), 1);
}

TEST_F(AttemptTrackerTest, ADirectMessageIsNotAwaitedAnywhere) {
  permit(room_event("es_OUT", "m1"));
  EXPECT_FALSE(tracker().concerns(room_event("es_OUT")));
  EXPECT_EQ(tracker().open_count(), 0);
}

TEST_F(AttemptTrackerTest, WhoLosesEveryRoleIsNotAwaitedAndAnotherRoleIs) {
  v1::Event kick = about(room_event("onBeforeChangeUser"), "b@x");
  kick.mutable_role_changed()->set_new_role("none");
  permit(kick);
  EXPECT_EQ(tracker().open_count(), 0);
  v1::Event voice = about(room_event("onBeforeChangeUser"), "b@x");
  voice.mutable_role_changed()->set_new_role("participant");
  permit(voice);
  EXPECT_EQ(tracker().open_count(), 1);
  permit(about(room_event("onAfterChangeUser"), "c@x"));
  EXPECT_EQ(tracker().open_count(), 1);
  permit(about(room_event("onAfterChangeUser"), "b@x"));
  EXPECT_EQ(tracker().open_count(), 0);
}

TEST_F(AttemptTrackerTest, AnotherMessageAnotherRoomAndAnotherPersonConfirmNothing) {
  const v1::Event attempt = room_event("onBeforeSend", "m1");
  permit(attempt);
  permit(room_event("onBeforeBroadcast", "m2"));
  v1::Event elsewhere = room_event("onBeforeBroadcast", "m1");
  elsewhere.mutable_conversation()->set_key("other@muc.x");
  permit(elsewhere);
  v1::Event somebody = room_event("onBeforeBroadcast", "m1");
  somebody.mutable_actor()->set_normalised("b@x");
  permit(somebody);
  v1::Event source = room_event("onBeforeBroadcast", "m1");
  source.mutable_source()->set_name("another");
  permit(source);
  EXPECT_EQ(unconfirmed(), Ids{attempt.id()});
}

TEST_F(AttemptTrackerTest, OfActsThatLookAlikeTheOldestIsConfirmedFirst) {
  const v1::Event first = room_event("onBeforeSend");
  const v1::Event second = room_event("onBeforeSend");
  permit(first);
  permit(second);
  permit(room_event("onBeforeBroadcast"));
  EXPECT_EQ(unconfirmed(), Ids{second.id()});
}

TEST_F(AttemptTrackerTest, ARestartGoesOnWaitingForTheWholeTimeAndSaysSo) {
  const v1::Event attempt = room_event("onBeforeSend", "m1");
  permit(attempt);
  permit(room_event("onBeforeSend", "m2"));
  ASSERT_TRUE(tracker().save().ok());
  restart();
  permit(room_event("onBeforeBroadcast", "m2"));  // the node has sent it again
  EXPECT_EQ(unconfirmed(milliseconds(999)), Ids());
  EXPECT_EQ(unconfirmed(milliseconds(1)), Ids{attempt.id()});
  EXPECT_NE(details_.at(0).find("of a restart"), std::string::npos);
}

TEST_F(AttemptTrackerTest, AnOutcomeThatIsWrittenTwiceHasOneSourceKey) {
  permit(room_event("onBeforeSend", "m1"));
  ASSERT_TRUE(tracker().save().ok());
  clock_.advance(options_.wait);
  const auto first = tracker().take_due();
  // Taken, and the process dies before the outcome is on the disk, or before that is noted.
  ASSERT_TRUE(tracker().save().ok());
  restart();
  tracker();
  clock_.advance(options_.wait);
  const auto second = tracker().take_due();
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(first[0].attempt.outcome_key().SerializeAsString(),
            second[0].attempt.outcome_key().SerializeAsString());
}

TEST_F(AttemptTrackerTest, AnOutcomeThatFoundNoRoomComesAgain) {
  permit(room_event("onBeforeSend", "m1"));
  clock_.advance(options_.wait);
  tracker().finish(tracker().take_due().at(0).number, false);
  EXPECT_EQ(tracker().unconfirmed_count(), 0);
  EXPECT_EQ(tracker().take_due().size(), 0u);
  EXPECT_EQ(unconfirmed(milliseconds(1'000)).size(), 1u);
}

TEST_F(AttemptTrackerTest, BeyondTheBoundTheOldestEndsAtOnceAsUnknown) {
  options_.open_max_count = 2;
  const v1::Event oldest = room_event("onBeforeSend", "m1");
  permit(oldest);
  permit(room_event("onBeforeSend", "m2"));
  permit(room_event("onBeforeSend", "m3"));
  const auto due = tracker().take_due();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].attempt.about().id(), oldest.id());
  EXPECT_EQ(due[0].outcome, v1::VerdictOutcome::OUTCOME_UNKNOWN);
  // As many again wait for the outbox; then nothing more is tracked.
  for (int i = 0; i < 10; ++i) permit(room_event("onBeforeSend", "n" + std::to_string(i)));
  EXPECT_LE(tracker().open_count(), 4);
}

TEST_F(AttemptTrackerTest, ADamagedFileRefusesTheStart) {
  permit(room_event("onBeforeSend", "m1"));
  ASSERT_TRUE(tracker().save().ok());
  restart();
  std::string bytes = disk_.read_file(options_.path).value();
  for (size_t place = 0; place < bytes.size(); ++place) {
    std::string damaged = bytes;
    damaged[place] = static_cast<char>(damaged[place] ^ 1);
    ASSERT_TRUE(base::write_file_atomically(disk_, options_.path, damaged).ok());
    EXPECT_EQ(AttemptTracker::open(disk_, options_).error().code(), StatusCode::kDataLoss) << place;
  }
}

}  // namespace
}  // namespace verbatim::collector
