#include "queue/client/link_report.h"

#include "base/log.h"

namespace verbatim::queue {
namespace {

// As much of a public key as a log shows.
constexpr size_t kKeyShownBytes = 8;

}  // namespace

void LinkReport::look_at(base::ZmqLink link) {
  if (link == base::ZmqLink::kConnecting) return;
  std::string trouble = describe(link);
  if (trouble == trouble_) return;
  trouble_ = std::move(trouble);
  if (trouble_.empty()) {
    LOG_INFO("queue client: let in client={} address={}", facts_.client_name, facts_.address);
  } else {
    LOG_ERROR("queue client: kept out client={} address={}: {}", facts_.client_name, facts_.address,
              trouble_);
  }
}

std::string LinkReport::describe(base::ZmqLink link) const {
  const bool has_key = !facts_.public_key.empty();
  switch (link) {
    case base::ZmqLink::kConnecting:
    case base::ZmqLink::kConnected:
      return {};
    case base::ZmqLink::kKeyRefused:
      return "the queue service does not know our key public_key=" +
             facts_.public_key.substr(0, kKeyShownBytes) +
             "...: add it to its queue.security.clients and restart it";
    case base::ZmqLink::kNotCurve:
      return has_key ? "the queue service speaks no CURVE: set its queue.security.secret_key_file"
                     : "the queue service wants a key: set secret_key_file and server_public_key "
                       "of this client";
    case base::ZmqLink::kWrongKey:
      return "the queue service ends each handshake: server_public_key is not its key, or it "
             "speaks no CURVE";
  }
  return {};
}

}  // namespace verbatim::queue
