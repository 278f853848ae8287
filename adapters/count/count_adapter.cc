#include "adapters/count/count_adapter.h"

#include <cinttypes>
#include <cstdio>

#include "base/hex.h"

namespace verbatim::adapters {
namespace {

std::string to_line(const CountAdapter::Count& count) {
  return "batch=" + std::to_string(count.batch.number) +
         " digest=" + base::to_hex(count.batch.digest) + " events=" + std::to_string(count.events) +
         "\n";
}

}  // namespace

Result<CountAdapter::Count> CountAdapter::load_count() {
  if (count_) return *count_;
  const Result<std::string> text = file_system_.read_file(path_);
  if (!text && text.error().code() != StatusCode::kNotFound) return text.error();
  Count count;
  if (text) {
    char digest[65] = {};
    const int found = std::sscanf(text->c_str(), "batch=%" SCNu64 " digest=%64s events=%" SCNu64,
                                  &count.batch.number, digest, &count.events);
    const Result<std::string> bytes = base::from_hex(digest);
    if (found == 3 && bytes) count.batch.digest = *bytes;
    if (to_line(count) != *text) return data_loss("damaged count path=" + path_);
  }
  count_ = count;
  return count;
}

Result<AppliedBatch> CountAdapter::last_applied() {
  ASSIGN_OR_RETURN(const Count count, load_count());
  return count.batch;
}

Result<Outcome> CountAdapter::translate(const Batch& batch) {
  ASSIGN_OR_RETURN(Count count, load_count());
  const AppliedBatch given{batch.number(), batch.digest()};
  // What stands there already is written once more: who wrote it may have ended before it was safe.
  if (count.batch != given) {
    count.batch = given;
    count.events += batch.event_count();
  }
  // A refusal of the disk is never the events' fault, whatever its code.
  const Status written = base::write_file_atomically(file_system_, path_, to_line(count));
  if (!written.ok()) return Outcome::retry(written.to_string());
  count_ = count;
  std::printf("count: %s", to_line(count).c_str());
  std::fflush(stdout);
  return Outcome::applied();
}

Result<BatchState> CountAdapter::batch_state(uint64_t number, std::string_view digest) {
  ASSIGN_OR_RETURN(const Count count, load_count());
  if (count.batch.number != number) return BatchState::kNotApplied;
  return count.batch.digest == digest ? BatchState::kApplied : BatchState::kOtherApplied;
}

}  // namespace verbatim::adapters
