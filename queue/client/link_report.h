// LinkReport: says loudly, once for each change, why a client cannot get in (keys). Threads: one.
#pragma once

#include <string>

#include "base/zmq_socket.h"

namespace verbatim::queue {

class LinkReport {
 public:
  struct Facts {
    std::string client_name;
    std::string address;
    // The client's own; empty: plain.
    std::string public_key;
  };
  explicit LinkReport(Facts facts) : facts_(std::move(facts)) {}

  // What a watched socket says of its link. A new socket knows nothing yet and changes nothing.
  void look_at(base::ZmqLink link);
  // Why the client is kept out and what to do; empty if it is not, as far as is known.
  const std::string& trouble() const { return trouble_; }

 private:
  std::string describe(base::ZmqLink link) const;

  const Facts facts_;
  std::string trouble_;
};

}  // namespace verbatim::queue
