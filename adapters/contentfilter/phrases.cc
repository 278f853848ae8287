#include "adapters/contentfilter/phrases.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

namespace verbatim::content {
namespace {

enum class CharacterKind { kOther, kWord, kWordByItself };

bool has_no_blanks_between_words(UChar32 character) {
  UErrorCode error = U_ZERO_ERROR;
  switch (uscript_getScript(character, &error)) {
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_THAI:
    case USCRIPT_LAO:
    case USCRIPT_KHMER:
    case USCRIPT_MYANMAR:
      return true;
    default:
      return false;
  }
}

CharacterKind kind_of(UChar32 character) {
  if (character < 0x80) {
    const bool is_word = (character >= 'a' && character <= 'z') ||
                         (character >= '0' && character <= '9') ||
                         (character >= 'A' && character <= 'Z');
    return is_word ? CharacterKind::kWord : CharacterKind::kOther;
  }
  const bool is_mark = (U_MASK(u_charType(character)) & U_GC_M_MASK) != 0;
  if (u_isalnum(character) == 0 && !is_mark) return CharacterKind::kOther;
  return has_no_blanks_between_words(character) ? CharacterKind::kWordByItself
                                                : CharacterKind::kWord;
}

}  // namespace

std::vector<rules::TextSpan> words_of(std::string_view folded) {
  std::vector<rules::TextSpan> words;
  const auto* bytes = reinterpret_cast<const uint8_t*>(folded.data());
  bool is_inside = false;  // the last word may go on
  for (size_t next = 0; next < folded.size();) {
    const size_t begin = next;
    UChar32 character = 0;
    U8_NEXT_OR_FFFD(bytes, next, folded.size(), character);
    const CharacterKind kind = kind_of(character);
    if (kind == CharacterKind::kWord && is_inside) {
      words.back().end = next;
    } else if (kind != CharacterKind::kOther) {
      words.push_back({begin, next});
    }
    is_inside = kind == CharacterKind::kWord;
  }
  return words;
}

Status PhraseIndex::add(std::string_view folded_phrase, uint32_t rule) {
  const auto words = words_of(folded_phrase);
  if (words.empty()) return invalid_argument("has no word in it");
  uint32_t node = 0;
  for (const rules::TextSpan& span : words) {
    const std::string word(folded_phrase.substr(span.begin, span.end - span.begin));
    const uint32_t number =
        words_.emplace(word, static_cast<uint32_t>(words_.size() + 1)).first->second;
    const auto [place, is_new] =
        nodes_.emplace((uint64_t{node} << 32U) | number, static_cast<uint32_t>(rules_.size()));
    if (is_new) rules_.emplace_back();
    node = place->second;
  }
  rules_[node].push_back(rule);
  return {};
}

uint32_t PhraseIndex::step(uint32_t node, uint32_t word) const {
  const auto found = nodes_.find((uint64_t{node} << 32U) | word);
  return found == nodes_.end() ? kNone : found->second;
}

void PhraseIndex::find(std::string_view folded, std::vector<Match>& found) const {
  if (is_empty()) return;
  const auto spans = words_of(folded);
  std::vector<uint32_t> numbers;
  numbers.reserve(spans.size());
  for (const rules::TextSpan& span : spans) {
    const auto word = words_.find(folded.substr(span.begin, span.end - span.begin));
    numbers.push_back(word == words_.end() ? kNone : word->second);
  }
  for (size_t first = 0; first < numbers.size(); ++first) {
    uint32_t node = 0;
    for (size_t next = first; next < numbers.size() && numbers[next] != kNone; ++next) {
      node = step(node, numbers[next]);
      if (node == kNone) break;
      for (const uint32_t rule : rules_[node]) {
        found.push_back({rule, {spans[first].begin, spans[next].end}});
      }
    }
  }
}

}  // namespace verbatim::content
