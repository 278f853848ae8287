#include "adapters/sdk/batch.h"

#include "base/endian.h"
#include "base/sha256.h"

namespace verbatim::adapters {
namespace {

Status broken(size_t index, uint64_t sequence) {
  return data_loss("an event of the batch does not parse index=" + std::to_string(index) +
                   " sequence=" + std::to_string(sequence));
}

}  // namespace

Result<BatchEvent> Batch::event(size_t index) const {
  BatchEvent result;
  RETURN_IF_ERROR(read_event(index, result));
  return result;
}

Status Batch::read_event(size_t index, BatchEvent& into) const {
  if (!into.stored.ParseFromString(event_bytes(index))) return broken(index, 0);
  if (!into.envelope.ParseFromString(into.stored.envelope()) ||
      !into.event.ParseFromString(into.stored.event())) {
    return broken(index, into.stored.sequence());
  }
  return {};
}

std::string body_digest(const std::vector<std::string>& events) {
  base::Sha256 sha;
  for (const std::string& event : events) {
    char size[4];
    base::put_le32(size, static_cast<uint32_t>(event.size()));
    sha.update(std::string_view(size, sizeof(size)));
    sha.update(event);
  }
  return sha.finish();
}

std::string batch_digest(std::string_view header_bytes, std::string_view body_digest) {
  base::Sha256 sha;
  sha.update(header_bytes);
  sha.update(body_digest);
  return sha.finish();
}

}  // namespace verbatim::adapters
