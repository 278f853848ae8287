#include <gtest/gtest.h>

#include "processor/staging/keys.h"
#include "processor/staging/staging.h"
#include "processor/staging/stored_event.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::test_envelope;
using testing::TestQueue;

class StagingIntakeTest : public StagingFixture {
 protected:
  v1::SourceCut source(const v1::GetAccountingResponse& accounting) {
    return accounting.queues(0).sources(0);
  }
  static v1::SourceCut source_named(const v1::GetAccountingResponse& accounting,
                                    const std::string& name) {
    for (const auto& one : accounting.queues(0).sources()) {
      if (one.source() == name) return one;
    }
    return {};
  }
  // Closes the store, looks at its rows or changes them, and opens it again.
  void edit_rows(const std::function<void(RocksStore&)>& edit) {
    staging_.reset();
    {
      auto store = RocksStore::open(options_.path, nullptr);
      ASSERT_TRUE(store) << store.error().to_string();
      edit(**store);
    }
    open();
  }
  size_t exception_row_count() {
    size_t count = 0;
    edit_rows([&](RocksStore& store) {
      EXPECT_TRUE(store
                      .for_each(Family::kExceptions, "",
                                [&](auto, auto) {
                                  ++count;
                                  return true;
                                })
                      .ok());
    });
    return count;
  }
  TestQueue queue_;
};

TEST_F(StagingIntakeTest, WhatIsStagedIsThereAfterReopening) {
  EXPECT_EQ(stage(queue_.posts(5)).stored_count, 5U);
  const uint64_t epoch = staging_->epoch();
  open();
  EXPECT_EQ(staging_->epoch(), epoch + 1);
  EXPECT_EQ(staging_->last_sequence(), 5U);
  EXPECT_EQ(stored_count(), 5U);
  EXPECT_EQ(source(check_accounting()).staged(), 5U);
}

TEST_F(StagingIntakeTest, ARedeliveredMessageIsStoredOnce) {
  const auto messages = queue_.posts(5);
  stage(messages);
  EXPECT_EQ(stage(messages).known_count, 5U);
  open();
  EXPECT_EQ(stage(messages).known_count, 5U);
  EXPECT_EQ(stored_count(), 5U);
  EXPECT_EQ(source(check_accounting()).accepted(), 5U);
}

TEST_F(StagingIntakeTest, ARepeatByItsSourceKeyStoresNothingAndIsCounted) {
  auto messages = queue_.posts(2);
  messages[1].set_source_key(messages[0].source_key());
  const auto outcome = stage(messages);
  EXPECT_EQ(outcome.stored_count, 1U);
  EXPECT_EQ(outcome.repeat_count, 1U);
  auto later = queue_.posts(1);
  later[0].set_source_key(messages[0].source_key());
  open();
  EXPECT_EQ(stage(later).repeat_count, 1U);
  const auto cut = source(check_accounting());
  EXPECT_EQ(cut.accepted(), 3U);
  EXPECT_EQ(cut.repeats(), 2U);
  EXPECT_EQ(cut.staged(), 1U);
}

TEST_F(StagingIntakeTest, ASourceKeyIsForgottenAfterItsWindow) {
  auto messages = queue_.posts(1);
  stage(messages);
  clock_.advance(options_.source_key_window + std::chrono::seconds(1));
  auto later = queue_.posts(1);
  later[0].set_source_key("key-1");
  EXPECT_EQ(stage(later).stored_count, 1U);
  // It began anew: within the new window it is a repeat again.
  auto again = queue_.posts(1);
  again[0].set_source_key("key-1");
  EXPECT_EQ(stage(again).repeat_count, 1U);
  check_accounting();
}

TEST_F(StagingIntakeTest, AnEmptySourceKeyIsNeverARepeat) {
  auto messages = queue_.posts(2);
  for (auto& message : messages) message.clear_source_key();
  EXPECT_EQ(stage(messages).stored_count, 2U);
}

