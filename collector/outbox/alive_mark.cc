#include "collector/outbox/alive_mark.h"

#include <array>
#include <map>
#include <string>
#include <utility>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/log.h"
#include "collector/outbox/capture_gaps.h"

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

bool fits(const v1::AliveMark& mark) { return mark.ByteSizeLong() <= kSlotSize - kSlotHeaderSize; }

// One gap for each source, in the order of their first ones.
void join_by_source(v1::AliveMark& mark) {
  std::map<std::string, int> place_of;
  v1::AliveMark joined;
  for (v1::OwedGap& owed : *mark.mutable_gaps()) {
    const auto [found, is_new] = place_of.try_emplace(owed.source(), joined.gaps_size());
    if (is_new) {
      *joined.add_gaps() = std::move(owed);
    } else {
      join_gap(*joined.mutable_gaps(found->second)->mutable_gap(), owed.gap());
    }
  }
  mark.mutable_gaps()->Swap(joined.mutable_gaps());
}

void drop_last(v1::AliveMark& mark) {
  const v1::OwedGap& dropped = mark.gaps(mark.gaps_size() - 1);
  LOG_ERROR(
      "capture gap left out of the alive mark source={} start_unix_ns={} end_unix_ns={} "
      "missing_count={}",
      dropped.source(), dropped.gap().start_unix_ns(), dropped.gap().end_unix_ns(),
      dropped.gap().missing_count());
  mark.mutable_gaps()->RemoveLast();
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
  if (!fits(mark)) join_by_source(mark);
  while (!fits(mark)) drop_last(mark);
  const uint64_t slot = next_slot_;
  next_slot_ = 1 - slot;
  RETURN_IF_ERROR(file_->write_at(slot * kSlotSize, encode(mark)));
  return file_->sync_data();
}

}  // namespace verbatim::collector
