// Hub: one AdapterChannel and one thread for each configured adapter.
// Life cycle: create → start → stop. Threads: any.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "processor/hub/adapter_channel.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {

class Hub {
 public:
  // `staging` and `clock` outlive the hub.
  Hub(Staging& staging, const std::vector<ChannelOptions>& adapters, const base::Clock& clock);
  ~Hub();

  void start();
  // Ends all sessions and threads; safe twice and before start.
  void stop();

  // Null for an adapter that the configuration does not name.
  AdapterChannel* find(const std::string& adapter) const;
  // New events are staged.
  void poke();
  // As AdapterChannel::set_draining, of all.
  void set_draining(bool is_draining);
  // Completes what staging says of its adapters.
  std::vector<v1::AdapterInfo> adapters() const;
  std::vector<std::string> notices() const;

 private:
  struct Lane {
    std::unique_ptr<AdapterChannel> channel;
    std::jthread thread;
  };
  Staging& staging_;
  std::map<std::string, Lane> lanes_;
};

}  // namespace verbatim::processor
