#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <sstream>
#include <string>

#include "admin/commands.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {

void print_text(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int report_error(const Status& status) {
  std::fflush(stdout);
  // The lines of a message are ours, what stands in them may be anybody's.
  std::istringstream lines(status.message());
  std::string shown;
  for (std::string line; std::getline(lines, line);) {
    shown += (shown.empty() ? "" : "\n") + printable(line);
  }
  std::fprintf(stderr, "verbatimctl: %s\n", shown.c_str());
  return status.code() == StatusCode::kUnavailable ? kExitServiceDown : kExitAttention;
}

void print_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) {
    // Only text that is not UTF-8 can do that, and services keep such text out of their answers.
    json = R"({"error":"the answer cannot be written as JSON"})";
  }
  print_text(json + "\n");
  std::fflush(stdout);
}

void print_table(const OutputStyle& style, const Table& table, std::string_view nothing) {
  if (table.is_empty()) {
    print_text(std::string(nothing) + "\n");
  } else {
    print_text(table.to_text(style.has_colour));
  }
}

}  // namespace verbatim::admin
