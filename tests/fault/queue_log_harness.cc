#include "tests/fault/queue_log_harness.h"

#include <random>
#include <utility>

#include "base/endian.h"
#include "base/log.h"

namespace verbatim::testing {
namespace {

using queue::Log;
using queue::LogPosition;
using queue::RecordType;

// A payload that no other number and no other life of the log has.
std::string payload_of(uint64_t number, uint64_t incarnation, size_t size) {
  std::string payload;
  base::put_le64(payload, number);
  base::put_le64(payload, incarnation);
  std::mt19937_64 random(number * 1'000'003 + incarnation);
  while (payload.size() < size) payload.push_back(static_cast<char>(random()));
  return payload;
}

}  // namespace

Status RecordKeeper::replay(RecordType type, std::string_view payload, LogPosition position) {
  const uint64_t number = base::get_le64(payload.data());
  if (type == RecordType::kSnapshot) {
    // What summaries have told so far must reach as far as what the state says was put.
    if (!records.empty() && records.rbegin()->first + 1 != number) {
      return data_loss("the control state does not fit the records before it");
    }
    next_number = number;
    return {};
  }
  if (number != next_number && type == RecordType::kMessage) {
    return data_loss("the control state does not fit the records");
  }
  RETURN_IF_ERROR(replay_digest(type, payload, position, static_cast<uint32_t>(payload.size())));
  records[number].payload = payload;
  return {};
}

Status RecordKeeper::replay_digest(RecordType /*type*/, std::string_view digest,
                                   LogPosition position, uint32_t payload_size) {
  const uint64_t number = base::get_le64(digest.data());
  if (records.contains(number)) return data_loss("a number came twice");
  if (!records.empty() && records.rbegin()->first + 1 != number) {
    return data_loss("numbers are out of order");
  }
  next_number = number + 1;
  records[number] = {.payload = {}, .position = position, .payload_size = payload_size};
  return {};
}

Result<std::string> RecordKeeper::read(Log& log, uint64_t number) const {
  const Kept& kept = records.at(number);
  std::string scratch;
  ASSIGN_OR_RETURN(const std::string_view payload,
                   log.read(kept.position, kept.payload_size, scratch));
  return std::string(payload);
}

std::string RecordKeeper::snapshot() {
  std::string bytes;
  base::put_le64(bytes, next_number);
  return bytes;
}

QueueLogHarness::QueueLogHarness(uint64_t segment_bytes) {
  options_.directory = kLogFolder;
  options_.segment_bytes = segment_bytes;
  options_.writes_summaries = true;
}

std::string QueueLogHarness::open() {
  kill();
  ++incarnation_;
  auto keeper = std::make_unique<RecordKeeper>();
  auto log = Log::open(power_, options_, *keeper);
  if (!log) {
    error_ = log.error();
    return "the start was refused: " + error_.to_string();
  }
  error_ = {};
  keeper_ = std::move(keeper);
  log_ = *std::move(log);
  return compare();
}

// I: [first, end) is there, first at most what was released, end between answered and put.
std::string QueueLogHarness::compare() {
  const auto& records = keeper_->records;
  const uint64_t end = keeper_->next_number;
  if (end < answered_count_) {
    return fmt::format("lost: {} records answered, {} left", answered_count_, end);
  }
  if (end > put_.size()) return fmt::format("invented: {} put, {} found", put_.size(), end);
  const uint64_t first = records.empty() ? end : records.begin()->first;
  if (first > released_count_ && first != end) {
    return fmt::format("lost: records from {} on were kept, found from {} on", released_count_,
                       first);
  }
  if (records.empty() && end > released_count_) {
    return fmt::format("lost: all records from {} to {}", released_count_, end);
  }
  for (const auto& [number, kept] : records) {
    const auto payload = keeper_->read(*log_, number);
    if (!payload) return "unreadable: " + payload.error().to_string();
    if (*payload != put_[number]) return fmt::format("changed: record {}", number);
    if (!kept.payload.empty() && kept.payload != *payload) {
      return fmt::format("replayed otherwise than read: record {}", number);
    }
  }
  // What the start has shown is an answer: it must stay.
  put_.resize(end);
  answered_count_ = end;
  return {};
}

void QueueLogHarness::kill() {
  log_.reset();
  keeper_.reset();
}

bool QueueLogHarness::put(size_t count, size_t size) {
  for (size_t i = 0; i < count; ++i) {
    const queue::Log::Unit unit{.payload_bytes = size, .record_count = 1, .digest_bytes = 8};
    // More than fits is more than one group.
    if (!log_->has_room(unit) && !log_->flush().ok()) return false;
    log_->prepare_append(unit);
    const uint64_t number = keeper_->next_number++;
    std::string payload = payload_of(number, incarnation_, size);
    const LogPosition position =
        log_->append(RecordType::kMessage, payload, std::string_view(payload).substr(0, 8));
    keeper_->records[number] = {payload, position, static_cast<uint32_t>(payload.size())};
    put_.resize(number);
    put_.push_back(std::move(payload));
  }
  if (!log_->flush().ok()) return false;
  answered_count_ = put_.size();
  return true;
}

bool QueueLogHarness::write_mark() { return log_->write_final_mark().ok(); }

bool QueueLogHarness::close() { return log_->close().ok(); }

void QueueLogHarness::release_oldest() {
  if (log_->segment_count() < 2 || log_->oldest_generation() >= log_->newest_generation()) return;
  const uint64_t generation = log_->oldest_generation();
  auto& records = keeper_->records;
  while (!records.empty() && records.begin()->second.position.generation <= generation) {
    records.erase(records.begin());
  }
  released_count_ = records.empty() ? keeper_->next_number : records.begin()->first;
  log_->release_oldest();
}

namespace {

class Storm {
 public:
  Storm(uint64_t seed, const StormOptions& options) : options_(options), random_(seed) {
#if defined(VERBATIM_FAULT_POINTS)
    harness_.options().canary_no_rewrite_after_recovery = options.canary_no_rewrite_after_recovery;
    harness_.options().canary_ignore_generations = options.canary_ignore_generations;
    harness_.options().canary_trust_unsynced_summary = options.canary_trust_unsynced_summary;
#endif
  }

