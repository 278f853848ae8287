// The digest of a LogSourceKey record: docs/formats/log.md, "Digests".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/endian.h"
#include "queue/state/key_hash.h"
#include "verbatim/v1/queue_log.pb.h"

namespace verbatim::queue {

struct SourceKeyDigest {
  uint32_t queue_id = 0;
  uint64_t lookup_id = 0;
  int64_t put_unix_ns = 0;
  SourceKeyHash hash{};
};

inline std::string encode_source_key_digest(const v1::LogSourceKey& key) {
  const SourceKeyHash hash = source_key_hash(key.source_key());
  std::string bytes;
  base::put_le32(bytes, key.queue_id());
  base::put_le32(bytes, 0);
  base::put_le64(bytes, key.lookup_id());
  base::put_le64(bytes, static_cast<uint64_t>(key.put_unix_ns()));
  base::put_le64(bytes, hash[0]);
  base::put_le64(bytes, hash[1]);
  return bytes;
}

inline std::optional<SourceKeyDigest> decode_source_key_digest(std::string_view bytes) {
  if (bytes.size() != 40) return std::nullopt;
  const char* at = bytes.data();
  return SourceKeyDigest{.queue_id = base::get_le32(at),
                         .lookup_id = base::get_le64(at + 8),
                         .put_unix_ns = static_cast<int64_t>(base::get_le64(at + 16)),
                         .hash = {base::get_le64(at + 24), base::get_le64(at + 32)}};
}

}  // namespace verbatim::queue
