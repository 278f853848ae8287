#include "adapters/rules/time_window.h"

#include <absl/time/civil_time.h>
#include <absl/time/time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace verbatim::rules {
namespace {

constexpr int kMinutesOfDay = 24 * 60;
constexpr std::array<std::string_view, 7> kDays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

Result<absl::TimeZone> load_zone(const std::string& name) {
  absl::TimeZone zone;
  if (!name.empty() && absl::LoadTimeZone(name, &zone)) return zone;
  return invalid_argument("time_zone: no such time zone: \"" + name + "\"");
}

// Exactly the digits of a number.
std::optional<int> parse_digits(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = error == std::errc() && end == text.data() + text.size();
  return is_whole && text.front() != '-' ? std::optional(value) : std::nullopt;
}

Result<absl::CivilDay> parse_day(const std::string& field, const std::string& text) {
  const std::string_view view = text;
  if (view.size() == 10 && view[4] == '-' && view[7] == '-') {
    const auto year = parse_digits(view.substr(0, 4));
    const auto month = parse_digits(view.substr(5, 2));
    const auto day = parse_digits(view.substr(8, 2));
    if (year && month && day) {
      const absl::CivilDay date(*year, *month, *day);
      // What is no date, such as the 30th of February, comes back as another one.
      if (date.month() == *month && date.day() == *day) return date;
    }
  }
  return invalid_argument(field + ": expected a date such as \"2026-03-31\", not \"" + text + "\"");
}

Result<int> parse_minute(const std::string& field, const std::string& text) {
  const std::string_view view = text;
  if (view.size() == 5 && view[2] == ':') {
    const auto hour = parse_digits(view.substr(0, 2));
    const auto minute = parse_digits(view.substr(3, 2));
    if (hour && minute && *minute < 60 && *hour * 60 + *minute <= kMinutesOfDay) {
      return *hour * 60 + *minute;
    }
  }
  return invalid_argument(field + ": expected a time such as \"17:30\", not \"" + text + "\"");
}

unsigned day_bit(absl::CivilDay day) {
  return 1U << static_cast<unsigned>(absl::GetWeekday(day));  // Monday is 0
}

}  // namespace

struct CivilDays::State {
  absl::TimeZone zone;
};

Result<CivilDays> CivilDays::create(const std::string& time_zone) {
  ASSIGN_OR_RETURN(const absl::TimeZone zone, load_zone(time_zone));
  CivilDays days;
  days.state_ = std::make_shared<const State>(State{zone});
  return days;
}

std::string CivilDays::day_of(int64_t unix_ns) const {
  return absl::FormatCivilTime(absl::ToCivilDay(absl::FromUnixNanos(unix_ns), state_->zone));
}

struct TimeWindow::State {
  absl::TimeZone zone;
  std::optional<absl::CivilDay> from;
  std::optional<absl::CivilDay> until;
  unsigned days = 0;  // by day_bit(); 0: all
  int start = 0;      // minutes of the day
  int end = kMinutesOfDay;

  bool is_day(absl::CivilDay day) const {
    if (from && day < *from) return false;
    if (until && day > *until) return false;
    return days == 0 || (days & day_bit(day)) != 0;
  }
};

Result<TimeWindow> TimeWindow::create(const v1::RuleWindow& window,
                                      const std::string& default_time_zone) {
  State state;
  const std::string& name = window.time_zone().empty() ? default_time_zone : window.time_zone();
  ASSIGN_OR_RETURN(state.zone, load_zone(name));
  if (!window.from_date().empty()) {
    ASSIGN_OR_RETURN(state.from, parse_day("from_date", window.from_date()));
  }
  if (!window.until_date().empty()) {
    ASSIGN_OR_RETURN(state.until, parse_day("until_date", window.until_date()));
  }
  if (state.from && state.until && *state.until < *state.from) {
    return invalid_argument("until_date: lies before from_date");
  }
  for (const std::string& day : window.days()) {
    const auto found = std::find(kDays.begin(), kDays.end(), day);
    if (found == kDays.end()) return invalid_argument("days: no such day");
    state.days |= 1U << static_cast<unsigned>(found - kDays.begin());
  }
  if (window.start().empty() != window.end().empty()) {
    return invalid_argument("start: start and end go together");
  }
  if (!window.start().empty()) {
    ASSIGN_OR_RETURN(state.start, parse_minute("start", window.start()));
    ASSIGN_OR_RETURN(state.end, parse_minute("end", window.end()));
    if (state.start == kMinutesOfDay) return invalid_argument("start: 24:00 is the end of a day");
  }
  TimeWindow made;
  made.state_ = std::make_shared<const State>(std::move(state));
  return made;
}

bool TimeWindow::is_open(int64_t unix_ns) const {
  const absl::CivilSecond now = state_->zone.At(absl::FromUnixNanos(unix_ns)).cs;
  const int minute = now.hour() * 60 + now.minute();
  const absl::CivilDay today(now);
  if (state_->start < state_->end) {
    return minute >= state_->start && minute < state_->end && state_->is_day(today);
  }
  // Over midnight: of the day on which it opened.
  if (minute >= state_->start && state_->is_day(today)) return true;
  return minute < state_->end && state_->is_day(today - 1);
}

}  // namespace verbatim::rules
