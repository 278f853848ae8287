#include "queue/log/log.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/fault_point.h"
#include "base/log.h"

namespace verbatim::queue {
namespace {

constexpr uint64_t kSegmentMinBytes = 32 * 1024;
// A group is at most this part of a segment.
constexpr uint64_t kGroupsPerSegment = 8;
constexpr uint64_t kGroupMinCapacity = 16 * 1024;

// What a start may write again to make the newest segments unneeded: beside it fits a mark, and
// something of what comes then.
uint64_t fold_max_bytes(uint64_t segment_bytes) { return segment_bytes / 4 * 3 - 2 * kBlockSize; }

RecoveryOptions recovery_options(const LogOptions& options, const SegmentFiles& files) {
  RecoveryOptions recovery;
  if (files.is_short_of_spares()) recovery.fold_max_bytes = fold_max_bytes(options.segment_bytes);
  recovery.gives_up_start = files.spare_count() == 0;
#if defined(VERBATIM_FAULT_POINTS)
  recovery.canary_ignore_generations = options.canary_ignore_generations;
  recovery.canary_trust_unsynced_summary = options.canary_trust_unsynced_summary;
#else
  static_cast<void>(options);
#endif
  return recovery;
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
  ASSIGN_OR_RETURN(auto files, SegmentFiles::open(file_system, options.directory,
                                                  {.segment_bytes = options.segment_bytes,
                                                   .count = options.spare_count,
                                                   .in_background = options.background_spares}));
  std::unique_ptr<Log> log(new Log(options, std::move(files), owner));
  RETURN_IF_ERROR(log->recover());
  log->files_->start_spares();
  return log;
}

// Replays everything; what lies above the mark goes into the first group of a fresh segment, behind
// a snapshot of the state without it.
Status Log::recover() {
  ASSIGN_OR_RETURN(segments_, files_->load(options_.log_id));
  next_generation_ = files_->highest_generation() + 1;
  bool is_first_above = true;
  const auto visit = [&](const RecoveredRecord& record) -> Status {
    ++stats_.recovered_record_count;
    if (record.is_digest) {
      return owner_.replay_digest(record.type, record.payload, record.position,
                                  record.payload_size);
    }
    if (!record.is_above_mark || !rewrites(options_)) {
      return owner_.replay(record.type, record.payload, record.position);
    }
    if (std::exchange(is_first_above, false)) {
      // A snapshot that is part of what is rewritten is replaced by the new one.
      const bool is_snapshot = record.type == RecordType::kSnapshot;
      if (is_snapshot) RETURN_IF_ERROR(owner_.replay(record.type, record.payload, {}));
      open_group(true);
      summary_.give_up();  // the digests of what follows are not known
      if (is_snapshot) return {};
    }
    return owner_.replay(record.type, record.payload, append(record.type, record.payload));
  };
  ASSIGN_OR_RETURN(RecoveredLog log,
                   recover_log(segments_, recovery_options(options_, *files_), visit));
  stats_.cut_bytes = log.cut_bytes;
  stats_.summarised_segment_count = log.summarised_ends.size();
  stats_.replayed_segment_count = log.full_count;
  verifier_.set_ends(std::move(log.summarised_ends));
  if (log.cut_bytes > 0) {
    LOG_WARN("log: an unfinished group was cut; nothing of it had been answered {} cut_bytes={}",
             to_string(log.kept_end), log.cut_bytes);
  }
  if (!open_) open_group(true);
  open_->takes_last_spare = true;
  // The group could not know these when it was opened.
  previous_end_ = rewrites(options_) ? log.synced_end : log.kept_end;
  previous_summary_ = log.summary_offset;
  synced_ = previous_end_;
  group_number_ = log.group_number;
  oldest_generation_ = std::max<uint64_t>(log.oldest_generation, 1);
  declared_oldest_ = oldest_generation_;
  return finish_recovery(log);
}

Status Log::finish_recovery(const RecoveredLog& log) {
  std::vector<uint64_t> retired = log.dead_generations;
  for (const uint64_t generation : retired) segments_.erase(generation);
  if (files_->spare_count() == 0) {
    for (const uint64_t generation : log.begun_generations) {
      RETURN_IF_ERROR(files_->retire(generation));
      std::erase(retired, generation);
    }
  }
  // Segments whose groups were all rewritten.
  for (const auto& [generation, segment] : segments_) {
    if (generation > previous_end_.generation) retired.push_back(generation);
  }
  for (const uint64_t generation : retired) segments_.erase(generation);
  oldest_generation_ = segments_.empty() ? open_->position.generation : segments_.begin()->first;
  RETURN_IF_ERROR(flush());
  RETURN_IF_ERROR(write_final_mark());
  for (const uint64_t generation : retired) RETURN_IF_ERROR(files_->retire(generation));
  return {};
}

void Log::open_group(bool begins_segment) {
  CHECK(!open_, "one group is open at a time");
  open_ = std::make_unique<LogGroup>();
  open_->begins_segment = begins_segment;
  previous_end_ = {};
  previous_summary_ = 0;
  if (begins_segment) {
    close_segment();
    previous_end_ = end_;
    previous_summary_ = std::exchange(closed_at_, 0);
    if (open_->closing) segment_group_bytes_ += open_->closing->bytes->size();
    open_->takes_last_spare = segment_group_bytes_ > fold_max_bytes(options_.segment_bytes);
    segment_group_bytes_ = 0;
    end_ = {next_generation_++, kLogHeaderSize};
    encoder_.emplace(files_->log_id(), end_.generation);
    if (options_.writes_summaries) summary_.begin();
  }
  open_->position = end_;
  buffer_ = pool_.take(std::max(kGroupMinCapacity, std::min(last_group_bytes_, group_max_bytes_)));
  buffer_->extend(kGroupRecordSize);
  open_->record_count = 1;
  base_bytes_ = buffer_->size();
  if (!begins_segment) return;
  append(RecordType::kSnapshot, owner_.snapshot());
  base_bytes_ = buffer_->size();
  CHECK(fits_segment(kLogHeaderSize, base_bytes_ + group_max_bytes_, 0),
        "the control state fits into a segment beside a group");
}

// The open group brings the summary along; both go to the disk in one write().
void Log::close_segment() {
  if (!summary_.is_complete()) return;
  open_->closing = summary_.close();
  open_->closing->position = end_;
  open_->closing->file = segments_.at(end_.generation).file;
  closed_at_ = end_.offset;
  end_.offset += open_->closing->bytes->size();
}

bool Log::fits_segment(uint64_t offset, uint64_t group_bytes, uint64_t summary_bytes) const {
  // One block is for the mark behind the summary.
  return offset + align_up(group_bytes, kBlockSize) + summary_.group_bytes(summary_bytes) +
             kBlockSize <=
         options_.segment_bytes;
}

bool Log::has_room(const Unit& unit) const {
  if (!open_) return true;
  const uint64_t bytes = unit.payload_bytes + unit.record_count * kRecordOverhead;
  return buffer_->size() - base_bytes_ + bytes <= group_max_bytes_ &&
         fits_segment(open_->position.offset, buffer_->size() + bytes,
                      SegmentSummary::entry_bytes(unit.record_count, unit.digest_bytes));
}

void Log::prepare_append(const Unit& unit) {
  if (open_) return;
  const uint64_t bytes =
      kGroupRecordSize + unit.payload_bytes + unit.record_count * kRecordOverhead;
  open_group(closed_at_ != 0 ||
             !fits_segment(end_.offset, bytes,
                           SegmentSummary::entry_bytes(unit.record_count, unit.digest_bytes)));
}

LogPosition Log::append(RecordType type, std::string_view payload, std::string_view digest) {
  prepare_append({payload.size(), 1, digest.size()});
  char* const at = begin_record(payload.size());
  if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
  return end_record(type, digest);
}

char* Log::begin_record(uint64_t payload_size) {
  prepare_append();
  record_begin_ = buffer_->size();
  record_size_ = payload_size;
  return buffer_->extend(record_size(payload_size)) + kRecordHeaderSize;
}

std::string& Log::begin_record() {
  prepare_append();
  record_size_.reset();
  record_.clear();
  return record_;
}

LogPosition Log::end_record(RecordType type, std::string_view digest) {
  if (!record_size_) {
    char* const at = begin_record(record_.size());
    if (!record_.empty()) std::memcpy(at, record_.data(), record_.size());
  }
  encoder_->finish(buffer_->data() + record_begin_, *record_size_, type);
  ++open_->record_count;
  const LogPosition position{open_->position.generation, open_->position.offset + record_begin_};
  if (!digest.empty()) {
    summary_.add({.type = type,
                  .offset = position.offset,
                  .payload_size = static_cast<uint32_t>(*record_size_),
                  .digest = digest});
  }
  CHECK(fits_segment(open_->position.offset, buffer_->size(), 0),
        "a group and what closes its segment fit into it");
  return position;
}

std::unique_ptr<LogGroup> Log::seal() {
  CHECK(!is_in_flight_, "invariant I1: one group is in flight");
  if (!open_) return nullptr;
  LogPosition mark = synced_;
  if (open_->closing) {
    ClosingGroup& closing = *open_->closing;
    closing.record.number = ++group_number_;
    closing.record.offset = closing.position.offset;
    closing.record.size =
        static_cast<uint32_t>(kGroupRecordSize + record_size(closing.summary_size));
    closing.record.record_count = 2;
    closing.record.mark = mark;
    // Not what the group behind it declares: a copy that makes a segment unneeded may be in there.
    closing.record.oldest_generation = declared_oldest_;
    // It is synced before the group behind it is written.
    mark = {closing.position.generation, closing.position.offset + closing.bytes->size()};
  }
  encoder_->write_group_record(buffer_->data(),
                               {.number = ++group_number_,
                                .offset = open_->position.offset,
                                .size = static_cast<uint32_t>(buffer_->size()),
                                .record_count = static_cast<uint32_t>(open_->record_count),
                                .mark = mark,
                                .previous_end = previous_end_,
                                .oldest_generation = oldest_generation_,
                                .previous_summary = previous_summary_});
  declared_oldest_ = oldest_generation_;
  last_group_bytes_ = buffer_->size();
  segment_group_bytes_ += buffer_->size();
  buffer_->pad(kBlockSize);
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
  prepare_append({.payload_bytes = 0, .record_count = 0, .digest_bytes = 0});
  open_->is_mark = true;
  return seal();
}

Status Log::write(LogGroup& group) {
  const auto begin = std::chrono::steady_clock::now();
  if (group.closing) RETURN_IF_ERROR(write_closing(*group.closing));
  if (group.begins_segment) {
    ASSIGN_OR_RETURN(Segment segment,
                     files_->make(group.position.generation, group.takes_last_spare));
    group.file = segment.file;
  }
  FAULT_POINT("queue.before_sync");
  RETURN_IF_ERROR(group.file->write_durable(group.position.offset, group.bytes->view()));
  FAULT_POINT("queue.after_sync_before_reply");
  for (const uint64_t generation : group.retired) RETURN_IF_ERROR(files_->retire(generation));
  group.write_ns = std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
  if (group.position.offset + group.bytes->size() > options_.segment_bytes / 2) {
    files_->prepare_next();
  }
  return {};
}

Status Log::write_closing(ClosingGroup& closing) {
  const RecordEncoder encoder(files_->log_id(), closing.position.generation);
  char* const bytes = closing.bytes->data();
  encoder.finish(bytes + kGroupRecordSize, closing.summary_size, RecordType::kSummary);
  encoder.write_group_record(bytes, closing.record);
  return closing.file->write_durable(closing.position.offset, closing.bytes->view());
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
  stats_.written_bytes += group.bytes->size();
  if (group.closing) stats_.written_bytes += group.closing->bytes->size();
  stats_.write_ns.add(group.write_ns);
  stats_.group_bytes.add(static_cast<int64_t>(group.bytes->size()));
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

Status Log::close() {
  CHECK(!open_, "the open group is flushed before the end");
  if (!summary_.is_complete()) return write_final_mark();
  // The mark goes behind the summary, into the block that is kept for it.
  open_group(false);
  close_segment();
  open_->position = end_;
  open_->is_mark = true;
  return flush();
}

bool Log::has_room_to_copy() const {
  if (can_grow()) return true;
  // A segment that is being begun has one of the spares, or will take it.
  const size_t own_count = segments_.contains(end_.generation) ? 0 : 1;
  const size_t spare_count = files_->spare_count();
  if (spare_count > own_count + 1) return true;
  // Copies are dense. A segment more than half full of them could become more than a start can
  // rewrite (I6), and the start's spare would go.
  const uint64_t offset = open_ ? open_->position.offset + buffer_->size() : end_.offset;
  return spare_count == own_count + 1 && offset + group_max_bytes_ <= options_.segment_bytes / 2;
}

Result<std::string_view> Log::read(LogPosition position, uint64_t payload_size,
                                   std::string& scratch) {
  const uint64_t size = kRecordHeaderSize + payload_size;
  if (open_ && open_->position <= position) {
    const uint64_t at = position.offset - open_->position.offset;
    CHECK(position.generation == open_->position.generation && at + size <= buffer_->size(),
          "a position names a record");
    ++stats_.memory_read_count;
    return buffer_->view().substr(at + kRecordHeaderSize, payload_size);
  }
  if (const auto bytes = cache_.find(position, size)) {
    ++stats_.memory_read_count;
    return bytes->substr(kRecordHeaderSize);
  }
  ASSIGN_OR_RETURN(const std::string_view bytes,
                   read_disk(position, record_size(payload_size), scratch));
  const auto record = RecordDecoder(files_->log_id(), position.generation).decode(bytes);
  if (!record || record->payload.size() != payload_size) {
    return data_loss(fmt::format("a record cannot be read back {}", to_string(position)));
  }
  return record->payload;
}

Result<std::string_view> Log::read_disk(LogPosition position, uint64_t size, std::string& scratch) {
  if (const auto bytes = windows_.find(position, size)) {
    ++stats_.window_read_count;
    return *bytes;
  }
  ++stats_.disk_read_count;
  const auto it = segments_.find(position.generation);
  CHECK(it != segments_.end(), "a record in use lies in a segment of the log");
  base::File& file = *it->second.file;
  if (size <= ReadWindows::kWindowBytes / 2) {
    // Only what is synced: the rest will change.
    const uint64_t end =
        position.generation == synced_.generation ? synced_.offset : it->second.header.segment_size;
    return windows_.load(file, position, size, end);
  }
  scratch.resize(size);
  ASSIGN_OR_RETURN(const size_t count, file.read_at(position.offset, std::span<char>(scratch)));
  return std::string_view(scratch).substr(0, count);
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
  windows_.forget_below(oldest_generation_);
}

}  // namespace verbatim::queue
