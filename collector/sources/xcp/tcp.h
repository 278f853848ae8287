// Plain TCP on loopback, non-blocking: what the link needs of the sockets interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/net_address.h"
#include "base/status.h"

namespace verbatim::collector {

// Owns one file descriptor; -1 is none.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  ~FileDescriptor() { close(); }
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      close();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }

  int get() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  void close();

 private:
  int number_ = -1;
};

// Errors: kAlreadyExists where the address is in use, kUnavailable for everything else.
Result<FileDescriptor> listen_tcp(const base::NetAddress& address);

// "127.0.0.1:7999" of a bound socket.
std::string bound_address_of(const FileDescriptor& socket);

// A new connection, or none where nobody waits (or the process has no descriptor left).
FileDescriptor accept_tcp(const FileDescriptor& listener);
// Right after an accept_tcp that gave none: true where that is why.
bool is_out_of_descriptors();

struct TcpRead {
  size_t size = 0;
  bool is_closed = false;  // the peer sends no more, or the connection is broken
};
TcpRead read_tcp(const FileDescriptor& socket, char* buffer, size_t size);

// Bytes written; -1 where the connection is broken.
int64_t write_tcp(const FileDescriptor& socket, std::string_view bytes);

// No more from us; the peer sees the end after all that was written.
void shut_down_write(const FileDescriptor& socket);

}  // namespace verbatim::collector
