// PutView: a put request read where it lies: every name and body is a view of the frame's bytes,
// so that a body is copied once, into the log. What it accepts, protobuf reads in the same way
// (v1::QueueFrame with `put`); the fuzzer queue_frame holds the two against each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {

// v1::PutMessage.
struct PutMessageView {
  std::string_view order_key;
  std::string_view source_key;
  std::string_view source;
  std::string_view verdict;
  std::string_view envelope;
  std::string_view body;
  std::string_view label;
  std::string_view correlation_id;
  std::optional<v1::AcknowledgementRequest> acknowledge;
};

// v1::Put and the request's id.
struct PutView {
  uint64_t request_id = 0;
  std::string_view queue;
  std::string_view producer;
  uint64_t epoch = 0;
  uint64_t first_sequence = 0;
  std::vector<PutMessageView> messages;
  // Of the frame; those beyond what was asked for are counted and no more.
  size_t message_count = 0;
};

enum class PutRead {
  kPut,         // a put and nothing else
  kUnreadable,  // a put that cannot be read, one beside another request, or an answer
  kOther,       // no put is in it
};

// Reads the body of a frame (base::frame_body) into `put`, whose memory is used again; its views
// are valid as long as the bytes. Where it is not a put, or not one that can be read, `put` is
// then of no use but for the request's id, where that stood before what is wrong. No more than
// `message_max_count` messages take memory, whatever the frame says.
PutRead read_put(std::string_view body, size_t message_max_count, PutView& put);

}  // namespace verbatim::queue
