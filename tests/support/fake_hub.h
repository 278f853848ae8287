// FakeHub: the hub's side of the adapter stream, played by a test step by step.
//
//   FakeHub hub;
//   auto stream = hub.wait_stream();      // the adapter has dialled
//   stream->welcome(1);
//   stream->send_batch(batch, 1);
//   EXPECT_EQ(stream->wait_for(v1::FromAdapter::kAck).ack().batch(), 1);
//
// Threads: a test drives it from one; gRPC's own threads are behind it. Waits end after 20 s.
#pragma once

#include <memory>
#include <string>

#include "adapters/sdk/batch.h"
#include "verbatim/v1/adapter.pb.h"

namespace verbatim::testing {

class FakeHub {
 public:
  // Port 0 takes a free one.
  explicit FakeHub(int port = 0);
  // Ends all streams.
  ~FakeHub();
  FakeHub(const FakeHub&) = delete;
  FakeHub& operator=(const FakeHub&) = delete;

  class Stream {
   public:
    virtual ~Stream() = default;
    virtual void send(const v1::ToAdapter& message) = 0;
    // The next message of this kind; others are dropped. CHECKs that it comes.
    virtual v1::FromAdapter wait_for(v1::FromAdapter::KindCase kind) = 0;
    // Messages of this kind so far that no one has taken.
    virtual int count(v1::FromAdapter::KindCase kind) = 0;
    virtual void cancel() = 0;
    // CHECKs that the adapter ends the stream.
    virtual void wait_end() = 0;

    const v1::AdapterHello& hello() const { return hello_; }
    void welcome(uint64_t store_epoch, uint64_t acked = 0, const std::string& digest = {},
                 int64_t heartbeat_ms = 1'000);
    void set_active(bool is_active, uint64_t acked = 0, const std::string& digest = {});
    void send_batch(const adapters::Batch& batch, uint64_t store_epoch,
                    const std::string& digest = {}, size_t chunk_count = 2);
    void ask_state(const adapters::Batch& batch);

   protected:
    v1::AdapterHello hello_;
  };

  // The next stream that an adapter opens, its hello read. CHECKs that it comes.
  std::shared_ptr<Stream> wait_stream();
  int port() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::testing
