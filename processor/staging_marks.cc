#include "processor/staging_marks.h"

#include <algorithm>

#include "base/log.h"

namespace verbatim::processor {
namespace {

constexpr std::chrono::milliseconds kStoreInterval{100};
// A disk at its mark must not make intake start and stop with each batch.
constexpr uint64_t kDiskRoomMaxBytes = 64ULL << 20;

}  // namespace

// A seal with its header of at most 32 MiB, and some blocks.
const uint64_t StagingMarks::kWriteRoomBytes = 36ULL << 20;

uint64_t StagingMarks::least_free_bytes(uint64_t queue_count, uint64_t receive_max_bytes) {
  return kWriteRoomBytes + Staging::kDiskAheadBytes + queue_count * 2 * receive_max_bytes;
}

StagingMarks::StagingMarks(Staging& staging, StagingMarksOptions options, const base::Clock& clock)
    : staging_(staging), options_(std::move(options)), clock_(clock) {}

StagingMarks::State StagingMarks::look() {
  // Copies for holds do not count: a hold stops no delivery. Their bound is the disk's.
  const uint64_t bytes = staging_.staged_bytes();
  base::MutexLock lock(mutex_);
  look_at_disk();
  if (bytes >= options_.high_bytes) is_full_ = true;
  if (bytes < options_.low_bytes) is_full_ = false;
  if (is_disk_full_ || !has_room_) return State::kDiskFull;
  return is_full_ ? State::kFull : State::kTakes;
}

bool StagingMarks::has_room() {
  base::MutexLock lock(mutex_);
  look_at_disk();
  return has_room_;
}

void StagingMarks::look_at_disk() {
  if (!options_.free_disk) return;
  const auto free = options_.free_disk();
  if (!free) {
    LOG_WARN("the free space of the disk is not known: {}", free.error().to_string());
    return;
  }
  free_disk_bytes_ = *free;
  has_room_ = *free >= kWriteRoomBytes;
  if (options_.free_disk_min_bytes == 0) return;
  // The store writes out by itself what it still has in memory, and must find room for it.
  const auto now = clock_.monotonic();
  const uint64_t taken_bytes = staging_.taken_bytes();
  if (looked_at_store_ < std::chrono::nanoseconds(0) || now - looked_at_store_ >= kStoreInterval) {
    looked_at_store_ = now;
    unwritten_bytes_ = staging_.unwritten_bytes();
    taken_bytes_ = taken_bytes;
  }
  const uint64_t ahead = unwritten_bytes_ + (taken_bytes - taken_bytes_);
  const uint64_t left = *free - std::min(*free, ahead);
  const uint64_t room = std::min(options_.free_disk_min_bytes / 4, kDiskRoomMaxBytes);
  if (left < options_.free_disk_min_bytes) is_disk_full_ = true;
  if (left >= options_.free_disk_min_bytes + room) is_disk_full_ = false;
}

uint64_t StagingMarks::free_disk_bytes() const {
  base::MutexLock lock(mutex_);
  return free_disk_bytes_;
}

std::string StagingMarks::sentence(State state) {
  switch (state) {
    case State::kFull:
      return "staging is above its high mark until the adapters have caught up";
    case State::kDiskFull:
      return "the disk of the staging store is nearly full";
    case State::kTakes:
      break;
  }
  return "staging takes again";
}

}  // namespace verbatim::processor
