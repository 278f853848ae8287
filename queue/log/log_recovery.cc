#include "queue/log/log_recovery.h"

#include <algorithm>
#include <optional>

#include "base/endian.h"
#include "base/log.h"
#include "queue/log/group_buffer.h"

namespace verbatim::queue {
namespace {

constexpr size_t kScanBytes = 1024 * 1024;

// One segment, read a group or a block at a time, into a buffer that is used again for the next.
class SegmentReader {
 public:
  SegmentReader(const Segment& segment, bool any_generation, GroupBuffer& buffer)
      : segment_(segment),
        decoder_(segment.header.log_id, segment.header.generation, any_generation),
        buffer_(buffer) {}

  uint64_t size() const { return segment_.header.segment_size; }
  uint64_t generation() const { return segment_.header.generation; }

  // The group record at `offset`, whatever the state of the rest of the group.
  Result<std::optional<GroupRecord>> group_record_at(uint64_t offset) {
    if (offset + kGroupRecordSize > size()) return std::optional<GroupRecord>();
    ASSIGN_OR_RETURN(const std::string_view bytes, read(offset, kGroupRecordSize));
    return parse_group_record(bytes, offset);
  }

  // A whole group: its records are left in `records`, which point into this reader until the next
  // read. Nothing if any byte of it is bad.
  Result<std::optional<GroupRecord>> group_at(uint64_t offset, std::vector<RecordView>& records) {
    ASSIGN_OR_RETURN(const auto group, group_record_at(offset));
    records.clear();
    if (!group || group->size < kGroupRecordSize || offset + group->size > size()) {
      return std::optional<GroupRecord>();
    }
    ASSIGN_OR_RETURN(std::string_view bytes, read(offset, group->size));
    while (!bytes.empty()) {
      const auto record = decoder_.decode(bytes);
      if (!record) return std::optional<GroupRecord>();
      records.push_back(*record);
      bytes.remove_prefix(record->size);
    }
    if (records.size() != group->record_count) return std::optional<GroupRecord>();
    return group;
  }

  // Calls `found` with every group record that stands at a block's start at or above `offset`.
  Status scan_groups(uint64_t offset, const std::function<void(const GroupRecord&)>& found) {
    for (; offset < size(); offset += kScanBytes) {
      const size_t count = std::min<uint64_t>(kScanBytes, size() - offset);
      ASSIGN_OR_RETURN(const std::string_view bytes, read(offset, count));
      for (size_t at = 0; at + kGroupRecordSize <= bytes.size(); at += kBlockSize) {
        const auto group = parse_group_record(bytes.substr(at, kGroupRecordSize), offset + at);
        if (group) found(*group);
      }
    }
    return {};
  }

  // The end of the last record of this generation at or above `offset`; `offset` if there is none.
  Result<uint64_t> last_trace(uint64_t offset) {
    uint64_t end = offset;
    for (uint64_t from = offset; from < size(); from += kScanBytes) {
      const size_t count = std::min<uint64_t>(kScanBytes, size() - from);
      ASSIGN_OR_RETURN(const std::string_view bytes, read(from, count));
      for (size_t at = 0; at + kRecordHeaderSize <= bytes.size(); at += kRecordAlignment) {
        if (base::get_le64(bytes.data() + at + 8) != generation()) continue;
        const auto record = decoder_.decode(bytes.substr(at));
        if (record) end = std::max(end, from + at + record->size);
      }
    }
    return end;
  }

 private:
  std::optional<GroupRecord> parse_group_record(std::string_view bytes, uint64_t offset) const {
    const auto record = decoder_.decode(bytes);
    if (!record || record->type != RecordType::kGroup) return std::nullopt;
    const auto group = decode_group_payload(record->payload);
    if (!group || group->offset != offset) return std::nullopt;
    return group;
  }

  Result<std::string_view> read(uint64_t offset, size_t count) {
    buffer_.clear();
    char* const to = buffer_.extend(count);
    ASSIGN_OR_RETURN(const size_t got, segment_.file->read_at(offset, std::span<char>(to, count)));
    return buffer_.view().substr(0, got);
  }

