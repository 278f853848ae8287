#include "collector/compliance/compliance_file.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "collector/compliance/state_rules.h"

namespace verbatim::collector {
namespace {

constexpr std::string_view kMagic = "VBCOMPLY";
constexpr size_t kVersionOffset = 8;
constexpr size_t kCrcOffset = 12;
constexpr size_t kHeaderSize = 16;

}  // namespace

std::string encode_compliance(const v1::ComplianceState& state) {
  const std::string payload = state.SerializeAsString();
  std::string bytes(kMagic);
  base::put_le32(bytes, kComplianceVersion);
  base::put_le32(bytes, base::crc32c_extend(base::crc32c(bytes), payload));
  return bytes + payload;
}

Result<v1::ComplianceState> decode_compliance(std::string_view bytes) {
  if (bytes.size() < kHeaderSize || !bytes.starts_with(kMagic)) {
    return data_loss("it does not begin as such a file does");
  }
  const uint32_t version = base::get_le32(bytes.data() + kVersionOffset);
  // Before the checksum: a newer version may compute it in another way.
  if (version > kComplianceVersion) {
    return failed_precondition("it is of version " + std::to_string(version) +
                               ", which is newer than this program: it reads version " +
                               std::to_string(kComplianceVersion));
  }
  const std::string payload(bytes.substr(kHeaderSize));
  const uint32_t crc = base::crc32c_extend(base::crc32c(bytes.substr(0, kCrcOffset)), payload);
  v1::ComplianceState state;
  if (crc != base::get_le32(bytes.data() + kCrcOffset) || !state.ParseFromString(payload)) {
    return data_loss("its checksum is wrong");
  }
  return state;
}

}  // namespace verbatim::collector
