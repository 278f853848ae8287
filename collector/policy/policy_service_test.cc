// The gRPC side with real plugins in this process: a client stream each.
#include "collector/policy/policy_service.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/grpc_server.h"
#include "tests/support/answer_box.h"
#include "tests/support/policy_fixture.h"
#include "verbatim/v1/policy.grpc.pb.h"

namespace verbatim::collector {
namespace {

using testing::AnswerBox;
using testing::eventually;
using namespace std::chrono_literals;

// A plugin that passes what it is asked, unless it is silent.
class StreamPlugin {
 public:
  StreamPlugin(const std::string& address, const std::string& policy, bool is_silent = false)
      : stub_(v1::PolicyBroker::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))),
        stream_(stub_->Attach(&context_)),
        is_silent_(is_silent) {
    v1::FromPolicy hello;
    hello.mutable_hello()->set_policy(policy);
    hello.mutable_hello()->set_instance("stream");
    stream_->Write(hello);
    v1::FromPolicy credit;
    credit.mutable_credit()->set_questions(10'000);
    stream_->Write(credit);
    reader_ = std::thread([this] { run(); });
  }
  ~StreamPlugin() {
    context_.TryCancel();
    join();
  }
  void end_stream() {
    stream_->WritesDone();
    join();
  }
  void break_off() {
    context_.TryCancel();
    join();
  }
  grpc::Status wait_end() {
    join();
    return status_;
  }
  AnswerBox<v1::ToPolicy> got;

 private:
  void join() {
    if (reader_.joinable()) reader_.join();
  }
  void run() {
    v1::ToPolicy message;
    while (stream_->Read(&message)) {
      got.add(message);
      if (!message.has_question() || is_silent_) continue;
      v1::FromPolicy answer;
      answer.mutable_verdict()->set_question(message.question().question());
      answer.mutable_verdict()->set_decision(v1::DECISION_PASS);
      stream_->Write(answer);
    }
    status_ = stream_->Finish();
  }

  grpc::ClientContext context_;
  std::unique_ptr<v1::PolicyBroker::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::FromPolicy, v1::ToPolicy>> stream_;
  const bool is_silent_;
  grpc::Status status_;
  std::thread reader_;
};

class PolicyServiceTest : public ::testing::Test {
 protected:
  PolicyServiceTest() {
    compliance_.add_event("p", "onBeforeSend");
    compliance_.assign("wall", "p");
    compliance_.publish();
    chain_ = std::make_unique<PolicyChain>(PolicyChainOptions{}, compliance_);
    service_ = std::make_unique<PolicyService>(*chain_);
    server_ = base::GrpcServer::start("127.0.0.1:0", {service_->service()}).value();
  }
  ~PolicyServiceTest() override {
    chain_->stop();
    server_->stop();
  }

  void submit(const std::string& room, const std::string& id) {
    PolicyRequest request;
    request.event.set_id(id);
    request.event.mutable_source()->set_raw_event("onBeforeSend");
    request.event.mutable_conversation()->set_key(room);
    request.event.mutable_message_posted();
    request.deadline = base::system_clock().monotonic() + 20s;
    request.done = [this](PolicyOutcome outcome) { outcomes_.add(std::move(outcome)); };
    chain_->submit(std::move(request));
  }
  v1::ServerInfo wall() { return chain_->servers().at(0); }
  bool is_active() { return wall().state() == v1::SourceInfo::LINK_STATE_ACTIVE; }
  std::string address() { return server_->bound_address(); }

  testing::FixedCompliance compliance_;
  AnswerBox<PolicyOutcome> outcomes_;
  std::unique_ptr<PolicyChain> chain_;
  std::unique_ptr<PolicyService> service_;
  std::unique_ptr<base::GrpcServer> server_;
};

TEST_F(PolicyServiceTest, APluginIsWelcomedAskedAndAnswered_C035) {
  StreamPlugin plugin(address(), "wall");
  submit("r", "a");
  const auto outcome = outcomes_.wait(1).at(0);
  EXPECT_EQ(outcome.verdict.decision(), v1::DECISION_PASS);
  const auto got = plugin.got.wait(3);
  EXPECT_EQ(got.at(0).welcome().profiles(0), "p");
  EXPECT_TRUE(got.at(1).activity().is_active());
}

TEST_F(PolicyServiceTest, ManyQuestionsAreAnsweredInTheOrderOfTheirConversations) {
  StreamPlugin plugin(address(), "wall");
  for (int i = 0; i < 2'000; ++i) submit("r" + std::to_string(i % 50), std::to_string(i));
  const auto outcomes = outcomes_.wait(2'000);
  ASSERT_EQ(outcomes.size(), 2'000u);
  std::vector<int> last(50, -1);
  for (const auto& outcome : outcomes) {
    const int number = std::stoi(outcome.event.id());
    EXPECT_GT(number, last[static_cast<size_t>(number % 50)]);
    last[static_cast<size_t>(number % 50)] = number;
  }
}

TEST_F(PolicyServiceTest, AStrangerIsToldSo) {
  StreamPlugin plugin(address(), "stranger");
  EXPECT_EQ(plugin.wait_end().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(PolicyServiceTest, AStreamThatEndsIsGoneAndOneThatBreaksIsLost_C051_C053) {
  {
    StreamPlugin plugin(address(), "wall");
    ASSERT_TRUE(eventually([this] { return is_active(); }));
    plugin.end_stream();
    ASSERT_TRUE(eventually([this] { return !is_active(); }));
    EXPECT_EQ(wall().reason(), "it ended its stream");
  }
  StreamPlugin plugin(address(), "wall");
  ASSERT_TRUE(eventually([this] { return is_active(); }));
  plugin.break_off();
  ASSERT_TRUE(eventually([this] { return !is_active(); }));
  EXPECT_EQ(wall().reason(), "the link broke");
}

TEST_F(PolicyServiceTest, WhatABrokenPluginLeftOpenTheNextAnswers_C058) {
  {
    StreamPlugin plugin(address(), "wall", true);
    submit("r", "a");
    ASSERT_TRUE(eventually([this] { return wall().open_count() == 1; }));
  }
  EXPECT_EQ(outcomes_.count(), 0u);
  StreamPlugin next(address(), "wall");
  EXPECT_EQ(outcomes_.wait(1).at(0).verdict.decision(), v1::DECISION_PASS);
}

TEST_F(PolicyServiceTest, StoppingEndsTheStreams_C094) {
  StreamPlugin plugin(address(), "wall", true);
  submit("r", "a");
  chain_->stop();
  EXPECT_EQ(outcomes_.wait(1).at(0).kind, PolicyOutcome::Kind::kStopped);
  EXPECT_FALSE(plugin.wait_end().ok());
}

}  // namespace
}  // namespace verbatim::collector
