// BatchBuilder: hand-made batches for tests of adapters.
//
//   BatchBuilder builder("xml");
//   Event& post = builder.add(room_post("a@x", "hello"));
//   Batch batch = builder.seal();            // and the next seal() follows it in the chain
#pragma once

#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "adapters/sdk/batch.h"

namespace verbatim::testing {

inline constexpr int64_t kBatchTime = 1'768'467'600'123'456'700;  // 2026-01-15T09:00:00.1234567Z

// The room "desk@rooms.example.test".
inline v1::Event room_event(const std::string& actor, int64_t unix_ns = kBatchTime) {
  v1::Event event;
  event.set_schema_revision(v1::SCHEMA_REVISION_CURRENT);
  event.set_source_time_unix_ns(unix_ns);
  event.set_accept_time_unix_ns(unix_ns + 1'000'000);
  event.mutable_source()->set_name("chat");
  event.mutable_source()->set_protocol("xcp");
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  event.mutable_conversation()->set_key("desk@rooms.example.test");
  event.mutable_conversation()->set_address("desk@rooms.example.test");
  event.mutable_conversation()->set_name("Desk");
  event.mutable_actor()->set_address(actor + "/phone");
  event.mutable_actor()->set_normalised(actor);
  event.mutable_actor()->set_affinity(v1::AFFINITY_INTERNAL);
  event.set_role(v1::ROLE_RECORD);
  event.set_phase(v1::PHASE_CONFIRMED);
  return event;
}

inline v1::Event room_post(const std::string& actor, const std::string& text,
                           int64_t unix_ns = kBatchTime) {
  v1::Event event = room_event(actor, unix_ns);
  event.mutable_message_posted();
  event.mutable_original_text()->set_plain(text);
  return event;
}

class BatchBuilder {
 public:
  explicit BatchBuilder(std::string adapter) : previous_digest_(32, '\0') {
    header_.set_adapter(std::move(adapter));
  }

  v1::BatchHeader& header() { return header_; }

  // Gives the event an id and a sequence, and its envelope.
  void add(v1::Event event) {
    ++sequence_;
    if (event.id().empty()) {
      char id[40];
      std::snprintf(id, sizeof(id), "0190b9a4-0000-7000-8000-%012llu",
                    static_cast<unsigned long long>(sequence_));
      event.set_id(id);
    }
    v1::Envelope envelope;
    envelope.set_schema_revision(event.schema_revision());
    envelope.set_event_id(event.id());
    // The kinds have the numbers of the bodies.
    envelope.set_kind(static_cast<v1::EventKind>(event.body_case()));
    envelope.set_phase(event.phase());
    envelope.set_role(event.role());
    envelope.set_conversation_kind(event.conversation().kind());
    envelope.set_conversation_key(event.conversation().key());
    envelope.set_conversation_name(event.conversation().name());
    envelope.set_source(event.source().name());
    envelope.set_source_key(event.source_key().SerializeAsString());
    envelope.set_source_time_unix_ns(event.source_time_unix_ns());
    envelope.set_accept_time_unix_ns(event.accept_time_unix_ns());
    *envelope.mutable_actor() = event.actor();
    envelope.set_post_key(event.post_key());
    add(envelope, event);
  }

  void add(const v1::Envelope& envelope, const v1::Event& event) {
    v1::StoredEvent stored;
    stored.set_sequence(sequence_);
    stored.set_queue("events");
    stored.set_lookup_id(sequence_);
    stored.set_staged_unix_ns(event.accept_time_unix_ns() + 1);
    stored.set_envelope(envelope.SerializeAsString());
    stored.set_event(event.SerializeAsString());
    add_bytes(stored.SerializeAsString());
    if (slice_of_.emplace(envelope.conversation_key(), header_.slices_size()).second) {
      v1::ConversationSlice& slice = *header_.add_slices();
      slice.set_conversation_key(envelope.conversation_key());
      slice.set_conversation_kind(envelope.conversation_kind());
      slice.set_name(envelope.conversation_name());
    }
    v1::ConversationSlice& slice = *header_.mutable_slices(slice_of_[envelope.conversation_key()]);
    slice.set_event_count(slice.event_count() + 1);
  }

  void add_bytes(std::string bytes) { events_.push_back(std::move(bytes)); }

  // As if the last event had this sequence.
  void skip_to_sequence(uint64_t sequence) { sequence_ = sequence; }

  adapters::Batch seal() {
    header_.set_batch(header_.batch() + 1);
    header_.set_previous_digest(previous_digest_);
    header_.set_event_count(events_.size());
    running_count_ += events_.size();
    header_.set_running_event_count(running_count_);
    header_.set_sealed_unix_ns(kBatchTime + 900'000'000'000);
    header_.set_reason("interval");
    adapters::Batch::Parts parts;
    parts.header = header_;
    parts.header_bytes = header_.SerializeAsString();
    parts.events = std::exchange(events_, {});
    parts.body_digest = adapters::body_digest(parts.events);
    parts.digest = adapters::batch_digest(parts.header_bytes, parts.body_digest);
    previous_digest_ = parts.digest;
    header_.clear_slices();
    slice_of_.clear();
    return adapters::Batch(std::move(parts));
  }

 private:
  v1::BatchHeader header_;
  std::vector<std::string> events_;
  std::map<std::string, int> slice_of_;
  std::string previous_digest_;
  uint64_t sequence_ = 0;
  uint64_t running_count_ = 0;
};

}  // namespace verbatim::testing
