// queue.security of the configuration, as the service takes it.
#pragma once

#include "base/status.h"
#include "queue/queue_service.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::queue {

// Reads the secret key, and sets who may come in and do what. Without a key file: plain, everyone
// may everything. Errors: those of base::read_curve_secret.
Status apply_security(const v1::QueueSecurity& security, QueueServiceOptions& options);

}  // namespace verbatim::queue
