#include "collector/outbox/outbox_file.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/endian.h"
#include "base/log.h"
#include "collector/outbox/record.h"

namespace verbatim::collector {
namespace {

constexpr std::string_view kPrefix = "outbox-";
constexpr std::string_view kSuffix = ".log";
constexpr std::string_view kFileMagic = "VBOUTBOX";
constexpr uint32_t kFileVersion = 1;
constexpr size_t kFileHeaderSize = 16;  // magic, version, 0

std::string file_header() {
  std::string bytes(kFileMagic);
  base::put_le32(bytes, kFileVersion);
  base::put_le32(bytes, 0);
  return bytes;
}

// The number of "outbox-0000000012.log"; 0 for any other name.
uint64_t number_of(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return 0;
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(kSuffix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

}  // namespace

struct OutboxFile::Segment {
  uint64_t number = 0;
  std::unique_ptr<base::File> file;
  uint64_t size = 0;
  uint64_t synced = 0;
};

// What the segments on disk say.
struct OutboxFile::Recovery {
  std::map<uint64_t, std::string> files;  // whole contents by number
  std::vector<std::pair<Entry, std::string>> messages;
  uint64_t confirmed_segment = 0;
  uint64_t confirmed_offset = 0;
};

namespace {

bool is_newer_version(std::string_view bytes) {
  return bytes.size() >= kFileHeaderSize && bytes.starts_with(kFileMagic) &&
         base::get_le32(bytes.data() + kFileMagic.size()) > kFileVersion;
}

// The newest segment that replaces all older ones, which then are void, whole or not: a recovery
// was interrupted before it had removed them.
uint64_t first_valid_segment(const std::map<uint64_t, std::string>& files) {
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    const std::string_view bytes = file->second;
    if (bytes.size() < kFileHeaderSize) continue;
    const auto record = decode_outbox_record(bytes.substr(kFileHeaderSize), file->first);
    if (record && record->type == OutboxRecordType::kReplaces) return file->first;
  }
  return 0;
}

// A sound record behind a bad one that knows more to be synced than the bad one's offset: damage.
bool is_damage(std::string_view bytes, uint64_t bad_offset, uint64_t segment) {
  for (size_t at = bytes.find(kOutboxMagic, bad_offset + 1); at != std::string_view::npos;
       at = bytes.find(kOutboxMagic, at + 1)) {
    const auto record = decode_outbox_record(bytes.substr(at), segment);
    if (record && record->synced_bytes > bad_offset) return true;
  }
  return false;
}

}  // namespace

OutboxFile::OutboxFile(base::FileSystem& file_system, Options options)
    : file_system_(file_system), options_(std::move(options)) {}

OutboxFile::~OutboxFile() = default;

Result<std::unique_ptr<OutboxFile>> OutboxFile::open(base::FileSystem& file_system,
                                                     Options options) {
  std::unique_ptr<OutboxFile> outbox(new OutboxFile(file_system, std::move(options)));
  RETURN_IF_ERROR(file_system.create_directories(outbox->options_.directory));
  ASSIGN_OR_RETURN(outbox->lock_,
                   file_system.lock_file(base::join_path(outbox->options_.directory, "LOCK")));
  RETURN_IF_ERROR(outbox->recover());
  return outbox;
}

std::string OutboxFile::path_of(uint64_t number) const {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 10 ? 10 - digits.size() : 0, '0');
  return base::join_path(options_.directory, std::string(kPrefix) + digits + std::string(kSuffix));
}

Status OutboxFile::recover() {
  ASSIGN_OR_RETURN(const auto names, file_system_.list_directory(options_.directory));
  Recovery recovery;
  for (const std::string& name : names) {
    const std::string path = base::join_path(options_.directory, name);
    // What write_file_atomically() leaves where it is interrupted.
    if (name.ends_with(".new")) RETURN_IF_ERROR(file_system_.remove(path));
    const uint64_t number = number_of(name);
    if (number == 0) continue;
    ASSIGN_OR_RETURN(recovery.files[number], file_system_.read_file(path));
  }
  if (recovery.files.empty()) return {};
  const uint64_t newest = recovery.files.rbegin()->first;
  const uint64_t first_valid = first_valid_segment(recovery.files);
  next_segment_ = newest + 1;
  for (const auto& [number, contents] : recovery.files) {
    if (number < first_valid) continue;
    RETURN_IF_ERROR(scan_segment(number, number == newest, contents, recovery));
  }
  std::erase_if(recovery.messages, [&](const auto& message) {
    const Entry& entry = message.first;
    return std::pair(entry.segment, entry.offset) <
           std::pair(recovery.confirmed_segment, recovery.confirmed_offset);
  });
  if (cut_bytes_ > 0) {
    LOG_WARN("outbox: unfinished end cut bytes={} directory={}", cut_bytes_, options_.directory);
  }
  return rewrite(recovery);
}

// Reads the records of one segment. Only the newest may have an unfinished end.
Status OutboxFile::scan_segment(uint64_t number, bool is_newest, std::string_view bytes,
                                Recovery& recovery) {
  const auto cut_or_damage = [&](uint64_t offset) -> Status {
    if (!is_newest || is_damage(bytes, offset, number)) {
      return data_loss("damaged outbox segment path=" + path_of(number) +
                       " offset=" + std::to_string(offset));
    }
    cut_bytes_ += bytes.size() - offset;
    return {};
  };
  if (!bytes.starts_with(file_header())) {
    if (is_newer_version(bytes)) {
      return failed_precondition("outbox segment of a newer version path=" + path_of(number));
    }
    return cut_or_damage(0);
  }
  for (uint64_t at = kFileHeaderSize; at < bytes.size();) {
    const auto record = decode_outbox_record(bytes.substr(at), number);
    if (!record) return cut_or_damage(at);
    RETURN_IF_ERROR(take_record(*record, {number, at, record->size()}, recovery));
    at += record->size();
  }
  return {};
}

Status OutboxFile::take_record(const OutboxRecord& record, const Entry& entry,
                               Recovery& recovery) const {
  switch (record.type) {
    case OutboxRecordType::kMessage:
      recovery.messages.emplace_back(entry, std::string(record.payload));
      return {};
    case OutboxRecordType::kConfirmed:
      if (record.payload.size() != 16) return data_loss("outbox mark of a wrong size");
      recovery.confirmed_segment = base::get_le64(record.payload.data());
      recovery.confirmed_offset = base::get_le64(record.payload.data() + 8);
      return {};
    case OutboxRecordType::kReplaces:
    case OutboxRecordType::kSynced:
      return {};
  }
  return failed_precondition("outbox record of an unknown type path=" + path_of(entry.segment));
}

// Everything kept goes into one fresh segment, which takes the place of all older ones by its
// rename.
Status OutboxFile::rewrite(const Recovery& recovery) {
  const uint64_t number = next_segment_;
  if (!recovery.messages.empty()) {
    std::string bytes = file_header();
    bytes += encode_outbox_record({OutboxRecordType::kReplaces, number, 0, {}});
    for (const auto& [old, payload] : recovery.messages) {
      const uint64_t offset = bytes.size();
      bytes += encode_outbox_record({OutboxRecordType::kMessage, number, 0, payload});
      entries_.push_back({number, offset, bytes.size() - offset});
      bytes_ += bytes.size() - offset;
    }
    RETURN_IF_ERROR(base::write_file_atomically(file_system_, path_of(number), bytes));
    auto segment = std::make_unique<Segment>();
    segment->number = number;
    ASSIGN_OR_RETURN(segment->file, file_system_.open(path_of(number), base::OpenMode::kReadWrite));
    segment->size = segment->synced = bytes.size();
    segments_.push_back(std::move(segment));
    next_segment_ = number + 1;
  }
  for (const auto& [old, contents] : recovery.files) {
    RETURN_IF_ERROR(file_system_.remove(path_of(old)));
  }
  return file_system_.sync_directory(options_.directory);
}

Status OutboxFile::begin_segment() {
  // The older segment must be whole on disk before a newer one makes its end final.
  if (!segments_.empty()) {
    Segment& last = *segments_.back();
    if (last.synced < last.size) RETURN_IF_ERROR(last.file->sync_data());
    last.synced = last.size;
  }
  auto segment = std::make_unique<Segment>();
  segment->number = next_segment_;
  ASSIGN_OR_RETURN(segment->file,
                   file_system_.open(path_of(segment->number), base::OpenMode::kCreateExclusive));
  ++next_segment_;
  RETURN_IF_ERROR(segment->file->write_at(0, file_header()));
  segment->size = kFileHeaderSize;
  RETURN_IF_ERROR(file_system_.sync_directory(options_.directory));
  segments_.push_back(std::move(segment));
  return {};
}

Status OutboxFile::append_record(OutboxRecordType type, const std::string& payload) {
  if (segments_.empty() || segments_.back()->size >= options_.segment_bytes) {
    RETURN_IF_ERROR(begin_segment());
  }
  Segment& segment = *segments_.back();
  const OutboxRecord record{type, segment.number, segment.synced, payload};
  const std::string bytes = encode_outbox_record(record);
  RETURN_IF_ERROR(segment.file->write_at(segment.size, bytes));
  segment.size += bytes.size();
  return {};
}

Status OutboxFile::append(const std::string& message) {
  if (has_failed_) return failed_precondition("outbox: used after a failure");
  if (message.size() > kOutboxPayloadMaxBytes) return invalid_argument("outbox: message too large");
  const Status status = append_record(OutboxRecordType::kMessage, message);
  if (!status.ok()) {
    has_failed_ = true;
    return status;
  }
  const uint64_t size = kOutboxHeaderSize + message.size();
  entries_.push_back({segments_.back()->number, segments_.back()->size - size, size});
  bytes_ += size;
  is_dirty_ = true;
  return {};
}

Status OutboxFile::sync() {
  if (has_failed_) return failed_precondition("outbox: used after a failure");
  if (!is_dirty_ || segments_.empty()) return {};
  Segment& segment = *segments_.back();
  Status status = segment.file->sync_data();
  if (status.ok()) {
    segment.synced = segment.size;
    is_dirty_ = false;
    // Says that all before it is synced, so that later damage there cannot pass for a torn end.
    status = append_record(OutboxRecordType::kSynced, {});
  }
  has_failed_ = !status.ok();
  return status;
}

OutboxFile::Segment* OutboxFile::find(uint64_t number) {
  for (const auto& segment : segments_) {
    if (segment->number == number) return segment.get();
  }
  return nullptr;
}

Result<std::string> OutboxFile::read(uint64_t index) {
  CHECK(index < entries_.size(), "outbox: an index beyond the end");
  const Entry& entry = entries_[index];
  Segment* segment = find(entry.segment);
  CHECK(segment != nullptr, "outbox: an entry without its segment");
  std::string bytes(entry.size, '\0');
  ASSIGN_OR_RETURN(const size_t count,
                   segment->file->read_at(entry.offset, std::span<char>(bytes)));
  const auto record = decode_outbox_record(std::string_view(bytes).substr(0, count), entry.segment);
  if (!record || record->type != OutboxRecordType::kMessage) {
    return data_loss("damaged outbox record path=" + path_of(entry.segment) +
                     " offset=" + std::to_string(entry.offset));
  }
  return std::string(record->payload);
}

Status OutboxFile::confirm(uint64_t count) {
  if (has_failed_) return failed_precondition("outbox: used after a failure");
  CHECK(count <= entries_.size(), "outbox: more confirmed than held");
  if (count == 0) return {};
  const Entry last = entries_[count - 1];
  std::string mark;
  base::put_le64(mark, last.segment);
  base::put_le64(mark, last.offset + last.size);
  for (uint64_t i = 0; i < count; ++i) {
    bytes_ -= entries_.front().size;
    entries_.pop_front();
  }
  is_dirty_ = true;
  const Status status = append_record(OutboxRecordType::kConfirmed, mark);
  if (!status.ok()) {
    has_failed_ = true;
    return status;
  }
  const uint64_t first_needed = entries_.empty() ? segments_.back()->number : entries_[0].segment;
  return remove_below(first_needed);
}

Status OutboxFile::remove_below(uint64_t number) {
  // The mark that makes a segment void is in the newest one: first that, then the removal.
  if (segments_.size() < 2 || segments_.front()->number >= number) return {};
  RETURN_IF_ERROR(sync());
  while (segments_.size() > 1 && segments_.front()->number < number) {
    const uint64_t old = segments_.front()->number;
    segments_.pop_front();
    RETURN_IF_ERROR(file_system_.remove(path_of(old)));
  }
  return {};
}

}  // namespace verbatim::collector
