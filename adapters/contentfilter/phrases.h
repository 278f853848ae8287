// PhraseIndex: phrases found at word boundaries, in one pass over the text whatever their number.
//
// A word is a run of letters, digits and marks of Unicode; in scripts that put no blanks between
// words (Han, kana, Thai, Lao, Khmer, Myanmar) each character is a word, so that a phrase is found
// inside a run. Between the words of a phrase anything may stand that is no word. The words form a
// trie over hashes: a look-up for each word of the text and for each word of a phrase that goes on.
//
// Threads: add() first, then find() from any. Texts are folded (adapters/rules/text_fold.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "adapters/contentfilter/match.h"
#include "base/status.h"

namespace verbatim::content {

// The words of a folded text.
std::vector<rules::TextSpan> words_of(std::string_view folded);

class PhraseIndex {
 public:
  // Errors: kInvalidArgument for a phrase without a word.
  Status add(std::string_view folded_phrase, uint32_t rule);

  void find(std::string_view folded, std::vector<Match>& found) const;
  bool is_empty() const { return words_.empty(); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  static constexpr uint32_t kNone = 0;

  uint32_t step(uint32_t node, uint32_t word) const;

  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> words_;  // numbers from 1
  std::unordered_map<uint64_t, uint32_t> nodes_;  // (node, word) to node; the root is 0
  std::vector<std::vector<uint32_t>> rules_{{}};  // that end at a node
};

}  // namespace verbatim::content
