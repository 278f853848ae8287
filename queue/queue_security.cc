#include "queue/queue_security.h"

#include <memory>
#include <string_view>
#include <utility>

#include "base/curve_keys.h"
#include "base/log.h"
#include "queue/access_list.h"

namespace verbatim::queue {

Status apply_security(const v1::QueueSecurity& security, QueueServiceOptions& options) {
  if (security.secret_key_file().empty()) {
    if (!security.clients().empty()) {
      LOG_WARN(
          "queue.security.clients has no effect without queue.security.secret_key_file: "
          "connections "
          "are plain, on loopback only");
    }
    return {};
  }
  base::ZmqCurve curve;
  ASSIGN_OR_RETURN(curve.secret_key, base::read_curve_secret(security.secret_key_file()));
  for (const v1::QueueClientKey& client : security.clients()) {
    curve.allowed.push_back({client.name(), client.public_key()});
  }
  ASSIGN_OR_RETURN(const std::string public_key, base::public_curve_key_of(curve.secret_key));
  LOG_INFO("connections are encrypted server_public_key={} client_key_count={}", public_key,
           curve.allowed.size());
  options.curve = std::move(curve);
  const auto access = std::make_shared<const AccessList>(security);
  options.core.may_put = [access](std::string_view user, std::string_view queue) {
    return access->may_put(user, queue);
  };
  options.core.may_receive = [access](std::string_view user, std::string_view queue) {
    return access->may_receive(user, queue);
  };
  return {};
}

}  // namespace verbatim::queue
