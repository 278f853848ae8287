// The truth table of docs/policy-rules.md is what the wall does, row by row; and so is every order
// of up to four rules, against the table's words as a model.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "adapters/ethicalwall/wall_rules.h"

namespace verbatim::wall {
namespace {

struct TestRule {
  std::string action;
  bool matches = true;
};

// Rules named "r1", "r2", ...; those that match name the pair.
WallDecision decide(const std::string& precedence, const std::vector<TestRule>& rules) {
  std::string toml = "precedence = \"" + precedence + "\"\n";
  for (size_t i = 0; i < rules.size(); ++i) {
    toml += "[[rules]]\nname = \"r" + std::to_string(i + 1) + "\"\naction = \"" + rules[i].action +
            "\"\na = { addresses = [\"" + (rules[i].matches ? "ann" : "nobody") + "@x\"] }\n";
  }
  const auto wall = CompiledWall::create(toml, "test.toml");
  EXPECT_TRUE(wall) << wall.error().message();
  WallEvent event;
  event.kinds = {Kind::kMessage};
  event.actor = person_of("ann@x");
  event.others = {person_of("bob@y")};
  return (*wall)->decide(event);
}

std::string trim(std::string text) {
  text.erase(0, text.find_first_not_of(" `"));
  text.erase(text.find_last_not_of(" `") + 1);
  return text;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(trim(part));
  return parts;
}

TEST(WallTruthTest, EveryRowOfTheDocumentedTableHolds) {
  std::ifstream file(std::string(std::getenv("VERBATIM_SOURCE_DIR")) + "/docs/policy-rules.md");
  int rows = 0;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `deny` |") && !line.starts_with("| `order` |")) continue;
    const auto cells = split(line.substr(1), '|');  // precedence, rules, outcome, decided by
    ASSERT_GE(cells.size(), 4U) << line;
    std::vector<TestRule> rules;
    for (const std::string& word : split(cells[1], ',')) {
      if (word == "none") continue;
      const bool matches = !word.starts_with('(');
      rules.push_back({matches ? word : word.substr(1, word.size() - 2), matches});
    }
    const WallDecision decision = decide(cells[0], rules);
    EXPECT_EQ(decision.is_blocked ? "blocked" : "allowed", cells[2]) << line;
    EXPECT_EQ(decision.rule.empty() ? "no rule" : decision.rule, cells[3]) << line;
    ++rows;
  }
  EXPECT_GE(rows, 20);
}

// What the page says in words: deny wins, or the first does; what matches nothing is blocked as
// soon as there is an allow rule.
TEST(WallTruthTest, EveryOrderOfUpToFourRulesIsAsThePageSays) {
  const std::vector<TestRule> kinds = {{"block", true},  {"block", false}, {"allow", true},
                                       {"allow", false}, {"notify", true}, {"notify", false}};
  for (size_t code = 0; code < 6 * 6 * 6 * 6; ++code) {
    std::vector<TestRule> rules;
    size_t rest = code;
    for (size_t i = 0; i < code % 5; ++i, rest /= 6) rules.push_back(kinds[rest % 6]);
    std::string first, block, allow;
    bool has_allow = false;
    size_t notified = 0;
    for (size_t i = 0; i < rules.size(); ++i) {
      const std::string name = "r" + std::to_string(i + 1);
      has_allow = has_allow || rules[i].action == "allow";
      if (!rules[i].matches) continue;
      if (rules[i].action == "notify") {
        ++notified;
        continue;
      }
      if (first.empty()) first = name;
      std::string& best = rules[i].action == "block" ? block : allow;
      if (best.empty()) best = name;
    }
    for (const std::string precedence : {"deny", "order"}) {
      std::string decider = precedence == "order" ? first : block.empty() ? allow : block;
      bool is_blocked = !decider.empty() && decider == block;
      if (decider.empty() && has_allow) {
        decider = "(none allows)";
        is_blocked = true;
      }
      const WallDecision decision = decide(precedence, rules);
      ASSERT_EQ(decision.is_blocked, is_blocked) << precedence << " " << code;
      ASSERT_EQ(decision.rule, decider) << precedence << " " << code;
      ASSERT_EQ(decision.notified.size(), notified) << precedence << " " << code;
    }
  }
}

}  // namespace
}  // namespace verbatim::wall
