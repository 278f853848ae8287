#include "admin/queue/queue_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace verbatim::admin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(QueueText, AStateNamesEverythingThatIsUnusual) {
  v1::QueueInfo queue;
  EXPECT_EQ(state_cell(queue).text, "ok");
  queue.set_is_put_paused(true);
  EXPECT_EQ(state_cell(queue).text, "puts paused");
  queue.set_is_receive_paused(true);
  queue.set_is_held(true);
  EXPECT_EQ(state_cell(queue).text, "paused, held");
  queue.set_is_full(true);
  EXPECT_EQ(state_cell(queue).mood, Mood::kBad);
}

TEST(QueueText, SettingsThatAreNotSetAreShownWithTheirDefaults) {
  v1::QueueSettings settings;
  EXPECT_THAT(settings_text(settings), HasSubstr("Tries: 18 (5 retries, 2 cycles with 10 min 0 s"));
  EXPECT_THAT(settings_text(settings), HasSubstr("below 95 %"));
  EXPECT_THAT(settings_text(settings), HasSubstr("Journal: none"));
  settings.set_retries(0);
  settings.set_retry_cycles(0);
  settings.set_has_journal(true);
  settings.set_journal_quota_bytes(1024);
  EXPECT_THAT(settings_text(settings), HasSubstr("Tries: 1 (0 retries"));
  EXPECT_THAT(settings_text(settings), HasSubstr("Journal: yes, quota 1 KiB"));
}

TEST(QueueText, ReasonsAndHopsAreReadableAndSafeToPrint) {
  google::protobuf::Map<std::string, int64_t> counts;
  EXPECT_EQ(counts_by_reason(counts), "-");
  counts["END_REASON_QUEUE_DELETED"] = 1'234;
  EXPECT_EQ(counts_by_reason(counts), "queue deleted 1,234");
  counts.clear();
  counts["REFUSAL_REASON_FULL"] = 1;
  EXPECT_EQ(counts_by_reason(counts), "full 1");
  v1::MessageInfo message;
  EXPECT_EQ(hops_text(message), "-");
  v1::MessageHop& hop = *message.add_hops();
  hop.set_queue("events");
  hop.set_lookup_id(17);
  hop.set_reason(v1::END_REASON_ABANDONED);
  hop.set_detail("bad\x1b[31m");
  EXPECT_EQ(hops_text(message), "events/17 abandoned \"bad\\u001b[31m\"");
  hop.set_reason(v1::END_REASON_POISON);
  hop.set_delivery_count(18);
  hop.clear_detail();
  EXPECT_EQ(hops_text(message), "events/17 poison after 18 tries");
}

TEST(QueueText, TheLogIsShownWithThePartOfItThatLives) {
  v1::LogInfo log;
  EXPECT_THAT(log_text(log), HasSubstr("(0 % of those in use)"));
  log.set_segment_count(4);
  log.set_free_segment_count(3);
  log.set_segment_bytes(1024);
  log.set_live_bytes(1024);
  EXPECT_THAT(log_text(log),
              HasSubstr("4 segments in use and 3 spare of 1 KiB, 1 KiB live (25 % "));
}

TEST(QueueText, EachQueueIsAColumnAndEachCounterARow) {
  v1::ListQueuesResponse answer;
  answer.add_queues()->set_name("events");
  v1::QueueInfo& poison = *answer.add_queues();
  poison.set_name("events;poison");
  poison.set_depth(1'234);
  const std::string text = counters_table(answer).to_text(false);
  EXPECT_THAT(text, HasSubstr("events;poison"));
  EXPECT_THAT(text, HasSubstr("1,234"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace verbatim::admin