  const Segment& segment_;
  const RecordDecoder decoder_;
  GroupBuffer& buffer_;
};

Status damage(const LogPosition& position, std::string_view what) {
  return data_loss(fmt::format("the log is damaged {}: {}", to_string(position), what));
}

class Recovery {
 public:
  Recovery(const std::map<uint64_t, Segment>& segments, const RecoveryOptions& options,
           const RecoveryVisitor& visit)
      : segments_(segments), options_(options), visit_(visit) {}

  Result<RecoveredLog> run() {
    RETURN_IF_ERROR(find_end());
    RETURN_IF_ERROR(find_chain());
    if (options_.fold_max_bytes > 0) RETURN_IF_ERROR(fold());
    for (auto it = chain_.begin(); it != chain_.end(); ++it) {
      if (const auto next = std::next(it); next != chain_.end()) prefetch_summary(*next);
      ASSIGN_OR_RETURN(const bool is_done, replay_summary(it->first, it->second));
      if (is_done) continue;
      ++log_.full_count;
      RETURN_IF_ERROR(replay(segments_.at(it->first), it->second.end));
    }
    for (const auto& [generation, segment] : segments_) {
      if (!chain_.contains(generation)) log_.dead_generations.push_back(generation);
    }
    return log_;
  }

 private:
  // What counts of a segment.
  struct Link {
    uint64_t end = 0;
    uint64_t summary = 0;  // where its successor says that the summary is
  };

  SegmentReader reader_of(const Segment& segment) {
    return {segment, options_.canary_ignore_generations, buffer_};
  }

  // What one segment holds: its whole groups from the front, and the marks of all group records.
  struct Survey {
    uint64_t end = kLogHeaderSize;  // of the whole groups
    size_t group_count = 0;
    std::optional<GroupRecord> last;
    std::optional<GroupRecord> first_record;  // its rest may be torn
    LogPosition highest_mark;
  };

  Result<Survey> survey(const Segment& segment) {
    SegmentReader reader = reader_of(segment);
    Survey result;
    std::vector<RecordView> records;
    ASSIGN_OR_RETURN(result.first_record, reader.group_record_at(kLogHeaderSize));
    while (true) {
      ASSIGN_OR_RETURN(const auto group, reader.group_at(result.end, records));
      if (!group) break;
      result.highest_mark = std::max(result.highest_mark, group->mark);
      result.end = align_up(result.end + group->size, kBlockSize);
      result.last = group;
      ++result.group_count;
    }
    RETURN_IF_ERROR(reader.scan_groups(result.end, [&](const GroupRecord& group) {
      result.highest_mark = std::max(result.highest_mark, group.mark);
    }));
    ASSIGN_OR_RETURN(const uint64_t trace, reader.last_trace(result.end));
    log_.cut_bytes += trace - result.end;
    return result;
  }

  // Newest segment first: the end of the log is the end of the whole groups in the newest segment
  // that has one. A segment without any was being begun when the power went.
  Status find_end() {
    LogPosition mark;
    for (auto it = segments_.rbegin(); it != segments_.rend(); ++it) {
      ASSIGN_OR_RETURN(const Survey found, survey(it->second));
      if (options_.gives_up_start && it == segments_.rbegin()) {
        ASSIGN_OR_RETURN(const bool is_copy, is_copy_of_older(found));
        if (is_copy) {
          log_.begun_generations.push_back(it->first);
          continue;
        }
      }
      mark = std::max(mark, found.highest_mark);
      const LogPosition end{it->first, found.end};
      if (end < mark) return damage(end, "a group below the last mark is bad");
      if (found.last) {
        set_end(end, mark, *found.last, *found.first_record);
        return {};
      }
      log_.begun_generations.push_back(it->first);
    }
    return {};
  }

