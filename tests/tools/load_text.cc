#include "tests/tools/load_text.h"

#include <random>
#include <string>

#include "base/check.h"

namespace verbatim::tools {
namespace {

constexpr size_t kPoolSize = 16 * kLoadTextMaxSize;

const std::string& pool() {
  static const std::string all = [] {
    constexpr std::string_view kLetters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .";
    std::string text(kPoolSize, ' ');
    std::mt19937_64 random(1);
    for (char& letter : text) letter = kLetters[random() % kLetters.size()];
    return text;
  }();
  return all;
}

}  // namespace

std::string_view load_text(uint64_t number, size_t size) {
  CHECK(size <= kLoadTextMaxSize, "a load's text has a bound");
  // A prime step: neighbours have no letter in common.
  const size_t at = number * 1'000'003 % (kPoolSize - kLoadTextMaxSize);
  return std::string_view(pool()).substr(at, size);
}

}  // namespace verbatim::tools
