#include "collector/fetch/fetch_rules.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

namespace verbatim::collector {
namespace {

using Failed = v1::FileTransferFailed;

v1::FileFetch config() {
  v1::FileFetch fetch;
  fetch.set_file_max_bytes(1'000);
  fetch.set_retry_min_ms(10);
  fetch.set_retry_max_ms(10);
  for (const char* host : {"Upload.example.com", "*.files.example.com", "chat.example.com:5281",
                           "[2a00::1]", "8.8.8.8"}) {
    fetch.add_allowed_hosts(host);
  }
  return fetch;
}

FetchRules rules(const v1::FileFetch& fetch = config()) {
  return FetchRules::create(fetch, 1'000'000).value();
}

bool is_public(const std::string& text) {
  const auto address = parse_ip_address(text);
  EXPECT_TRUE(address) << text;
  return address && collector::is_public(*address);
}

TEST(FetchRules, OnlyAllowedHostsAreAskedEachAtItsPort) {
  for (const char* url :
       {"https://upload.example.com/a", "https://UPLOAD.example.COM:443/a?b#c",
        "https://a.files.example.com/x", "https://a.b.files.example.com/x",
        "https://chat.example.com:5281/x", "https://[2a00::1]/x", "https://8.8.8.8/x"}) {
    EXPECT_EQ(rules().check_url(url), Failed::CAUSE_UNSPECIFIED) << url;
  }
  for (const char* url :
       {"https://example.com/a", "https://upload.example.com.evil.test/a",
        "https://evil-upload.example.com/", "https://upload.example.com:8443/a",
        "https://files.example.com/", "https://evilfiles.example.com/",
        "https://chat.example.com/x", "https://localhost/", "https://127.0.0.1/",
        "https://a.files.example.com:22/", "https://[::1]/", "https://8.8.8.8.nip.test/",
        "https://134744073/", "https://upload.example.com%2eevil.test/"}) {
    EXPECT_NE(rules().check_url(url), Failed::CAUSE_UNSPECIFIED) << url;
  }
  EXPECT_EQ(rules().check_url("https://example.com/a"), Failed::CAUSE_HOST_NOT_ALLOWED);
}

TEST(FetchRules, WhatIsNoPlainAddressOfAFileIsNotAsked) {
  for (const std::string url :
       {"http://upload.example.com/a", "ftp://upload.example.com/a", "file:///etc/passwd",
        "aesgcm://upload.example.com/a", "gopher://upload.example.com/", "upload.example.com/a",
        "https://user@upload.example.com/", "https://user:word@upload.example.com/",
        "https://evil.test@upload.example.com/", "https://", "", "javascript:alert(1)",
        "https://upload.example.com\\@evil.test/", "https://upload.example.com:99999/"}) {
    EXPECT_NE(rules().check_url(url), Failed::CAUSE_UNSPECIFIED) << url;
  }
  EXPECT_EQ(rules().check_url(std::string("https://upload.example.com/\0evil", 32)),
            Failed::CAUSE_BAD_URL);
  v1::FileFetch fetch = config();
  fetch.set_allow_http(true);
  EXPECT_EQ(rules(fetch).check_url("http://upload.example.com/a"), Failed::CAUSE_UNSPECIFIED);
  EXPECT_NE(rules(fetch).check_url("http://upload.example.com:443/a"), Failed::CAUSE_UNSPECIFIED);
  EXPECT_EQ(rules(fetch).check_url("ftp://upload.example.com/a"), Failed::CAUSE_BAD_URL);
}

TEST(FetchRules, WithoutHostsNothingIsAsked) {
  v1::FileFetch fetch = config();
  fetch.clear_allowed_hosts();
  EXPECT_EQ(rules(fetch).check_url("https://upload.example.com/a"), Failed::CAUSE_HOST_NOT_ALLOWED);
}

TEST(FetchRules, OnlyAddressesOfThePublicInternetAreAsked) {
  for (const char* address : {"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.0.1",
                              "172.32.0.1", "192.167.0.1", "223.255.255.255", "::ffff:8.8.8.8",
                              "2a00:1450:4001::1", "2606:4700::1111", "2001:200::1"}) {
    EXPECT_TRUE(is_public(address)) << address;
  }
  for (const char* address : {"0.0.0.0",
                              "127.0.0.1",
                              "127.255.255.254",
                              "10.1.2.3",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.168.1.1",
                              "169.254.169.254",
                              "100.64.0.1",
                              "192.0.2.1",
                              "198.18.0.1",
                              "203.0.113.9",
                              "224.0.0.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.0.0.1",
                              "::7f00:1",
                              "fe80::1",
                              "fc00::1",
                              "fd12::1",
                              "ff02::1",
                              "2001:db8::1",
                              "2002:7f00:1::",
                              "2001:0:1::1",
                              "64:ff9b::7f00:1",
                              "fec0::1",
                              "100::1"}) {
    EXPECT_FALSE(is_public(address)) << address;
  }
}

TEST(FetchRules, NetworksMayBeAllowed) {
  v1::FileFetch fetch = config();
  fetch.add_allowed_networks("10.1.0.0/16");
  fetch.add_allowed_networks("fd00::/8");
  fetch.add_allowed_networks("127.0.0.1/32");
  const FetchRules allowed = rules(fetch);
  const auto is_allowed = [&](const char* text) {
    return allowed.is_address_allowed(*parse_ip_address(text));
  };
  EXPECT_TRUE(is_allowed("10.1.255.255"));
  EXPECT_TRUE(is_allowed("::ffff:10.1.0.1"));
  EXPECT_FALSE(is_allowed("10.2.0.0"));
  EXPECT_TRUE(is_allowed("fdff::1"));
  EXPECT_FALSE(is_allowed("fc00::1"));
  EXPECT_TRUE(is_allowed("127.0.0.1"));
  EXPECT_FALSE(is_allowed("127.0.0.2"));
  EXPECT_TRUE(is_allowed("8.8.8.8"));
}

TEST(FetchRules, SocketAddressesAreReadAsTheyAre) {
  sockaddr_in ipv4{};
  ipv4.sin_family = AF_INET;
  inet_pton(AF_INET, "192.168.1.2", &ipv4.sin_addr);
  sockaddr address{};
  std::memcpy(&address, &ipv4, sizeof(address));
  EXPECT_EQ(ip_address_of(address), parse_ip_address("192.168.1.2"));
  EXPECT_EQ(parse_ip_address("::ffff:192.168.1.2"), parse_ip_address("192.168.1.2"));
  sockaddr local{};
  local.sa_family = AF_UNIX;
  EXPECT_EQ(ip_address_of(local), std::nullopt);
}

TEST(FetchRules, TypesAreComparedWithoutParameters) {
  EXPECT_TRUE(rules().is_type_allowed(""));
  v1::FileFetch fetch = config();
  fetch.add_media_types("image/*");
  fetch.add_media_types("Application/PDF");
  const FetchRules some = rules(fetch);
  EXPECT_TRUE(some.is_type_allowed("Image/PNG"));
  EXPECT_TRUE(some.is_type_allowed("application/pdf ; x=y"));
  EXPECT_FALSE(some.is_type_allowed("application/pdfx"));
  EXPECT_FALSE(some.is_type_allowed("text/html; image/png"));
  EXPECT_FALSE(some.is_type_allowed(""));
  EXPECT_EQ(media_type_of("Text/HTML; charset=utf-8"), "text/html");
}

TEST(FetchRules, TheSmallerSizeCounts) {
  EXPECT_EQ(rules().file_max_bytes(), 1'000);
  EXPECT_EQ(FetchRules::create(config(), 10)->file_max_bytes(), 10);
}

TEST(FetchRules, WrongConfigurationIsRefusedWithItsKey) {
  const auto error_of = [](auto change) {
    v1::FileFetch fetch = config();
    change(fetch);
    const auto made = FetchRules::create(fetch, 1'000);
    return made ? std::string() : made.error().message();
  };
  for (const char* network :
       {"10.0.0.0", "10.0.0.0/33", "fd00::/129", "x/8", "10.0.0.0/-1", "/8", "10.0.0.0/8x"}) {
    EXPECT_NE(error_of([&](auto& fetch) {
                fetch.add_allowed_networks(network);
              }).find("collector.fetch.allowed_networks"),
              std::string::npos)
        << network;
  }
  for (const char* host : {"", "*", "https://x.test", "a b", "x.test/path", "*.*"}) {
    EXPECT_NE(error_of([&](auto& fetch) {
                fetch.add_allowed_hosts(host);
              }).find("collector.fetch.allowed_hosts"),
              std::string::npos)
        << host;
  }
  EXPECT_NE(error_of([](auto& fetch) { fetch.set_retry_min_ms(11); }).find("retry_min_ms"),
            std::string::npos);
}

}  // namespace
}  // namespace verbatim::collector