  // True if the newest segment holds nothing but what a start wrote again, and the groups that it
  // was made of are all there: in segments behind each other from the newest to the end that it
  // names. Of a segment that was begun while running nothing lies above that end.
  Result<bool> is_copy_of_older(const Survey& newest) {
    const bool has_more = newest.group_count == 2 && newest.last->record_count > 1;
    if (newest.group_count == 0 || newest.group_count > 2 || has_more) return false;
    const LogPosition from = newest.first_record->previous_end;
    std::optional<uint64_t> expected;
    uint64_t oldest = 0;
    for (auto it = std::next(segments_.rbegin()); it != segments_.rend(); ++it) {
      if (expected && it->first > *expected) continue;
      if (expected && it->first < *expected) return false;
      ASSIGN_OR_RETURN(const Survey older, survey(it->second));
      if (it->first < from.generation || (expected && !older.last)) return false;
      if (it->first == from.generation) return expected || older.end > from.offset;
      if (!older.last) continue;
      if (!expected) oldest = older.last->oldest_generation;
      expected = older.first_record->previous_end.generation;
      if (*expected == 0 || *expected < oldest) return from.generation == 0;
    }
    return false;
  }

  // What the groups of a chain's segment take without what pads them; more than `max_bytes` if they
  // do, or one is bad.
  Result<uint64_t> group_bytes(uint64_t generation, uint64_t end, uint64_t max_bytes) {
    SegmentReader reader = reader_of(segments_.at(generation));
    std::vector<RecordView> records;
    uint64_t bytes = 0;
    for (uint64_t offset = kLogHeaderSize; offset < end && bytes <= max_bytes;) {
      ASSIGN_OR_RETURN(const auto group, reader.group_at(offset, records));
      if (!group) return max_bytes + 1;
      bytes += group->size;
      offset = align_up(offset + group->size, kBlockSize);
    }
    return bytes;
  }

  Status fold() {
    uint64_t left = options_.fold_max_bytes;
    for (auto it = chain_.rbegin(); it != chain_.rend(); ++it) {
      ASSIGN_OR_RETURN(const uint64_t bytes, group_bytes(it->first, it->second.end, left));
      if (bytes > left) return {};
      left -= bytes;
      const auto older = std::next(it);
      log_.synced_end =
          older == chain_.rend() ? LogPosition() : LogPosition{older->first, older->second.end};
    }
    return {};
  }

  void set_end(const LogPosition& end, const LogPosition& mark, const GroupRecord& last,
               const GroupRecord& first) {
    log_.kept_end = end;
    log_.synced_end = mark;
    log_.group_number = last.number;
    log_.oldest_generation = last.oldest_generation;
    chain_[end.generation] = {.end = end.offset};
    first_ = first;
  }

  // From the newest segment back: each one's first group says where the one before it ends.
  Status find_chain() {
    LogPosition previous = first_.previous_end;
    uint64_t summary = first_.previous_summary;
    while (previous.generation != 0 && previous.generation >= log_.oldest_generation) {
      const auto it = segments_.find(previous.generation);
      if (it == segments_.end()) return damage({previous.generation, 0}, "the segment is missing");
      chain_[previous.generation] = {.end = previous.offset, .summary = summary};
      SegmentReader reader = reader_of(it->second);
      ASSIGN_OR_RETURN(const auto first, reader.group_record_at(kLogHeaderSize));
      // Its newer neighbour says that there is a group below `offset`.
      if (!first) return damage({previous.generation, kLogHeaderSize}, "the first group is bad");
      if (first->previous_end.generation >= previous.generation) {
        return damage({previous.generation, kLogHeaderSize}, "the first group names no older end");
      }
      previous = first->previous_end;
      summary = first->previous_summary;
    }
    return {};
  }

  // A summary counts only if it was synced: then its successor's word for it and for the segment's
  // end is as good as a mark.
  bool has_summary(uint64_t generation, const Link& link) const {
    return link.summary != 0 && LogPosition{generation, link.end} <= log_.synced_end;
  }

