// queue.security of the configuration, as the service takes it.
#pragma once

#include <optional>

#include "base/status.h"
#include "base/zmq_socket.h"
#include "queue/queue_service.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::queue {

// Reads the secret key, and sets who may come in and do what. Gives the key of the service's own
// probe. Without a key file: plain, everyone may everything, and the probe has no key. Errors:
// those of base::read_curve_secret.
Result<std::optional<base::ZmqCurve>> apply_security(const v1::QueueSecurity& security,
                                                     QueueServiceOptions& options);

}  // namespace verbatim::queue
