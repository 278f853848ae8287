#include "adapters/contentfilter/disclaimer_log.h"

#include <gtest/gtest.h>

#include "tests/support/fault_file_system.h"

namespace verbatim::content {
namespace {

using ::verbatim::testing::FaultFileSystem;

constexpr const char* kToday = "2026-03-31";
constexpr const char* kPath = "/data/disclaimers-2026-03-31.log";

TEST(DisclaimerLogTest, ItIsShownOnceADayInAConversation) {
  FaultFileSystem disk;
  DisclaimerLog log(disk, "/data");
  EXPECT_TRUE(log.show("legal", "a b", "e1", kToday));
  EXPECT_FALSE(log.show("legal", "a b", "e2", kToday));
  EXPECT_TRUE(log.show("legal", "a c", "e3", kToday));
  EXPECT_TRUE(log.show("other", "a b", "e4", kToday));
  EXPECT_TRUE(log.show("legal", "a b", "e5", "2026-04-01"));
}

// A policy may be asked twice for one event and must answer alike.
TEST(DisclaimerLogTest, TheEventForWhichItWasShownIsToldSoAgain) {
  FaultFileSystem disk;
  DisclaimerLog log(disk, "/data");
  EXPECT_TRUE(log.show("legal", "a b", "e1", kToday));
  EXPECT_TRUE(log.show("legal", "a b", "e1", kToday));
  EXPECT_FALSE(log.show("legal", "a b", "", kToday));
}

TEST(DisclaimerLogTest, ARestartAfterAPowerCutKnowsWhatWasShown) {
  FaultFileSystem disk;
  EXPECT_TRUE(DisclaimerLog(disk, "/data").show("legal", "a b", "e1", kToday));
  disk.power_cut_dropping_all();
  DisclaimerLog log(disk, "/data");
  EXPECT_FALSE(log.show("legal", "a b", "e2", kToday));
  EXPECT_TRUE(log.show("legal", "a b", "e1", kToday));
}

TEST(DisclaimerLogTest, WhatACrashHasLeftOfALineIsCutOff) {
  FaultFileSystem disk;
  {
    DisclaimerLog log(disk, "/data");
    EXPECT_TRUE(log.show("legal", "a b", "e1", kToday));
    EXPECT_TRUE(log.show("legal", "a c", "e2", kToday));
  }
  const std::string whole = *disk.read_file(kPath);
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_TRUE(base::write_file_atomically(disk, kPath, whole.substr(0, size)).ok());
    DisclaimerLog log(disk, "/data");
    EXPECT_TRUE(log.show("legal", "a c", "e2", kToday)) << size;
    DisclaimerLog again(disk, "/data");
    EXPECT_FALSE(again.show("legal", "a c", "e9", kToday)) << size;
  }
}

TEST(DisclaimerLogTest, WhereTheDiskRefusesItIsShownAgain) {
  FaultFileSystem disk;
  DisclaimerLog log(disk, "/data");
  EXPECT_TRUE(log.show("legal", "a b", "e1", kToday));
  disk.fail({.nth = 1, .is_sticky = true});
  EXPECT_TRUE(log.show("legal", "a c", "e2", kToday));
  EXPECT_TRUE(log.show("legal", "a c", "e3", kToday));
  EXPECT_FALSE(log.show("legal", "a b", "e4", kToday));
  disk.clear_faults();
}

TEST(DisclaimerLogTest, NoAddressIsWrittenAndOldDaysGo) {
  FaultFileSystem disk;
  DisclaimerLog log(disk, "/data");
  EXPECT_TRUE(log.show("legal", "ann@x bob@y", "e1", "2026-03-29"));
  EXPECT_TRUE(log.show("legal", "ann@x bob@y", "e2", "2026-03-30"));
  EXPECT_TRUE(log.show("legal", "ann@x bob@y", "e3", kToday));
  EXPECT_EQ(*disk.list_directory("/data"),
            (std::vector<std::string>{"disclaimers-2026-03-30.log", "disclaimers-2026-03-31.log"}));
  EXPECT_EQ(disk.read_file(kPath)->find("ann"), std::string::npos);
}

}  // namespace
}  // namespace verbatim::content
