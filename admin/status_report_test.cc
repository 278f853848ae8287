#include "admin/status_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/status_text.h"

namespace verbatim::admin {
namespace {

using testing::HasSubstr;
using testing::Not;

v1::StatusReport healthy_report() {
  v1::StatusReport report;
  for (const char* service : {"processor", "queue", "collector"}) {
    auto& state = *report.add_services();
    state.set_service(service);
    state.set_address("127.0.0.1:1");
    state.set_is_up(true);
  }
  auto& queue = *report.add_queues();
  queue.set_name("events");
  (*queue.mutable_accepted_by_source())["tap"] = 110;
  report.mutable_collector()->set_is_queue_connected(true);
  auto& accounting = *report.mutable_accounting();
  accounting.set_has_required_adapter(true);
  auto& cut = *accounting.add_queues();
  cut.set_queue("events");
  auto& source = *cut.add_sources();
  source.set_source("tap");
  source.set_accepted(100);
  source.set_archived(90);
  source.set_quarantined(0);
  source.set_staged(10);
  auto& account = *accounting.add_adapters();
  account.set_adapter("xml");
  account.set_required(true);
  auto& adapter = *report.add_adapters();
  adapter.set_name("xml");
  adapter.set_required(true);
  adapter.set_state("active");
  return report;
}

std::string text_of(const v1::StatusReport& report) {
  return status_text(report, false, std::chrono::nanoseconds(0));
}

TEST(StatusReport, WhatLiesAboveTheCutIsQueuedAndAllIsWell) {
  v1::StatusReport report = healthy_report();
  judge(report);
  ASSERT_EQ(report.balance_size(), 1);
  EXPECT_EQ(report.balance(0).queued(), 10);
  EXPECT_EQ(report.difference_total(), 0U);
  EXPECT_EQ(report.exit_code(), kExitOk) << report.ShortDebugString();
  EXPECT_THAT(text_of(report), HasSubstr("All accounted for: accepted 110, difference 0."));
}

TEST(StatusReport, ADifferenceIsNeverGood) {
  v1::StatusReport report = healthy_report();
  report.mutable_accounting()->mutable_queues(0)->mutable_sources(0)->set_difference(-2);
  judge(report);
  EXPECT_EQ(report.exit_code(), kExitAttention);
  EXPECT_EQ(report.difference_total(), 2U);
  EXPECT_THAT(text_of(report), HasSubstr("NOT ALL IS ACCOUNTED FOR"));
}

TEST(StatusReport, DifferencesOfOppositeSignDoNotCancelOut) {
  v1::StatusReport report = healthy_report();
  report.mutable_accounting()->mutable_queues(0)->mutable_sources(0)->set_difference(3);
  report.mutable_accounting()->mutable_adapters(0)->set_difference(-3);
  judge(report);
  EXPECT_EQ(report.difference_total(), 6U);
}

TEST(StatusReport, AQueueThatHasForgottenWhatStagingHoldsIsADifference) {
  v1::StatusReport report = healthy_report();
  (*report.mutable_queues(0)->mutable_accepted_by_source())["tap"] = 60;
  judge(report);
  EXPECT_EQ(report.balance(0).queued(), -40);
  EXPECT_EQ(report.difference_total(), 40U);
  EXPECT_EQ(report.exit_code(), kExitAttention);
}

TEST(StatusReport, ASourceThatStagingHasNotSeenYetIsQueuedInFull) {
  v1::StatusReport report = healthy_report();
  (*report.mutable_queues(0)->mutable_accepted_by_source())["new"] = 7;
  judge(report);
  ASSERT_EQ(report.balance_size(), 2);
  EXPECT_EQ(report.balance(0).source(), "new");
  EXPECT_EQ(report.balance(0).queued(), 7);
  EXPECT_EQ(report.exit_code(), kExitOk);
}

TEST(StatusReport, ADownServiceIsToldAndNothingIsMadeUpFromHalfThePicture) {
  v1::StatusReport report = healthy_report();
  report.mutable_services(1)->set_is_up(false);
  report.clear_queues();
  judge(report);
  EXPECT_EQ(report.exit_code(), kExitServiceDown);
  EXPECT_EQ(report.difference_total(), 0U);
  EXPECT_THAT(text_of(report), HasSubstr("DOWN"));
  EXPECT_THAT(text_of(report), Not(HasSubstr("All accounted for")));
}

TEST(StatusReport, WhatNeedsAPersonIsSaidAndMakesTheExitCodeOne) {
  const auto attention_of = [](auto change) {
    v1::StatusReport report = healthy_report();
    change(report);
    judge(report);
    EXPECT_EQ(report.exit_code(), kExitAttention);
    EXPECT_EQ(report.attention_size(), 1);
    return report.attention_size() == 1 ? report.attention(0) : std::string();
  };
  using Report = v1::StatusReport;
  EXPECT_THAT(attention_of([](Report& report) {
                report.mutable_accounting()->set_has_required_adapter(false);
              }),
              HasSubstr("no adapter is required"));
  EXPECT_THAT(
      attention_of([](Report& report) { report.mutable_accounting()->set_unrouted_count(3); }),
      HasSubstr("3 events are taken by no required adapter"));
  EXPECT_THAT(
      attention_of([](Report& report) { report.mutable_adapters(0)->set_state("detached"); }),
      HasSubstr("adapter xml: detached"));
  EXPECT_THAT(
      attention_of([](Report& report) { report.mutable_adapters(0)->set_quarantined_count(2); }),
      HasSubstr("2 events are quarantined"));
  EXPECT_THAT(attention_of([](Report& report) {
                report.mutable_collector()->set_is_queue_connected(false);
              }),
              HasSubstr("not connected to the queue"));
  EXPECT_THAT(attention_of([](Report& report) {
                report.mutable_services(1)->mutable_info()->add_notices("low disk");
              }),
              HasSubstr("queue: low disk"));
  EXPECT_THAT(attention_of([](Report& report) {
                auto& source = *report.mutable_collector()->add_sources();
                source.set_name("tap");
                source.set_protocol("xcp");
                source.set_state(v1::SourceInfo::LINK_STATE_GONE);
              }),
              HasSubstr("source tap: no chat node"));
  EXPECT_THAT(attention_of([](Report& report) {
                report.mutable_accounting()->add_recount_differences("staged: 3 rows, counter 4");
              }),
              HasSubstr("recount: staged"));
}

TEST(StatusReport, ARaisedAlarmNeedsAttention) {
  v1::StatusReport report = healthy_report();
  auto& alarm = *report.add_alarms();
  alarm.set_name("dead-letters");
  alarm.set_subject("events");
  alarm.set_text("3 messages");
  report.mutable_services(1)->mutable_info()->add_notices("events: 3 messages");
  judge(report);
  EXPECT_EQ(report.attention_size(), 1);
  EXPECT_EQ(report.exit_code(), kExitAttention);
  EXPECT_EQ(report.attention(0), "alarm dead-letters events: 3 messages");
}

TEST(StatusReport, TheQueuesOfTheServiceItselfHoldNoEvents) {
  v1::StatusReport report = healthy_report();
  auto& queue = *report.add_queues();
  queue.set_name("verbatim.probe");
  (*queue.mutable_accepted_by_source())["verbatim.probe"] = 5;
  judge(report);
  EXPECT_EQ(report.balance_size(), 1);
  EXPECT_EQ(report.exit_code(), kExitOk);
}

TEST(StatusReport, AnOptionalAdapterMayBeAway) {
  v1::StatusReport report = healthy_report();
  report.mutable_adapters(0)->set_required(false);
  report.mutable_adapters(0)->set_state("detached");
  judge(report);
  EXPECT_EQ(report.exit_code(), kExitOk);
}

TEST(StatusReport, NamesFromOutsideCannotSteerTheTerminal) {
  v1::StatusReport report = healthy_report();
  report.mutable_services(1)->mutable_info()->add_notices("bad \x1b[2J name");
  judge(report);
  EXPECT_EQ(text_of(report).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace verbatim::admin
