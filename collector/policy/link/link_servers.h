// LinkServers: all compliance servers of the routing table in force that are dialled; those that
// have an assignment, each once. Follows changes of the table within a fraction of a second.
// Threads: one of its own, and those of each LinkServer.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "collector/compliance/routing_table.h"
#include "collector/policy/link/link_server.h"

namespace verbatim::collector {

class LinkServers {
 public:
  // Both outlive it. `heartbeat`: that of the chain.
  LinkServers(PolicyChain& chain, const ComplianceSource& compliance,
              std::chrono::milliseconds heartbeat);
  ~LinkServers();
  void start();
  // Safe twice.
  void stop();

 private:
  void run();
  void follow(const RoutingTable& table);

  PolicyChain& chain_;
  const ComplianceSource& compliance_;
  const std::chrono::milliseconds heartbeat_;
  std::map<std::string, std::unique_ptr<LinkServer>> servers_;  // the thread's own
  base::Mutex mutex_;
  base::CondVar wakes_;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace verbatim::collector
