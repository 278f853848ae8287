#include "queue/log/segment_files.h"

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace verbatim::queue {
namespace {

constexpr std::string_view kSegmentSuffix = ".seg";

uint64_t random_log_id() {
  std::random_device device;
  uint64_t id = 0;
  while (id == 0) id = (uint64_t{device()} << 32) | device();
  return id;
}

std::optional<uint64_t> generation_of(const std::string& name) {
  if (name.size() != 16 + kSegmentSuffix.size() || !name.ends_with(kSegmentSuffix)) return {};
  uint64_t value = 0;
  for (size_t i = 0; i < 16; ++i) {
    const char c = name[i];
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && !(c >= 'a' && c <= 'f')) return {};
    value = (value << 4) | static_cast<uint64_t>(is_digit ? c - '0' : c - 'a' + 10);
  }
  return value;
}

Result<SegmentHeader> read_header(base::File& file, uint64_t size) {
  std::string block(kLogHeaderSize, '\0');
  ASSIGN_OR_RETURN(const size_t count, file.read_at(0, std::span<char>(block)));
  block.resize(count);
  ASSIGN_OR_RETURN(const SegmentHeader header, decode_segment_header(block));
  if (header.segment_size != size) {
    return data_loss(
        fmt::format("segment has a wrong length size={} expected={}", size, header.segment_size));
  }
  return header;
}

}  // namespace

Result<uint64_t> largest_segment_bytes(base::FileSystem& file_system,
                                       const std::string& directory) {
  RETURN_IF_ERROR(file_system.create_directories(directory));
  ASSIGN_OR_RETURN(const auto names, file_system.list_directory(directory));
  uint64_t largest = 0;
  for (const std::string& name : names) {
    if (!generation_of(name)) continue;
    const std::string path = base::join_path(directory, name);
    ASSIGN_OR_RETURN(auto file, file_system.open(path, base::OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->size());
    if (size > largest && read_header(*file, size)) largest = size;
  }
  return largest;
}

std::string segment_name(uint64_t generation) { return fmt::format("{:016x}.seg", generation); }

SegmentFiles::SegmentFiles(base::FileSystem& file_system, std::string directory,
                           const SpareOptions& options)
    : file_system_(file_system),
      directory_(std::move(directory)),
      segment_bytes_(options.segment_bytes),
      spares_(file_system, directory_, options) {}

std::string SegmentFiles::path_of(const std::string& name) const {
  return base::join_path(directory_, name);
}

Result<std::unique_ptr<SegmentFiles>> SegmentFiles::open(base::FileSystem& file_system,
                                                         const std::string& directory,
                                                         const SpareOptions& options) {
  RETURN_IF_ERROR(file_system.create_directories(directory));
  std::unique_ptr<SegmentFiles> files(new SegmentFiles(file_system, directory, options));
  ASSIGN_OR_RETURN(files->lock_, file_system.lock_file(files->path_of("lock")));
  return files;
}

Result<Segment> SegmentFiles::load_segment(const std::string& name, uint64_t generation) {
  const std::string path = path_of(name);
  Segment segment;
  ASSIGN_OR_RETURN(segment.file, file_system_.open(path, base::OpenMode::kReadWrite));
  ASSIGN_OR_RETURN(const uint64_t size, segment.file->size());
  auto header = read_header(*segment.file, size);
  Status error = header.error();
  if (error.ok() && header->generation != generation) {
    error = data_loss("segment header has another generation than its name");
  }
  if (error.ok() && log_id_ != 0 && header->log_id != log_id_) {
    error = data_loss("segment belongs to another log");
  }
  if (!error.ok()) {
    return Status(error.code(), fmt::format("the log cannot be read segment={} offset=0: {}", name,
                                            error.message()));
  }
  segment.header = *header;
  log_id_ = header->log_id;
  return segment;
}

// A spare whose header cannot be read may hold records of a generation that nobody remembers, so it
// is removed instead of reused.
Status SegmentFiles::load_spare(const std::string& name) {
  const std::string path = path_of(name);
  ASSIGN_OR_RETURN(const uint64_t size, file_system_.file_size(path));
  Result<SegmentHeader> header = data_loss("not looked at");
  if (size == segment_bytes_) {
    ASSIGN_OR_RETURN(auto file, file_system_.open(path, base::OpenMode::kRead));
    header = read_header(*file, size);
  }
  const bool is_usable = header.has_value() && (log_id_ == 0 || header->log_id == log_id_);
  if (!is_usable || !spares_.wants_more()) return file_system_.remove(path);
  highest_generation_ = std::max(highest_generation_, header->generation);
  spares_.add(name);
  return {};
}

Result<std::map<uint64_t, Segment>> SegmentFiles::load(uint64_t new_log_id) {
  ASSIGN_OR_RETURN(const auto names, file_system_.list_directory(directory_));
  std::map<uint64_t, Segment> segments;
  for (const std::string& name : names) {
    const auto generation = generation_of(name);
    if (!generation) continue;
    ASSIGN_OR_RETURN(segments[*generation], load_segment(name, *generation));
    highest_generation_ = std::max(highest_generation_, *generation);
  }
  for (const std::string& name : names) {
    if (name.starts_with(kSparePrefix)) RETURN_IF_ERROR(load_spare(name));
  }
  if (log_id_ == 0) log_id_ = new_log_id != 0 ? new_log_id : random_log_id();
  spares_.set_log_id(log_id_);
  return segments;
}

bool SegmentFiles::is_short_of_spares() const {
  if (spares_.count() > 1) return false;
  const auto free = file_system_.free_bytes(directory_);
  return free && *free < 2 * segment_bytes_;
}

Result<Segment> SegmentFiles::make(uint64_t generation, bool takes_last) {
  CHECK(generation > highest_generation_, "invariant I3: a generation is used once");
  highest_generation_ = generation;
  ASSIGN_OR_RETURN(const std::string name, spares_.take(takes_last));
  Segment segment;
  segment.header = {.log_id = log_id_, .generation = generation, .segment_size = segment_bytes_};
  const std::string path = path_of(segment_name(generation));
  {
    ASSIGN_OR_RETURN(auto file, file_system_.open(path_of(name), base::OpenMode::kReadWrite));
    RETURN_IF_ERROR(file->write_at(0, encode_segment_header(segment.header)));
    RETURN_IF_ERROR(file->sync());
  }
  RETURN_IF_ERROR(file_system_.rename(path_of(name), path));
  RETURN_IF_ERROR(file_system_.sync_directory(directory_));
  ASSIGN_OR_RETURN(segment.file, file_system_.open(path, base::OpenMode::kReadWrite));
  return segment;
}

Status SegmentFiles::retire(uint64_t generation) {
  const std::string path = path_of(segment_name(generation));
  ASSIGN_OR_RETURN(const uint64_t size, file_system_.file_size(path));
  if (!spares_.wants_more() || size != segment_bytes_) {
    RETURN_IF_ERROR(file_system_.remove(path));
    return file_system_.sync_directory(directory_);
  }
  const std::string name = fmt::format("{}{:016x}.tmp", kSparePrefix, generation);
  RETURN_IF_ERROR(file_system_.rename(path, path_of(name)));
  RETURN_IF_ERROR(file_system_.sync_directory(directory_));
  spares_.add(name);
  return {};
}

}  // namespace verbatim::queue
