// FileCollector: removes stored files that nothing names any more.
//
// I1 A file goes only if no event of the store names it, kept and quarantined copies included, and
//    everything that could have named it when its last claim had been released has left every
//    queue, committed: staged by us. docs/adr/0027 has the whole argument.
// I2 That is known by a cut of each queue, taken after the claim's end was seen: its last lookup
//    id, passed when the oldest message lies above it. A cut is taken anew when a message left the
//    queue otherwise or was moved in, and none while messages lie beside it (poison, dead letters):
//    one of them may name any file, and comes back when it is redriven.
// I3 Whatever cannot be told keeps the files; the next round looks again.
//
// Nothing of this is stored: a new process takes new cuts.
// Life cycle: constructed → start → stop. Threads: one of its own; the other calls are for any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/content_removal.h"
#include "base/mutex.h"
#include "base/status.h"
#include "processor/ops/queue_look.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::processor {

struct FileCollectorOptions {
  std::chrono::milliseconds interval{60'000};
  std::vector<QueueLook> queues;
  // Of these digests, those that no event of the store names. Durable: that no one did.
  std::function<Result<std::set<std::string>>(const std::vector<std::string>&)> unnamed;
};

class FileCollector {
 public:
  FileCollector(base::ContentRemoval removal, FileCollectorOptions options);
  ~FileCollector();

  void start();
  // Safe twice and before start.
  void stop();

  // One round; also called by the thread. Errors: whatever kept it from looking at everything.
  Status look();

  v1::FileCollection state() const;
  // Stored files that nothing names, and why they are still there.
  Result<std::vector<v1::NamedFile>> unnamed(size_t max_count) const;

 private:
  // Of all queues, in the order of the options.
  using Cut = std::vector<QueueFacts>;
  // Null: not taken yet.
  using CutPointer = std::shared_ptr<const Cut>;

  void run();
  Status look_at_all();
  Status note_candidates();
  Result<CutPointer> take_cut() const;
  std::vector<std::string> choose(const CutPointer& now);
  Status remove(const std::vector<std::string>& digests);
  void note_removed(const std::string& digest, const base::ContentRemoval::Removed& removed);

  base::ContentRemoval removal_;  // of the thread that looks
  const FileCollectorOptions options_;
  std::thread thread_;

  base::Mutex round_mutex_;  // held during a round
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  // Stored files without a claim.
  std::map<std::string, CutPointer> candidates_ GUARDED_BY(mutex_);
  std::set<std::string> claimed_ GUARDED_BY(mutex_);
  v1::FileCollection state_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::processor
