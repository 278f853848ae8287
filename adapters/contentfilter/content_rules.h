// CompiledContent: one whole rule set of a content filter, compiled, immutable.
//
// Texts are folded before anything is looked for (adapters/rules/text_fold.h). All expressions are
// one automaton, all phrases one trie: a text is read a fixed number of times, whatever the number
// of rules.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "adapters/contentfilter/expressions.h"
#include "adapters/contentfilter/match.h"
#include "adapters/contentfilter/phrases.h"
#include "adapters/rules/explanation.h"
#include "adapters/rules/time_window.h"
#include "base/config_origin.h"
#include "base/status.h"
#include "verbatim/v1/event.pb.h"
#include "verbatim/v1/policy_rules.pb.h"

namespace verbatim::content {

enum class Action : uint8_t { kBlock, kRedact, kNotify };

struct Rule {
  std::string name;
  Action action = Action::kBlock;
  bool is_federated_only = false;
  std::string replacement;
  std::string explanation;
  bool finds_cards = false;
  bool finds_ibans = false;
  std::vector<std::string> file_names;  // folded patterns
  int64_t file_size_above = 0;          // 0: of any size
};

struct DisclaimerRule {
  std::string name;
  std::string text;
  bool is_daily = true;
  bool is_federated_only = false;
};

class CompiledContent {
 public:
  // `name` stands for the file in messages. Errors: kInvalidArgument "name:line: key: reason".
  static Result<std::shared_ptr<const CompiledContent>> create(const std::string& toml,
                                                               const std::string& name);

  const std::vector<Rule>& rules() const { return rules_; }
  const std::vector<DisclaimerRule>& disclaimers() const { return disclaimers_; }
  // What becomes of encrypted messages; nothing: they pass.
  const Rule* encrypted_rule() const { return has_encrypted_rule_ ? &encrypted_rule_ : nullptr; }
  // The date in the rule set's time zone.
  std::string day_of(int64_t unix_ns) const { return days_->day_of(unix_ns); }

  // In the order of their places; of rules that hold only for federated events too.
  std::vector<Match> find(const std::string& folded) const;
  // True where the rule is about files and this is one of them.
  static bool matches_file(const Rule& rule, const v1::FileReference& file);

 private:
  Status add(const v1::ContentRules& read, int index, const base::ConfigOrigin& origin);
  Status add_disclaimer(const v1::Disclaimer& from, const std::string& key,
                        const base::ConfigOrigin& origin);

  std::vector<Rule> rules_;
  std::vector<DisclaimerRule> disclaimers_;
  ExpressionSet expressions_;
  PhraseIndex phrases_;
  bool has_encrypted_rule_ = false;
  Rule encrypted_rule_;
  std::unique_ptr<rules::CivilDays> days_;
};

}  // namespace verbatim::content
