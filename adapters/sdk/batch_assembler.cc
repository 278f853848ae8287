#include "adapters/sdk/batch_assembler.h"

#include <utility>

namespace verbatim::adapters {
namespace {

Status not_begun(uint64_t batch) {
  return failed_precondition("a part of a batch that was not begun batch=" + std::to_string(batch));
}

Status check_begin(const v1::BatchBegin& begin, const v1::BatchHeader& header,
                   const BatchLimits& limits) {
  if (begin.body_bytes() > limits.body_max_bytes || begin.event_count() > limits.event_max_count ||
      begin.header().size() > limits.header_max_bytes) {
    return resource_exhausted(
        "batch larger than this adapter takes body_bytes=" + std::to_string(begin.body_bytes()) +
        " event_count=" + std::to_string(begin.event_count()) +
        " header_bytes=" + std::to_string(begin.header().size()));
  }
  if (header.batch() != begin.batch() || header.event_count() != begin.event_count()) {
    return data_loss("the batch's header and its begin differ");
  }
  return {};
}

}  // namespace

void BatchAssembler::begin(const v1::BatchBegin& begin) {
  open_ = Open();  // not emplace(): clang 14 takes a nested struct with initialisers for not
                   // constructible
  open_->number = begin.batch();
  open_->store_epoch = begin.store_epoch();
  open_->event_count = begin.event_count();
  open_->body_bytes = begin.body_bytes();
  if (begin.header().size() <= limits_.header_max_bytes) {
    open_->parts.header_bytes = begin.header();
    if (!open_->parts.header.ParseFromString(begin.header())) {
      open_->status = data_loss("the batch's header does not parse");
      return;
    }
  }
  open_->status = check_begin(begin, open_->parts.header, limits_);
}

Status BatchAssembler::chunk(v1::BatchChunk chunk) {
  if (!open_ || open_->number != chunk.batch()) return not_begun(chunk.batch());
  for (std::string& event : *chunk.mutable_events()) {
    if (!open_->status.ok()) break;
    open_->received_bytes += event.size();
    if (open_->received_bytes > open_->body_bytes ||
        open_->parts.events.size() == open_->event_count) {
      open_->status = data_loss("the batch has more events or bytes than its begin says");
      open_->parts.events.clear();
      break;
    }
    open_->parts.events.push_back(std::move(event));
  }
  return {};
}

Result<AssembledBatch> BatchAssembler::end(const v1::BatchEnd& end) {
  if (!open_ || open_->number != end.batch()) return not_begun(end.batch());
  Open open = *std::exchange(open_, std::nullopt);
  if (open.status.ok() &&
      (open.parts.events.size() != open.event_count || open.received_bytes != open.body_bytes)) {
    open.status = data_loss("the batch has fewer events or bytes than its begin says");
  }
  if (open.status.ok()) {
    open.parts.body_digest = body_digest(open.parts.events);
    open.parts.digest = batch_digest(open.parts.header_bytes, open.parts.body_digest);
    if (open.parts.digest != end.digest()) {
      open.status = data_loss("the batch's digest does not fit its bytes");
    }
  }
  if (!open.status.ok()) return AssembledBatch{open.number, open.store_epoch, open.status};
  return AssembledBatch{open.number, open.store_epoch, Batch(std::move(open.parts))};
}

}  // namespace verbatim::adapters
