// ZeroMQ behind our own words: contexts, ROUTER and DEALER sockets, polling, and a Waker.
//
// Threads: a ZmqContext may be shared. A ZmqSocket belongs to one thread at a time; it may be
// created in one and moved to another before its first use there. A Waker may be woken from any
// thread. Nothing blocks but poll(). No exception leaves this file.
//
// Flow control is our own credit, so ZeroMQ's high-water marks are only a guard against a bug:
// large, and reaching one is an error of send(), never a silent drop (a ROUTER is set to
// "mandatory").
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace verbatim::base {

class ZmqContext {
 public:
  explicit ZmqContext(int io_thread_count = 1);
  // Blocks until all sockets of the context are closed.
  ~ZmqContext();
  ZmqContext(ZmqContext&&) noexcept;
  ZmqContext& operator=(ZmqContext&&) noexcept;

 private:
  friend class ZmqSocket;
  struct State;
  std::unique_ptr<State> state_;
};

enum class ZmqType { kRouter, kDealer };

struct ZmqOptions {
  // Frames above this many bytes close the peer's connection; -1 for no limit.
  int64_t frame_size_max_bytes = int64_t{128} * 1024 * 1024;
  // Messages of many frames held for one peer before send() refuses; a guard, see above.
  int high_water_mark_count = 100'000;
  // Pings of the transport; a peer that does not answer within the timeout is disconnected. 0:
  // none.
  std::chrono::milliseconds heartbeat_interval{2'000};
  std::chrono::milliseconds heartbeat_timeout{10'000};
  // A DEALER's name for its ROUTER; empty lets the ROUTER make one. At most 255 bytes, the first
  // not 0.
  std::string identity = {};
  // Lets a new connection of the same identity take over from one that is half dead (ROUTER).
  bool is_handover = true;
};

class ZmqSocket {
 public:
  // Errors: kInvalidArgument (an option), kResourceExhausted (sockets or file descriptors).
  static Result<ZmqSocket> create(ZmqContext& context, ZmqType type,
                                  const ZmqOptions& options = {});

  // Closes at once; what is not sent yet is dropped (linger 0).
  ~ZmqSocket();
  ZmqSocket(ZmqSocket&&) noexcept;
  ZmqSocket& operator=(ZmqSocket&&) noexcept;

  // Takes "tcp://127.0.0.1:0", "tcp://127.0.0.1:*", "ipc:///path". Gives the endpoint really bound,
  // with its port. Errors: kAlreadyExists (in use), kInvalidArgument, kUnavailable.
  Result<std::string> bind(const std::string& endpoint);
  // Connects in the background, again after each loss.
  Status connect(const std::string& endpoint);

  // Sends one message of `frames` (at least one) without blocking, all or nothing. A ROUTER names
  // the peer by `identity`; a DEALER passes "". Errors: kResourceExhausted (that peer's buffer is
  // full: try later), kUnavailable (no such peer), kInvalidArgument (no frames, or an identity
  // where none belongs).
  Status send(const std::string& identity, std::span<const std::string> frames);
  Status send(const std::string& identity, std::initializer_list<std::string> frames);

  // Takes one message if there is one, without blocking. On a ROUTER the first frame is the peer's
  // identity.
  Result<std::optional<std::vector<std::string>>> receive();

  // Where the last bind() ended up; empty before.
  const std::string& bound_endpoint() const;

 private:
  friend struct PollAccess;
  struct State;
  explicit ZmqSocket(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// One thing to wait for: a socket, or a file descriptor.
struct PollItem {
  ZmqSocket* socket = nullptr;
  int fd = -1;  // used where socket is null
  bool wants_write = false;

  bool is_readable = false;  // set by poll()
  bool is_writable = false;  // set by poll()
};

// Waits until something is ready or the time is over (negative: for ever); gives the count of ready
// items. A signal ends the wait early with 0.
Result<int> poll(std::span<PollItem> items, std::chrono::milliseconds timeout);

// Wakes a thread in poll(): put {.fd = waker.fd()} among its items, and clear() after waking. Wakes
// are merged, none is lost.
class Waker {
 public:
  // Ends the process where the system has no file descriptor left: this happens at start only.
  Waker();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  void wake();
  void clear();
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace verbatim::base
