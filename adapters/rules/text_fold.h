// One form for texts that people take for the same: Unicode's NFKC_Casefold (UAX 31), by ICU. Case,
// full width, ligatures, combining order and invisible characters (zero width space, soft hyphen)
// no longer matter. Bytes that are not UTF-8 stay as they are.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace verbatim::rules {

std::string fold(std::string_view utf8);

// Bytes [begin, end) of a text.
struct TextSpan {
  size_t begin = 0;
  size_t end = 0;

  bool operator==(const TextSpan&) const = default;
};

// A folded text that still knows what it was made of.
class FoldedText {
 public:
  explicit FoldedText(std::string_view original);

  const std::string& text() const { return text_; }
  // The bytes of the original behind a span of the folded text, which is not empty; widened to
  // whole characters.
  TextSpan original_span(const TextSpan& folded) const;

 private:
  // Folded bytes from `folded_begin` on were made of the original's from `original_begin` on.
  struct Piece {
    size_t folded_begin = 0;
    size_t original_begin = 0;
    size_t original_size = 0;
    bool is_changed = false;
  };
  const Piece& piece_at(size_t folded_offset) const;

  std::string text_;
  std::vector<Piece> pieces_;  // empty: byte by byte, as in ASCII
};

}  // namespace verbatim::rules
