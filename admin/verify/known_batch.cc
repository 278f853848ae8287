#include "admin/verify/known_batch.h"

#include <charconv>

#include "base/hex.h"
#include "base/sha256.h"

namespace verbatim::admin {

Result<KnownBatch> parse_known_batch(const std::string& text) {
  const Status wrong = invalid_argument(
      "expected N or N:DIGEST, the number of a batch and 64 hexadecimal digits, as the last lines "
      "of an earlier run show them");
  KnownBatch known;
  const char* end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, known.batch);
  if (error != std::errc() || known.batch == 0) return wrong;
  if (after == end) return known;
  const Result<std::string> digest = base::from_hex(std::string(after + 1, end));
  if (*after != ':' || !digest || digest->size() != base::kSha256Size) return wrong;
  known.digest = *digest;
  return known;
}

}  // namespace verbatim::admin
