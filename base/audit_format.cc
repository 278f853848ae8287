#include "base/audit_format.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/sha256.h"

namespace verbatim::base {
namespace {

constexpr std::string_view kFileMagic = "VBAUDIT1";
constexpr std::string_view kHeadMagic = "VBAUHEAD";
constexpr std::string_view kRecordMagic = "VBAU";
// Magic, crc32c of the rest, version, number, digest.
constexpr size_t kLinkFileSize = 8 + 4 + 4 + 8 + kSha256Size;
constexpr size_t kLinkCheckedOffset = 12;
// Magic, crc32c of the rest, size of the payload, zero, number, digest of the record before.
constexpr size_t kRecordHeaderSize = 4 + 4 + 4 + 4 + 8 + kSha256Size;
constexpr size_t kCrcOffset = 4;
constexpr size_t kCheckedOffset = 8;

std::string encode_link_file(std::string_view magic, const AuditLink& link) {
  std::string rest;
  put_le32(rest, kAuditVersion);
  put_le64(rest, link.number);
  rest += link.digest;
  std::string bytes(magic);
  put_le32(bytes, crc32c(rest));
  return bytes + rest;
}

Result<AuditLink> decode_link_file(std::string_view magic, std::string_view bytes) {
  if (bytes.size() < kLinkFileSize || !bytes.starts_with(magic)) {
    return data_loss("the start of the file is not whole");
  }
  const std::string_view rest =
      bytes.substr(kLinkCheckedOffset, kLinkFileSize - kLinkCheckedOffset);
  if (get_le32(bytes.data() + magic.size()) != crc32c(rest)) {
    return data_loss("the start of the file is bad");
  }
  if (const uint32_t version = get_le32(rest.data()); version > kAuditVersion) {
    return failed_precondition("made by a newer version format=" + std::to_string(version));
  }
  return AuditLink{.number = get_le64(rest.data() + 4), .digest = std::string(rest.substr(12))};
}

}  // namespace

size_t audit_header_size() { return kLinkFileSize; }

std::string encode_audit_header(const AuditLink& before) {
  return encode_link_file(kFileMagic, before);
}
Result<AuditLink> decode_audit_header(std::string_view file) {
  return decode_link_file(kFileMagic, file);
}
std::string encode_audit_head(const AuditLink& head) { return encode_link_file(kHeadMagic, head); }
Result<AuditLink> decode_audit_head(std::string_view file) {
  return decode_link_file(kHeadMagic, file);
}

std::string encode_audit_record(const AuditLink& before, std::string_view payload,
                                AuditLink& after) {
  std::string bytes(kRecordMagic);
  put_le32(bytes, 0);
  put_le32(bytes, static_cast<uint32_t>(payload.size()));
  put_le32(bytes, 0);
  put_le64(bytes, before.number + 1);
  bytes += before.digest;
  bytes += payload;
  put_le32(bytes.data() + kCrcOffset, crc32c(std::string_view(bytes).substr(kCheckedOffset)));
  after = {.number = before.number + 1, .digest = sha256(bytes)};
  return bytes;
}

std::optional<AuditRecord> decode_audit_record(const AuditLink& before, std::string_view bytes) {
  if (bytes.size() < kRecordHeaderSize || !bytes.starts_with(kRecordMagic)) return std::nullopt;
  const size_t payload_size = get_le32(bytes.data() + 8);
  if (payload_size > kAuditPayloadMaxBytes || bytes.size() - kRecordHeaderSize < payload_size) {
    return std::nullopt;
  }
  bytes = bytes.substr(0, kRecordHeaderSize + payload_size);
  const bool is_next = get_le64(bytes.data() + 16) == before.number + 1 &&
                       bytes.substr(24, kSha256Size) == before.digest;
  if (!is_next || get_le32(bytes.data() + 12) != 0 ||
      get_le32(bytes.data() + kCrcOffset) != crc32c(bytes.substr(kCheckedOffset))) {
    return std::nullopt;
  }
  return AuditRecord{.payload = bytes.substr(kRecordHeaderSize),
                     .size = bytes.size(),
                     .link = {.number = before.number + 1, .digest = sha256(bytes)}};
}

}  // namespace verbatim::base
