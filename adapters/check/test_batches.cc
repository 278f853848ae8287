#include "adapters/check/test_batches.h"

#include <algorithm>
#include <cstdio>

#include "adapters/sdk/batch.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::adapters::check {
namespace {

constexpr const char* kRoom = "adapter-check@rooms.example.test";
constexpr int64_t kBegin = 1'768'467'600'000'000'000;  // 2026-01-15T09:00:00Z
constexpr int64_t kSecond = 1'000'000'000;

v1::Event make_post(uint64_t sequence) {
  v1::Event event;
  char id[40];
  std::snprintf(id, sizeof(id), "0190b9a4-0000-7000-8000-%012llu",
                static_cast<unsigned long long>(sequence));
  event.set_id(id);
  event.set_schema_revision(v1::SCHEMA_REVISION_CURRENT);
  event.set_phase(v1::PHASE_CONFIRMED);
  event.set_role(v1::ROLE_RECORD);
  event.set_source_time_unix_ns(kBegin + static_cast<int64_t>(sequence) * kSecond);
  event.set_accept_time_unix_ns(event.source_time_unix_ns() + 1);
  event.mutable_source()->set_name("adapter-check");
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  event.mutable_conversation()->set_key(kRoom);
  event.mutable_conversation()->set_address(kRoom);
  event.mutable_conversation()->set_name("Adapter check");
  event.mutable_actor()->set_address("ayu@example.test/phone");
  event.mutable_actor()->set_normalised("ayu@example.test");
  event.mutable_actor()->set_affinity(v1::AFFINITY_INTERNAL);
  event.mutable_original_text()->set_plain("post " + std::to_string(sequence));
  event.mutable_message_posted();
  return event;
}

v1::Envelope envelope_of(const v1::Event& event) {
  v1::Envelope envelope;
  envelope.set_schema_revision(event.schema_revision());
  envelope.set_event_id(event.id());
  envelope.set_kind(v1::EVENT_KIND_MESSAGE_POSTED);
  envelope.set_phase(event.phase());
  envelope.set_role(event.role());
  envelope.set_conversation_kind(event.conversation().kind());
  envelope.set_conversation_key(event.conversation().key());
  envelope.set_conversation_name(event.conversation().name());
  envelope.set_source(event.source().name());
  envelope.set_source_time_unix_ns(event.source_time_unix_ns());
  envelope.set_accept_time_unix_ns(event.accept_time_unix_ns());
  *envelope.mutable_actor() = event.actor();
  return envelope;
}

}  // namespace

std::string BatchChain::post(uint64_t sequence, bool is_broken) const {
  const v1::Event event = make_post(sequence);
  v1::StoredEvent stored;
  stored.set_sequence(sequence);
  stored.set_queue("events");
  stored.set_lookup_id(sequence);
  stored.set_staged_unix_ns(event.accept_time_unix_ns() + 1);
  stored.set_envelope(envelope_of(event).SerializeAsString());
  stored.set_event(is_broken ? "\xFF\xFF\xFF" : event.SerializeAsString());
  return stored.SerializeAsString();
}

TestBatch BatchChain::next(int posts, bool has_broken) {
  TestBatch batch;
  batch.header.set_first_sequence(last_sequence_ + 1);
  for (int i = 0; i < posts; ++i) {
    const bool is_broken = has_broken && i == posts / 2;
    batch.events.push_back(post(++last_sequence_, is_broken));
    if (is_broken) batch.broken_sequence = last_sequence_;
  }
  batch.header.set_last_sequence(last_sequence_);
  batch.header.set_reason("count");
  seal(batch);
  return batch;
}

TestBatch BatchChain::replacement(const TestBatch& rejected) {
  TestBatch batch;
  batch.header.set_first_sequence(rejected.header.first_sequence());
  batch.header.set_last_sequence(rejected.header.last_sequence());
  batch.header.set_replaces(rejected.number());
  batch.header.set_reason("replacement");
  for (uint64_t one = batch.header.first_sequence(); one <= batch.header.last_sequence(); ++one) {
    if (one != rejected.broken_sequence) batch.events.push_back(post(one, false));
  }
  seal(batch);
  return batch;
}

void BatchChain::seal(TestBatch& batch) {
  v1::BatchHeader& header = batch.header;
  header.set_adapter(adapter_);
  header.set_batch(++last_number_);
  header.set_previous_digest(last_digest_);
  header.set_event_count(batch.event_count());
  header.set_running_event_count(running_count_ + batch.event_count());
  header.set_sealed_unix_ns(kBegin + static_cast<int64_t>(last_number_) * 60 * kSecond);
  v1::ConversationSlice& slice = *header.add_slices();
  slice.set_conversation_key(kRoom);
  slice.set_conversation_kind(v1::CONVERSATION_KIND_ROOM);
  slice.set_address(kRoom);
  slice.set_name("Adapter check");
  slice.set_event_count(batch.event_count());
  batch.header_bytes = header.SerializeAsString();
  batch.digest = batch_digest(batch.header_bytes, body_digest(batch.events));
}

void BatchChain::apply(const TestBatch& batch) {
  last_applied_ = batch.number();
  last_digest_ = batch.digest;
  running_count_ = batch.header.running_event_count();
}

}  // namespace verbatim::adapters::check
