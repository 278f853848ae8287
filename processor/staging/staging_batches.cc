// What the store knows of batches: those sealed and kept, and those that are planned.
#include "base/hex.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

Result<v1::BatchInfo> describe_batch(const v1::SealRow& row, bool with_slices) {
  v1::BatchHeader header;
  RETURN_IF_ERROR(parse_row(row.header(), "seals (header)", header));
  v1::BatchInfo info;
  info.set_adapter(header.adapter());
  info.set_batch(header.batch());
  info.set_event_count(row.event_count());
  info.set_body_bytes(row.body_bytes());
  info.set_first_sequence(header.first_sequence());
  info.set_last_sequence(header.last_sequence());
  info.set_sealed_unix_ns(header.sealed_unix_ns());
  info.set_reason(header.reason());
  info.set_replaces(header.replaces());
  info.set_replay_of(header.replay_of());
  info.set_running_event_count(header.running_event_count());
  info.set_digest(base::to_hex(row.digest()));
  info.set_previous_digest(base::to_hex(header.previous_digest()));
  if (!with_slices) return info;
  for (const uint64_t bound : row.member_ranges()) info.add_member_ranges(bound);
  for (const auto& slice : header.slices()) {
    v1::SliceInfo& one = *info.add_slices();
    one.set_conversation_key(slice.conversation_key());
    one.set_conversation_kind(slice.conversation_kind());
    one.set_event_count(slice.event_count());
    one.set_present_at_start_count(slice.present_at_start_size());
    one.set_present_at_end_count(slice.present_at_end_size());
  }
  return info;
}

}  // namespace

Result<v1::ListBatchesResponse> Staging::batches(const v1::ListBatchesRequest& request) const {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  if (!request.adapter().empty()) RETURN_IF_ERROR(find_adapter(request.adapter()).error());
  v1::ListBatchesResponse response;
  for (const auto& [name, adapter] : adapters_) {
    if (!request.adapter().empty() && name != request.adapter()) continue;
    RETURN_IF_ERROR(add_batches(name, adapter, request.batch(), response));
  }
  if (request.batch() != 0 && response.batches().empty()) {
    return not_found(
        "the store has no such batch; it keeps the last acknowledged one of each adapter and the "
        "one under way batch=" +
        std::to_string(request.batch()));
  }
  return response;
}

Status Staging::add_batches(const std::string& name, const Adapter& adapter, uint64_t only,
                            v1::ListBatchesResponse& response) const {
  const v1::AdapterRow& row = adapter.row;
  if (only == 0 || only == row.last_acked_batch()) {
    v1::SealRow seal;
    ASSIGN_OR_RETURN(const bool is_there,
                     store_->load(Family::kSeals, named_key(name, row.last_acked_batch()), seal));
    if (is_there) {
      ASSIGN_OR_RETURN(v1::BatchInfo info, describe_batch(seal, only != 0));
      info.set_state(v1::BatchInfo::STATE_ACKNOWLEDGED);
      *response.add_batches() = std::move(info);
    }
  }
  if (adapter.sealed && (only == 0 || only == adapter.sealed->batch)) {
    ASSIGN_OR_RETURN(v1::BatchInfo info, describe_batch(adapter.sealed->row, only != 0));
    info.set_state(v1::BatchInfo::STATE_UNDER_WAY);
    *response.add_batches() = std::move(info);
  }
  if (row.overtaken_batch() != 0 && (only == 0 || only == row.overtaken_batch())) {
    v1::BatchInfo& info = *response.add_batches();
    info.set_adapter(name);
    info.set_batch(row.overtaken_batch());
    info.set_state(v1::BatchInfo::STATE_OVERTAKEN);
    info.set_event_count(row.overtaken_event_count());
    info.set_last_sequence(row.overtaken_last_sequence());
    info.set_digest(base::to_hex(row.overtaken_digest()));
  }
  if (only != 0) return {};
  const auto add_planned = [&](const v1::PlannedBatch& part, uint64_t replay_of) {
    v1::BatchInfo& info = *response.add_batches();
    info.set_adapter(name);
    info.set_state(v1::BatchInfo::STATE_PLANNED);
    info.set_first_sequence(part.first_sequence());
    info.set_last_sequence(part.last_sequence());
    info.set_replaces(part.replaces());
    info.set_replay_of(replay_of);
  };
  for (const auto& part : row.plan()) add_planned(part, 0);
  for (const auto& part : row.replay().parts()) add_planned(part, row.replay().replay_of());
  return {};
}

}  // namespace verbatim::processor
