#include "adapters/sdk/hub_connection.h"

#include <algorithm>
#include <utility>

namespace verbatim::adapters {
namespace {

// Batches (credit is one) and questions that may wait; more than that is a hub gone wrong.
constexpr size_t kInboxMaxCount = 64;

// One chunk may be one event of any size, and a begin holds the whole header.
uint64_t message_max_bytes(const BatchLimits& limits) {
  return std::max(limits.body_max_bytes, limits.header_max_bytes) + (1U << 20);
}

}  // namespace

HubConnection::HubConnection(const std::string& address, const BatchLimits& limits)
    : stub_(v1::AdapterHub::NewStub(make_peer_channel(address, message_max_bytes(limits)))),
      assembler_(limits),
      stream_(stream_options()) {}

HubConnection::Stream::Options HubConnection::stream_options() {
  Stream::Options options;
  options.peer = "hub";
  options.heartbeat.mutable_heartbeat();
  options.take = [this](v1::ToAdapter& message) { return take(message); };
  return options;
}

Status HubConnection::open(const v1::AdapterHello& hello,
                           std::chrono::milliseconds welcome_deadline) {
  v1::FromAdapter message;
  *message.mutable_hello() = hello;
  return stream_.open([this](grpc::ClientContext* context) { return stub_->Attach(context); },
                      message, welcome_deadline);
}

bool HubConnection::take(v1::ToAdapter& message) {
  switch (message.kind_case()) {
    case v1::ToAdapter::kWelcome:
      return push(std::move(*message.mutable_welcome()));
    case v1::ToAdapter::kActivity:
      return push(message.activity());
    case v1::ToAdapter::kBegin:
      assembler_.begin(message.begin());
      return true;
    case v1::ToAdapter::kChunk: {
      const Status status = assembler_.chunk(std::move(*message.mutable_chunk()));
      if (!status.ok()) stream_.end_with(status);
      return status.ok();
    }
    case v1::ToAdapter::kEnd: {
      Result<AssembledBatch> batch = assembler_.end(message.end());
      if (!batch) stream_.end_with(batch.error());
      return batch && push(*std::move(batch));
    }
    case v1::ToAdapter::kBatchState:
      return push(std::move(*message.mutable_batch_state()));
    case v1::ToAdapter::kHeartbeat:
    case v1::ToAdapter::KIND_NOT_SET:  // from a newer hub
      return true;
  }
  return true;
}

bool HubConnection::push(HubInput input) {
  const auto is_batch = [](const HubInput& waiting) {
    return std::holds_alternative<AssembledBatch>(waiting);
  };
  const bool is_another = is_batch(input);
  return stream_.push(
      std::move(input),
      [&](const std::deque<HubInput>& inbox) {
        return !is_another || (std::none_of(inbox.begin(), inbox.end(), is_batch) &&
                               inbox.size() < kInboxMaxCount);
      },
      "the hub sends more than the credit it was given");
}

}  // namespace verbatim::adapters