TEST_F(StagingIntakeTest, ExceptionsAboveThePrefixDoNotDisturbTheDifference) {
  const auto messages = queue_.posts(5);
  stage({messages[0], messages[3], messages[4]});
  auto accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).position(), 1U);
  EXPECT_EQ(accounting.queues(0).exception_count(), 2);
  EXPECT_EQ(source(accounting).accepted(), 3U);
  open();
  EXPECT_EQ(stage({messages[3]}).known_count, 1U);
  stage({messages[2]});
  EXPECT_EQ(check_accounting().queues(0).exception_count(), 3);
  stage({messages[1]});
  accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).position(), 5U);
  EXPECT_EQ(accounting.queues(0).exception_count(), 0);
  EXPECT_EQ(source(accounting).accepted(), 5U);
  EXPECT_EQ(source(accounting).staged(), 5U);
}

// One message of the queue was dead-lettered: nothing that comes later may cost memory or rows.
TEST_F(StagingIntakeTest, AHoleCostsOneRowHoweverManyMessagesComeAfterIt) {
  stage(queue_.posts(1));
  const auto hole = queue_.posts(1);
  const auto envelope = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "room@x");
  std::vector<v1::QueueMessage> some;
  for (int batch = 0; batch < 10; ++batch) {
    std::vector<v1::QueueMessage> messages;
    for (int i = 0; i < 1'000; ++i) {
      messages.push_back(queue_.make(envelope, "body", i % 3 == 0 ? "t" : "s"));
    }
    some.push_back(messages[static_cast<size_t>(batch) * 99]);
    stage(std::move(messages));
  }
  const auto before = check_accounting();
  EXPECT_EQ(before.queues(0).position(), 1U);
  EXPECT_EQ(before.queues(0).exception_count(), 10'000);
  EXPECT_EQ(stage(some).known_count, some.size());
  EXPECT_EQ(exception_row_count(), 1U);
  EXPECT_EQ(stage(some).known_count, some.size()) << "after reopening";
  EXPECT_EQ(check_accounting().queues(0).exception_count(), 10'000);
  EXPECT_EQ(stage(hole).stored_count, 1U) << "it comes after all";
  const auto after = check_accounting();
  EXPECT_EQ(after.queues(0).position(), 10'002U);
  EXPECT_EQ(after.queues(0).exception_count(), 0);
  EXPECT_EQ(source_named(after, "s").accepted(), 2U + 6'660U);
  EXPECT_EQ(source_named(after, "t").accepted(), 3'340U);
  EXPECT_EQ(exception_row_count(), 0U);
  EXPECT_EQ(stage(some).known_count, some.size());
}

TEST_F(StagingIntakeTest, SeveralHolesAndABatchOutOfOrder) {
  const auto m = queue_.posts(12);  // lookup ids 1 to 12
  stage({m[0], m[8], m[4], m[6], m[5]});
  EXPECT_EQ(exception_row_count(), 2U) << "5 to 7, and 9";
  stage({m[10], m[7], m[2], m[11]});
  EXPECT_EQ(exception_row_count(), 3U) << "3, 5 to 9, 11 to 12";
  EXPECT_EQ(check_accounting().queues(0).exception_count(), 8);
  stage({m[3], m[1]});
  auto accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).position(), 9U);
  EXPECT_EQ(accounting.queues(0).exception_count(), 2);
  EXPECT_EQ(exception_row_count(), 1U);
  EXPECT_EQ(stage({m[11], m[9]}).stored_count, 1U);
  accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).position(), 12U);
  EXPECT_EQ(source(accounting).accepted(), 12U);
  EXPECT_EQ(exception_row_count(), 0U);
}

// Where the prefix begins above 1, the first stamp of a source says what an earlier store took.
TEST_F(StagingIntakeTest, ASourceFirstMetAboveAHoleIsCountedFromItsFirstMessage) {
  const auto envelope = test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, "room@x");
  for (int i = 0; i < 5; ++i) queue_.make(envelope, "body", "t");
  const auto start = queue_.posts(1);
  const auto hole = queue_.posts(1);
  std::vector<v1::QueueMessage> above;
  for (int i = 0; i < 3; ++i) above.push_back(queue_.make(envelope, "body", "t"));
  stage(start);
  stage({above[1], above[2], above[0]});
  EXPECT_EQ(source_named(check_accounting(), "t").accepted(), 3U);
  stage(hole);
  const auto accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).position(), 10U);
  EXPECT_EQ(source_named(accounting, "t").accepted(), 3U);
}

