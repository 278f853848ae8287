#include "processor/hub/batch_frames.h"

namespace verbatim::processor {
namespace {

constexpr size_t kChunkMaxBytes = 1 << 20;

}  // namespace

bool write_batch(const LoadedBatch& batch, uint64_t store_epoch,
                 const std::function<bool(const v1::ToAdapter&)>& write) {
  const uint64_t number = batch.seal.batch;
  v1::ToAdapter message;
  v1::BatchBegin& begin = *message.mutable_begin();
  begin.set_batch(number);
  begin.set_store_epoch(store_epoch);
  begin.set_header(batch.seal.row.header());
  begin.set_event_count(batch.seal.row.event_count());
  begin.set_body_bytes(batch.seal.row.body_bytes());
  if (!write(message)) return false;

  size_t chunk_bytes = 0;
  v1::BatchChunk* chunk = message.mutable_chunk();
  chunk->set_batch(number);
  for (const std::string& event : batch.events) {
    if (chunk_bytes > 0 && chunk_bytes + event.size() > kChunkMaxBytes) {
      if (!write(message)) return false;
      chunk->clear_events();
      chunk_bytes = 0;
    }
    chunk->add_events(event);
    chunk_bytes += event.size();
  }
  if (!write(message)) return false;

  message.mutable_end()->set_batch(number);
  message.mutable_end()->set_digest(batch.seal.row.digest());
  return write(message);
}

}  // namespace verbatim::processor
