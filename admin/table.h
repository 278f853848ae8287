// A table for people: columns aligned, numbers to the right, the last column as long as it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace verbatim::admin {

enum class Align { kLeft, kRight };

// What a cell says at a glance; shown as colour where colour is allowed, else not at all.
enum class Mood { kPlain, kGood, kBad, kDim };

struct Cell {
  std::string text;
  Mood mood = Mood::kPlain;

  Cell(std::string plain) : text(std::move(plain)) {}  // NOLINT: implicit, for rows as lists
  Cell(const char* plain) : text(plain) {}             // NOLINT: implicit
  Cell(std::string words, Mood how) : text(std::move(words)), mood(how) {}
};

// `text` in the colour of `mood`, or as it is when `has_colour` is false.
std::string coloured(std::string_view text, Mood mood, bool has_colour);

class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns);

  // CHECKs that the row has as many cells as there are columns.
  void add_row(std::vector<Cell> cells);
  bool is_empty() const { return rows_.empty(); }

  // The lines, each ended by a newline, without trailing blanks.
  std::string to_text(bool has_colour) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace verbatim::admin
