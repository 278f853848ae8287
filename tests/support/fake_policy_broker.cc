#include "tests/support/fake_policy_broker.h"

#include "base/check.h"
#include "base/grpc_server.h"
#include "tests/support/fake_stream.h"
#include "verbatim/v1/policy.grpc.pb.h"

namespace verbatim::testing {

using BrokerStream = FakeStream<FakePolicyBroker::Stream, v1::ToPolicy, v1::FromPolicy>;

struct FakePolicyBroker::State {
  FakeAttach<v1::PolicyBroker::Service, BrokerStream, v1::ToPolicy, v1::FromPolicy> service;
  std::unique_ptr<base::GrpcServer> server;
};

FakePolicyBroker::FakePolicyBroker(int port) : state_(std::make_unique<State>()) {
  base::GrpcServerOptions options;
  options.stop_deadline = std::chrono::milliseconds(0);
  auto server =
      base::GrpcServer::start("127.0.0.1:" + std::to_string(port), {&state_->service}, options);
  CHECK(server.has_value(), "the fake broker could not listen: " + server.error().message());
  state_->server = *std::move(server);
}
FakePolicyBroker::~FakePolicyBroker() = default;

std::shared_ptr<FakePolicyBroker::Stream> FakePolicyBroker::wait_stream() {
  return state_->service.wait_stream();
}
int FakePolicyBroker::port() const { return state_->server->port(); }

void FakePolicyBroker::Stream::welcome(int64_t heartbeat_ms,
                                       const std::vector<std::string>& profiles) {
  v1::ToPolicy message;
  message.mutable_welcome()->set_collector("collector");
  message.mutable_welcome()->set_heartbeat_ms(heartbeat_ms);
  for (const std::string& profile : profiles) message.mutable_welcome()->add_profiles(profile);
  send(message);
}

void FakePolicyBroker::Stream::set_active(bool is_active) {
  v1::ToPolicy message;
  message.mutable_activity()->set_is_active(is_active);
  send(message);
}

void FakePolicyBroker::Stream::ask(uint64_t question, const v1::Event& event, int64_t deadline_ms,
                                   const std::vector<v1::Decision>& allowed) {
  v1::ToPolicy message;
  v1::PolicyQuestion& asked = *message.mutable_question();
  asked.set_question(question);
  asked.set_deadline_ms(deadline_ms);
  *asked.mutable_event() = event;
  asked.set_profile("wall");
  for (const v1::Decision decision : allowed) asked.add_allowed(decision);
  if (allowed.empty()) {
    asked.add_allowed(v1::DECISION_PASS);
    asked.add_allowed(v1::DECISION_PASS_CHANGED);
    asked.add_allowed(v1::DECISION_HANDLE);
  }
  send(message);
}

void FakePolicyBroker::Stream::tell(const v1::Event& event) {
  v1::ToPolicy message;
  *message.mutable_notice()->mutable_event() = event;
  message.mutable_notice()->set_profile("wall");
  send(message);
}

}  // namespace verbatim::testing
