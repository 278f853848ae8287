#include "processor/staging/conversation_rows.h"

#include "base/check.h"
#include "base/endian.h"
#include "processor/staging/keys.h"

namespace verbatim::processor {
namespace {

constexpr size_t kDistanceSize = sizeof(uint32_t);

}  // namespace

std::string encode_earlier(const std::vector<uint64_t>& sequences) {
  CHECK(!sequences.empty(), "a row is of one event at least");
  std::string value;
  value.reserve((sequences.size() - 1) * kDistanceSize);
  for (size_t i = 0; i + 1 < sequences.size(); ++i) {
    base::put_le32(value, static_cast<uint32_t>(sequences.back() - sequences[i]));
  }
  return value;
}

Result<std::vector<uint64_t>> sequences_of(std::string_view key, std::string_view value) {
  const uint64_t last = number_of(key);
  std::vector<uint64_t> sequences;
  sequences.reserve(value.size() / kDistanceSize + 1);
  uint64_t before = last;
  bool is_sound = value.size() % kDistanceSize == 0;
  for (size_t at = 0; is_sound && at < value.size(); at += kDistanceSize) {
    const uint64_t distance = base::get_le32(value.data() + at);
    is_sound = distance > 0 && distance < last && (at == 0 || distance < before);
    before = distance;
    sequences.push_back(last - distance);
  }
  if (!is_sound) {
    return data_loss("staging: a row by conversation is damaged sequence=" + std::to_string(last));
  }
  sequences.push_back(last);
  return sequences;
}

}  // namespace verbatim::processor
