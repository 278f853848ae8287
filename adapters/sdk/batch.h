// Batch: one sealed batch as the hub sent it, its digest proven over the bytes received.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "verbatim/v1/adapter.pb.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::adapters {

// One event of a batch in all its layers.
struct BatchEvent {
  v1::StoredEvent stored;
  v1::Envelope envelope;
  v1::Event event;
};

// I1 `digest` is SHA-256 over the header's bytes and `body_digest`, and that is SHA-256 over each
//    event's size as uint32 little endian and its bytes; whoever makes a Batch has proven both.
// Threads: any, once made. Events stay bytes until asked for, so a batch of 64 MiB costs 64 MiB.
class Batch {
 public:
  struct Parts {
    v1::BatchHeader header;
    std::string header_bytes;         // as sealed
    std::string body_digest;          // 32 bytes
    std::string digest;               // 32 bytes
    std::vector<std::string> events;  // serialised StoredEvents in order
  };
  explicit Batch(Parts parts) : parts_(std::move(parts)) {}

  uint64_t number() const { return parts_.header.batch(); }
  const v1::BatchHeader& header() const { return parts_.header; }
  const std::string& header_bytes() const { return parts_.header_bytes; }
  const std::string& digest() const { return parts_.digest; }
  const std::string& body_digest() const { return parts_.body_digest; }
  const std::string& previous_digest() const { return parts_.header.previous_digest(); }

  size_t event_count() const { return parts_.events.size(); }
  // The StoredEvent's bytes; valid as long as the Batch.
  const std::string& event_bytes(size_t index) const { return parts_.events[index]; }
  // Parses one event with its envelope. Errors: kDataLoss with the event's index and, where it can
  // be read, its sequence.
  Result<BatchEvent> event(size_t index) const;
  // The same into a place that is used again, which saves most of the cost of many events.
  Status read_event(size_t index, BatchEvent& into) const;

 private:
  Parts parts_;
};

// As in BatchEnd.digest: 32 bytes each.
std::string body_digest(const std::vector<std::string>& events);
std::string batch_digest(std::string_view header_bytes, std::string_view body_digest);

}  // namespace verbatim::adapters
