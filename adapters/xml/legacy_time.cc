#include "adapters/xml/legacy_time.h"

#include <chrono>
#include <cstdio>

namespace verbatim::adapters {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kNsPerTick = 100;
constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kTicksAt1970 = 621'355'968'000'000'000;

// Division that rounds towards the past, also before 1970.
int64_t floor_div(int64_t value, int64_t by) {
  return value / by - (value % by != 0 && value < 0 ? 1 : 0);
}

// `fraction` has `digits` digits.
std::string iso(int64_t seconds, int64_t fraction, int digits) {
  using std::chrono::days;
  const int64_t day = floor_div(seconds, 86'400);
  const int64_t second = seconds - day * 86'400;
  const std::chrono::year_month_day date{std::chrono::sys_days{days{day}}};
  char text[64];
  std::snprintf(text, sizeof(text), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(second / 3600), static_cast<int>(second / 60 % 60),
                static_cast<int>(second % 60));
  std::string result = text;
  if (fraction != 0) {
    std::snprintf(text, sizeof(text), ".%0*lld", digits, static_cast<long long>(fraction));
    result += text;
    result.erase(result.find_last_not_of('0') + 1);
  }
  return result + "Z";
}

}  // namespace

TimeTriple to_time_triple(int64_t unix_ns) {
  const int64_t seconds = floor_div(unix_ns, kNsPerSecond);
  const int64_t ticks_of_second = (unix_ns - seconds * kNsPerSecond) / kNsPerTick;
  TimeTriple triple;
  triple.since1970 = floor_div(unix_ns, kNsPerMs);
  triple.string = iso(seconds, ticks_of_second, 7);
  triple.ticks = floor_div(unix_ns, kNsPerTick) + kTicksAt1970;
  return triple;
}

std::string to_iso_time(int64_t unix_ns) {
  const int64_t seconds = floor_div(unix_ns, kNsPerSecond);
  return iso(seconds, unix_ns - seconds * kNsPerSecond, 9);
}

}  // namespace verbatim::adapters
