// CheckHub: the hub's side of AdapterHub, played step by step over a real gRPC server.
//
// Threads: one drives it; gRPC's own are behind it, and one a stream that sends heartbeats.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "adapters/check/test_batches.h"
#include "base/status.h"
#include "verbatim/v1/adapter.pb.h"

namespace verbatim::adapters::check {

using std::chrono::milliseconds;

// How a batch may be damaged on its way.
enum class Damage { kNone, kDigest, kMissingEvent };

class HubStream {
 public:
  virtual ~HubStream() = default;

  // False once the stream has ended.
  virtual bool send(const v1::ToAdapter& message) = 0;
  // The next message but heartbeats, which are given only as a first one. Errors:
  // kDeadlineExceeded; kUnavailable, the stream has ended.
  virtual Result<v1::FromAdapter> next(milliseconds timeout) = 0;
  // Ends the stream, as a hub that goes away.
  virtual void cut() = 0;
  virtual bool has_ended() = 0;
  // The longest time without any message since this was called last, and how many came.
  struct Heard {
    milliseconds longest_gap{0};
    int count = 0;
  };
  virtual Heard take_heard() = 0;

  struct Welcome {
    uint64_t store_epoch = 0;
    milliseconds heartbeat{0};
    uint64_t last_acked_batch = 0;
    std::string last_acked_digest;
    std::map<std::string, std::string> settings;
  };
  void welcome(const Welcome& welcome);
  void stand_by();
  void activate(uint64_t last_acked_batch, const std::string& last_acked_digest);
  void send_batch(const TestBatch& batch, uint64_t store_epoch, Damage damage = Damage::kNone);
  void ask_state(uint64_t batch, const std::string& digest);

 protected:
  // Begins the hub's heartbeats.
  virtual void beat(milliseconds interval) = 0;
};

class CheckHub {
 public:
  // Takes "127.0.0.1:0". Errors: the server's.
  static Result<std::unique_ptr<CheckHub>> start(const std::string& address);
  ~CheckHub();

  const std::string& address() const;
  // The next stream that was opened. Errors: kDeadlineExceeded.
  Result<std::shared_ptr<HubStream>> wait_stream(milliseconds timeout);

 private:
  class Service;
  struct State;
  explicit CheckHub(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::adapters::check
