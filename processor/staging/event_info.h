// What people are shown of a stored event: metadata, never chat text. Pure.
#pragma once

#include <string_view>

#include "base/status.h"
#include "verbatim/v1/adapter.pb.h"
#include "verbatim/v1/admin.pb.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::processor {

// A StoredEvent taken apart. Errors: kDataLoss.
struct OpenedEvent {
  v1::StoredEvent stored;
  v1::Envelope envelope;
};
Result<OpenedEvent> open_event(std::string_view bytes);

// The envelope and the sequence alone; the event itself is passed over where it lies. Errors:
// kDataLoss.
Result<uint64_t> read_envelope(std::string_view bytes, v1::Envelope& envelope);

v1::EventInfo describe_event(const OpenedEvent& event, size_t size_bytes);
Result<v1::EventInfo> describe_event(std::string_view bytes);

}  // namespace verbatim::processor
