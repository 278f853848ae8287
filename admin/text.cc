#include "admin/text.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <ctime>
#include <limits>
#include <optional>
#include <span>

#include "base/hex.h"

namespace verbatim::admin {
namespace {

constexpr int64_t kSecondMs = 1000;
constexpr int64_t kMinuteMs = 60 * kSecondMs;
constexpr int64_t kHourMs = 60 * kMinuteMs;
constexpr int64_t kDayMs = 24 * kHourMs;

std::string grouped(std::string digits) {
  for (size_t position = digits.size(); position > 3;) {
    position -= 3;
    digits.insert(position, 1, ',');
  }
  return digits;
}

struct CodePoint {
  char32_t value;
  size_t size;
};

// The code point at the front, or nothing where the bytes are no UTF-8 (RFC 3629).
std::optional<CodePoint> decode_utf8(std::string_view text) {
  const auto byte = [&](size_t index) { return static_cast<unsigned char>(text[index]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return CodePoint{first, 1};
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return std::nullopt;
  char32_t value = first & (0xffU >> (size + 1));
  for (size_t index = 1; index < size; ++index) {
    if ((byte(index) & 0xc0U) != 0x80) return std::nullopt;
    value = (value << 6U) | (byte(index) & 0x3fU);
  }
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kSmallest.at(size) || value > 0x10ffff || is_surrogate) return std::nullopt;
  return CodePoint{value, size};
}

// Control characters, line separators, and what reorders the text around it (Unicode Annex 9).
bool is_unsafe(char32_t value) {
  return value < 0x20 || (value >= 0x7f && value < 0xa0) || value == 0x200e || value == 0x200f ||
         (value >= 0x2028 && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069) ||
         value == 0x061c || value == 0xfeff;
}

struct Unit {
  std::string_view name;
  int64_t factor;
};

// A number with one of these units behind it.
std::optional<int64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return std::nullopt;
  const std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  for (const Unit& unit : units) {
    if (rest != unit.name) continue;
    if (number > std::numeric_limits<int64_t>::max() / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

}  // namespace

Result<int64_t> parse_age_ms(std::string_view text) {
  constexpr std::array<Unit, 5> kUnits = {
      {{"ms", 1}, {"s", kSecondMs}, {"m", kMinuteMs}, {"h", kHourMs}, {"d", kDayMs}}};
  if (const auto age = parse_with_unit(text, kUnits)) return *age;
  return invalid_argument("expected a time such as 250ms, 30s, 5m, 2h or 7d");
}

Result<int64_t> parse_bytes(std::string_view text) {
  constexpr std::array<Unit, 6> kUnits = {{{"", 1},
                                           {"B", 1},
                                           {"KiB", int64_t{1} << 10},
                                           {"MiB", int64_t{1} << 20},
                                           {"GiB", int64_t{1} << 30},
                                           {"TiB", int64_t{1} << 40}}};
  if (const auto bytes = parse_with_unit(text, kUnits)) return *bytes;
  return invalid_argument("expected bytes such as 1000, 64MiB or 1GiB");
}

Result<int64_t> parse_utc_ns(std::string_view text) {
  const std::string given(text.ends_with('Z') ? text.substr(0, text.size() - 1) : text);
  for (const char* format : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
    std::tm time{};
    const char* end = ::strptime(given.c_str(), format, &time);
    if (end == nullptr || *end != '\0') continue;
    // The C library corrects a day that does not exist; here it is an error.
    const int day = time.tm_mday;
    const std::time_t seconds = ::timegm(&time);
    if (seconds > 0 && time.tm_mday == day) return int64_t{seconds} * 1'000'000'000;
  }
  return invalid_argument("expected a time in UTC such as 2026-03-01 or 2026-03-01T12:00:05Z");
}

std::string short_hex(std::string_view bytes) {
  constexpr size_t kShownMaxBytes = 16;
  if (bytes.empty()) return "-";
  return base::to_hex(bytes.substr(0, kShownMaxBytes)) +
         (bytes.size() > kShownMaxBytes ? "..." : "");
}

std::string human_count(uint64_t count) { return grouped(std::to_string(count)); }

std::string human_count(int64_t count) {
  if (count >= 0) return human_count(static_cast<uint64_t>(count));
  return "-" + grouped(std::to_string(count).substr(1));
}

std::string human_bytes(int64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 0) return "-";
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::string number = fmt::format("{:.{}f}", value, unit == 0 || value >= 99.95 ? 0 : 1);
  if (number.ends_with(".0")) number.resize(number.size() - 2);
  return number + " " + kUnits.at(unit);
}

std::string human_age(int64_t age_ms) {
  if (age_ms <= 0) return "-";
  if (age_ms < kSecondMs) return fmt::format("{} ms", age_ms);
  if (age_ms < kMinuteMs) return fmt::format("{:.1f} s", static_cast<double>(age_ms) / 1000);
  if (age_ms < kHourMs) {
    return fmt::format("{} min {} s", age_ms / kMinuteMs, age_ms % kMinuteMs / kSecondMs);
  }
  if (age_ms < kDayMs) {
    return fmt::format("{} h {} min", age_ms / kHourMs, age_ms % kHourMs / kMinuteMs);
  }
  return fmt::format("{} d {} h", age_ms / kDayMs, age_ms % kDayMs / kHourMs);
}

std::string utc_time(int64_t unix_ns) {
  if (unix_ns == 0) return "-";
  constexpr int64_t kSecondNs = 1'000'000'000;
  int64_t seconds = unix_ns / kSecondNs;
  int64_t rest_ns = unix_ns % kSecondNs;
  if (rest_ns < 0) {
    rest_ns += kSecondNs;
    --seconds;
  }
  const std::time_t time = seconds;
  std::tm parts{};
  if (gmtime_r(&time, &parts) == nullptr) return "-";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     rest_ns / 1'000'000);
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::optional<CodePoint> code_point = decode_utf8(text);
    const size_t size = code_point ? code_point->size : 1;
    if (!code_point) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else if (is_unsafe(code_point->value)) {
      result += fmt::format("\\u{:04x}", static_cast<uint32_t>(code_point->value));
    } else {
      result += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return result;
}

std::string enum_name(std::string_view name, std::string_view prefix) {
  if (name.substr(0, prefix.size()) == prefix) name.remove_prefix(prefix.size());
  return std::string(name);
}

std::string enum_word(std::string_view name, std::string_view prefix) {
  std::string word = enum_name(name, prefix);
  for (char& letter : word) {
    letter =
        letter == '_' ? ' ' : static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return word;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (const char byte : text) {
    if ((static_cast<unsigned char>(byte) & 0xc0U) != 0x80) ++width;
  }
  return width;
}

}  // namespace verbatim::admin
