#include "admin/collector/event_spec.h"

#include <array>
#include <vector>

namespace verbatim::admin {
namespace {

using Entry = v1::ComplianceProfile::EventEntry;

constexpr const char* kForm =
    "expected EVENT[:TYPE][:bounce|pass][:fire-and-forget], such as es_OUT:message or "
    "onBeforeSend:pass, not \"";

std::vector<std::string> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const size_t colon = text.find(':');
    parts.emplace_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return parts;
    text.remove_prefix(colon + 1);
  }
}

bool is_packet_type(std::string_view word) {
  constexpr std::array<std::string_view, 5> kTypes = {"all", "iq", "message", "presence",
                                                      "subscription"};
  for (const std::string_view type : kTypes) {
    if (word == type) return true;
  }
  return false;
}

// False where the word means nothing, or comes a second time.
bool take_word(const std::string& word, Entry& entry) {
  if (is_packet_type(word)) {
    if (!entry.packet_type().empty()) return false;
    entry.set_packet_type(word);
    return true;
  }
  if (word == "fire-and-forget") {
    if (entry.fire_and_forget()) return false;
    entry.set_fire_and_forget(true);
    return true;
  }
  if (entry.handling() != v1::ComplianceProfile::HANDLING_UNSPECIFIED) return false;
  if (word == "bounce") entry.set_handling(v1::ComplianceProfile::HANDLING_BOUNCE);
  if (word == "pass") entry.set_handling(v1::ComplianceProfile::HANDLING_PASS);
  return entry.handling() != v1::ComplianceProfile::HANDLING_UNSPECIFIED;
}

}  // namespace

Result<Entry> parse_event_spec(std::string_view text) {
  const std::vector<std::string> parts = parts_of(text);
  Entry entry;
  entry.set_event(parts[0]);
  bool is_good = !parts[0].empty();
  for (size_t i = 1; i < parts.size(); ++i) is_good = is_good && take_word(parts[i], entry);
  if (is_good) return entry;
  return invalid_argument(kForm + std::string(text) + "\"");
}

std::string event_spec(const Entry& entry) {
  std::string text = entry.event();
  if (!entry.packet_type().empty()) text += ":" + entry.packet_type();
  text += entry.handling() == v1::ComplianceProfile::HANDLING_PASS ? ":pass" : ":bounce";
  if (entry.fire_and_forget()) text += ":fire-and-forget";
  return text;
}

}  // namespace verbatim::admin
