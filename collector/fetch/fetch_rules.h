// FetchRules: what the collector may fetch, and from where. Pure, but for libcurl's URL parser.
//
// I1 Nothing outside of allowed_hosts is asked, and no address outside of what is public, unless
//    allowed_networks has it. An address is judged as the socket is to be connected to it, so what
//    a name resolves to later changes nothing.
// I2 Schemes are https and, if allowed, http; a URL with a user or password is none.
// Threads: any; never changes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "verbatim/v1/config.pb.h"
#include "verbatim/v1/event.pb.h"

struct sockaddr;

namespace verbatim::collector {

using FetchCause = v1::FileTransferFailed::Cause;

// An IPv6 address; IPv4 ones are mapped (::ffff:0:0/96). Network byte order.
using IpAddress = std::array<uint8_t, 16>;

// Null for another family than IPv4 and IPv6.
std::optional<IpAddress> ip_address_of(const sockaddr& address);
std::optional<IpAddress> parse_ip_address(const std::string& text);

// Whether it is of the public internet: no loopback, link-local, private, unique-local, shared,
// multicast, documentation, reserved address, and none that carries another in it (6to4, Teredo,
// NAT64), whatever that is. RFC 6890 and the registries that it founds.
bool is_public(const IpAddress& address);

class IpNetwork {
 public:
  // "10.1.0.0/16", "fd00::/8". Errors: kInvalidArgument.
  static Result<IpNetwork> parse(const std::string& text);
  bool contains(const IpAddress& address) const;

 private:
  IpAddress address_{};
  int prefix_ = 0;  // of 128
};

class FetchRules {
 public:
  // Errors: kInvalidArgument, with key and reason.
  static Result<FetchRules> create(const v1::FileFetch& config, int64_t store_file_max_bytes);

  // CAUSE_UNSPECIFIED: it may be asked. Else CAUSE_BAD_URL or CAUSE_HOST_NOT_ALLOWED.
  FetchCause check_url(const std::string& url) const;
  bool is_address_allowed(const IpAddress& address) const;
  // Takes a Content-Type header's value, or nothing where there is none.
  bool is_type_allowed(std::string_view content_type) const;

  const v1::FileFetch& config() const { return config_; }
  int64_t file_max_bytes() const { return file_max_bytes_; }

 private:
  bool is_host_allowed(const std::string& host, const std::string& port, bool is_default) const;

  v1::FileFetch config_;
  int64_t file_max_bytes_ = 0;
  std::vector<IpNetwork> networks_;
};

// "image/png" of "Image/PNG; x=y".
std::string media_type_of(std::string_view content_type);

}  // namespace verbatim::collector
