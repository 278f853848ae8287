// The keys of a client, from its configuration.
#pragma once

#include <optional>

#include "base/status.h"
#include "base/zmq_socket.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::queue {

// Nothing where no keys are configured: plain. Errors: those of base::read_curve_secret.
Result<std::optional<base::ZmqCurve>> read_queue_access(const v1::QueueAccess& access);

}  // namespace verbatim::queue
