// CountAdapter: counts the events that it was given, durably. The smallest example of an adapter.
//
// Its whole effect is one small file "count.txt", replaced atomically with every batch: number and
// digest of the newest batch, and all events so far. A batch that is repeated has the number and
// digest that stand there already, so it is not counted twice.
//
// Threads: one at a time (see adapters/sdk/adapter.h).
#pragma once

#include <optional>
#include <string>

#include "adapters/sdk/adapter.h"
#include "base/file_system.h"

namespace verbatim::adapters {

class CountAdapter final : public Adapter {
 public:
  CountAdapter(base::FileSystem& file_system, std::string data_dir)
      : file_system_(file_system), path_(base::join_path(data_dir, "count.txt")) {}

  // Another instance may have counted on.
  Status activate() override {
    count_.reset();
    return {};
  }
  Result<AppliedBatch> last_applied() override;
  Result<Outcome> translate(const Batch& batch) override;
  Result<BatchState> batch_state(uint64_t number, std::string_view digest) override;

  struct Count {
    AppliedBatch batch;
    uint64_t events = 0;
  };
  // What stands in the file; a damaged one is an error (kDataLoss), never "begin anew".
  Result<Count> load_count();

 private:
  base::FileSystem& file_system_;
  const std::string path_;
  // Read when this instance becomes the active one. What a failed write has left in the file is not
  // believed before.
  std::optional<Count> count_;
};

}  // namespace verbatim::adapters