TEST_F(StagingIntakeTest, RowsOfFormat4AreReadAndJoined) {
  const auto m = queue_.posts(9);
  stage({m[0], m[2], m[3], m[4], m[6], m[7]});
  edit_rows([&](RocksStore& store) {
    WriteSet changes(store);
    for (const size_t i : {2U, 3U, 4U, 6U, 7U}) {
      v1::PositionException row;
      row.set_source_ref(1);
      row.set_source_count(m[i].source_count());
      changes.put(Family::kExceptions, named_key(testing::kTestQueue, m[i].lookup_id()), row);
    }
    changes.put(Family::kMeta, "format", std::string_view("\x04\0\0\0", 4));
    ASSERT_TRUE(store.write(changes, true).ok());
  });
  EXPECT_EQ(check_accounting().queues(0).exception_count(), 5);
  EXPECT_EQ(exception_row_count(), 2U);
  EXPECT_EQ(stage({m[3], m[7]}).known_count, 2U);
  stage({m[1], m[5]});
  const auto accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).position(), 8U);
  EXPECT_EQ(source(accounting).accepted(), 8U);
  EXPECT_EQ(exception_row_count(), 0U);
}

TEST_F(StagingIntakeTest, ACountThatTheQueueHasAndStagingHasNotIsADifference) {
  auto messages = queue_.posts(2);
  messages[1].set_source_count(3);  // the queue says that it accepted one more
  stage(messages);
  const auto accounting = staging_->accounting(false);
  ASSERT_TRUE(accounting);
  EXPECT_EQ(source(*accounting).difference(), 1);
}

TEST_F(StagingIntakeTest, AStoreThatMeetsAnOldQueueBeginsThere) {
  queue_.posts(10);
  const auto messages = queue_.posts(2);
  stage(messages);
  const auto accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).position(), 12U);
  EXPECT_EQ(source(accounting).accepted(), 2U);
  EXPECT_EQ(staging_->notices().size(), 2U);  // and no required adapter
}

TEST_F(StagingIntakeTest, WhatLiesBelowTheStartIsStoredAllTheSame) {
  const auto old = queue_.posts(10);
  stage(queue_.posts(2));
  EXPECT_EQ(stage({old[4]}).stored_count, 1U);
  open();
  EXPECT_EQ(stage({old[4]}).known_count, 1U);
  EXPECT_EQ(source(check_accounting()).accepted(), 3U);
  // Also just below the start: no part of the prefix.
  stage({old[9], old[5]});
  EXPECT_EQ(exception_row_count(), 2U);
  EXPECT_EQ(stage({old[9], old[5]}).known_count, 2U);
  const auto accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).exception_count(), 3);
  EXPECT_EQ(source(accounting).accepted(), 5U);
}

TEST_F(StagingIntakeTest, AQueueWhoseNumberingBeginsAnewLosesNothing) {
  const auto messages = queue_.posts(5);
  stage({messages[0], messages[1], messages[2], messages[4]});
  EXPECT_EQ(stage({messages[2]}).known_count, 1U);  // an ordinary redelivery
  open();
  TestQueue emptied;
  auto fresh = emptied.posts(4);
  for (auto& message : fresh) {
    // However long they have waited in the queue.
    message.set_put_unix_ns(clock_.unix_now_ns() -
                            100 * std::chrono::nanoseconds(options_.source_key_window).count());
    message.set_source_key("new-" + message.source_key());
  }
  fresh[1].clear_source_key();
  EXPECT_EQ(stage({fresh[0], fresh[1], fresh[2]}, "folder 2").stored_count, 3U);
  EXPECT_EQ(stage({fresh[0], fresh[1], fresh[2]}, "folder 2").known_count, 3U);
  open();
  EXPECT_EQ(stage(fresh, "folder 2").known_count, 3U);
  const auto accounting = check_accounting();
  EXPECT_EQ(accounting.queues(0).position(), 4U);
  EXPECT_EQ(accounting.queues(0).exception_count(), 0);
  EXPECT_EQ(source(accounting).accepted(), 8U);
  EXPECT_EQ(source(accounting).staged(), 8U);
}

