// A queue's message as staging stores it. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "verbatim/v1/adapter.pb.h"
#include "verbatim/v1/event.pb.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::processor {

struct Intake {
  v1::Envelope envelope;
  // The bytes that are stored: the collector's own, or those of the raw event below.
  std::string envelope_bytes;
  std::string event_bytes;
  bool is_undecodable = false;
};

// Takes a message apart. What has no readable envelope, kind or conversation becomes an event of
// kind "other", named "undecodable", in its source's own conversation, with the whole message as
// its raw bytes: nothing is dropped.
Intake read_message(const std::string& queue, v1::QueueMessage& message, int64_t now_unix_ns);

// The media type of such raw bytes: a serialised verbatim.v1.QueueMessage.
inline constexpr const char* kRawMediaType = "application/vnd.verbatim.queue-message";

}  // namespace verbatim::processor
