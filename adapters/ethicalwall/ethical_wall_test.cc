#include "adapters/ethicalwall/ethical_wall.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/sha256.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::wall {
namespace {

using adapters::PolicyAnswer;
using ::verbatim::testing::FaultFileSystem;

constexpr const char* kBlockAll = "[[rules]]\nname = \"all\"\naction = \"block\"\n";
constexpr const char* kNotifyAll = "[[rules]]\nname = \"look\"\naction = \"notify\"\n";

class EthicalWallTest : public ::testing::Test {
 protected:
  EthicalWallTest() {
    EXPECT_TRUE(disk_.create_directories("/etc").ok());
    event_.mutable_actor()->set_normalised("ann@x");
    event_.add_others()->set_normalised("bob@y");
    event_.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_DIRECT);
    event_.mutable_message_posted();
  }
  void write(const std::string& text) {
    ASSERT_TRUE(base::write_file_atomically(disk_, "/etc/wall.toml", text).ok());
  }
  static PolicyAnswer ask(EthicalWall& wall, const v1::Event& event) {
    const std::string profile = "p";
    return *wall.evaluate({event, profile, {}, {}});
  }

  FaultFileSystem disk_;
  v1::Event event_;
};

TEST_F(EthicalWallTest, WhatIsBlockedIsHandledWithRuleDigestAndExplanation_C036) {
  write(kBlockAll);
  EthicalWall wall(disk_, "/etc/wall.toml", false);
  ASSERT_TRUE(wall.load().ok());
  const PolicyAnswer answer = ask(wall, event_);
  EXPECT_EQ(answer.decision, v1::DECISION_HANDLE);
  EXPECT_EQ(answer.rule, "all");
  EXPECT_EQ(answer.reason, "blocked kind=message");
  EXPECT_EQ(answer.rule_set_sha256, base::sha256(kBlockAll));
  EXPECT_NE(answer.text_for_sender.find("(all)"), std::string::npos);
}

TEST_F(EthicalWallTest, WhatIsOnlyNotedPassesAndIsFlagged) {
  write(kNotifyAll);
  EthicalWall wall(disk_, "/etc/wall.toml", false);
  ASSERT_TRUE(wall.load().ok());
  const PolicyAnswer answer = ask(wall, event_);
  EXPECT_EQ(answer.decision, v1::DECISION_PASS);
  EXPECT_TRUE(answer.is_flagged);
  EXPECT_EQ(answer.rule, "look");
}

TEST_F(EthicalWallTest, ADryRunPassesAndSaysWhatItWouldHaveDecided) {
  write(kBlockAll);
  EthicalWall wall(disk_, "/etc/wall.toml", true);
  ASSERT_TRUE(wall.load().ok());
  const PolicyAnswer answer = ask(wall, event_);
  EXPECT_EQ(answer.decision, v1::DECISION_PASS);
  EXPECT_EQ(answer.dry_run_decision, v1::DECISION_HANDLE);
  EXPECT_EQ(answer.rule, "all");
}

TEST_F(EthicalWallTest, WithoutRulesItDoesNotStart) {
  EthicalWall wall(disk_, "/etc/wall.toml", false);
  EXPECT_EQ(wall.load().code(), StatusCode::kNotFound);
  write("rules = 1\n");
  EXPECT_EQ(wall.load().code(), StatusCode::kInvalidArgument);
  const std::string profile;
  EXPECT_FALSE(wall.evaluate({event_, profile, {}, {}}));
}

// Rule set and digest change together, whoever asks meanwhile.
TEST_F(EthicalWallTest, AVerdictCarriesTheDigestOfTheOneRuleSetThatDecided) {
  write(kBlockAll);
  EthicalWall wall(disk_, "/etc/wall.toml", false);
  ASSERT_TRUE(wall.load().ok());
  std::atomic<bool> is_over = false;
  std::thread asker([&] {
    while (!is_over) {
      const PolicyAnswer answer = ask(wall, event_);
      const bool is_block = answer.decision == v1::DECISION_HANDLE;
      ASSERT_EQ(answer.rule_set_sha256, base::sha256(is_block ? kBlockAll : kNotifyAll));
    }
  });
  for (int i = 0; i < 30; ++i) {
    write(i % 2 == 0 ? kNotifyAll : kBlockAll);
    wall.maintain(true);
  }
  is_over = true;
  asker.join();
  write("[[rules]]\nname = \"half\"\n");
  wall.maintain(true);
  EXPECT_EQ(ask(wall, event_).rule_set_sha256, base::sha256(kBlockAll));
}

}  // namespace
}  // namespace verbatim::wall
