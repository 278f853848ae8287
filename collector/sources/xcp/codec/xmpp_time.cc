#include "collector/sources/xcp/codec/xmpp_time.h"

#include <charconv>
#include <chrono>
#include <optional>

namespace verbatim::collector {
namespace {

// Takes exactly `digits` digits off the front.
std::optional<int> take_number(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  const char* const end = text.data() + digits;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

int64_t take_fraction_ns(std::string_view& text) {
  if (!take(text, '.')) return 0;
  int64_t value = 0;
  int64_t unit = 100'000'000;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    value += (text.front() - '0') * unit;
    unit /= 10;
    text.remove_prefix(1);
  }
  return value;
}

// "Z", "+02:00" or "-05:30", which must end the text.
std::optional<std::chrono::minutes> take_zone(std::string_view text) {
  if (text == "Z") return std::chrono::minutes(0);
  const bool is_east = take(text, '+');
  if (!is_east && !take(text, '-')) return std::nullopt;
  const auto hours = take_number(text, 2);
  if (!hours || !take(text, ':')) return std::nullopt;
  const auto minutes = take_number(text, 2);
  if (!minutes || !text.empty()) return std::nullopt;
  const std::chrono::minutes offset(*hours * 60 + *minutes);
  return is_east ? offset : -offset;
}

}  // namespace

int64_t parse_xmpp_time(std::string_view text) {
  const auto year = take_number(text, 4);
  if (!year || !take(text, '-')) return 0;
  const auto month = take_number(text, 2);
  if (!month || !take(text, '-')) return 0;
  const auto day = take_number(text, 2);
  if (!day || !take(text, 'T')) return 0;
  const auto hour = take_number(text, 2);
  if (!hour || !take(text, ':')) return 0;
  const auto minute = take_number(text, 2);
  if (!minute || !take(text, ':')) return 0;
  const auto second = take_number(text, 2);
  if (!second) return 0;
  const int64_t fraction = take_fraction_ns(text);
  const auto zone = take_zone(text);
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  // 1970 to 2261: what 64 bits of nanoseconds hold.
  if (!zone || !date.ok() || *year < 1970 || *year > 2261) return 0;
  if (*hour > 24 || *minute > 59 || *second > 60) return 0;
  const std::chrono::nanoseconds since_1970 =
      std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(*hour) +
      std::chrono::minutes(*minute) + std::chrono::seconds(*second) - *zone;
  return since_1970.count() + fraction;
}

}  // namespace verbatim::collector
