// The bytes of the audit log (docs/formats/audit.md): files of chained records, and the head that
// says how far the chain is known to be on the disk. Pure functions; audit_log.h has the rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::base {

inline constexpr uint32_t kAuditVersion = 1;
inline constexpr size_t kAuditPayloadMaxBytes = 64 * 1024;

// A place in the chain: the entry's number and the digest of its whole record. Before the first
// entry of a chain the digest is 32 zero bytes.
struct AuditLink {
  uint64_t number = 0;
  std::string digest = std::string(32, '\0');

  bool operator==(const AuditLink&) const = default;
};

// The start of a file: the link that its first record follows.
std::string encode_audit_header(const AuditLink& before);
// Errors: kDataLoss (not whole or not ours), kFailedPrecondition (made by a newer version).
Result<AuditLink> decode_audit_header(std::string_view file);
size_t audit_header_size();

// A record that follows `before`; `after` gets its own link.
std::string encode_audit_record(const AuditLink& before, std::string_view payload,
                                AuditLink& after);
struct AuditRecord {
  std::string_view payload;
  size_t size = 0;  // of the whole record
  AuditLink link;
};
// The record at the front of `bytes`; nothing where it is not whole, not sound, or does not follow
// `before`.
std::optional<AuditRecord> decode_audit_record(const AuditLink& before, std::string_view bytes);

std::string encode_audit_head(const AuditLink& head);
// Errors: those of decode_audit_header.
Result<AuditLink> decode_audit_head(std::string_view file);

}  // namespace verbatim::base
