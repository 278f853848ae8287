#include "admin/table.h"

#include <algorithm>
#include <utility>

#include "admin/text.h"
#include "base/check.h"

namespace verbatim::admin {
namespace {

constexpr std::string_view kGap = "  ";

std::string_view colour_code(Mood mood) {
  switch (mood) {
    case Mood::kGood:
      return "\x1b[32m";
    case Mood::kBad:
      return "\x1b[1;31m";
    case Mood::kDim:
      return "\x1b[2m";
    case Mood::kPlain:
      break;
  }
  return "";
}

}  // namespace

std::string coloured(std::string_view text, Mood mood, bool has_colour) {
  if (!has_colour || mood == Mood::kPlain) return std::string(text);
  return std::string(colour_code(mood)).append(text).append("\x1b[0m");
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::add_row(std::vector<Cell> cells) {
  CHECK(cells.size() == columns_.size(), "a row has as many cells as the table has columns");
  rows_.push_back(std::move(cells));
}

std::string Table::to_text(bool has_colour) const {
  std::vector<size_t> widths;
  for (size_t column = 0; column < columns_.size(); ++column) {
    size_t width = display_width(columns_[column].title);
    for (const auto& row : rows_) width = std::max(width, display_width(row[column].text));
    widths.push_back(width);
  }
  std::string text;
  const auto add_line = [&](auto cell_at) {
    std::string line;
    for (size_t column = 0; column < columns_.size(); ++column) {
      const Cell cell = cell_at(column);
      const std::string padding(widths[column] - display_width(cell.text), ' ');
      const std::string shown = coloured(cell.text, cell.mood, has_colour);
      const bool is_right = columns_[column].align == Align::kRight;
      if (column > 0) line += kGap;
      line += is_right ? padding + shown : shown + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  add_line([&](size_t column) { return Cell(columns_[column].title, Mood::kDim); });
  for (const auto& row : rows_) {
    add_line([&](size_t column) { return row[column]; });
  }
  return text;
}

}  // namespace verbatim::admin
