#include "adapters/ethicalwall/wall_rules.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/test_seed.h"

namespace verbatim::wall {
namespace {

std::shared_ptr<const CompiledWall> wall(const std::string& toml) {
  const auto made = CompiledWall::create(toml, "wall.toml");
  EXPECT_TRUE(made) << made.error().message();
  return made ? *made : nullptr;
}
std::string refusal(const std::string& toml) {
  return CompiledWall::create(toml, "wall.toml").error().message();
}
std::string rule(const std::string& name, const std::string& action, const std::string& rest = "") {
  return "[[rules]]\nname = \"" + name + "\"\naction = \"" + action + "\"\n" + rest;
}
WallEvent event(const Person& from, const Person& to, Kind kind = Kind::kMessage) {
  WallEvent made;
  made.kinds = {kind};
  made.actor = from;
  made.others = {to};
  return made;
}
bool blocks(const std::shared_ptr<const CompiledWall>& rules, const Person& from, const Person& to,
            Kind kind = Kind::kMessage) {
  return rules->decide(event(from, to, kind)).is_blocked;
}

const Person kAnn = person_of("Ann@Research.Example/phone", {"Analysts"});
const Person kBob = person_of("bob@trade.example", {"traders"});
const Person kEve = person_of("eve@elsewhere.example");

TEST(WallRulesTest, ParticipantsAreNamedByAddressDomainGroupAndExpression_C048) {
  for (const std::string a :
       {"addresses = [\"ANN@research.example\"]", "domains = [\"Research.Example\"]",
        "domains = [\"*.example\"]", "groups = [\"analysts\"]",
        "expressions = [\"a[a-z]+@research\\\\..*\"]"}) {
    const auto rules =
        wall(rule("w", "block", "a = { " + a + " }\nb = { groups = [\"TRADERS\"] }\n"));
    EXPECT_TRUE(blocks(rules, kAnn, kBob)) << a;
    EXPECT_TRUE(blocks(rules, kBob, kAnn)) << a;
    EXPECT_FALSE(blocks(rules, kAnn, kEve)) << a;
  }
  EXPECT_FALSE(blocks(wall(rule("w", "block", "a = { domains = [\"example\"] }\n")), kAnn, kBob));
  // An expression is about the whole address.
  EXPECT_FALSE(blocks(wall(rule("w", "block", "a = { expressions = [\"ann\"] }\n")), kAnn, kBob));
}

TEST(WallRulesTest, ADirectionHoldsFromOneSideToTheOther) {
  const std::string sides =
      "a = { groups = [\"analysts\"] }\nb = { groups = [\"traders\"] }\ndirection = ";
  const auto forward = wall(rule("w", "block", sides + "\"a_to_b\"\n"));
  EXPECT_TRUE(blocks(forward, kAnn, kBob));
  EXPECT_FALSE(blocks(forward, kBob, kAnn));
  const auto back = wall(rule("w", "block", sides + "\"b_to_a\"\n"));
  EXPECT_FALSE(blocks(back, kAnn, kBob));
  EXPECT_TRUE(blocks(back, kBob, kAnn));
}

TEST(WallRulesTest, ARuleHoldsForItsKinds) {
  const auto rules = wall(rule("w", "block", "kinds = [\"invite\", \"file\"]\n"));
  for (const Kind kind :
       {Kind::kMessage, Kind::kRoom, Kind::kInvite, Kind::kPresence, Kind::kFile}) {
    EXPECT_EQ(blocks(rules, kAnn, kBob, kind), kind == Kind::kInvite || kind == Kind::kFile);
  }
  // A message with a file is both, and each is judged by itself.
  WallEvent both = event(kAnn, kBob);
  both.kinds = {Kind::kMessage, Kind::kFile};
  EXPECT_TRUE(rules->decide(both).is_blocked);
  EXPECT_EQ(rules->decide(both).kind, Kind::kFile);
}

// An allow list of messages says nothing about presence.
TEST(WallRulesTest, WhatNothingAllowsIsBlockedInTheKindsThatAreAllowedToSomebody) {
  const auto rules =
      wall(rule("w", "allow", "kinds = [\"message\"]\na = { groups = [\"traders\"] }\n"));
  EXPECT_FALSE(blocks(rules, kAnn, kBob));
  EXPECT_TRUE(blocks(rules, kAnn, kEve));
  EXPECT_FALSE(blocks(rules, kAnn, kEve, Kind::kPresence));
  EXPECT_EQ(rules->decide(event(kAnn, kEve)).rule, "(none allows)");
}

TEST(WallRulesTest, AWindowOpensAndClosesARule) {
  const auto rules =
      wall(rule("w", "block") + "[[rules.windows]]\nstart = \"09:00\"\nend = \"10:00\"\n");
  WallEvent asked = event(kAnn, kBob);
  EXPECT_FALSE(rules->decide(asked).is_blocked);
  asked.unix_ns = 9LL * 3'600 * 1'000'000'000;
  EXPECT_TRUE(rules->decide(asked).is_blocked);
  // Outside of its window an allow rule allows nothing, and still makes a list of what is allowed.
  const auto hours =
      wall(rule("w", "allow") + "[[rules.windows]]\nstart = \"09:00\"\nend = \"10:00\"\n");
  EXPECT_FALSE(hours->decide(asked).is_blocked);
  asked.unix_ns = 0;
  EXPECT_TRUE(hours->decide(asked).is_blocked);
}

TEST(WallRulesTest, EachPersonIsJudged) {
  const auto rules = wall(rule("w", "block", "a = { groups = [\"traders\"] }\n"));
  WallEvent asked = event(kAnn, kEve);
  EXPECT_FALSE(rules->decide(asked).is_blocked);
  asked.others.push_back(kBob);
  EXPECT_TRUE(rules->decide(asked).is_blocked);
}

TEST(WallRulesTest, RulesThatNotifyAreAllNamed) {
  const auto rules = wall(rule("n1", "notify") +
                          rule("b", "block", "a = { addresses = [\"eve@elsewhere.example\"] }\n") +
                          rule("n2", "notify", "a = { groups = [\"analysts\"] }\n"));
  EXPECT_EQ(rules->decide(event(kAnn, kBob)).notified, (std::vector<std::string>{"n1", "n2"}));
  const WallDecision decision = rules->decide(event(kAnn, kEve));
  EXPECT_TRUE(decision.is_blocked);
  EXPECT_EQ(decision.rule, "b");
  EXPECT_EQ(decision.notified.size(), 2U);
}

// The directory does not answer: a wall by group must not open.
TEST(WallRulesTest, UnknownGroupsBlockAndDoNotAllow) {
  Person unknown = kEve;
  unknown.are_groups_unknown = true;
  const std::string block =
      rule("w", "block", "a = { groups = [\"analysts\"] }\nb = { groups = [\"traders\"] }\n");
  EXPECT_TRUE(blocks(wall(block), unknown, kBob));
  EXPECT_TRUE(wall(block)->decide(event(kBob, unknown)).is_by_unknown_groups);
  EXPECT_FALSE(blocks(wall(block), unknown, kEve));
  EXPECT_FALSE(blocks(wall(block), unknown, kBob, Kind::kPresence));
  EXPECT_FALSE(blocks(wall("groups_unknown = \"ignore\"\n" + block), unknown, kBob));
  EXPECT_TRUE(blocks(wall(rule("w", "allow", "a = { groups = [\"traders\"] }\n")), unknown, kAnn));
}

TEST(WallRulesTest, TheExplanationIsTheRulesOwnOrTheFiles) {
  const auto rules =
      wall("explanation = \"no {kind} to {recipient} ({rule})\"\n" +
           rule("w", "block", "b = { groups = [\"traders\"] }\ndirection = \"a_to_b\"\n") +
           rule("v", "block", "explanation = \"{sender}: not you\"\n"));
  EXPECT_EQ(rules->decide(event(kAnn, kBob)).explanation, "no message to bob@trade.example (w)");
  EXPECT_EQ(rules->decide(event(kBob, kAnn)).explanation, "bob@trade.example: not you");
  // Who sits in a room behind a name is not told.
  WallEvent copy = event(kAnn, kBob, Kind::kRoom);
  copy.room = "desk@rooms.example";
  EXPECT_EQ(rules->decide(copy).explanation, "no room to desk@rooms.example (w)");
}

TEST(WallRulesTest, WhatIsWrongIsNamedWithItsLine) {
  EXPECT_EQ(refusal("[[rules]]\nname = \"w\"\n"), "wall.toml:1: rules.0.action: must be given");
  EXPECT_EQ(refusal(rule("w", "block", "a = { groups = [] }\n")),
            "wall.toml:4: rules.0.a: names nobody; leave it out for everybody");
  EXPECT_EQ(refusal(rule("w", "block", "\na = { expressions = [\"x\", \"(\"] }\n")),
            "wall.toml:5: rules.0.a.expressions.1: missing ): (");
  EXPECT_EQ(refusal(rule("w", "block", "a = { addresses = [\"a@b/c\"] }\n")),
            "wall.toml:4: rules.0.a.addresses.0: rules name bare addresses, without a resource");
  EXPECT_EQ(refusal(rule("w", "block", "a = { domains = [\"a@b\"] }\n")).substr(0, 30),
            "wall.toml:4: rules.0.a.domains");
  EXPECT_EQ(refusal(rule("w", "block", "explanation = \"{who}\"\n")).substr(0, 33),
            "wall.toml:4: rules.0.explanation:");
  EXPECT_EQ(
      refusal(rule("w", "block") + "[[rules.windows]]\nfrom_date = \"2026-13-01\"\n").substr(0, 42),
      "wall.toml:5: rules.0.windows.0.from_date: ");
  EXPECT_EQ(refusal("time_zone = \"Mars\"\n"),
            "wall.toml:1: time_zone: no such time zone: \"Mars\"");
  EXPECT_EQ(refusal("rule = 1\n"), "wall.toml:1: rule: no such setting");
  EXPECT_EQ(refusal("precedence = \n").substr(0, 12), "wall.toml:1:");
}

// The lookup through indexes decides as a plain walk over all rules would.
TEST(WallRulesTest, TheIndexesDecideAsAWalkOverAllRulesDoes) {
  std::mt19937_64 random(::verbatim::testing::test_seed());
  const auto pick = [&random](int count) {
    return static_cast<int>(random() % static_cast<unsigned>(count));
  };
  struct Plain {
    std::string action;
    int a, b, direction;  // person, or -1 for everybody
  };
  for (int round = 0; round < 60; ++round) {
    std::string toml = "precedence = \"order\"\n";
    std::vector<Plain> plain;
    for (int i = 0; i < 12; ++i) {
      plain.push_back({pick(2) == 0 ? "block" : "allow", pick(6) - 1, pick(6) - 1, pick(3)});
      const auto side = [&](const char* name, int person) {
        if (person < 0) return std::string();
        const char* const forms[] = {"addresses = [\"p%@d%.x\"]", "domains = [\"d%.x\"]",
                                     "groups = [\"g%\"]", "expressions = [\"p%@.*\"]",
                                     "addresses = [\"q@x\", \"p%@d%.x\"]"};
        std::string text = forms[pick(5)];
        for (size_t at = text.find('%'); at != std::string::npos; at = text.find('%')) {
          text.replace(at, 1, std::to_string(person));
        }
        return std::string(name) + " = { " + text + " }\n";
      };
      const char* const directions[] = {"both", "a_to_b", "b_to_a"};
      toml += rule("r" + std::to_string(i), plain.back().action,
                   side("a", plain.back().a) + side("b", plain.back().b) + "direction = \"" +
                       directions[plain.back().direction] + "\"\n");
    }
    const auto rules = wall(toml);
    for (int from = 0; from < 5; ++from) {
      for (int to = 0; to < 5; ++to) {
        if (from == to) continue;
        const auto person = [](int number) {
          const std::string n = std::to_string(number);
          return person_of("p" + n + "@d" + n + ".x", {"g" + n});
        };
        std::string expected = "(none allows)";
        for (size_t i = 0; i < plain.size() && expected == "(none allows)"; ++i) {
          const auto fits = [&](int a, int b) {
            return (plain[i].a < 0 || plain[i].a == a) && (plain[i].b < 0 || plain[i].b == b);
          };
          if ((plain[i].direction != 2 && fits(from, to)) ||
              (plain[i].direction != 1 && fits(to, from))) {
            expected = "r" + std::to_string(i);
          }
        }
        EXPECT_EQ(rules->decide(event(person(from), person(to))).rule, expected) << toml;
      }
    }
  }
}

}  // namespace
}  // namespace verbatim::wall
