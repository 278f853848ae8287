// QueueCore's answers to operators: proto/verbatim/v1/admin.proto says what each call means.
#include "queue/queue_core.h"

namespace verbatim::queue {

namespace {
Status not_yet() { return unavailable("not built yet"); }
}  // namespace

Status QueueCore::create_queue(const v1::CreateQueueRequest& /*request*/) { return not_yet(); }
Status QueueCore::configure_queue(const v1::ConfigureQueueRequest& /*request*/) {
  return not_yet();
}
Status QueueCore::switch_queue(const v1::SwitchQueueRequest& /*request*/) { return not_yet(); }
Result<uint64_t> QueueCore::delete_queue(const v1::DeleteQueueRequest& /*request*/) {
  return not_yet();
}
Result<uint64_t> QueueCore::start_transfer(const v1::TransferRequest& /*request*/) {
  return not_yet();
}
void QueueCore::stop_transfer(uint64_t /*transfer_id*/) {}
Result<v1::TransferProgress> QueueCore::transfer_progress(uint64_t /*transfer_id*/) const {
  return not_yet();
}
Result<v1::DestroyDeadLettersResponse> QueueCore::destroy_dead_letters(
    const v1::DestroyDeadLettersRequest& /*request*/) {
  return not_yet();
}
Result<v1::TrimJournalResponse> QueueCore::trim_journal(const v1::TrimJournalRequest& /*request*/) {
  return not_yet();
}
std::vector<base::AlarmCondition> QueueCore::alarm_conditions() const { return {}; }

}  // namespace verbatim::queue
