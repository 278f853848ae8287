#include "collector/sources/xcp/handshake.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>

#include "base/check.h"
#include "base/hex.h"

namespace verbatim::collector {

std::string handshake_digest(std::string_view stream_id, std::string_view secret) {
  const std::string input = std::string(stream_id) + std::string(secret);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const int is_ok =
      EVP_Digest(input.data(), input.size(), digest.data(), &size, EVP_sha1(), nullptr);
  CHECK(is_ok == 1, "SHA-1 is part of the cryptographic library");
  return base::to_hex({reinterpret_cast<const char*>(digest.data()), size});
}

bool is_handshake(std::string_view given, std::string_view stream_id, std::string_view secret) {
  const std::string expected = handshake_digest(stream_id, secret);
  std::string lower(given);
  for (char& character : lower) {
    if (character >= 'A' && character <= 'F') character = static_cast<char>(character + 32);
  }
  return lower.size() == expected.size() &&
         CRYPTO_memcmp(lower.data(), expected.data(), expected.size()) == 0;
}

std::string make_stream_id() {
  std::array<unsigned char, 16> bytes{};
  CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1,
        "the system's random numbers are there");
  return base::to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace verbatim::collector
