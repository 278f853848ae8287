// SparePool: segments written ahead of need, so that no group waits for a segment of zeros.
//
// There are two by default: the reserve, and one ahead, which is made when it will soon be needed,
// because a segment that is given up before serves as well. While the disk takes no more, the last
// one is the reserve: can_grow() is false, and whoever asks it leaves that one to what must always
// fit; that is above all the start, which needs a segment before it can give one up. What else must
// fit shares what is left of the open segment and the second reserve: Log::has_room_to_copy().
//
// I1 A spare in the pool has its whole length and a synced header.
// I2 `count` are written at the start; later none beyond two, because a burst that has used up the
//    others needs the disk for itself. Of segments given up, as many are kept,
//    and one more where keep_one_more() allows it: it spares a flow that empties its segments late
//    from writing a new one each time.
// I3 With a second reserve there is one more of all that is written, and can_grow() leaves two: a
//    segment full of new messages may be closed in the moment in which the disk becomes full, and
//    what is open then must still be followed by one. And where it cannot be replaced, that is
//    known while most of the open segment is left.
//
// Threads: any. In the background, one thread writes what is missing and tries again every second
// after a failure; else refill() does it in the caller's.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/file_system.h"
#include "base/mutex.h"
#include "base/status.h"

namespace verbatim::queue {

struct SpareOptions {
  uint64_t segment_bytes = 0;
  size_t count = 2;  // at least
  bool in_background = false;
};

class SparePool {
 public:
  SparePool(base::FileSystem& file_system, std::string directory, const SpareOptions& options);
  // Stops the thread, which leaves an unfinished spare to the next start.
  ~SparePool();

  // After the folder was read: from now on spares carry this log's id.
  void set_log_id(uint64_t log_id) { log_id_ = log_id; }
  // Writes all of `count` but the one ahead, in the background or here. That the disk takes no more
  // is no error.
  void start();
  // The one ahead will soon be needed: writes it likewise.
  void prepare_next();

  // True if one more that was given up would be kept.
  bool wants_more() const;
  // Allowed until it is said otherwise.
  void keep_one_more(bool is_allowed) { keeps_one_more_ = is_allowed; }
  // None until it is said otherwise. Without a thread each call also tries again what has failed.
  void keep_second_reserve(bool is_wanted);
  // Removes one, if there are more than `count`. Errors: those of the disk.
  Status drop_surplus();
  // The name of a file that fulfils I1.
  void add(std::string name);
  // Gives up a spare. With none there one is written; the last one is kept for as long as another
  // can be made, and without `takes_last` in any case. Errors: those of the disk.
  Result<std::string> take(bool takes_last);
  bool can_grow() const;
  size_t count() const;

 private:
  void run();
  void refill();
  bool is_short() const REQUIRES(mutex_) { return names_.size() < wanted_count_ + more(); }
  size_t more() const REQUIRES(mutex_) { return has_second_reserve_ ? 1 : 0; }
  bool is_only_reserve() const REQUIRES(mutex_) { return names_.size() <= 1 + more(); }
  // What is there at least while nothing more is announced.
  size_t usual_count() const REQUIRES(mutex_);
  Result<std::string> write_spare();
  Status fill(const std::string& name);
  // Notes that no more can be made, once for each time it begins.
  void note_failure(const Status& status) REQUIRES(mutex_);

  base::FileSystem& file_system_;
  const std::string directory_;
  const SpareOptions options_;
  const size_t count_;
  uint64_t log_id_ = 0;
  std::atomic<uint64_t> next_number_{1};
  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> keeps_one_more_{true};

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<std::string> names_ GUARDED_BY(mutex_);
  size_t wanted_count_ GUARDED_BY(mutex_);
  bool has_failed_ GUARDED_BY(mutex_) = false;
  bool has_second_reserve_ GUARDED_BY(mutex_) = false;
  bool has_filled_ GUARDED_BY(mutex_) = false;  // all that the start writes
  std::thread thread_;
};

}  // namespace verbatim::queue
