#include "base/zmq_socket.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <zmq.hpp>

#include "base/check.h"

namespace verbatim::base {
namespace {

StatusCode code_of(int error_number) {
  switch (error_number) {
    case EADDRINUSE:
      return StatusCode::kAlreadyExists;
    case EINVAL:
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
    case ENODEV:
    case EADDRNOTAVAIL:
    case ENAMETOOLONG:
      return StatusCode::kInvalidArgument;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return StatusCode::kResourceExhausted;
    case ETERM:
      return StatusCode::kCancelled;
    default:
      return StatusCode::kUnavailable;
  }
}

Status zmq_status(int error_number, std::string_view operation, const std::string& facts) {
  return {code_of(error_number), "ZeroMQ refused operation=" + std::string(operation) +
                                     (facts.empty() ? "" : " " + facts) +
                                     " errno=" + std::to_string(error_number) + ": " +
                                     zmq_strerror(error_number)};
}

// The wildcard port and the host name as ZeroMQ wants them for bind().
std::string to_bind_form(std::string endpoint) {
  constexpr std::string_view kLocal = "tcp://localhost:";
  if (endpoint.starts_with(kLocal)) {
    endpoint = "tcp://127.0.0.1:" + endpoint.substr(kLocal.size());
  }
  if (endpoint.starts_with("tcp://") && endpoint.ends_with(":0")) endpoint.back() = '*';
  return endpoint;
}

// "tcp://[::ffff:127.0.0.1]:1" is how an IPv6 socket names an IPv4 address; people and other
// programs want "tcp://127.0.0.1:1".
std::string from_mapped_form(std::string endpoint) {
  constexpr std::string_view kMapped = "tcp://[::ffff:";
  const size_t bracket = endpoint.find(']');
  if (!endpoint.starts_with(kMapped) || bracket == std::string::npos) return endpoint;
  return "tcp://" + endpoint.substr(kMapped.size(), bracket - kMapped.size()) +
         endpoint.substr(bracket + 1);
}

}  // namespace

struct ZmqContext::State {
  explicit State(int io_thread_count) : context(io_thread_count) {}
  zmq::context_t context;
};

ZmqContext::ZmqContext(int io_thread_count) : state_(std::make_unique<State>(io_thread_count)) {}
ZmqContext::~ZmqContext() = default;
ZmqContext::ZmqContext(ZmqContext&&) noexcept = default;
ZmqContext& ZmqContext::operator=(ZmqContext&&) noexcept = default;

struct ZmqSocket::State {
  State(zmq::context_t& context, ZmqType socket_type)
      : type(socket_type),
        socket(context, socket_type == ZmqType::kRouter ? zmq::socket_type::router
                                                        : zmq::socket_type::dealer) {}

  void set_options(const ZmqOptions& options);

  ZmqType type;
  zmq::socket_t socket;
  std::string bound_endpoint;
};

void ZmqSocket::State::set_options(const ZmqOptions& options) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::maxmsgsize, options.frame_size_max_bytes);
  socket.set(zmq::sockopt::sndhwm, options.high_water_mark_count);
  socket.set(zmq::sockopt::rcvhwm, options.high_water_mark_count);
  socket.set(zmq::sockopt::heartbeat_ivl, static_cast<int>(options.heartbeat_interval.count()));
  if (options.heartbeat_interval.count() > 0) {
    socket.set(zmq::sockopt::heartbeat_timeout,
               static_cast<int>(options.heartbeat_timeout.count()));
  }
  socket.set(zmq::sockopt::reconnect_ivl, 50);
  socket.set(zmq::sockopt::reconnect_ivl_max, 1000);
  socket.set(zmq::sockopt::ipv6, true);
  if (type == ZmqType::kRouter) {
    // Without it a message to a peer that is gone or full is dropped in silence.
    socket.set(zmq::sockopt::router_mandatory, true);
    socket.set(zmq::sockopt::router_handover, options.is_handover);
  } else if (!options.identity.empty()) {
    socket.set(zmq::sockopt::routing_id, options.identity);
  }
}

ZmqSocket::ZmqSocket(std::unique_ptr<State> state) : state_(std::move(state)) {}
ZmqSocket::~ZmqSocket() = default;
ZmqSocket::ZmqSocket(ZmqSocket&&) noexcept = default;
ZmqSocket& ZmqSocket::operator=(ZmqSocket&&) noexcept = default;

Result<ZmqSocket> ZmqSocket::create(ZmqContext& context, ZmqType type, const ZmqOptions& options) {
  try {
    auto state = std::make_unique<State>(context.state_->context, type);
    state->set_options(options);
    return ZmqSocket(std::move(state));
  } catch (const zmq::error_t& error) {
    return zmq_status(error.num(), "create", "");
  }
}

