// For base/zmq_*.cc only: ZeroMQ's errors as ours, and its handles owned.
#pragma once

#include <zmq.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::base {

// The last error of ZeroMQ in this thread. `facts`: key=value, may be empty.
Status zmq_status(std::string_view operation, const std::string& facts = {});

struct ZmqCloser {
  void operator()(void* socket) const { zmq_close(socket); }
};
using ZmqHandle = std::unique_ptr<void, ZmqCloser>;

// Sets one option of a socket. Errors: kInvalidArgument.
Status set_zmq_option(void* socket, int option, int value);
Status set_zmq_option(void* socket, int option, const std::string& value);

}  // namespace verbatim::base
