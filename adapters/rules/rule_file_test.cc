#include "adapters/rules/rule_file.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/sha256.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::rules {
namespace {

using ::verbatim::testing::FaultFileSystem;

class RuleFileTest : public ::testing::Test {
 protected:
  RuleFileTest() { EXPECT_TRUE(disk_.create_directories("/etc").ok()); }

  void write(const std::string& text) {
    ASSERT_TRUE(base::write_file_atomically(disk_, "/etc/rules.toml", text).ok());
  }
  // As a program that writes in place does it, in two steps.
  void append(const std::string& text) {
    auto file = disk_.open("/etc/rules.toml", base::OpenMode::kReadWrite);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->append(text).ok());
  }

  FaultFileSystem disk_;
  std::vector<std::string> taken_;
  std::string digest_;
  RuleFile file_{disk_, "/etc/rules.toml",
                 [this](const std::string& text, const std::string& sha256) {
                   if (text.find("bad") != std::string::npos) return invalid_argument("bad");
                   taken_.push_back(text);
                   digest_ = sha256;
                   return Status();
                 }};
};

TEST_F(RuleFileTest, ItIsReadOnceAndThenWhenItChanges) {
  write("one");
  ASSERT_TRUE(file_.load().ok());
  EXPECT_EQ(digest_, base::sha256("one"));
  for (int i = 0; i < 3; ++i) file_.check(false);
  EXPECT_EQ(taken_, (std::vector<std::string>{"one"}));
  write("two");
  for (int i = 0; i < 3; ++i) file_.check(false);
  EXPECT_EQ(taken_, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(digest_, base::sha256("two"));
}

TEST_F(RuleFileTest, AFileThatIsJustBeingWrittenIsNotRead) {
  write("one");
  ASSERT_TRUE(file_.load().ok());
  file_.check(false);
  append(" half");
  file_.check(false);
  append(" whole");
  file_.check(false);
  EXPECT_EQ(taken_.size(), 1U);
  file_.check(false);
  EXPECT_EQ(taken_.back(), "one half whole");
}

TEST_F(RuleFileTest, AskedForItIsReadAtOnce) {
  write("one");
  ASSERT_TRUE(file_.load().ok());
  write("two");
  file_.check(true);
  EXPECT_EQ(taken_.back(), "two");
}

TEST_F(RuleFileTest, AFileThatCannotBeUsedLeavesTheRulesInForce) {
  write("one");
  ASSERT_TRUE(file_.load().ok());
  write("bad");
  for (int i = 0; i < 3; ++i) file_.check(false);
  EXPECT_EQ(digest_, base::sha256("one"));
  EXPECT_FALSE(file_.load().ok());
  ASSERT_TRUE(disk_.remove("/etc/rules.toml").ok());
  for (int i = 0; i < 3; ++i) file_.check(false);
  EXPECT_EQ(taken_.size(), 1U);
  write("three");
  for (int i = 0; i < 3; ++i) file_.check(false);
  EXPECT_EQ(taken_.back(), "three");
}

}  // namespace
}  // namespace verbatim::rules
