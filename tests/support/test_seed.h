// The one seed of all randomness in a test run: TEST_SEED from the environment, or a new one that
// is printed, so that a failure can be repeated.
#pragma once

#include <cstdint>

namespace verbatim::testing {

uint64_t test_seed();

}  // namespace verbatim::testing
