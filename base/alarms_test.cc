#include "base/alarms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <thread>

#include "base/alarm_command.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/temp_dir.h"

namespace verbatim::base {
namespace {

using std::chrono::milliseconds;
using testing::FakeClock;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AlarmsTest : public ::testing::Test {
 protected:
  AlarmsTest() { open(); }

  void open() {
    auto registry = AlarmRegistry::open(disk_, clock_, "/alarms");
    ASSERT_TRUE(registry.has_value()) << registry.error().to_string();
    registry_ = *std::move(registry);
  }
  std::vector<v1::Alarm> update(const std::vector<AlarmCondition>& conditions) {
    clock_.advance(milliseconds(1'000));
    return registry_->update(conditions);
  }

  const AlarmCondition full_{"queue-full", "events", "10 of 10 messages"};
  FaultFileSystem disk_;
  FakeClock clock_;
  std::unique_ptr<AlarmRegistry> registry_;
};

TEST_F(AlarmsTest, AConditionIsRaisedOnceAndClearsByItself) {
  ASSERT_THAT(update({full_}), SizeIs(1));
  EXPECT_THAT(update({full_}), IsEmpty());
  EXPECT_THAT(registry_->list(false), SizeIs(1));
  EXPECT_THAT(update({}), IsEmpty());
  EXPECT_THAT(update({}), IsEmpty());
  const auto changed = update({});
  ASSERT_THAT(changed, SizeIs(1));
  EXPECT_FALSE(changed[0].is_raised());
  EXPECT_THAT(registry_->list(false), IsEmpty());
  EXPECT_THAT(registry_->list(true), SizeIs(1));
}

TEST_F(AlarmsTest, AConditionThatComesAndGoesStaysOneAlarm) {
  EXPECT_THAT(update({full_}), SizeIs(1));
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(update({}), IsEmpty());
    EXPECT_THAT(update({full_}), IsEmpty());
  }
  EXPECT_EQ(registry_->list(false)[0].raised_count(), 1);
}

TEST_F(AlarmsTest, TheTextFollowsTheConditionAndTheTimeDoesNot) {
  update({full_});
  const int64_t since = registry_->list(false)[0].since_unix_ns();
  update({{"queue-full", "events", "11 of 10 messages"}});
  EXPECT_EQ(registry_->list(false)[0].text(), "11 of 10 messages");
  EXPECT_EQ(registry_->list(false)[0].since_unix_ns(), since);
}

TEST_F(AlarmsTest, AlarmsOutliveARestartAndAreNotRaisedAgain) {
  update({full_});
  disk_.power_cut_dropping_all();
  open();
  EXPECT_THAT(update({full_}), IsEmpty());
  ASSERT_THAT(registry_->list(false), SizeIs(1));
  EXPECT_EQ(registry_->list(false)[0].raised_count(), 1);
  // What ended while the service was down is cleared, and told.
  open();
  update({});
  update({});
  EXPECT_THAT(update({}), SizeIs(1));
}

TEST_F(AlarmsTest, AnAlarmOfADiskThatFailsIsRaisedAndSavedLater) {
  disk_.fail({.nth = 1, .error_number = 28, .is_sticky = true, .kinds = {}});
  EXPECT_THAT(update({full_}), SizeIs(1));
  disk_.clear_faults();
  update({full_});
  disk_.power_cut_dropping_all();
  open();
  EXPECT_THAT(registry_->list(false), SizeIs(1));
}

TEST_F(AlarmsTest, ADamagedFileIsPutAside) {
  update({full_});
  disk_.flip_byte("/alarms", 14);
  open();
  EXPECT_THAT(registry_->list(true), IsEmpty());
  EXPECT_TRUE(disk_.exists("/alarms.damaged"));
}

TEST_F(AlarmsTest, RememberedAlarmsAreBounded) {
  auto registry = AlarmRegistry::open(disk_, clock_, "/few",
                                      {.clear_after = milliseconds(0), .cleared_max_count = 3});
  ASSERT_TRUE(registry.has_value());
  for (int i = 0; i < 10; ++i) {
    clock_.advance(milliseconds(1'000));
    (*registry)->update({{"queue-full", std::to_string(i), "full"}});
  }
  EXPECT_THAT((*registry)->list(true), SizeIs(4));
  EXPECT_EQ((*registry)->list(true)[0].subject(), "9");
}

// The operator's program: a script that does what `body` says.
class AlarmCommandTest : public ::testing::Test {
 protected:
  std::string script(const std::string& body) {
    const std::string path = directory_.path() + "/command";
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    EXPECT_EQ(::chmod(path.c_str(), 0700), 0);
    return path;
  }
  static void wait_for_end(const AlarmCommand& command) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (command.run_count() + command.failure_count() == 0) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      std::this_thread::yield();
    }
  }
  static v1::Alarm alarm() {
    v1::Alarm alarm;
    alarm.set_name("queue-full");
    alarm.set_subject("events");
    alarm.set_is_raised(true);
    return alarm;
  }

  testing::TempDir directory_;
};

TEST_F(AlarmCommandTest, TheProgramGetsTheAlarmAsJson) {
  AlarmCommand command({.program = script("cat > \"$0.told\"; echo thanks")});
  command.tell(alarm());
  wait_for_end(command);
  EXPECT_EQ(command.failure_count(), 0);
  std::string told;
  std::getline(std::ifstream(directory_.path() + "/command.told"), told);
  EXPECT_THAT(told, HasSubstr(R"("name":"queue-full","subject":"events","is_raised":true)"));
}

TEST_F(AlarmCommandTest, AProgramThatFailsOrIsNotThereIsCounted) {
  AlarmCommand fails({.program = script("exit 3")});
  fails.tell(alarm());
  wait_for_end(fails);
  EXPECT_EQ(fails.failure_count(), 1);
  EXPECT_THAT(fails.last_error(), HasSubstr("/command"));
  AlarmCommand missing({.program = directory_.path() + "/nothing"});
  missing.tell(alarm());
  wait_for_end(missing);
  EXPECT_EQ(missing.failure_count(), 1);
}

TEST_F(AlarmCommandTest, AProgramThatDoesNotEndIsKilledWithItsChildren) {
  AlarmCommand command(
      {.program = script("sleep 1000 & sleep 1000"), .time_max = milliseconds(300)});
  command.tell(alarm());
  wait_for_end(command);
  EXPECT_EQ(command.failure_count(), 1);
}

TEST_F(AlarmCommandTest, StoppingDoesNotWaitForTheProgram) {
  AlarmCommand command({.program = script("sleep 1000")});
  command.tell(alarm());
  const auto begin = std::chrono::steady_clock::now();
  command.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST_F(AlarmCommandTest, WhatDoesNotFitIsDroppedAndCounted) {
  AlarmCommand command({.program = script("sleep 1000"), .waiting_max_count = 2});
  for (int i = 0; i < 5; ++i) command.tell(alarm());
  EXPECT_GE(command.failure_count(), 2);
}

}  // namespace
}  // namespace verbatim::base
