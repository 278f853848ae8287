#include "queue/client/queue_access.h"

#include "base/curve_keys.h"

namespace verbatim::queue {

Result<std::optional<base::ZmqCurve>> read_queue_access(const v1::QueueAccess& access) {
  if (access.secret_key_file().empty()) return std::optional<base::ZmqCurve>();
  base::ZmqCurve curve;
  ASSIGN_OR_RETURN(curve.secret_key, base::read_curve_secret(access.secret_key_file()));
  curve.server_public_key = access.server_public_key();
  return std::optional<base::ZmqCurve>(std::move(curve));
}

}  // namespace verbatim::queue
