// AccessList: which key may put to, and receive from, which queue (queue.security.clients).
//
// A key is known by the name that the list gives it, and a message's sender by the name of the key
// that its connection has proved to have (base/zmq_frame.h, user()). Threads: as a value.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "verbatim/v1/config.pb.h"

namespace verbatim::queue {

class AccessList {
 public:
  // Permits what the list says and nothing else.
  explicit AccessList(const v1::QueueSecurity& security);

  bool may_put(std::string_view user, std::string_view queue) const;
  bool may_receive(std::string_view user, std::string_view queue) const;

 private:
  using Patterns = std::vector<std::string>;
  struct Rights {
    Patterns put;
    Patterns receive;
  };
  const Rights* find(std::string_view user) const;

  std::map<std::string, Rights, std::less<>> rights_;
};

}  // namespace verbatim::queue
