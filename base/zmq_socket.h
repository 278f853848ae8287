// ZeroMQ behind our own words: contexts, ROUTER and DEALER sockets, polling, and a Waker.
//
// Threads: a ZmqContext may be shared. A ZmqSocket belongs to one thread at a time; it may be
// created in one and moved to another before its first use there. A Waker may be woken from any
// thread. Nothing blocks but poll(). No exception leaves this file.
//
// Security: with ZmqOptions::curve a socket speaks CURVE only (RFC 25 and 26 of rfc.zeromq.org). A
// ROUTER lets in the keys of its list and no other (ZAP, RFC 27) and knows each message's sender by
// the name of its key. Whoever is refused is counted and logged, on both sides. Secret keys reach
// ZeroMQ and nothing else; no log or error has one.
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
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/zmq_frame.h"

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

// Keys are 40 characters of Z85 (base/curve_keys.h).
struct ZmqAllowedKey {
  std::string name;
  std::string public_key;
};
struct ZmqCurve {
  // The socket's own.
  std::string secret_key;
  // DEALER: the key that the other side must prove to have.
  std::string server_public_key = {};
  // ROUTER: who may come in; nobody else. One such ROUTER for each context.
  std::vector<ZmqAllowedKey> allowed = {};
};

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
  // Lets a new connection of the same identity take over from one that is half dead (ROUTER). Never
  // with CURVE: what one key has asked for would be answered to another.
  bool is_handover = true;
  // Empty: plain.
  std::optional<ZmqCurve> curve = {};
  // Watches handshakes: a ROUTER logs and counts those that fail, a DEALER tells by link() why it
  // has no connection. With CURVE a ROUTER always does.
  bool is_watched = false;
};

// One message of one frame, as all our protocols have it.
struct ZmqMessage {
  std::string identity;  // ROUTER: the peer
  ZmqFrame frame;
  size_t frame_count = 0;  // above 1: not ours; the first frame is kept
};

// How a watched DEALER stands with the other side.
enum class ZmqLink {
  kConnecting,  // nobody answers there yet
  kConnected,
  // Our key is not on the server's list. ZeroMQ does not try again: a new socket does.
  kKeyRefused,
  kNotCurve,  // one side speaks CURVE, the other does not
  // The other side ends each handshake without a word: server_public_key is not its key, or it
  // speaks no CURVE.
  kWrongKey,
};

// Handshakes that a watched ROUTER has refused.
struct ZmqRefusals {
  uint64_t unknown_key = 0;
  uint64_t bad_handshake = 0;  // plain, another server's key, no ZeroMQ at all
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

  // Sends one message of one frame without blocking. A ROUTER names the peer by `identity`; a
  // DEALER passes "". On an error `frame` is untouched. Errors: kResourceExhausted (that peer's
  // buffer is full: try later), kUnavailable (no such peer), kInvalidArgument (an identity where
  // none belongs).
  Status send_frame(std::string_view identity, ZmqFrame& frame);
  Status send_frame(std::string_view identity, ZmqFrame&& frame);

  // Takes one message if there is one, without blocking; false: there is none, and `message` has no
  // meaning. Its memory is used again.
  Result<bool> receive_frame(ZmqMessage& message);

  // The same for messages of several frames, with copies; all or nothing.
  Status send(const std::string& identity, std::span<const std::string> frames);
  Status send(const std::string& identity, std::initializer_list<std::string> frames);

  // Takes one message if there is one, without blocking. On a ROUTER the first frame is the peer's
  // identity.
  Result<std::optional<std::vector<std::string>>> receive();

  // Of a watched DEALER; reads what has happened since the last call.
  ZmqLink link();
  // Of a watched ROUTER, since it was made.
  ZmqRefusals refusals() const;

  // Where the last bind() ended up; empty before.
  const std::string& bound_endpoint() const;

 private:
  friend struct PollAccess;
  struct State;
  explicit ZmqSocket(std::unique_ptr<State> state);
  Status begin(std::string_view identity);
  Result<bool> receive_part(ZmqFrame& part, bool is_first);
  static bool has_more(const ZmqFrame& part);
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
