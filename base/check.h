// CHECK: our own reasoning must hold, in every build. A violation is a bug; going on could answer
// for data that is not there, so the process ends and the supervisor starts it again.
#pragma once

#include <string_view>

namespace verbatim {

// Prints "file:line: check failed: condition: message" to standard error and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view message);

}  // namespace verbatim

// CHECK(first <= last, "invariant I1: ..."). Always on.
#define CHECK(condition, message)                                          \
  do {                                                                     \
    if (!(condition)) [[unlikely]] {                                       \
      ::verbatim::check_failed(__FILE__, __LINE__, #condition, (message)); \
    }                                                                      \
  } while (false)
