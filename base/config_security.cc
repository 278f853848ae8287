#include "base/config_security.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/curve_keys.h"
#include "base/net_address.h"

namespace verbatim::base {
namespace {

constexpr size_t kNameMaxBytes = 64;

bool is_beyond_loopback(const std::string& text) {
  if (text.starts_with('@')) return false;  // a service of this machine
  const Result<NetAddress> address = parse_net_address(text);
  return address && !is_loopback(*address);
}

bool is_queue_name(std::string_view name) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= kNameMaxBytes && is_alphanumeric(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
         });
}

Status check_patterns(const google::protobuf::RepeatedPtrField<std::string>& patterns,
                      const std::string& key, const ConfigOrigin& origin) {
  for (int i = 0; i < patterns.size(); ++i) {
    const Status status = check_queue_pattern(patterns.Get(i));
    if (!status.ok()) return origin.refuse(key + "." + std::to_string(i), status.message());
  }
  return {};
}

Status check_clients(const v1::QueueSecurity& security, const ConfigOrigin& origin) {
  const std::string list = "queue.security.clients";
  std::map<std::string, std::string> names;  // by key
  for (int i = 0; i < security.clients_size(); ++i) {
    const v1::QueueClientKey& client = security.clients(i);
    const std::string key = list + "." + std::to_string(i);
    if (const Status status = check_curve_key(client.public_key()); !status.ok()) {
      return origin.refuse(key + ".public_key", status.message());
    }
    const auto [other, is_new] = names.emplace(client.public_key(), client.name());
    if (!is_new) {
      return origin.refuse(key + ".public_key",
                           "the key of \"" + other->second + "\" too: each client has its own");
    }
    RETURN_IF_ERROR(check_patterns(client.put(), key + ".put", origin));
    RETURN_IF_ERROR(check_patterns(client.receive(), key + ".receive", origin));
  }
  return {};
}

Status check_listen(const v1::Queue& queue, const ConfigOrigin& origin) {
  if (!queue.security().secret_key_file().empty() || !is_beyond_loopback(queue.listen())) {
    return {};
  }
  return origin.refuse("queue.listen",
                       "nothing listens beyond loopback without keys, not \"" + queue.listen() +
                           "\": set queue.security.secret_key_file (verbatimctl keys generate)");
}

Status check_access(const v1::QueueAccess& access, const std::string& key,
                    const std::string& address_key, const std::string& address,
                    const ConfigOrigin& origin) {
  if (access.secret_key_file().empty() != access.server_public_key().empty()) {
    const bool has_file = !access.secret_key_file().empty();
    return origin.refuse(
        key + (has_file ? ".server_public_key" : ".secret_key_file"),
        std::string("is needed with ") + (has_file ? "secret_key_file" : "server_public_key"));
  }
  if (access.secret_key_file().empty()) {
    if (!is_beyond_loopback(address)) return {};
    return origin.refuse(address_key, "nothing is sent beyond loopback without keys, not \"" +
                                          address + "\": set " + key);
  }
  const Status status = check_curve_key(access.server_public_key());
  return status.ok() ? status : origin.refuse(key + ".server_public_key", status.message());
}

}  // namespace

Status check_queue_pattern(std::string_view pattern) {
  if (pattern == "*") return {};
  const size_t semicolon = pattern.find(';');
  const bool is_good =
      is_queue_name(pattern.substr(0, semicolon)) &&
      (semicolon == std::string_view::npos || pattern.substr(semicolon + 1) == "*" ||
       is_queue_name(pattern.substr(semicolon + 1)));
  if (is_good) return {};
  return invalid_argument(R"(expected "*", "events", "events;dead-letters" or "events;*", not ")" +
                          std::string(pattern) + "\"");
}

Status check_queue_security(const v1::Config& config, const ConfigOrigin& origin) {
  RETURN_IF_ERROR(check_listen(config.queue(), origin));
  RETURN_IF_ERROR(check_clients(config.queue().security(), origin));
  RETURN_IF_ERROR(check_access(config.collector().queue_security(), "collector.queue_security",
                               "collector.queue_address", config.collector().queue_address(),
                               origin));
  for (int i = 0; i < config.processor().queues_size(); ++i) {
    const v1::InputQueue& queue = config.processor().queues(i);
    const std::string key = "processor.queues." + std::to_string(i);
    RETURN_IF_ERROR(check_access(queue.security(), key + ".security", key + ".address",
                                 queue.address(), origin));
  }
  return {};
}

Status check_plain_links(const v1::Config& config, const ConfigOrigin& origin) {
  for (int i = 0; i < config.collector().xcp_size(); ++i) {
    const v1::XcpSource& xcp = config.collector().xcp(i);
    const std::string key = "collector.xcp." + std::to_string(i) + ".listen";
    const Result<NetAddress> address = parse_net_address(xcp.listen());
    if (!address || address->kind != NetAddress::Kind::kTcp ||
        xcp.listen().find("://") != std::string::npos) {
      return origin.refuse(key, "expected host:port, not \"" + xcp.listen() + "\"");
    }
    if (is_loopback(*address) || xcp.plain() == "accepted") continue;
    return origin.refuse(
        key,
        "the link is plain TCP, so it listens on loopback only, not on \"" + xcp.listen() +
            "\": put a tunnel before it (stunnel, docs/operations.md), or, where nobody else can "
            "read or join in, say plain = \"accepted\" beside it");
  }
  return {};
}

}  // namespace verbatim::base
