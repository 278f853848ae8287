#include "queue/log/log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "queue/log/log_recovery.h"

namespace verbatim::queue {
namespace {

constexpr uint64_t kSegmentMinBytes = 32 * 1024;
// A group is at most this part of a segment; what is left of a segment below it stays unused.
constexpr uint64_t kGroupsPerSegment = 8;

bool ignores_generations(const LogOptions& options) {
#if defined(VERBATIM_FAULT_POINTS)
  return options.canary_ignore_generations;
#else
  static_cast<void>(options);
  return false;
#endif
}

bool rewrites(const LogOptions& options) {
#if defined(VERBATIM_FAULT_POINTS)
  return !options.canary_no_rewrite_after_recovery;
#else
  static_cast<void>(options);
  return true;
#endif
}

}  // namespace

Log::Log(const LogOptions& options, std::unique_ptr<SegmentFiles> files, LogOwner& owner)
    : options_(options),
      group_max_bytes_(options.segment_bytes / kGroupsPerSegment),
      files_(std::move(files)),
      owner_(owner),
      cache_(options.cache_bytes) {}

Result<std::unique_ptr<Log>> Log::open(base::FileSystem& file_system, const LogOptions& options,
                                       LogOwner& owner) {
  if (options.segment_bytes < kSegmentMinBytes || options.segment_bytes % kBlockSize != 0) {
    return invalid_argument(fmt::format("segment_bytes={} must be a multiple of {} of at least {}",
                                        options.segment_bytes, kBlockSize, kSegmentMinBytes));
  }
  ASSIGN_OR_RETURN(auto files,
                   SegmentFiles::open(file_system, options.directory, options.segment_bytes));
  std::unique_ptr<Log> log(new Log(options, std::move(files), owner));
  RETURN_IF_ERROR(log->recover());
  RETURN_IF_ERROR(log->files_->prepare_spares(options.spare_count));
  log->spare_count_ = log->files_->spare_count();
  return log;
}

// Replays everything; what lies above the mark goes into the first group of a fresh segment, behind
// a snapshot of the state without it.
Status Log::recover() {
  ASSIGN_OR_RETURN(segments_, files_->load());
  next_generation_ = files_->highest_generation() + 1;
  bool is_first_above = true;
  const auto visit = [&](const RecoveredRecord& record) -> Status {
    ++stats_.recovered_record_count;
    if (!record.is_above_mark || !rewrites(options_)) {
      return owner_.replay(record.type, record.payload, record.position);
    }
    if (std::exchange(is_first_above, false)) {
      // A snapshot that is part of what is rewritten is replaced by the new one.
      const bool is_snapshot = record.type == RecordType::kSnapshot;
      if (is_snapshot) RETURN_IF_ERROR(owner_.replay(record.type, record.payload, {}));
      open_group(true);
      if (is_snapshot) return {};
    }
    return owner_.replay(record.type, record.payload, append(record.type, record.payload));
  };
  ASSIGN_OR_RETURN(const RecoveredLog log,
                   recover_log(segments_, ignores_generations(options_), visit));
  stats_.cut_bytes = log.cut_bytes;
  if (log.cut_bytes > 0) {
    LOG_WARN("log: an unfinished group was cut; nothing of it had been answered {} cut_bytes={}",
             to_string(log.kept_end), log.cut_bytes);
  }
  if (!open_) open_group(true);
  // The group could not know these when it was opened.
  previous_end_ = rewrites(options_) ? log.synced_end : log.kept_end;
  synced_ = previous_end_;
  group_number_ = log.group_number;
  oldest_generation_ = std::max<uint64_t>(log.oldest_generation, 1);
  return finish_recovery(log.dead_generations);
}

Status Log::finish_recovery(const std::vector<uint64_t>& dead) {
  for (const uint64_t generation : dead) segments_.erase(generation);
  // Segments whose groups were all rewritten.
  std::vector<uint64_t> retired = dead;
  for (const auto& [generation, segment] : segments_) {
    if (generation > previous_end_.generation) retired.push_back(generation);
  }
  for (const uint64_t generation : retired) segments_.erase(generation);
  oldest_generation_ = segments_.empty() ? open_->position.generation : segments_.begin()->first;
  RETURN_IF_ERROR(flush());
  RETURN_IF_ERROR(write_final_mark());
  for (const uint64_t generation : retired) RETURN_IF_ERROR(files_->retire(generation));
  spare_count_ = files_->spare_count();
  return {};
}

RecordEncoder Log::encoder() const { return {files_->log_id(), open_->position.generation}; }

void Log::open_group(bool begins_segment) {
  CHECK(!open_, "one group is open at a time");
  open_ = std::make_unique<LogGroup>();
  open_->begins_segment = begins_segment;
  previous_end_ = {};
  if (begins_segment) {
    previous_end_ = end_;
    end_ = {next_generation_++, kLogHeaderSize};
  }
  open_->position = end_;
  buffer_ = std::make_shared<std::string>();
  buffer_->reserve(std::min<uint64_t>(group_max_bytes_, 512 * 1024));
  buffer_->assign(kGroupRecordSize, '\0');
  open_->record_count = 1;
  base_bytes_ = buffer_->size();
  if (!begins_segment) return;
  append(RecordType::kSnapshot, owner_.snapshot());
  base_bytes_ = buffer_->size();
  CHECK(kLogHeaderSize + base_bytes_ + group_max_bytes_ <= options_.segment_bytes,
        "the control state fits into a segment beside a group");
}

void Log::prepare_append() {
  if (open_) return;
  const bool is_full = end_.offset + kGroupRecordSize + group_max_bytes_ > options_.segment_bytes;
  open_group(is_full);
}

bool Log::has_room(uint64_t payload_bytes, uint64_t count) const {
  if (!open_) return true;
  const uint64_t records = payload_bytes + count * (kRecordHeaderSize + kRecordAlignment);
  return buffer_->size() - base_bytes_ + records <= group_max_bytes_;
}

LogPosition Log::append(RecordType type, std::string_view payload, std::string_view digest) {
  begin_record().append(payload);
  return end_record(type, digest);
}

std::string& Log::begin_record() {
  prepare_append();
  record_begin_ = encoder().begin(*buffer_);
  return *buffer_;
}

LogPosition Log::end_record(RecordType type, std::string_view /*digest*/) {
  encoder().finish(*buffer_, record_begin_, type);
  ++open_->record_count;
  CHECK(open_->position.offset + buffer_->size() <= options_.segment_bytes,
        "a group fits into its segment");
  return {open_->position.generation, open_->position.offset + record_begin_};
}

std::unique_ptr<LogGroup> Log::seal() {
  CHECK(!is_in_flight_, "invariant I1: one group is in flight");
  if (!open_) return nullptr;
  GroupRecord record;
  record.number = ++group_number_;
  record.offset = open_->position.offset;
  record.size = static_cast<uint32_t>(buffer_->size());
  record.record_count = static_cast<uint32_t>(open_->record_count);
  record.mark = synced_;
  record.previous_end = previous_end_;
  record.oldest_generation = oldest_generation_;
  encoder().write_group_record(*buffer_, record);
  buffer_->resize(align_up(buffer_->size(), kBlockSize), '\0');
  end_ = {open_->position.generation, open_->position.offset + buffer_->size()};

  if (!open_->begins_segment) open_->file = segments_.at(end_.generation).file;
  for (Retired& retired : pending_retired_) {
    if (retired.declared_in == 0) {
      retired.declared_in = group_number_;
    } else if (retired.declared_in < group_number_) {
      open_->retired.push_back(retired.generation);  // I4: this group's mark is above that one
    }
  }
  std::erase_if(pending_retired_,
                [this](const Retired& retired) { return retired.declared_in < group_number_; });
  open_->bytes = std::move(buffer_);
  cache_.insert(open_->position, open_->bytes, open_->retained_count);
  is_in_flight_ = true;
  return std::move(open_);
}

std::unique_ptr<LogGroup> Log::seal_mark() {
  prepare_append();
  open_->is_mark = true;
  return seal();
}

Status Log::write(LogGroup& group) {
  if (group.begins_segment) {
    ASSIGN_OR_RETURN(Segment segment, files_->make(group.position.generation));
    group.file = segment.file;
  }
  RETURN_IF_ERROR(group.file->write_at(group.position.offset, *group.bytes));
  FAULT_POINT("queue.before_sync");
  RETURN_IF_ERROR(group.file->sync_data());
  FAULT_POINT("queue.after_sync_before_reply");
  for (const uint64_t generation : group.retired) RETURN_IF_ERROR(files_->retire(generation));
  return {};
}

void Log::finished(const LogGroup& group) {
  CHECK(is_in_flight_, "a group was in flight");
  is_in_flight_ = false;
  if (group.begins_segment) {
    segments_[group.position.generation] = {.file = group.file,
                                            .header = {.log_id = files_->log_id(),
                                                       .generation = group.position.generation,
                                                       .segment_size = options_.segment_bytes}};
  }
  synced_ = {group.position.generation, group.position.offset + group.bytes->size()};
  ends_with_mark_ = group.is_mark;
  cache_.set_evictable_below(synced_);
  ++stats_.sync_count;
  stats_.synced_record_count += group.record_count;
  spare_count_ = files_->spare_count();
}

Status Log::flush() {
  auto group = seal();
  if (!group) return {};
  RETURN_IF_ERROR(write(*group));
  finished(*group);
  return {};
}

Status Log::write_final_mark() {
  CHECK(!open_, "the open group is flushed before the final mark");
  auto group = seal_mark();
  RETURN_IF_ERROR(write(*group));
  finished(*group);
  return {};
}

Result<std::string_view> Log::read(LogPosition position, uint64_t payload_size,
                                   std::string& scratch) {
  const uint64_t size = kRecordHeaderSize + payload_size;
  if (open_ && open_->position <= position) {
    const uint64_t at = position.offset - open_->position.offset;
    CHECK(position.generation == open_->position.generation && at + size <= buffer_->size(),
          "a position names a record");
    return std::string_view(*buffer_).substr(at + kRecordHeaderSize, payload_size);
  }
  if (const auto bytes = cache_.find(position, size)) return bytes->substr(kRecordHeaderSize);
  const auto it = segments_.find(position.generation);
  CHECK(it != segments_.end(), "a record in use lies in a segment of the log");
  scratch.resize(record_size(payload_size));
  ASSIGN_OR_RETURN(const size_t count,
                   it->second.file->read_at(position.offset, std::span<char>(scratch)));
  const auto record = decode_record(std::string_view(scratch).substr(0, count), files_->log_id(),
                                    position.generation);
  if (!record || record->payload.size() != payload_size) {
    return data_loss(fmt::format("a record cannot be read back {}", to_string(position)));
  }
  return record->payload;
}

void Log::retain(LogPosition position) {
  if (open_ && open_->position <= position) ++open_->retained_count;
}

void Log::release(LogPosition position) {
  if (open_ && open_->position <= position) {
    --open_->retained_count;
  } else {
    cache_.release(position);
  }
}

void Log::release_oldest() {
  CHECK(segments_.size() > 1 && oldest_generation_ < end_.generation,
        "the newest segment cannot be released");
  pending_retired_.push_back({.generation = oldest_generation_});
  segments_.erase(oldest_generation_);
  oldest_generation_ = segments_.begin()->first;
}

size_t Log::spare_count() const { return spare_count_; }

}  // namespace verbatim::queue