  void prefetch_summary(const std::pair<const uint64_t, Link>& next) {
    const auto& [generation, link] = next;
    if (!has_summary(generation, link) || link.summary >= link.end) return;
    segments_.at(generation)
        .file->advise(link.summary, link.end - link.summary, base::File::Use::kSoon);
  }

  // False: there is none, or it is bad; then the segment is read in full, and the damage found.
  Result<bool> replay_summary(uint64_t generation, const Link& link) {
    if (!has_summary(generation, link)) return false;
    SegmentReader reader = reader_of(segments_.at(generation));
    std::vector<RecordView> records;
    ASSIGN_OR_RETURN(const auto group, reader.group_at(link.summary, records));
    if (!group || records.size() != 2 || records[1].type != RecordType::kSummary) return false;
    const LogPosition at{generation, link.summary};
    if (align_up(at.offset + group->size, kBlockSize) > link.end) return false;
    // Its checksum is right: what is wrong with it now was written so.
    const auto visit = [&](const SummaryEntry& entry) -> Status {
      if (entry.offset < kLogHeaderSize || entry.offset >= at.offset) {
        return damage(at, "the summary names a record outside of what it sums up");
      }
      return visit_({.type = entry.type,
                     .payload = entry.digest,
                     .position = {generation, entry.offset},
                     .payload_size = entry.payload_size,
                     .is_digest = true});
    };
    if (const Status status = decode_summary(records[1].payload, visit); !status.ok()) {
      return status;
    }
    log_.summarised_ends.push_back({generation, link.end});
    if (generation == log_.synced_end.generation) log_.summary_offset = link.summary;
    return true;
  }

  Status replay(const Segment& segment, uint64_t end) {
    SegmentReader reader = reader_of(segment);
    std::vector<RecordView> records;
    const uint64_t generation = segment.header.generation;
    for (uint64_t offset = kLogHeaderSize; offset < end;) {
      const LogPosition at{generation, offset};
      ASSIGN_OR_RETURN(const auto group, reader.group_at(offset, records));
      if (!group) return damage(at, "a group below the last mark is bad");
      RETURN_IF_ERROR(visit_group(at, records));
      offset = align_up(offset + group->size, kBlockSize);
      if (offset > end) return damage(at, "a group reaches over the segment's end");
    }
    return {};
  }

  Status visit_group(const LogPosition& at, const std::vector<RecordView>& records) {
    uint64_t offset = at.offset;
    for (const RecordView& record : records) {
      RecoveredRecord visited{.type = record.type,
                              .payload = record.payload,
                              .position = {at.generation, offset},
                              .payload_size = static_cast<uint32_t>(record.payload.size()),
                              .is_above_mark = !(at < log_.synced_end)};
      if (record.type == RecordType::kSummary) {
        note_summary(at, visited.is_above_mark);
      } else if (record.type != RecordType::kGroup) {
        RETURN_IF_ERROR(visit_(visited));
      }
      offset += record.size;
    }
    return {};
  }

  // A closed segment gets nothing but marks any more, so this one sums up all of it.
  void note_summary(const LogPosition& at, bool is_above_mark) {
    if (options_.canary_trust_unsynced_summary && is_above_mark) {
      log_.synced_end = log_.kept_end;
      is_above_mark = false;
    }
    if (at.generation == log_.synced_end.generation && !is_above_mark) {
      log_.summary_offset = at.offset;
    }
  }

  const std::map<uint64_t, Segment>& segments_;
  const RecoveryOptions& options_;
  const RecoveryVisitor& visit_;
  GroupBuffer buffer_{kScanBytes};
  RecoveredLog log_;
  GroupRecord first_;  // of the newest segment that has groups
  std::map<uint64_t, Link> chain_;
};

}  // namespace

Result<RecoveredLog> recover_log(const std::map<uint64_t, Segment>& segments,
                                 const RecoveryOptions& options, const RecoveryVisitor& visit) {
  return Recovery(segments, options, visit).run();
}

}  // namespace verbatim::queue
