#include "tests/bench/verdict/small_policy.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/grpc_server.h"
#include "base/grpc_status.h"
#include "verbatim/v1/policy.grpc.pb.h"

namespace verbatim::bench {
namespace {

using std::chrono::steady_clock;

// Bounces each question back as a verdict.
class Echo final : public v1::PolicyBroker::Service {
 public:
  grpc::Status Attach(grpc::ServerContext* /*context*/,
                      grpc::ServerReaderWriter<v1::ToPolicy, v1::FromPolicy>* stream) override {
    v1::FromPolicy message;
    v1::ToPolicy answer;
    answer.mutable_question()->mutable_event()->set_raw(std::string(bytes, 'x'));
    while (stream->Read(&message)) stream->Write(answer);
    return grpc::Status::OK;
  }
  size_t bytes = 0;
};

v1::FromPolicy hello_of(const SmallPolicyOptions& options) {
  v1::FromPolicy message;
  message.mutable_hello()->set_policy(options.name);
  message.mutable_hello()->set_instance("small");
  message.mutable_hello()->set_is_order_free(true);
  return message;
}

}  // namespace

Status run_small_policy(const SmallPolicyOptions& options) {
  const auto stub = v1::PolicyBroker::NewStub(
      grpc::CreateChannel(options.address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = stub->Attach(&context);
  stream->Write(hello_of(options));
  v1::FromPolicy credit;
  credit.mutable_credit()->set_questions(options.credit);
  stream->Write(credit);
  v1::ToPolicy message;
  auto next_beat = steady_clock::now();
  while (stream->Read(&message)) {
    // The collector's own heartbeats wake it often enough.
    if (steady_clock::now() >= next_beat) {
      v1::FromPolicy beat;
      beat.mutable_heartbeat();
      stream->Write(beat);
      next_beat = steady_clock::now() + std::chrono::milliseconds(500);
    }
    if (message.has_activity() && message.activity().is_active()) {
      std::puts("active");
      std::fflush(stdout);
    }
    if (!message.has_question() || options.is_silent) continue;
    v1::FromPolicy answer;
    answer.mutable_verdict()->set_question(message.question().question());
    answer.mutable_verdict()->set_decision(v1::DECISION_PASS);
    stream->Write(answer);
  }
  return base::from_grpc(stream->Finish());
}

std::vector<double> measure_round_trips(size_t count, size_t bytes) {
  Echo echo;
  echo.bytes = bytes;
  const auto server = base::GrpcServer::start("127.0.0.1:0", {&echo}).value();
  const auto stub = v1::PolicyBroker::NewStub(
      grpc::CreateChannel(server->bound_address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = stub->Attach(&context);
  v1::FromPolicy message;
  message.mutable_verdict()->set_decision(v1::DECISION_PASS);
  v1::ToPolicy answer;
  std::vector<double> times_us;
  for (size_t i = 0; i < count; ++i) {
    const auto begin = steady_clock::now();
    if (!stream->Write(message) || !stream->Read(&answer)) break;
    times_us.push_back(
        std::chrono::duration<double, std::micro>(steady_clock::now() - begin).count());
  }
  context.TryCancel();
  return times_us;
}

}  // namespace verbatim::bench
