#include "collector/sources/xcp/tcp.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace verbatim::collector {
namespace {

constexpr int kBacklog = 128;

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};

Status socket_error(const char* what, int error_number) {
  const std::string text = std::string(what) + " errno=" + std::to_string(error_number);
  return error_number == EADDRINUSE ? already_exists(text + " address in use") : unavailable(text);
}

}  // namespace

void FileDescriptor::close() {
  if (number_ >= 0) ::close(number_);
  number_ = -1;
}

Result<FileDescriptor> listen_tcp(const base::NetAddress& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) !=
      0) {
    return unavailable("the host of the listen address is unknown");
  }
  const std::unique_ptr<addrinfo, FreeAddresses> owner(found);
  FileDescriptor listener(
      ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.is_open()) return socket_error("no socket", errno);
  const int on = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener.get(), found->ai_addr, found->ai_addrlen) != 0) {
    return socket_error("cannot bind", errno);
  }
  if (::listen(listener.get(), kBacklog) != 0) return socket_error("cannot listen", errno);
  return listener;
}

std::string bound_address_of(const FileDescriptor& socket) {
  sockaddr_storage storage = {};
  socklen_t size = sizeof storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(socket.get(), address, &size) != 0) return {};
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (::getnameinfo(address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return {};
  }
  const bool is_v6 = storage.ss_family == AF_INET6;
  return (is_v6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + port;
}

FileDescriptor accept_tcp(const FileDescriptor& listener) {
  FileDescriptor accepted(
      ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!accepted.is_open()) return accepted;
  const int on = 1;
  // Answers are small and waited for; a peer that vanished without a word is noticed.
  ::setsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(accepted.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  const int idle_s = 10;
  ::setsockopt(accepted.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  ::setsockopt(accepted.get(), IPPROTO_TCP, TCP_KEEPINTVL, &idle_s, sizeof idle_s);
  return accepted;
}

bool is_out_of_descriptors() { return errno == EMFILE || errno == ENFILE; }

TcpRead read_tcp(const FileDescriptor& socket, char* buffer, size_t size) {
  const ssize_t count = ::recv(socket.get(), buffer, size, 0);
  if (count > 0) return {.size = static_cast<size_t>(count), .is_closed = false};
  const bool is_waiting = count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  return {.size = 0, .is_closed = !is_waiting};
}

int64_t write_tcp(const FileDescriptor& socket, std::string_view bytes) {
  const ssize_t count = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count >= 0) return count;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

void shut_down_write(const FileDescriptor& socket) { ::shutdown(socket.get(), SHUT_WR); }

}  // namespace verbatim::collector
