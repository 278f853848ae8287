#include "adapters/rules/explanation.h"

#include <algorithm>
#include <functional>
#include <string_view>

namespace verbatim::rules {
namespace {

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char character) {
    return (character >= 'a' && character <= 'z') || character == '_';
  });
}

// Calls `on_name` for each "{name}" and `on_text` for all between.
void for_each_part(std::string_view text, const std::function<void(std::string_view)>& on_text,
                   const std::function<void(std::string_view)>& on_name) {
  while (!text.empty()) {
    const size_t open = text.find('{');
    const size_t close = open == std::string_view::npos ? open : text.find('}', open);
    if (close == std::string_view::npos) return on_text(text);
    const std::string_view name = text.substr(open + 1, close - open - 1);
    if (is_name(name)) {
      on_text(text.substr(0, open));
      on_name(name);
      text.remove_prefix(close + 1);
    } else {
      on_text(text.substr(0, open + 1));
      text.remove_prefix(open + 1);
    }
  }
}

}  // namespace

Status check_explanation(const std::string& text, const Placeholders& known) {
  std::string unknown;
  for_each_part(
      text, [](std::string_view) {},
      [&](std::string_view name) {
        if (unknown.empty() && !known.contains(name)) unknown = name;
      });
  if (unknown.empty()) return {};
  std::string list;
  for (const auto& [name, value] : known) list += (list.empty() ? "{" : ", {") + name + "}";
  return invalid_argument("no such placeholder: {" + unknown + "}, known are " + list);
}

std::string fill_explanation(const std::string& text, const Placeholders& values) {
  std::string filled;
  for_each_part(
      text, [&](std::string_view part) { filled += part; },
      [&](std::string_view name) {
        const auto value = values.find(name);
        if (value != values.end()) filled += value->second;
      });
  return filled;
}

}  // namespace verbatim::rules
