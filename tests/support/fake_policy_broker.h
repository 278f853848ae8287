// FakePolicyBroker: the broker's side of a policy's stream, played by a test step by step.
//
//   FakePolicyBroker broker;
//   auto stream = broker.wait_stream();      // the policy has dialled
//   stream->welcome();
//   stream->set_active(true);
//   stream->ask(1, event);
//   EXPECT_EQ(stream->wait_verdict().decision(), v1::DECISION_PASS);
//
// Threads: a test drives it from one; gRPC's own threads are behind it. Waits end after 20 s.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "verbatim/v1/policy.pb.h"

namespace verbatim::testing {

class FakePolicyBroker {
 public:
  // Port 0 takes a free one.
  explicit FakePolicyBroker(int port = 0);
  // Ends all streams.
  ~FakePolicyBroker();
  FakePolicyBroker(const FakePolicyBroker&) = delete;
  FakePolicyBroker& operator=(const FakePolicyBroker&) = delete;

  class Stream {
   public:
    virtual ~Stream() = default;
    virtual void send(const v1::ToPolicy& message) = 0;
    // The next message of this kind; others are dropped. CHECKs that it comes.
    virtual v1::FromPolicy wait_for(v1::FromPolicy::KindCase kind) = 0;
    // Messages of this kind so far that no one has taken.
    virtual int count(v1::FromPolicy::KindCase kind) = 0;
    virtual void cancel() = 0;
    // CHECKs that the policy ends the stream.
    virtual void wait_end() = 0;

    const v1::PolicyHello& hello() const { return hello_; }
    void welcome(int64_t heartbeat_ms = 1'000, const std::vector<std::string>& profiles = {});
    void set_active(bool is_active);
    // Empty `allowed`: PASS, PASS_CHANGED and HANDLE.
    void ask(uint64_t question, const v1::Event& event, int64_t deadline_ms = 20'000,
             const std::vector<v1::Decision>& allowed = {});
    void tell(const v1::Event& event);
    v1::PolicyVerdict wait_verdict() { return wait_for(v1::FromPolicy::kVerdict).verdict(); }

   protected:
    v1::PolicyHello hello_;
  };

  // The next stream that a policy opens, its hello read. CHECKs that it comes.
  std::shared_ptr<Stream> wait_stream();
  int port() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::testing
