#include "adapters/contentfilter/expressions.h"

#include <re2/re2.h>
#include <re2/set.h>

namespace verbatim::content {
namespace {

constexpr int64_t kAutomatonMaxBytes = 256 << 20;
constexpr size_t kExpressionMaxBytes = 4'096;

// Texts are folded, so that case can play no part.
RE2::Options options() {
  RE2::Options quiet;
  quiet.set_log_errors(false);
  quiet.set_case_sensitive(false);
  quiet.set_max_mem(kAutomatonMaxBytes);
  return quiet;
}

void find_all(const RE2& expression, std::string_view text, uint32_t rule,
              std::vector<Match>& found) {
  const re2::StringPiece whole(text.data(), text.size());
  re2::StringPiece hit;
  size_t from = 0;
  while (from <= text.size() &&
         expression.Match(whole, from, text.size(), RE2::UNANCHORED, &hit, 1)) {
    const size_t begin = static_cast<size_t>(hit.data() - whole.data());
    if (!hit.empty()) found.push_back({rule, {begin, begin + hit.size()}});
    from = begin + (hit.empty() ? 1 : hit.size());
  }
}

}  // namespace

struct ExpressionSet::State {
  std::vector<std::unique_ptr<RE2>> single;
  std::vector<uint32_t> rules;  // of the expression at the same index
  std::unique_ptr<RE2::Set> set;
};

ExpressionSet::ExpressionSet() : state_(std::make_unique<State>()) {}
ExpressionSet::~ExpressionSet() = default;
ExpressionSet::ExpressionSet(ExpressionSet&&) noexcept = default;
ExpressionSet& ExpressionSet::operator=(ExpressionSet&&) noexcept = default;

Status ExpressionSet::add(const std::string& pattern, uint32_t rule) {
  if (pattern.empty() || pattern.size() > kExpressionMaxBytes) {
    return invalid_argument("expected 1 to 4,096 bytes");
  }
  auto expression = std::make_unique<RE2>(pattern, options());
  if (!expression->ok()) return invalid_argument(expression->error());
  if (RE2::FullMatch("", *expression)) {
    return invalid_argument("matches the empty text, and so every text");
  }
  state_->single.push_back(std::move(expression));
  state_->rules.push_back(rule);
  return {};
}

Status ExpressionSet::compile() {
  if (state_->single.empty()) return {};
  state_->set = std::make_unique<RE2::Set>(options(), RE2::UNANCHORED);
  for (const auto& expression : state_->single) {
    std::string error;
    if (state_->set->Add(expression->pattern(), &error) < 0) return invalid_argument(error);
  }
  if (state_->set->Compile()) return {};
  return resource_exhausted("the expressions are too much for one automaton count=" +
                            std::to_string(state_->single.size()));
}

void ExpressionSet::find(std::string_view folded, std::vector<Match>& found) const {
  if (state_->set == nullptr) return;
  std::vector<int> matches;
  RE2::Set::ErrorInfo error{};
  if (state_->set->Match(re2::StringPiece(folded.data(), folded.size()), &matches, &error)) {
    for (const int match : matches) {
      const auto index = static_cast<size_t>(match);
      find_all(*state_->single[index], folded, state_->rules[index], found);
    }
  } else if (error.kind != RE2::Set::kNoError) {  // a text that exhausts the set's memory
    for (size_t i = 0; i < state_->single.size(); ++i) {
      find_all(*state_->single[i], folded, state_->rules[i], found);
    }
  }
}

}  // namespace verbatim::content
