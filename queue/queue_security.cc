#include "queue/queue_security.h"

#include <memory>
#include <string_view>
#include <utility>

#include "base/curve_keys.h"
#include "base/log.h"
#include "queue/access_list.h"

namespace verbatim::queue {
namespace {

// No client of the configuration can have this name, nor any queue but the probe's.
constexpr std::string_view kProbeUser = "verbatim.probe";

bool is_probe(std::string_view user, std::string_view queue) {
  return user == kProbeUser && queue == kProbeUser;
}

}  // namespace

Result<std::optional<base::ZmqCurve>> apply_security(const v1::QueueSecurity& security,
                                                     QueueServiceOptions& options) {
  if (security.secret_key_file().empty()) {
    if (!security.clients().empty()) {
      LOG_WARN(
          "queue.security.clients has no effect without queue.security.secret_key_file: "
          "connections "
          "are plain, on loopback only");
    }
    return std::optional<base::ZmqCurve>();
  }
  base::ZmqCurve curve;
  ASSIGN_OR_RETURN(curve.secret_key, base::read_curve_secret(security.secret_key_file()));
  for (const v1::QueueClientKey& client : security.clients()) {
    curve.allowed.push_back({client.name(), client.public_key()});
  }
  ASSIGN_OR_RETURN(const std::string public_key, base::public_curve_key_of(curve.secret_key));
  LOG_INFO("connections are encrypted server_public_key={} client_key_count={}", public_key,
           curve.allowed.size());
  // The probe comes in with a key of its own that lives as long as the process.
  ASSIGN_OR_RETURN(const base::CurveKeys probe, base::generate_curve_keys());
  curve.allowed.push_back({std::string(kProbeUser), probe.public_key});
  options.curve = std::move(curve);
  const auto access = std::make_shared<const AccessList>(security);
  options.core.may_put = [access](std::string_view user, std::string_view queue) {
    return is_probe(user, queue) || access->may_put(user, queue);
  };
  options.core.may_receive = [access](std::string_view user, std::string_view queue) {
    return is_probe(user, queue) || access->may_receive(user, queue);
  };
  return std::optional<base::ZmqCurve>(
      {.secret_key = probe.secret_key, .server_public_key = public_key, .allowed = {}});
}

}  // namespace verbatim::queue
