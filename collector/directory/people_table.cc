#include "collector/directory/people_table.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "collector/broker/jid.h"

namespace verbatim::collector {
namespace {

constexpr size_t kFieldMaxBytes = 64 * 1024;
constexpr size_t kBadLinesShownCount = 10;
constexpr std::array<std::string_view, 5> kColumns = {"address", "name", "email", "department",
                                                      "groups"};
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct Row {
  size_t line = 0;  // where it begins; the first is 1
  std::vector<std::string> fields;
  std::string problem;  // of its syntax; the fields are then of no use
};

// Reads rows one by one; a quoted field may have line ends in it.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::optional<Row> next() {
    while (position_ < text_.size()) {
      Row row{.line = line_, .fields = {}, .problem = {}};
      read_row(row);
      const bool is_empty = row.problem.empty() && row.fields.size() == 1 && row.fields[0].empty();
      if (!is_empty) return row;
    }
    return std::nullopt;
  }

 private:
  void read_row(Row& row) {
    do {
      row.fields.emplace_back();
      const bool is_quoted = position_ < text_.size() && text_[position_] == '"';
      if (is_quoted) {
        read_quoted(row);
      } else {
        read_plain(row);
      }
    } while (take(','));
    if (take('\r') && position_ < text_.size() && text_[position_] != '\n') {
      row.problem = "a carriage return inside a field without quotes";
    }
    if (take('\n')) ++line_;
  }

  void read_plain(Row& row) {
    const size_t end = std::min(text_.find_first_of(",\r\n", position_), text_.size());
    row.fields.back() = text_.substr(position_, end - position_);
    if (row.fields.back().find('"') != std::string::npos) {
      row.problem = "a quote inside a field without quotes";
    }
    position_ = end;
  }

  void read_quoted(Row& row) {
    ++position_;
    while (true) {
      const size_t end = text_.find('"', position_);
      if (end == std::string_view::npos) {
        row.problem = "a quote that does not end";
        position_ = text_.size();
        return;
      }
      append(row, text_.substr(position_, end - position_));
      position_ = end + 1;
      if (!take('"')) break;
      row.fields.back() += '"';
    }
    const bool is_end = position_ == text_.size() ||
                        std::string_view(",\r\n").find(text_[position_]) != std::string_view::npos;
    if (is_end) return;
    row.problem = "text behind a closing quote";
    position_ = std::min(text_.find_first_of(",\r\n", position_), text_.size());
  }

  void append(Row& row, std::string_view part) {
    row.fields.back() += part;
    line_ += static_cast<size_t>(std::count(part.begin(), part.end(), '\n'));
  }

  bool take(char wanted) {
    if (position_ == text_.size() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }

  std::string_view text_;
  size_t position_ = 0;
  size_t line_ = 1;
};

// Which column of the row each of kColumns is.
using Columns = std::array<std::optional<size_t>, kColumns.size()>;

Result<Columns> read_heading(const Row& row) {
  if (!row.problem.empty()) return invalid_argument("line 1: " + row.problem);
  Columns columns;
  for (size_t i = 0; i < row.fields.size(); ++i) {
    const auto known = std::find(kColumns.begin(), kColumns.end(), row.fields[i]);
    if (known == kColumns.end()) {
      return invalid_argument("line " + std::to_string(row.line) + ": column " +
                              std::to_string(i + 1) +
                              " is none of address, name, email, department, groups");
    }
    std::optional<size_t>& column = columns[static_cast<size_t>(known - kColumns.begin())];
    if (column) return invalid_argument("line 1: two columns " + std::string(*known));
    column = i;
  }
  if (!columns[0]) return invalid_argument("line 1: no column address");
  return columns;
}

std::vector<std::string> split_groups(std::string_view text) {
  std::vector<std::string> groups;
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    std::string_view group = text.substr(0, end);
    while (!group.empty() && group.front() == ' ') group.remove_prefix(1);
    while (!group.empty() && group.back() == ' ') group.remove_suffix(1);
    if (!group.empty()) groups.emplace_back(group);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return groups;
}

// Adds the person of one row; gives what is wrong with it, or nothing.
std::string add_person(const Row& row, const Columns& columns, size_t column_count,
                       PeopleTable& table) {
  if (!row.problem.empty()) return row.problem;
  if (row.fields.size() != column_count) {
    return std::to_string(row.fields.size()) + " fields, not " + std::to_string(column_count);
  }
  for (const std::string& field : row.fields) {
    if (field.size() > kFieldMaxBytes) return "a field of more than 64 KiB";
    if (!base::is_utf8(field)) return "not UTF-8";
  }
  const auto field = [&](size_t column) {
    return columns[column] ? row.fields[*columns[column]] : std::string();
  };
  const Jid jid = parse_jid(field(0));
  if (!jid.is_valid || jid.node.empty() || !jid.resource.empty()) return "no address of a person";
  Person person{.name = field(1),
                .email = field(2),
                .department = field(3),
                .groups = split_groups(field(4))};
  return table.emplace(jid.bare(), std::move(person)).second ? ""
                                                             : "the address stands there twice";
}

Status refusal(const std::vector<std::string>& bad_lines) {
  std::string text;
  for (size_t i = 0; i < std::min(bad_lines.size(), kBadLinesShownCount); ++i) {
    text += (i == 0 ? "" : "; ") + bad_lines[i];
  }
  if (bad_lines.size() > kBadLinesShownCount) {
    text += "; and " + std::to_string(bad_lines.size() - kBadLinesShownCount) + " more";
  }
  return invalid_argument(text);
}

}  // namespace

Result<PeopleTable> parse_people(std::string_view csv, size_t people_max_count) {
  if (csv.starts_with(kByteOrderMark)) csv.remove_prefix(kByteOrderMark.size());
  Reader reader(csv);
  const std::optional<Row> heading = reader.next();
  if (!heading) return invalid_argument("line 1: no heading");
  ASSIGN_OR_RETURN(const Columns columns, read_heading(*heading));
  PeopleTable table;
  std::vector<std::string> bad_lines;
  while (const std::optional<Row> row = reader.next()) {
    const std::string problem = add_person(*row, columns, heading->fields.size(), table);
    if (!problem.empty()) bad_lines.push_back("line " + std::to_string(row->line) + ": " + problem);
    if (table.size() > people_max_count) {
      return resource_exhausted("more people than cache_max_count=" +
                                std::to_string(people_max_count));
    }
  }
  if (!bad_lines.empty()) return refusal(bad_lines);
  return table;
}

}  // namespace verbatim::collector
