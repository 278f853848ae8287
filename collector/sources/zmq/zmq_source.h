// ZmqSource: the contract of Ingest for programs on the same machine, over a ZeroMQ ROUTER
// (docs/formats/zmq-source.md).
//
// I1 A frame that is not ours, or a peer that breaks the contract, costs that peer its session and
//    nothing else.
// I2 A reply that the peer's buffer does not take is kept and tried again; its events stay in the
//    peer's credit meanwhile.
//
// One thread owns the socket. Threads: as Source.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "collector/broker/broker.h"
#include "collector/sources/source.h"

namespace verbatim::collector {

struct ZmqSourceOptions {
  std::string listen = "tcp://127.0.0.1:0";
  int64_t credit_events = 65'536;
  std::chrono::milliseconds event_deadline{20'000};
  size_t peers_max_count = 1'024;
  // A peer that is silent for so long, with nothing unanswered, must say hello again.
  std::chrono::milliseconds silence_max{60'000};
};

class ZmqSource final : public Source {
 public:
  ZmqSource(ZmqSourceOptions options, Broker& broker);
  ~ZmqSource() override;

  Status start() override;
  void stop(std::chrono::milliseconds patience) override;
  std::vector<v1::SourceInfo> info() const override;
  const std::string& name() const override;
  const std::string& protocol() const override;
  std::string bound_address() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::collector
