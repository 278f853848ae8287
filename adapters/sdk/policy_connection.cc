#include "adapters/sdk/policy_connection.h"

#include <utility>

namespace verbatim::adapters {
namespace {

// A question holds one event; the largest stanza a collector takes is far below.
constexpr uint64_t kMessageMaxBytes = 64U << 20;
// "Silence of three times that ends the stream" (policy.proto).
constexpr int kSilenceIntervals = 3;

}  // namespace

PolicyConnection::PolicyConnection(const std::string& address, size_t inbox_max_count)
    : inbox_max_count_(inbox_max_count),
      stub_(v1::PolicyBroker::NewStub(make_peer_channel(address, kMessageMaxBytes))),
      stream_(stream_options()) {}

PolicyConnection::Stream::Options PolicyConnection::stream_options() {
  Stream::Options options;
  options.peer = "policy broker";
  options.heartbeat.mutable_heartbeat();
  options.silence_intervals = kSilenceIntervals;
  options.take = [this](v1::ToPolicy& message) { return take(message); };
  options.has_last_inputs = true;
  return options;
}

Status PolicyConnection::open(const v1::PolicyHello& hello,
                              std::chrono::milliseconds welcome_deadline) {
  v1::FromPolicy message;
  *message.mutable_hello() = hello;
  return stream_.open([this](grpc::ClientContext* context) { return stub_->Attach(context); },
                      message, welcome_deadline);
}

Status PolicyConnection::write(const v1::FromPolicy& message) {
  grpc::WriteOptions options;
  // With more questions waiting the next answer is near, and both may travel together.
  if (message.has_verdict() && stream_.has_next()) options.set_buffer_hint();
  return stream_.write(message, options);
}

bool PolicyConnection::take(v1::ToPolicy& message) {
  switch (message.kind_case()) {
    case v1::ToPolicy::kWelcome:
      return stream_.wait_push(std::move(*message.mutable_welcome()), inbox_max_count_);
    case v1::ToPolicy::kActivity:
      return stream_.wait_push(message.activity(), inbox_max_count_);
    case v1::ToPolicy::kQuestion: {
      ArrivedQuestion arrived;
      arrived.question = std::move(*message.mutable_question());
      arrived.deadline = std::chrono::steady_clock::now() +
                         std::chrono::milliseconds(arrived.question.deadline_ms());
      return stream_.wait_push(std::move(arrived), inbox_max_count_);
    }
    case v1::ToPolicy::kNotice:
      return stream_.wait_push(std::move(*message.mutable_notice()), inbox_max_count_);
    case v1::ToPolicy::kHeartbeat:
    case v1::ToPolicy::KIND_NOT_SET:  // from a newer broker
      return true;
  }
  return true;
}

}  // namespace verbatim::adapters