TEST_F(StagingIntakeTest, UnderTheSameLogIdATakenNumberIsARepeatWhateverItLooksLike) {
  const auto messages = queue_.posts(3);
  stage(messages, "");  // as an older queue service: its numbering is adopted when it is told
  auto again = messages;
  for (auto& message : again) {
    message.set_put_unix_ns(clock_.unix_now_ns());
    message.set_source_key("new-" + message.source_key());
  }
  EXPECT_EQ(stage(again).known_count, 3U);
  open();
  EXPECT_EQ(stage(again).known_count, 3U);
  EXPECT_EQ(stored_count(), 3U);
  EXPECT_EQ(source(check_accounting()).accepted(), 3U);
}

TEST_F(StagingIntakeTest, ARedeliveredRepeatIsNoSignOfANewNumbering) {
  auto messages = queue_.posts(1);
  messages[0].set_put_unix_ns(clock_.unix_now_ns());
  stage(messages);
  clock_.advance(options_.source_key_window - std::chrono::seconds(1));
  auto repeat = queue_.posts(1);
  repeat[0].set_put_unix_ns(clock_.unix_now_ns());
  repeat[0].set_source_key(messages[0].source_key());
  EXPECT_EQ(stage(repeat).repeat_count, 1U);
  clock_.advance(std::chrono::seconds(2));  // the first one's window is over
  stage(queue_.posts(1));
  EXPECT_EQ(stage(repeat).known_count, 1U);
  check_accounting();
}

TEST_F(StagingIntakeTest, AnUnreadableEnvelopeIsStoredRawAndNotDropped) {
  auto messages = queue_.posts(3);
  messages[0].set_envelope("\xFF\xFFgarbage");
  messages[1].clear_envelope();
  messages[2].set_body("\xFFnot an event either");
  const std::string raw = messages[0].SerializeAsString();
  configure({{"xml", true}});
  const auto outcome = stage(messages);
  EXPECT_EQ(outcome.stored_count, 3U);
  EXPECT_EQ(outcome.undecodable_count, 2U);
  const auto batch = seal("xml");
  ASSERT_EQ(batch->events.size(), 3U);
  v1::StoredEvent stored;
  v1::Event event;
  ASSERT_TRUE(stored.ParseFromString(batch->events[0]));
  ASSERT_TRUE(event.ParseFromString(stored.event()));
  EXPECT_EQ(event.other().name(), "undecodable");
  EXPECT_EQ(event.raw(), raw);
  ASSERT_TRUE(stored.ParseFromString(batch->events[2]));
  EXPECT_EQ(stored.event(), "\xFFnot an event either");
  check_accounting();
}

TEST_F(StagingIntakeTest, TwoQueuesShareOneSequence) {
  TestQueue other;
  auto first = queue_.posts(2);
  auto second = other.posts(2);
  for (auto& message : second) message.set_source_key("other-" + message.source_key());
  ASSERT_TRUE(staging_->stage("events", first));
  ASSERT_TRUE(staging_->stage("other", second));
  EXPECT_EQ(staging_->last_sequence(), 4U);
  EXPECT_EQ(check_accounting().queues_size(), 2);
}

TEST_F(StagingIntakeTest, TheBytesOfTheCollectorAreKeptAsTheyCame) {
  auto message = queue_.post("room@x", std::string("\0\xFF bytes", 8));
  const std::string envelope = message.envelope();
  configure({{"xml", true}});
  stage({message});
  v1::StoredEvent stored;
  ASSERT_TRUE(stored.ParseFromString(seal("xml")->events[0]));
  EXPECT_EQ(stored.envelope(), envelope);
  EXPECT_EQ(stored.event(), std::string("\0\xFF bytes", 8));
  EXPECT_EQ(stored.lookup_id(), 1U);
  EXPECT_EQ(stored.queue(), testing::kTestQueue);
}

}  // namespace
}  // namespace verbatim::processor
