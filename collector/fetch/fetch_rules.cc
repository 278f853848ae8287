#include "collector/fetch/fetch_rules.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>

#include "base/log.h"

namespace verbatim::collector {
namespace {

constexpr IpAddress kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

IpAddress mapped(const in_addr& address) {
  IpAddress ip = kMapped;
  std::memcpy(&ip[12], &address, 4);
  return ip;
}

bool is_mapped(const IpAddress& ip) { return std::equal(ip.begin(), ip.begin() + 12, &kMapped[0]); }

const std::vector<IpNetwork>& networks(bool of_ipv4) {
  const auto parse = [](std::initializer_list<const char*> texts) {
    std::vector<IpNetwork> all;
    for (const char* const text : texts) all.push_back(IpNetwork::parse(text).value());
    return all;
  };
  // IANA's special-purpose registries, multicast and class E.
  static const auto kNotPublic4 =
      parse({"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
             "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
             "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"});
  // Of 2000::/3, all that is given out at all: protocol assignments with Teredo and ORCHID,
  // documentation, 6to4.
  static const auto kNotPublic6 = parse({"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"});
  return of_ipv4 ? kNotPublic4 : kNotPublic6;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

// "*" stands for everything.
bool fits(std::string_view pattern, std::string_view text) {
  if (pattern.ends_with('*')) return text.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == text;
}

using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  const std::string result(text);
  curl_free(text);
  return result;
}

bool is_host_pattern(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]") ==
                              std::string_view::npos;
}

}  // namespace

std::optional<IpAddress> ip_address_of(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, &address, sizeof(ipv4));
    return mapped(ipv4.sin_addr);
  }
  if (address.sa_family != AF_INET6) return std::nullopt;
  sockaddr_in6 ipv6{};
  std::memcpy(&ipv6, &address, sizeof(ipv6));
  IpAddress ip{};
  std::memcpy(ip.data(), &ipv6.sin6_addr, ip.size());
  return ip;
}

std::optional<IpAddress> parse_ip_address(const std::string& text) {
  in_addr ipv4{};
  if (inet_pton(AF_INET, text.c_str(), &ipv4) == 1) return mapped(ipv4);
  IpAddress ip{};
  if (inet_pton(AF_INET6, text.c_str(), ip.data()) == 1) return ip;
  return std::nullopt;
}

bool is_public(const IpAddress& address) {
  const bool of_ipv4 = is_mapped(address);
  if (!of_ipv4 && (address[0] & 0xE0) != 0x20) return false;
  const auto& not_public = networks(of_ipv4);
  return std::none_of(not_public.begin(), not_public.end(),
                      [&](const IpNetwork& network) { return network.contains(address); });
}

Result<IpNetwork> IpNetwork::parse(const std::string& text) {
  const size_t slash = text.find('/');
  const auto address = parse_ip_address(text.substr(0, slash));
  const int bits = text.find(':') == std::string::npos ? 32 : 128;
  int prefix = -1;
  if (slash != std::string::npos) {
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + slash + 1, end, prefix);
    if (parsed.ec != std::errc() || parsed.ptr != end) prefix = -1;
  }
  if (!address || prefix < 0 || prefix > bits) {
    return invalid_argument("no network, as 10.1.0.0/16 or fd00::/8: " + text);
  }
  IpNetwork network;
  network.address_ = *address;
  network.prefix_ = prefix + 128 - bits;
  return network;
}

bool IpNetwork::contains(const IpAddress& address) const {
  for (int bit = 0; bit < prefix_; ++bit) {
    const auto byte = static_cast<size_t>(bit / 8);
    const int mask = 0x80 >> (bit % 8);
    if (((address[byte] ^ address_[byte]) & mask) != 0) return false;
  }
  return true;
}

Result<FetchRules> FetchRules::create(const v1::FileFetch& config, int64_t store_file_max_bytes) {
  FetchRules rules;
  rules.config_ = config;
  rules.file_max_bytes_ = std::min(config.file_max_bytes(), store_file_max_bytes);
  for (std::string& host : *rules.config_.mutable_allowed_hosts()) {
    host = lower(host);
    if (!is_host_pattern(host)) {
      return invalid_argument(
          "collector.fetch.allowed_hosts: no host, as upload.example.com, "
          "upload.example.com:5281 or *.example.com: " +
          host);
    }
  }
  for (std::string& type : *rules.config_.mutable_media_types()) type = lower(type);
  for (const std::string& text : config.allowed_networks()) {
    const auto network = IpNetwork::parse(text);
    if (!network) {
      return invalid_argument("collector.fetch.allowed_networks: " + network.error().message());
    }
    rules.networks_.push_back(*network);
  }
  if (config.retry_min_ms() > config.retry_max_ms()) {
    return invalid_argument("collector.fetch.retry_min_ms is above collector.fetch.retry_max_ms");
  }
  return rules;
}

FetchCause FetchRules::check_url(const std::string& text) const {
  const Url url(curl_url(), &curl_url_cleanup);
  if (url == nullptr || text.find('\0') != std::string::npos ||
      curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK) {
    return v1::FileTransferFailed::CAUSE_BAD_URL;
  }
  const std::string scheme = part_of(url.get(), CURLUPART_SCHEME);
  if (scheme != "https" && !(scheme == "http" && config_.allow_http())) {
    return v1::FileTransferFailed::CAUSE_BAD_URL;
  }
  const std::string host = lower(part_of(url.get(), CURLUPART_HOST));
  const std::string port = part_of(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  const bool is_default = port == (scheme == "https" ? "443" : "80");
  return is_host_allowed(host, port, is_default) ? v1::FileTransferFailed::CAUSE_UNSPECIFIED
                                                 : v1::FileTransferFailed::CAUSE_HOST_NOT_ALLOWED;
}

// A pattern without a port is for the scheme's own.
bool FetchRules::is_host_allowed(const std::string& host, const std::string& port,
                                 bool is_default) const {
  const auto matches = [&](std::string_view pattern) {
    if (!pattern.starts_with("*.")) {
      return (is_default && pattern == host) || pattern == host + ":" + port;
    }
    pattern.remove_prefix(1);
    return (is_default && host.ends_with(pattern)) || (host + ":" + port).ends_with(pattern);
  };
  const auto& hosts = config_.allowed_hosts();
  return std::any_of(hosts.begin(), hosts.end(), matches);
}

bool FetchRules::is_address_allowed(const IpAddress& address) const {
  return is_public(address) ||
         std::any_of(networks_.begin(), networks_.end(),
                     [&](const IpNetwork& network) { return network.contains(address); });
}

bool FetchRules::is_type_allowed(std::string_view content_type) const {
  const auto& types = config_.media_types();
  const std::string type = media_type_of(content_type);
  return types.empty() || std::any_of(types.begin(), types.end(), [&](const std::string& pattern) {
           return fits(pattern, type);
         });
}

std::string media_type_of(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ') || content_type.ends_with('\t')) content_type.remove_suffix(1);
  while (content_type.starts_with(' ')) content_type.remove_prefix(1);
  return lower(content_type);
}

}  // namespace verbatim::collector