  std::string run() {
    for (int step = 0; step < options_.step_count; ++step) {
      const std::string wrong = run_step();
      if (!wrong.empty()) return fmt::format("step {}: {}", step, wrong);
    }
    return {};
  }

 private:
  uint64_t pick(uint64_t count) { return random_() % count; }

  std::string run_step() {
    if (!harness_.is_open()) return open();
    if (options_.has_full_disk && pick(8) == 0) change_capacity();
    switch (pick(15)) {
      case 0:
        harness_.kill();
        return {};
      case 1:
        crash();
        return {};
      case 2:
      case 3:
        harness_.disk().fail(
            {.nth = 1 + pick(3),
             .is_sticky = pick(2) == 0,
             .kinds = {IoKind::kSync, IoKind::kWrite, IoKind::kDirectory, IoKind::kRename}});
        return {};
      case 12:
      case 13:
        harness_.power().stop_before_sync(1 + pick(3));
        return {};
      case 4:
        if (!harness_.write_mark()) die();
        return {};
      case 14:
        if (!harness_.close()) {
          die();
        } else if (pick(2) == 0) {
          harness_.kill();
        }
        return {};
      case 5:
        if (harness_.log().segment_count() > 2) harness_.release_oldest();
        return {};
      default:
        if (!harness_.put(1 + pick(4), 16 + pick(options_.has_full_disk ? 200 : 800))) die();
        return {};
    }
  }

  // A log that runs has a spare, or it has lost it just now to a failing disk.
  void change_capacity() {
    const bool is_full = pick(4) != 0 && harness_.log().spare_count() > 0;
    harness_.disk().set_capacity(is_full ? harness_.log().disk_bytes() : uint64_t{1} << 40);
  }

  // The log has failed: the process ends, with or without the power.
  void die() {
    harness_.disk().clear_faults();
    if (pick(2) == 0 || harness_.power().has_stopped()) crash();
    harness_.kill();
    harness_.power().stop_before_sync(0);
  }

  void crash() {
    harness_.kill();
    switch (pick(4)) {
      case 0:
        harness_.disk().power_cut_dropping_all();
        break;
      case 1:
        harness_.disk().power_cut_keeping_all();
        break;
      default:
        harness_.disk().power_cut(random_());
    }
  }

  // Sometimes the start itself is hit, again and again.
  std::string open() {
    harness_.disk().clear_faults();
    harness_.power().stop_before_sync(0);
    while (pick(2) == 0) {
      if (pick(2) == 0) {
        harness_.disk().fail({.nth = 1 + pick(30), .is_sticky = true});
      } else {
        harness_.power().stop_before_sync(1 + pick(8));
      }
      const std::string wrong = harness_.open();
      const bool was_hit = harness_.disk().has_failed() || harness_.power().has_stopped();
      if (!wrong.empty() && !was_hit) return wrong;
      harness_.disk().clear_faults();
      crash();
      harness_.power().stop_before_sync(0);
    }
    return harness_.open();
  }

  const StormOptions options_;
  std::mt19937_64 random_;
  QueueLogHarness harness_;
};

}  // namespace

std::string run_log_storm(uint64_t seed, const StormOptions& options) {
  return Storm(seed, options).run();
}

}  // namespace verbatim::testing
