#include "base/uuid.h"

#include <sys/random.h>

#include <algorithm>

#include "base/check.h"
#include "base/endian.h"
#include "base/hex.h"

namespace verbatim::base {
namespace {

// Random bytes by the kilobyte: one system call serves about a hundred ids.
void fill_random(char* to, size_t size) {
  thread_local char pool[1024];
  thread_local size_t left = 0;
  for (size_t i = 0; i < size; ++i) {
    if (left == 0) {
      // At most 256 bytes are never interrupted once the pool of the system is up (getrandom(2)).
      for (size_t offset = 0; offset < sizeof(pool); offset += 256) {
        ssize_t count = -1;
        while (count < 0) count = getrandom(pool + offset, 256, 0);
        CHECK(count == 256, "getrandom gave fewer bytes than asked for");
      }
      left = sizeof(pool);
    }
    to[i] = pool[--left];
  }
}

}  // namespace

std::string make_uuid_v7(const Clock& clock) {
  char bytes[16];
  fill_random(bytes, sizeof(bytes));
  const auto unix_ms = static_cast<uint64_t>(clock.unix_now_ns() / 1'000'000);
  char time[8];
  put_be64(time, unix_ms);
  std::copy(time + 2, time + 8, bytes);
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x70);
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);
  std::string text = to_hex(std::string_view(bytes, sizeof(bytes)));
  for (const size_t at : {8U, 13U, 18U, 23U}) text.insert(at, 1, '-');
  return text;
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_dash_place = i == 8 || i == 13 || i == 18 || i == 23;
    const bool is_hex_digit = (text[i] >= '0' && text[i] <= '9') ||
                              (text[i] >= 'a' && text[i] <= 'f') ||
                              (text[i] >= 'A' && text[i] <= 'F');
    if (is_dash_place ? text[i] != '-' : !is_hex_digit) return false;
  }
  return true;
}

}  // namespace verbatim::base
