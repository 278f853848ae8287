// LinkServer: one compliance server that speaks the component link itself. We dial it as the node
// would (XEP-0114, connect direction: header with our component name, then the digest), again and
// again (docs/policies.md).
//
// I1 Questions go out only on a link that is authenticated; the chain holds them until then.
// I2 Answers count by the rules of PolicyServer: the link is a PolicySession like any other.
// Threads: two of its own, a reader that dials and a writer while the link is active.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "collector/policy/policy_chain.h"

namespace verbatim::collector {

struct LinkServerOptions {
  std::string name;
  std::string host;
  int port = 0;
  // The shared secret, mode 0600; read at each dial.
  std::string secret_file;
  std::string component;
  std::chrono::milliseconds connect_timeout{5'000};
  // As jabberd 1.4 waits after a link has ended.
  std::chrono::milliseconds redial_after{2'000};
  // A peer whose host does not answer for three of them, or takes nothing so long, is lost.
  std::chrono::milliseconds heartbeat{1'000};

  bool operator==(const LinkServerOptions&) const = default;
};

class LinkServer {
 public:
  // Starts; `chain` outlives it.
  LinkServer(LinkServerOptions options, PolicyChain& chain);
  // Ends the stream with a word, and all threads.
  ~LinkServer();
  LinkServer(const LinkServer&) = delete;
  LinkServer& operator=(const LinkServer&) = delete;

  const LinkServerOptions& options() const { return options_; }

 private:
  class Stream;

  void run();
  // Gives why the link ended.
  std::string serve();
  bool wait(std::chrono::milliseconds time);

  const LinkServerOptions options_;
  PolicyChain& chain_;
  base::Mutex mutex_;
  base::CondVar wakes_;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

}  // namespace verbatim::collector