Result<std::string> ZmqSocket::bind(const std::string& endpoint) {
  try {
    state_->socket.bind(to_bind_form(endpoint));
    state_->bound_endpoint = from_mapped_form(state_->socket.get(zmq::sockopt::last_endpoint));
    return state_->bound_endpoint;
  } catch (const zmq::error_t& error) {
    return zmq_status(error.num(), "bind", "endpoint=" + endpoint);
  }
}

Status ZmqSocket::connect(const std::string& endpoint) {
  try {
    state_->socket.connect(endpoint);
    return Status::ok_status();
  } catch (const zmq::error_t& error) {
    return zmq_status(error.num(), "connect", "endpoint=" + endpoint);
  }
}

Status ZmqSocket::send(const std::string& identity, std::span<const std::string> frames) {
  const bool is_router = state_->type == ZmqType::kRouter;
  if (frames.empty()) return invalid_argument("a message needs at least one frame");
  if (is_router == identity.empty()) {
    return invalid_argument("a ROUTER needs an identity, a DEALER has none");
  }
  // Only the first frame can be refused: what follows belongs to the same message, and ZeroMQ keeps
  // a message whole.
  const auto send_frame = [this](const std::string& frame, bool has_more) {
    const auto flags =
        has_more ? zmq::send_flags::dontwait | zmq::send_flags::sndmore : zmq::send_flags::dontwait;
    return state_->socket.send(zmq::buffer(frame), flags).has_value();
  };
  try {
    if (is_router && !send_frame(identity, true)) {
      return resource_exhausted("the peer's send buffer is full");
    }
    for (size_t i = 0; i < frames.size(); ++i) {
      if (send_frame(frames[i], i + 1 < frames.size())) continue;
      CHECK(i == 0 && !is_router, "ZeroMQ refused the rest of a message that it had begun to take");
      return resource_exhausted("the peer's send buffer is full");
    }
    return Status::ok_status();
  } catch (const zmq::error_t& error) {
    return zmq_status(error.num(), "send", "");
  }
}

Status ZmqSocket::send(const std::string& identity, std::initializer_list<std::string> frames) {
  return send(identity, std::span<const std::string>(frames.begin(), frames.size()));
}

Result<std::optional<std::vector<std::string>>> ZmqSocket::receive() {
  try {
    std::vector<std::string> frames;
    zmq::message_t frame;
    do {
      if (!state_->socket.recv(frame, zmq::recv_flags::dontwait)) {
        CHECK(frames.empty(), "ZeroMQ gave a part of a message");
        return std::optional<std::vector<std::string>>();
      }
      frames.emplace_back(frame.data<char>(), frame.size());
    } while (frame.more());
    return std::optional<std::vector<std::string>>(std::move(frames));
  } catch (const zmq::error_t& error) {
    // A signal; the message is still there for the next call.
    if (error.num() == EINTR) return std::optional<std::vector<std::string>>();
    return zmq_status(error.num(), "receive", "");
  }
}

const std::string& ZmqSocket::bound_endpoint() const { return state_->bound_endpoint; }

struct PollAccess {
  static void* handle(ZmqSocket& socket) { return socket.state_->socket.handle(); }
};

Result<int> poll(std::span<PollItem> items, std::chrono::milliseconds timeout) {
  std::vector<zmq::pollitem_t> native;
  native.reserve(items.size());
  for (const PollItem& item : items) {
    const int events = item.wants_write ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN;
    void* const handle = item.socket != nullptr ? PollAccess::handle(*item.socket) : nullptr;
    native.push_back({handle, item.fd, static_cast<short>(events), 0});
  }
  try {
    const int count = zmq::poll(native.data(), native.size(), timeout);
    for (size_t i = 0; i < items.size(); ++i) {
      // A broken descriptor is "readable", so that its owner reads and sees the error.
      items[i].is_readable = (native[i].revents & (ZMQ_POLLIN | ZMQ_POLLERR)) != 0;
      items[i].is_writable = (native[i].revents & ZMQ_POLLOUT) != 0;
    }
    return count;
  } catch (const zmq::error_t& error) {
    for (PollItem& item : items) item.is_readable = item.is_writable = false;
    if (error.num() == EINTR) return 0;
    return zmq_status(error.num(), "poll", "");
  }
}

Waker::Waker() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(fd_ >= 0, "no file descriptor for a waker");
}

Waker::~Waker() { ::close(fd_); }

void Waker::wake() {
  const uint64_t one = 1;
  // It can only fail when the counter is full, and then the thread is woken anyway.
  if (::write(fd_, &one, sizeof(one)) < 0) return;
}

void Waker::clear() {
  uint64_t count = 0;
  // Nothing to read means that nobody woke us.
  if (::read(fd_, &count, sizeof(count)) < 0) return;
}

}  // namespace verbatim::base
