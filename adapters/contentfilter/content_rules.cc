#include "adapters/contentfilter/content_rules.h"

#include <fnmatch.h>

#include <algorithm>

#include "adapters/contentfilter/detectors.h"
#include "adapters/rules/text_fold.h"
#include "base/config.h"

namespace verbatim::content {
namespace {

const rules::Placeholders kOfExplanations = {
    {"sender", ""}, {"recipient", ""}, {"room", ""}, {"rule", ""}};
const rules::Placeholders kOfDisclaimers = {{"sender", ""}, {"recipient", ""}, {"room", ""}};

Status check_text(const base::ConfigOrigin& origin, const std::string& key, const std::string& text,
                  const rules::Placeholders& known) {
  const Status status = rules::check_explanation(text, known);
  return status.ok() ? status : origin.refuse(key, status.message());
}

Action action_of(const std::string& word) {
  return word == "block" ? Action::kBlock : word == "redact" ? Action::kRedact : Action::kNotify;
}

}  // namespace

Result<std::shared_ptr<const CompiledContent>> CompiledContent::create(const std::string& toml,
                                                                       const std::string& name) {
  v1::ContentRules read;
  base::ConfigOrigin origin;
  RETURN_IF_ERROR(base::read_toml(toml, name, read, origin));
  auto content = std::make_shared<CompiledContent>();
  auto days = rules::CivilDays::create(read.time_zone());
  if (!days) {
    return origin.refuse("time_zone", "no such time zone: \"" + read.time_zone() + "\"");
  }
  content->days_ = std::make_unique<rules::CivilDays>(*std::move(days));
  RETURN_IF_ERROR(check_text(origin, "explanation", read.explanation(), kOfExplanations));
  RETURN_IF_ERROR(
      check_text(origin, "encrypted_explanation", read.encrypted_explanation(), kOfExplanations));
  content->has_encrypted_rule_ = read.encrypted() != "pass";
  content->encrypted_rule_.name = "(encrypted)";
  content->encrypted_rule_.action = action_of(read.encrypted());
  content->encrypted_rule_.explanation = read.encrypted_explanation();
  for (int i = 0; i < read.rules_size(); ++i) RETURN_IF_ERROR(content->add(read, i, origin));
  for (int i = 0; i < read.disclaimers_size(); ++i) {
    RETURN_IF_ERROR(
        content->add_disclaimer(read.disclaimers(i), "disclaimers." + std::to_string(i), origin));
  }
  if (const Status status = content->expressions_.compile(); !status.ok()) {
    return origin.refuse("rules", status.message());
  }
  return std::shared_ptr<const CompiledContent>(std::move(content));
}

Status CompiledContent::add(const v1::ContentRules& read, int index,
                            const base::ConfigOrigin& origin) {
  const v1::ContentRule& from = read.rules(index);
  const std::string key = "rules." + std::to_string(index);
  const auto number = static_cast<uint32_t>(index);
  Rule rule;
  rule.name = from.name();
  rule.action = action_of(from.action());
  rule.is_federated_only = from.scope() == "federated";
  rule.replacement = from.replacement().empty() ? read.replacement() : from.replacement();
  rule.explanation = from.explanation().empty() ? read.explanation() : from.explanation();
  RETURN_IF_ERROR(check_text(origin, key + ".explanation", rule.explanation, kOfExplanations));
  for (int i = 0; i < from.expressions_size(); ++i) {
    const Status status = expressions_.add(from.expressions(i), number);
    if (!status.ok()) {
      return origin.refuse(key + ".expressions." + std::to_string(i), status.message());
    }
  }
  for (int i = 0; i < from.phrases_size(); ++i) {
    const Status status = phrases_.add(rules::fold(from.phrases(i)), number);
    if (!status.ok()) {
      return origin.refuse(key + ".phrases." + std::to_string(i), status.message());
    }
  }
  for (const std::string& detector : from.detectors()) {
    (detector == "iban" ? rule.finds_ibans : rule.finds_cards) = true;
  }
  for (int i = 0; i < from.file_names_size(); ++i) {
    if (from.file_names(i).empty()) {
      return origin.refuse(key + ".file_names." + std::to_string(i), "must not be empty");
    }
    rule.file_names.push_back(rules::fold(from.file_names(i)));
  }
  rule.file_size_above = from.file_size_above_bytes();
  const bool looks_for_text =
      from.expressions_size() > 0 || from.phrases_size() > 0 || from.detectors_size() > 0;
  if (!looks_for_text && rule.file_names.empty() && rule.file_size_above == 0) {
    return origin.refuse(key, "has nothing to look for");
  }
  rules_.push_back(std::move(rule));
  return {};
}

Status CompiledContent::add_disclaimer(const v1::Disclaimer& from, const std::string& key,
                                       const base::ConfigOrigin& origin) {
  RETURN_IF_ERROR(check_text(origin, key + ".text", from.text(), kOfDisclaimers));
  disclaimers_.push_back(
      {from.name(), from.text(), from.once_per() == "day", from.scope() == "federated"});
  return {};
}

std::vector<Match> CompiledContent::find(const std::string& folded) const {
  std::vector<Match> found;
  expressions_.find(folded, found);
  phrases_.find(folded, found);
  const auto finds = [this](bool Rule::*what) {
    return std::any_of(rules_.begin(), rules_.end(),
                       [what](const Rule& rule) { return rule.*what; });
  };
  const auto add = [&](bool Rule::*what, const std::vector<rules::TextSpan>& spans) {
    for (const rules::TextSpan& span : spans) {
      for (uint32_t i = 0; i < rules_.size(); ++i) {
        if (rules_[i].*what) found.push_back({i, span});
      }
    }
  };
  if (finds(&Rule::finds_cards)) add(&Rule::finds_cards, find_card_numbers(folded));
  if (finds(&Rule::finds_ibans)) add(&Rule::finds_ibans, find_ibans(folded));
  std::sort(found.begin(), found.end(), [](const Match& one, const Match& other) {
    return one.span.begin != other.span.begin ? one.span.begin < other.span.begin
                                              : one.rule < other.rule;
  });
  return found;
}

bool CompiledContent::matches_file(const Rule& rule, const v1::FileReference& file) {
  if (rule.file_size_above > 0 && file.size_bytes() > rule.file_size_above) return true;
  if (rule.file_names.empty()) return false;
  const std::string name = rules::fold(file.name());
  return std::any_of(rule.file_names.begin(), rule.file_names.end(),
                     [&name](const std::string& pattern) {
                       return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
                     });
}

}  // namespace verbatim::content
