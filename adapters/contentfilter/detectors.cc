#include "adapters/contentfilter/detectors.h"

#include <algorithm>
#include <array>
#include <string>

namespace verbatim::content {
namespace {

constexpr size_t kCardMinCount = 13;
constexpr size_t kCardMaxCount = 19;

bool is_digit(char character) { return character >= '0' && character <= '9'; }
bool is_letter(char character) { return character >= 'a' && character <= 'z'; }
bool is_alphanumeric(char character) { return is_digit(character) || is_letter(character); }

// ISO/IEC 7812-1, annex B.
bool has_check_digit(std::string_view digits) {
  int sum = 0;
  bool is_doubled = false;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, is_doubled = !is_doubled) {
    const int value = (*digit - '0') * (is_doubled ? 2 : 1);
    sum += value > 9 ? value - 9 : value;
  }
  return sum % 10 == 0;
}

bool is_card_number(std::string_view digits) {
  return digits.size() >= kCardMinCount && digits.size() <= kCardMaxCount && digits[0] >= '2' &&
         digits[0] <= '6' && has_check_digit(digits);
}

// A run of digits with single separators, and where each digit stands.
struct DigitRun {
  std::string digits;
  std::vector<size_t> places;
  std::vector<bool> starts_group;
};

DigitRun read_run(std::string_view text, size_t begin) {
  DigitRun run;
  bool is_group_start = true;
  for (size_t i = begin; i < text.size(); ++i) {
    if (is_digit(text[i])) {
      run.digits += text[i];
      run.places.push_back(i);
      run.starts_group.push_back(is_group_start);
      is_group_start = false;
    } else if ((text[i] == ' ' || text[i] == '-') && i + 1 < text.size() && is_digit(text[i + 1])) {
      is_group_start = true;
    } else {
      break;
    }
  }
  return run;
}

// The card number that begins at digit `first` of the run and ends with a group; 0: none.
size_t card_size_at(const DigitRun& run, size_t first) {
  const size_t left = run.digits.size() - first;
  for (size_t size = std::min(left, kCardMaxCount); size >= kCardMinCount; --size) {
    const bool ends_group = first + size == run.digits.size() || run.starts_group[first + size];
    if (ends_group && is_card_number(std::string_view(run.digits).substr(first, size))) return size;
  }
  return 0;
}

struct Country {
  std::string_view code;
  size_t size;
};
// SWIFT, IBAN Registry (ISO 13616-1), release 99.
constexpr auto kCountries = std::to_array<Country>(
    {{"ad", 24}, {"ae", 23}, {"al", 28}, {"at", 20}, {"az", 28}, {"ba", 20}, {"be", 16}, {"bg", 22},
     {"bh", 22}, {"bi", 27}, {"br", 29}, {"by", 28}, {"ch", 21}, {"cr", 22}, {"cy", 28}, {"cz", 24},
     {"de", 22}, {"dj", 27}, {"dk", 18}, {"do", 28}, {"ee", 20}, {"eg", 29}, {"es", 24}, {"fi", 18},
     {"fk", 18}, {"fo", 18}, {"fr", 27}, {"gb", 22}, {"ge", 22}, {"gi", 23}, {"gl", 18}, {"gr", 27},
     {"gt", 28}, {"hn", 28}, {"hr", 21}, {"hu", 28}, {"ie", 22}, {"il", 23}, {"iq", 23}, {"is", 26},
     {"it", 27}, {"jo", 30}, {"kw", 30}, {"kz", 20}, {"lb", 28}, {"lc", 32}, {"li", 21}, {"lt", 20},
     {"lu", 20}, {"lv", 21}, {"ly", 25}, {"mc", 27}, {"md", 24}, {"me", 22}, {"mk", 19}, {"mn", 20},
     {"mr", 27}, {"mt", 31}, {"mu", 30}, {"ni", 28}, {"nl", 18}, {"no", 15}, {"om", 23}, {"pk", 24},
     {"pl", 28}, {"ps", 29}, {"pt", 25}, {"qa", 29}, {"ro", 24}, {"rs", 22}, {"ru", 33}, {"sa", 24},
     {"sc", 31}, {"sd", 18}, {"se", 24}, {"si", 19}, {"sk", 24}, {"sm", 27}, {"so", 23}, {"st", 25},
     {"sv", 28}, {"tl", 23}, {"tn", 24}, {"tr", 26}, {"ua", 29}, {"va", 22}, {"vg", 24}, {"xk", 20},
     {"ye", 30}});

size_t iban_size(std::string_view code) {
  const auto found = std::find_if(kCountries.begin(), kCountries.end(),
                                  [code](const Country& country) { return country.code == code; });
  return found == kCountries.end() ? 0 : found->size;
}

// ISO 13616-1: the first four characters go to the end, letters become 10 to 35, and the whole
// number leaves 1 when divided by 97.
bool has_check_digits(const std::string& iban) {
  const std::string turned = iban.substr(4) + iban.substr(0, 4);
  unsigned rest = 0;
  for (const char character : turned) {
    if (is_digit(character)) {
      rest = (rest * 10 + static_cast<unsigned>(character - '0')) % 97;
    } else {
      rest = (rest * 100 + static_cast<unsigned>(character - 'a') + 10) % 97;
    }
  }
  return rest == 1;
}

// The end of the IBAN that begins at `begin`; 0: none.
size_t iban_end_at(std::string_view text, size_t begin) {
  if (begin + 4 > text.size() || !is_letter(text[begin]) || !is_letter(text[begin + 1])) return 0;
  const size_t size = iban_size(text.substr(begin, 2));
  std::string iban;
  size_t at = begin;
  while (at < text.size() && iban.size() < size) {
    const bool is_gap =
        text[at] == ' ' && !iban.empty() && at + 1 < text.size() && is_alphanumeric(text[at + 1]);
    if (!is_gap && !is_alphanumeric(text[at])) break;
    if (!is_gap) iban += text[at];
    ++at;
  }
  if (size == 0 || iban.size() < size || !is_digit(iban[2]) || !is_digit(iban[3])) return 0;
  if (at < text.size() && is_alphanumeric(text[at])) return 0;
  return has_check_digits(iban) ? at : 0;
}

}  // namespace

std::vector<rules::TextSpan> find_card_numbers(std::string_view folded) {
  std::vector<rules::TextSpan> found;
  for (size_t i = 0; i < folded.size();) {
    if (!is_digit(folded[i])) {
      ++i;
      continue;
    }
    const DigitRun run = read_run(folded, i);
    for (size_t first = 0; first < run.digits.size();) {
      const size_t size = run.starts_group[first] ? card_size_at(run, first) : 0;
      if (size > 0) found.push_back({run.places[first], run.places[first + size - 1] + 1});
      first += std::max<size_t>(size, 1);
    }
    i = run.places.back() + 1;
  }
  return found;
}

std::vector<rules::TextSpan> find_ibans(std::string_view folded) {
  std::vector<rules::TextSpan> found;
  for (size_t i = 0; i < folded.size(); ++i) {
    if (i > 0 && is_alphanumeric(folded[i - 1])) continue;
    const size_t end = iban_end_at(folded, i);
    if (end == 0) continue;
    found.push_back({i, end});
    i = end - 1;
  }
  return found;
}

}  // namespace verbatim::content
