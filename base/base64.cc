#include "base/base64.h"

#include <openssl/evp.h>

#include <algorithm>
#include <limits>

namespace verbatim::base {
namespace {

const unsigned char* as_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* as_bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

std::string to_base64(std::string_view bytes) {
  // OpenSSL counts in int; we stay far below.
  CHECK(bytes.size() <= std::numeric_limits<int>::max() / 2, "base64 of more than 1 GiB at once");
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(as_bytes(text), as_bytes(bytes), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

Result<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() > std::numeric_limits<int>::max()) {
    return invalid_argument("base64 text of a wrong size");
  }
  if (text.empty()) return std::string();
  std::string bytes(text.size() / 4 * 3 + 1, '\0');
  const int size = EVP_DecodeBlock(as_bytes(bytes), as_bytes(text), static_cast<int>(text.size()));
  if (size < 0) return invalid_argument("not base64");
  // OpenSSL counts the padding as bytes.
  const size_t padding = static_cast<size_t>(std::count(text.end() - 2, text.end(), '='));
  bytes.resize(static_cast<size_t>(size) - padding);
  // It also skips white space; then the text is not what to_base64 makes.
  if (to_base64(bytes) != text) return invalid_argument("not canonical base64");
  return bytes;
}

}  // namespace verbatim::base
