// BatchWorker: decides what is answered to a batch, by the adapter and by the chain of digests.
// Knows nothing of gRPC.
//
// I1 Nothing is acknowledged but what the adapter says it has applied.
// I2 A batch that does not follow the last applied one (its previous digest is another) never
//    reaches the adapter; neither does one whose bytes do not fit its digest, nor one beyond the
//    assembler's bounds, which is rejected with no culprit named, so that the hub halves it.
//
// Threads: one at a time.
#pragma once

#include <chrono>
#include <string>

#include "adapters/sdk/adapter.h"
#include "adapters/sdk/batch_assembler.h"
#include "base/status.h"
#include "verbatim/v1/adapter.pb.h"

namespace verbatim::adapters {

struct BatchWorkerOptions {
  std::string adapter;  // its name at the hub
  std::chrono::milliseconds retry_min{200};
  std::chrono::milliseconds retry_max{30'000};
};

class BatchWorker {
 public:
  // The adapter stays the caller's.
  BatchWorker(Adapter& adapter, BatchWorkerOptions options);

  // What goes into the hello. Errors: the adapter's.
  Result<AppliedBatch> load_last_applied();
  // Takes the hub's welcome. Errors: kFailedPrecondition when the adapter's effects belong to
  // another chain of batches: a person is needed. kUnavailable, kInvalidArgument: try again.
  Status take_welcome(const v1::AdapterWelcome& welcome);
  // This instance is now the active one. What was applied is looked up again, and checked as with
  // a welcome: other instances may have gone on while this one stood by. Errors: as above, and the
  // adapter's.
  Status take_activity(const v1::Activity& activity);

  // Gives the answer to send: ack, retry or reject.
  v1::FromAdapter apply(const AssembledBatch& assembled);
  v1::FromAdapter answer(const v1::BatchStateQuestion& question);

 private:
  Status check_acked();
  Status check_chain(const Batch& batch);
  Outcome translate(const Batch& batch);
  v1::FromAdapter to_answer(const AssembledBatch& assembled, const Outcome& outcome);
  std::chrono::milliseconds next_retry_delay();

  Adapter& adapter_;
  const BatchWorkerOptions options_;
  uint64_t store_epoch_ = 0;
  // What the next batch must follow: the newest applied batch, by our own knowledge or the hub's.
  AppliedBatch last_;
  // The newest one that the hub has said to hold as acknowledged.
  AppliedBatch acked_;
  int retries_in_a_row_ = 0;
};

}  // namespace verbatim::adapters
