// ExpressionSet: RE2 expressions, anywhere in a text. One pass of one automaton (RE2::Set) says
// which match; only those are asked where. RE2's time is linear in the text, whatever the
// expression.
//
// Threads: add() and compile() first, then find() from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/contentfilter/match.h"
#include "base/status.h"

namespace verbatim::content {

class ExpressionSet {
 public:
  ExpressionSet();
  ~ExpressionSet();
  ExpressionSet(ExpressionSet&&) noexcept;
  ExpressionSet& operator=(ExpressionSet&&) noexcept;

  // Errors: kInvalidArgument for what is no expression, or matches nothing at all.
  Status add(const std::string& pattern, uint32_t rule);
  // Errors: kResourceExhausted where they are too much for one automaton.
  Status compile();

  void find(std::string_view folded, std::vector<Match>& found) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::content
