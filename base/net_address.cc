#include "base/net_address.h"

#include <arpa/inet.h>

#include <charconv>

namespace verbatim::base {
namespace {

Result<uint16_t> parse_port(std::string_view text, std::string_view whole) {
  if (text == "*") return uint16_t{0};
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > 65535) {
    return invalid_argument("not a port number address=" + std::string(whole));
  }
  return static_cast<uint16_t>(value);
}

Result<NetAddress> make_ipc(std::string_view path, std::string_view whole) {
  if (path.empty()) return invalid_argument("empty path address=" + std::string(whole));
  NetAddress address;
  address.kind = NetAddress::Kind::kIpc;
  address.path = path;
  return address;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string NetAddress::to_grpc() const {
  if (kind == Kind::kIpc) return "unix:" + path;
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string NetAddress::to_zmq() const {
  return kind == Kind::kIpc ? "ipc://" + path : "tcp://" + to_grpc();
}

Result<NetAddress> parse_net_address(std::string_view text) {
  std::string_view rest = text;
  if (take_prefix(rest, "ipc://") || take_prefix(rest, "unix://") || take_prefix(rest, "unix:")) {
    return make_ipc(rest, text);
  }
  (void)take_prefix(rest, "tcp://");
  if (rest.find('/') != std::string_view::npos) {
    return invalid_argument("unknown scheme or a path where none belongs address=" +
                            std::string(text));
  }
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) {
    return invalid_argument("no port address=" + std::string(text));
  }
  std::string_view host = rest.substr(0, colon);
  NetAddress address;
  ASSIGN_OR_RETURN(address.port, parse_port(rest.substr(colon + 1), text));
  const bool is_bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  const bool has_bad_character = host.find_first_of("[] \t") != std::string_view::npos;
  const bool has_colon = host.find(':') != std::string_view::npos;
  if (host.empty() || has_bad_character || has_colon != is_bracketed) {
    return invalid_argument("not a host address=" + std::string(text));
  }
  address.host = host;
  return address;
}

bool is_loopback(const NetAddress& address) {
  if (address.kind == NetAddress::Kind::kIpc || address.host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, address.host.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  in6_addr v6{};
  return inet_pton(AF_INET6, address.host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace verbatim::base
