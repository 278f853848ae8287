#include "tests/support/test_seed.h"

#include <cstdio>
#include <cstdlib>
#include <random>

namespace verbatim::testing {

uint64_t test_seed() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("TEST_SEED");
    const uint64_t value =
        text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device{}();
    std::printf("TEST_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return seed;
}

}  // namespace verbatim::testing
