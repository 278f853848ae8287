#include "collector/outbox/alive_mark.h"

#include <array>
#include <string>
#include <utility>

#include "base/crc32c.h"
#include "base/endian.h"

namespace verbatim::collector {
namespace {

constexpr uint64_t kSlotSize = 65'536;
constexpr size_t kSlotHeaderSize = 12;  // magic, crc32c of size and payload, size
constexpr std::string_view kSlotMagic = "VBAL";

std::string encode(const v1::AliveMark& mark) {
  const std::string payload = mark.SerializeAsString();
  std::string rest;
  base::put_le32(rest, static_cast<uint32_t>(payload.size()));
  rest += payload;
  std::string bytes(kSlotMagic);
  base::put_le32(bytes, base::crc32c(rest));
  return bytes + rest;
}

std::optional<v1::AliveMark> decode(std::string_view bytes) {
  if (bytes.size() < kSlotHeaderSize || !bytes.starts_with(kSlotMagic)) return std::nullopt;
  const uint32_t size = base::get_le32(bytes.data() + 8);
  if (size > bytes.size() - kSlotHeaderSize) return std::nullopt;
  if (base::crc32c(bytes.substr(8, 4 + size)) != base::get_le32(bytes.data() + 4)) {
    return std::nullopt;
  }
  v1::AliveMark mark;
  const std::string payload(bytes.substr(kSlotHeaderSize, size));
  if (!mark.ParseFromString(payload)) return std::nullopt;
  return mark;
}

}  // namespace

Result<std::unique_ptr<AliveMarkFile>> AliveMarkFile::open(base::FileSystem& file_system,
                                                           const std::string& path) {
  const bool is_new = !file_system.exists(path);
  ASSIGN_OR_RETURN(auto file, file_system.open(path, base::OpenMode::kCreateOrOpen));
  std::unique_ptr<AliveMarkFile> alive(new AliveMarkFile(std::move(file)));
  for (uint64_t slot = 0; slot < 2; ++slot) {
    std::string bytes(kSlotSize, '\0');
    ASSIGN_OR_RETURN(const size_t count,
                     alive->file_->read_at(slot * kSlotSize, std::span<char>(bytes)));
    bytes.resize(count);
    auto mark = decode(bytes);
    if (!mark) continue;
    if (alive->previous_ && alive->previous_->unix_ns() >= mark->unix_ns()) continue;
    alive->previous_ = std::move(mark);
    alive->next_slot_ = 1 - slot;
  }
  if (is_new) {
    RETURN_IF_ERROR(alive->file_->preallocate(2 * kSlotSize));
    RETURN_IF_ERROR(alive->file_->sync());
    RETURN_IF_ERROR(file_system.sync_directory(base::parent_directory(path)));
  }
  return alive;
}

Status AliveMarkFile::write(v1::AliveMark mark) {
  while (mark.ByteSizeLong() > kSlotSize - kSlotHeaderSize) mark.mutable_gaps()->RemoveLast();
  const uint64_t slot = next_slot_;
  next_slot_ = 1 - slot;
  RETURN_IF_ERROR(file_->write_at(slot * kSlotSize, encode(mark)));
  return file_->sync_data();
}

}  // namespace verbatim::collector
