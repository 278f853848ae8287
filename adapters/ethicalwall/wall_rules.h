// WallRules: one whole rule set of an ethical wall, compiled, immutable.
//
// Each kind of an event, and each person it concerns, is judged by itself; the event is blocked if
// any of these is. What is judged is a pair: who acts, and whom it concerns. docs/policy-rules.md
// has the truth table, which rules_truth_test.cc makes test cases of.
//
// I1 A rule matches a pair if the kind, both sides in a direction of the rule, and one of its
//    windows do.
// I2 "deny": the first matching block rule decides; without one the first matching allow rule.
//    "order": the first matching rule that blocks or allows decides.
// I3 Where none matches: blocked if the rule set has an allow rule for the kind, whatever its
//    window and participants, else allowed.
// I4 Rules that notify decide nothing and are named, all of them.
// I5 Looking a pair up costs the rules that name one of the two, not all rules.
//
// Threads: any.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "adapters/ethicalwall/participants.h"
#include "adapters/ethicalwall/wall_event.h"
#include "adapters/rules/time_window.h"
#include "base/config_origin.h"
#include "base/status.h"
#include "verbatim/v1/policy_rules.pb.h"

namespace verbatim::wall {

struct WallDecision {
  bool is_blocked = false;
  // The rule that decided; "(none allows)" where nothing allows it; empty where nothing matched.
  std::string rule;
  // By a group that somebody may have, while the directory does not answer.
  bool is_by_unknown_groups = false;
  // What the sender may be told, of what is blocked.
  std::string explanation;
  std::vector<std::string> notified;
  // Of what is blocked.
  Kind kind = Kind::kMessage;
};

class CompiledWall {
 public:
  // `name` stands for the file in messages. Errors: kInvalidArgument "name:line: key: reason".
  static Result<std::shared_ptr<const CompiledWall>> create(const std::string& toml,
                                                            const std::string& name);

  WallDecision decide(const WallEvent& event) const;
  size_t rule_count() const { return rules_.size(); }

 private:
  enum class Action : uint8_t { kBlock, kAllow, kNotify };
  struct Rule {
    std::string name;
    Action action = Action::kBlock;
    uint32_t a = 0;
    uint32_t b = 0;
    bool is_a_to_b = true;
    bool is_b_to_a = true;
    std::array<bool, kKindCount> kinds{};
    std::vector<rules::TimeWindow> windows;
    std::string explanation;
  };
  struct Found;
  using Marks = std::vector<uint8_t>;

  Status add(const v1::WallRules& rules, int index, const base::ConfigOrigin& origin);
  Status add_windows(const v1::WallRule& from, const std::string& key,
                     const base::ConfigOrigin& origin, Rule& rule) const;
  bool is_in_force(const Rule& rule, int64_t unix_ns) const;
  void search(const std::vector<Fit>& a_side, const std::vector<Fit>& b_side, bool is_forward,
              const WallEvent& event, Kind kind, Found& found) const;
  void consider(uint32_t index, bool is_certain, const WallEvent& event, Kind kind,
                Found& found) const;
  void judge(const WallEvent& event, Kind kind, const Person& other, const Found& found,
             WallDecision& decision) const;
  std::string explain(const Rule* rule, const WallEvent& event, Kind kind,
                      const Person& other) const;

  bool is_by_order_ = false;
  bool blocks_unknown_groups_ = true;
  std::string time_zone_;
  std::string explanation_;
  ParticipantIndex participants_;
  std::vector<Rule> rules_;
  std::vector<std::vector<uint32_t>> by_a_;  // rules of each list of participants, in order
  std::vector<std::vector<uint32_t>> by_b_;
  std::array<bool, kKindCount> has_allow_{};
};

}  // namespace verbatim::wall
