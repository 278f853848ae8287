#include "adapters/rules/text_fold.h"

#include <unicode/bytestream.h>
#include <unicode/edits.h>
#include <unicode/normalizer2.h>

#include <algorithm>

#include "base/check.h"

namespace verbatim::rules {
namespace {

// Lower case in ASCII, or false where a character is none.
bool fold_ascii(std::string_view text, std::string& folded) {
  folded.resize(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char character = text[i];
    if (static_cast<unsigned char>(character) >= 0x80) return false;
    const bool is_upper = character >= 'A' && character <= 'Z';
    folded[i] = is_upper ? static_cast<char>(character + ('a' - 'A')) : character;
  }
  return true;
}

const icu::Normalizer2& normalizer() {
  static const icu::Normalizer2* const instance = [] {
    UErrorCode error = U_ZERO_ERROR;
    const icu::Normalizer2* found = icu::Normalizer2::getNFKCCasefoldInstance(error);
    CHECK(U_SUCCESS(error) != 0, "ICU has no NFKC_Casefold");
    return found;
  }();
  return *instance;
}

void fold_unicode(std::string_view text, std::string& folded, icu::Edits* edits) {
  folded.clear();
  icu::StringByteSink<std::string> sink(&folded);
  UErrorCode error = U_ZERO_ERROR;
  normalizer().normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())),
                             sink, edits, error);
  CHECK(U_SUCCESS(error) != 0, "ICU refuses a text");
}

}  // namespace

std::string fold(std::string_view utf8) {
  std::string folded;
  if (!fold_ascii(utf8, folded)) fold_unicode(utf8, folded, nullptr);
  return folded;
}

FoldedText::FoldedText(std::string_view original) {
  if (fold_ascii(original, text_)) return;
  icu::Edits edits;
  fold_unicode(original, text_, &edits);
  UErrorCode error = U_ZERO_ERROR;
  for (auto piece = edits.getFineIterator(); piece.next(error) != 0;) {
    pieces_.push_back({static_cast<size_t>(piece.destinationIndex()),
                       static_cast<size_t>(piece.sourceIndex()),
                       static_cast<size_t>(piece.oldLength()), piece.hasChange() != 0});
  }
  CHECK(U_SUCCESS(error) != 0, "ICU lost its edits");
}

const FoldedText::Piece& FoldedText::piece_at(size_t folded_offset) const {
  // The last that begins there or before: pieces that became nothing stand before it.
  const auto after = std::upper_bound(
      pieces_.begin(), pieces_.end(), folded_offset,
      [](size_t offset, const Piece& piece) { return offset < piece.folded_begin; });
  CHECK(after != pieces_.begin(), "a folded text begins with a piece");
  return *std::prev(after);
}

TextSpan FoldedText::original_span(const TextSpan& folded) const {
  CHECK(folded.begin < folded.end && folded.end <= text_.size(), "a span of the folded text");
  if (pieces_.empty()) return folded;
  const Piece& first = piece_at(folded.begin);
  const Piece& last = piece_at(folded.end - 1);
  TextSpan span{first.original_begin, last.original_begin + last.original_size};
  if (!first.is_changed) span.begin += folded.begin - first.folded_begin;
  if (!last.is_changed) span.end = last.original_begin + (folded.end - last.folded_begin);
  return span;
}

}  // namespace verbatim::rules
