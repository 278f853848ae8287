#include "collector/policy/link/link_server.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "collector/sources/xcp/tcp.h"
#include "tests/support/policy_fixture.h"
#include "tests/support/temp_dir.h"

namespace verbatim::collector {
namespace {

using namespace std::chrono_literals;

int option_of(int socket, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, level, name, &value, &size) == 0 ? value : -1;
}

// The end of ours that is connected to that port.
std::optional<int> dialled_socket(uint16_t port) {
  for (int socket = 3; socket < 256; ++socket) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.sin_family == AF_INET && ntohs(peer.sin_port) == port) return socket;
  }
  return {};
}

TEST(LinkServer, ADialledPeerThatVanishesWithoutAWordIsNoticed) {
  testing::FixedCompliance compliance;
  PolicyChain chain({}, compliance);
  const auto address = base::parse_net_address("127.0.0.1:0");
  ASSERT_TRUE(address.has_value());
  const auto listener = listen_tcp(*address);
  ASSERT_TRUE(listener.has_value());
  const std::string bound = bound_address_of(*listener);
  const int port = std::stoi(bound.substr(bound.rfind(':') + 1));
  const testing::TempDir folder;
  const std::string secret = folder.file("secret");
  std::ofstream(secret) << "s";
  ASSERT_EQ(::chmod(secret.c_str(), 0600), 0);
  const LinkServer server({.name = "them",
                           .host = "127.0.0.1",
                           .port = port,
                           .secret_file = secret,
                           .component = "op-them",
                           .heartbeat = 5s},
                          chain);
  std::optional<int> socket;
  for (int i = 0; i < 1'000 && !socket; ++i) {
    std::this_thread::sleep_for(10ms);
    socket = dialled_socket(static_cast<uint16_t>(port));
  }
  ASSERT_TRUE(socket.has_value());
  EXPECT_EQ(option_of(*socket, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option_of(*socket, IPPROTO_TCP, TCP_KEEPIDLE), 5);
  EXPECT_EQ(option_of(*socket, IPPROTO_TCP, TCP_KEEPINTVL), 5);
  EXPECT_EQ(option_of(*socket, IPPROTO_TCP, TCP_USER_TIMEOUT), 15'000);
}

}  // namespace
}  // namespace verbatim::collector
