#include "adapters/xml/legacy_time.h"

#include <chrono>

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

// What floor_div leaves; 0 to by - 1.
int64_t floor_mod(int64_t value, int64_t by) {
  const int64_t rest = value % by;
  return rest < 0 ? rest + by : rest;
}

// Ends before `end`; leading zeros fill `width`.
void put_digits(char* end, int64_t value, int width) {
  for (int i = 0; i < width; ++i, value /= 10) *--end = static_cast<char>('0' + value % 10);
}

// `fraction` has `digits` digits.
std::string iso(int64_t seconds, int64_t fraction, int digits) {
  using std::chrono::days;
  const int64_t day = floor_div(seconds, 86'400);
  const int64_t second = floor_mod(seconds, 86'400);
  // The years of 64-bit nanoseconds have four digits: 1677 to 2262.
  const std::chrono::year_month_day date{std::chrono::sys_days{days{day}}};
  std::string result = "0000-00-00T00:00:00";
  char* const text = result.data();
  put_digits(text + 4, static_cast<int>(date.year()), 4);
  put_digits(text + 7, static_cast<unsigned>(date.month()), 2);
  put_digits(text + 10, static_cast<unsigned>(date.day()), 2);
  put_digits(text + 13, second / 3600, 2);
  put_digits(text + 16, second / 60 % 60, 2);
  put_digits(text + 19, second % 60, 2);
  if (fraction != 0) {
    result += '.';
    result.append(static_cast<size_t>(digits), '0');
    put_digits(result.data() + result.size(), fraction, digits);
    result.erase(result.find_last_not_of('0') + 1);
  }
  result += 'Z';
  return result;
}

}  // namespace

TimeTriple to_time_triple(int64_t unix_ns) {
  const int64_t seconds = floor_div(unix_ns, kNsPerSecond);
  const int64_t ticks_of_second = floor_mod(unix_ns, kNsPerSecond) / kNsPerTick;
  TimeTriple triple;
  triple.since1970 = floor_div(unix_ns, kNsPerMs);
  triple.string = iso(seconds, ticks_of_second, 7);
  triple.ticks = floor_div(unix_ns, kNsPerTick) + kTicksAt1970;
  return triple;
}

std::string to_iso_time(int64_t unix_ns) {
  const int64_t seconds = floor_div(unix_ns, kNsPerSecond);
  return iso(seconds, floor_mod(unix_ns, kNsPerSecond), 9);
}

}  // namespace verbatim::adapters
