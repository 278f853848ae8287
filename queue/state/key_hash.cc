#include "queue/state/key_hash.h"

#include <sodium.h>

#include "base/endian.h"

namespace verbatim::queue {
namespace {

// Part of the log's format: never change them without its version.
constexpr unsigned char kOrderKey[] = "verbatim order k";
constexpr unsigned char kSourceKey[] = "verbatim sourcek";

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

uint64_t order_key_hash(std::string_view order_key) {
  static_assert(sizeof(kOrderKey) == crypto_shorthash_siphash24_KEYBYTES + 1);
  unsigned char hash[crypto_shorthash_siphash24_BYTES];
  crypto_shorthash_siphash24(hash, bytes_of(order_key), order_key.size(), kOrderKey);
  return base::get_le64(reinterpret_cast<const char*>(hash));
}

SourceKeyHash source_key_hash(std::string_view source_key) {
  static_assert(sizeof(kSourceKey) == crypto_shorthash_siphashx24_KEYBYTES + 1);
  unsigned char hash[crypto_shorthash_siphashx24_BYTES];
  crypto_shorthash_siphashx24(hash, bytes_of(source_key), source_key.size(), kSourceKey);
  const char* at = reinterpret_cast<const char*>(hash);
  return {base::get_le64(at), base::get_le64(at + 8)};
}

}  // namespace verbatim::queue
