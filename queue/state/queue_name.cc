#include "queue/state/queue_name.h"

#include <algorithm>

#include "base/log.h"

namespace verbatim::queue {
namespace {

constexpr size_t kNameMaxBytes = 64;
constexpr std::string_view kSystemPrefix = "verbatim.";

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_part(std::string_view part) {
  return !part.empty() && part.size() <= kNameMaxBytes && is_letter_or_digit(part.front()) &&
         std::all_of(part.begin(), part.end(), [](char c) {
           return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
         });
}

}  // namespace

std::string_view parent_of(std::string_view name) { return name.substr(0, name.find(';')); }

std::string_view sub_name_of(std::string_view name) {
  const size_t at = name.find(';');
  return at == std::string_view::npos ? std::string_view() : name.substr(at + 1);
}

std::string sub_queue(std::string_view name, std::string_view sub_name) {
  return fmt::format("{};{}", name, sub_name);
}

bool is_system_sub_queue(std::string_view name) {
  const std::string_view sub = sub_name_of(name);
  return sub == kRetry || sub == kPoison || sub == kDeadLetters || sub == kJournal;
}

bool is_service_queue(std::string_view name) { return name.starts_with(kSystemPrefix); }

Status check_queue_name(std::string_view name) {
  const bool has_sub = name.find(';') != std::string_view::npos;
  if (is_part(parent_of(name)) && (!has_sub || is_part(sub_name_of(name)))) return {};
  return invalid_argument(
      "a queue's name is 1 to 64 of a-z 0-9 . _ - and begins with a letter or digit; a sub-queue's "
      "is that of its queue, a semicolon, and such a name again");
}

Status check_new_queue_name(std::string_view name) {
  RETURN_IF_ERROR(check_queue_name(name));
  if (is_system_sub_queue(name)) {
    return invalid_argument(
        "the sub-queues retry, poison, dead-letters and journal are made by the service itself");
  }
  if (is_service_queue(name)) {
    return invalid_argument("names that begin with 'verbatim.' are the service's own");
  }
  return {};
}

Status no_such_queue(std::string_view name) {
  const std::string_view parent = parent_of(name);
  if (sub_name_of(name) == kRetry) {
    return not_found(fmt::format("{} is a view of {}: peek it, or name {}", name, parent, parent));
  }
  if (is_system_sub_queue(name)) {
    return not_found(
        fmt::format("no such queue: {} (it is made with its first message; a hold on {} covers it)",
                    name, parent));
  }
  return not_found(fmt::format("no such queue: {}", name));
}

}  // namespace verbatim::queue
