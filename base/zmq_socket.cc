#include "base/zmq_socket.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/curve_keys.h"
#include "base/zmq_guard.h"
#include "base/zmq_native.h"

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

// The endpoint that the last bind of the socket ended up with.
std::string last_endpoint(void* socket) {
  std::array<char, 1024> text{};
  size_t size = text.size();
  if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, text.data(), &size) != 0 || size == 0) return {};
  return {text.data(), size - 1};
}

}  // namespace

Status zmq_status(std::string_view operation, const std::string& facts) {
  const int error_number = zmq_errno();
  return {code_of(error_number), "ZeroMQ refused operation=" + std::string(operation) +
                                     (facts.empty() ? "" : " " + facts) +
                                     " errno=" + std::to_string(error_number) + ": " +
                                     zmq_strerror(error_number)};
}

Status set_zmq_option(void* socket, int option, int value) {
  if (zmq_setsockopt(socket, option, &value, sizeof(value)) == 0) return {};
  return zmq_status("set an option", "option=" + std::to_string(option));
}

Status set_zmq_option(void* socket, int option, const std::string& value) {
  if (zmq_setsockopt(socket, option, value.data(), value.size()) == 0) return {};
  return zmq_status("set an option", "option=" + std::to_string(option));
}

struct ZmqContext::State {
  explicit State(int io_thread_count) : context(zmq_ctx_new()) {
    CHECK(context != nullptr, "no memory for a ZeroMQ context");
    zmq_ctx_set(context, ZMQ_IO_THREADS, io_thread_count);
  }
  // A signal may interrupt the wait for the last socket.
  ~State() {
    while (zmq_ctx_term(context) != 0 && zmq_errno() == EINTR) continue;
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void* const context;
};

ZmqContext::ZmqContext(int io_thread_count) : state_(std::make_unique<State>(io_thread_count)) {}
ZmqContext::~ZmqContext() = default;
ZmqContext::ZmqContext(ZmqContext&&) noexcept = default;
ZmqContext& ZmqContext::operator=(ZmqContext&&) noexcept = default;

struct ZmqSocket::State {
  State(void* zmq_context, ZmqType socket_type)
      : type(socket_type),
        context(zmq_context),
        socket(zmq_socket(zmq_context, socket_type == ZmqType::kRouter ? ZMQ_ROUTER : ZMQ_DEALER)) {
  }
  // Events end while their reader still listens: ZeroMQ's own thread, which serves every socket of
  // the context, waits for ever to tell one that nobody can hear.
  ~State() {
    if (socket != nullptr) zmq_socket_monitor(socket.get(), nullptr, 0);
  }

  Status set_options(const ZmqOptions& options);
  Status set_curve(const ZmqCurve& curve);
  Status send_part(zmq_msg_t& part, int flags);

  const ZmqType type;
  void* const context;
  std::unique_ptr<ZmqGuard> guard;      // ends after the socket
  std::unique_ptr<ZmqLinkWatch> watch;  // the same
  ZmqHandle socket;
  std::string bound_endpoint;
};

Status ZmqSocket::State::set_options(const ZmqOptions& options) {
  void* const handle = socket.get();
  RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_LINGER, 0));
  if (zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &options.frame_size_max_bytes,
                     sizeof(options.frame_size_max_bytes)) != 0) {
    return zmq_status("set an option", "option=ZMQ_MAXMSGSIZE");
  }
  RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_SNDHWM, options.high_water_mark_count));
  RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_RCVHWM, options.high_water_mark_count));
  const auto interval_ms = static_cast<int>(options.heartbeat_interval.count());
  RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_HEARTBEAT_IVL, interval_ms));
  if (interval_ms > 0) {
    RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_HEARTBEAT_TIMEOUT,
                                   static_cast<int>(options.heartbeat_timeout.count())));
  }
  RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_RECONNECT_IVL, 50));
  RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_RECONNECT_IVL_MAX, 1000));
  RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_IPV6, 1));
  if (options.curve) RETURN_IF_ERROR(set_curve(*options.curve));
  if (type == ZmqType::kDealer) {
    if (options.identity.empty()) return {};
    return set_zmq_option(handle, ZMQ_ROUTING_ID, options.identity);
  }
  // Without it a message to a peer that is gone or full is dropped in silence.
  RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_ROUTER_MANDATORY, 1));
  const bool is_handover = options.is_handover && !options.curve;
  return set_zmq_option(handle, ZMQ_ROUTER_HANDOVER, is_handover ? 1 : 0);
}

Status ZmqSocket::State::set_curve(const ZmqCurve& curve) {
  void* const handle = socket.get();
  ASSIGN_OR_RETURN(const std::string public_key, public_curve_key_of(curve.secret_key));
  if (type == ZmqType::kRouter) {
    RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_CURVE_SERVER, 1));
    return set_zmq_option(handle, ZMQ_CURVE_SECRETKEY, curve.secret_key);
  }
  RETURN_IF_ERROR(check_curve_key(curve.server_public_key));
  RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_CURVE_SERVERKEY, curve.server_public_key));
  RETURN_IF_ERROR(set_zmq_option(handle, ZMQ_CURVE_PUBLICKEY, public_key));
  return set_zmq_option(handle, ZMQ_CURVE_SECRETKEY, curve.secret_key);
}

ZmqSocket::ZmqSocket(std::unique_ptr<State> state) : state_(std::move(state)) {}
ZmqSocket::~ZmqSocket() = default;
ZmqSocket::ZmqSocket(ZmqSocket&&) noexcept = default;
ZmqSocket& ZmqSocket::operator=(ZmqSocket&&) noexcept = default;

Result<ZmqSocket> ZmqSocket::create(ZmqContext& context, ZmqType type, const ZmqOptions& options) {
  auto state = std::make_unique<State>(context.state_->context, type);
  if (state->socket == nullptr) return zmq_status("create");
  RETURN_IF_ERROR(state->set_options(options));
  if (type == ZmqType::kRouter && (options.is_watched || options.curve)) {
    ASSIGN_OR_RETURN(state->guard, ZmqGuard::start(state->context, state->socket.get(),
                                                   options.curve ? &*options.curve : nullptr));
  } else if (options.is_watched) {
    ASSIGN_OR_RETURN(state->watch, ZmqLinkWatch::start(state->context, state->socket.get(),
                                                       options.curve.has_value()));
  }
  return ZmqSocket(std::move(state));
}

Result<std::string> ZmqSocket::bind(const std::string& endpoint) {
  if (zmq_bind(state_->socket.get(), to_bind_form(endpoint).c_str()) != 0) {
    return zmq_status("bind", "endpoint=" + endpoint);
  }
  state_->bound_endpoint = from_mapped_form(last_endpoint(state_->socket.get()));
  return state_->bound_endpoint;
}

Status ZmqSocket::connect(const std::string& endpoint) {
  if (zmq_connect(state_->socket.get(), endpoint.c_str()) == 0) return {};
  return zmq_status("connect", "endpoint=" + endpoint);
}

// --- sending ---

Status ZmqSocket::State::send_part(zmq_msg_t& part, int flags) {
  int result = 0;
  do {
    result = zmq_msg_send(&part, socket.get(), flags | ZMQ_DONTWAIT);
  } while (result < 0 && zmq_errno() == EINTR);
  if (result >= 0) return {};
  if (zmq_errno() == EAGAIN) return resource_exhausted("the peer's send buffer is full");
  return zmq_status("send");
}

// Only the first part can be refused: what follows belongs to the same message, and ZeroMQ keeps a
// message whole.
Status ZmqSocket::begin(std::string_view identity) {
  const bool is_router = state_->type == ZmqType::kRouter;
  if (is_router == identity.empty()) {
    return invalid_argument("a ROUTER needs an identity, a DEALER has none");
  }
  if (!is_router) return {};
  zmq_msg_t part;
  zmq_msg_init_size(&part, identity.size());
  std::copy(identity.begin(), identity.end(), static_cast<char*>(zmq_msg_data(&part)));
  Status status = state_->send_part(part, ZMQ_SNDMORE);
  zmq_msg_close(&part);
  return status;
}

Status ZmqSocket::send_frame(std::string_view identity, ZmqFrame& frame) {
  RETURN_IF_ERROR(begin(identity));
  Status status = state_->send_part(*static_cast<zmq_msg_t*>(frame.native()), 0);
  CHECK(status.ok() || identity.empty(), "ZeroMQ refused the rest of a message it had begun");
  return status;
}

Status ZmqSocket::send_frame(std::string_view identity, ZmqFrame&& frame) {
  return send_frame(identity, frame);
}

Status ZmqSocket::send(const std::string& identity, std::span<const std::string> frames) {
  if (frames.empty()) return invalid_argument("a message needs at least one frame");
  RETURN_IF_ERROR(begin(identity));
  for (size_t i = 0; i < frames.size(); ++i) {
    ZmqFrame frame(frames[i]);
    Status status = state_->send_part(*static_cast<zmq_msg_t*>(frame.native()),
                                      i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    if (status.ok()) continue;
    CHECK(i == 0 && identity.empty(), "ZeroMQ refused the rest of a message it had begun");
    return status;
  }
  return {};
}

Status ZmqSocket::send(const std::string& identity, std::initializer_list<std::string> frames) {
  return send(identity, std::span<const std::string>(frames.begin(), frames.size()));
}

// --- receiving ---

// False: there is nothing. A later part of a message is always there.
Result<bool> ZmqSocket::receive_part(ZmqFrame& part, bool is_first) {
  auto* const message = static_cast<zmq_msg_t*>(part.native());
  while (zmq_msg_recv(message, state_->socket.get(), ZMQ_DONTWAIT) < 0) {
    if (zmq_errno() == EINTR) continue;
    if (zmq_errno() != EAGAIN) return zmq_status("receive");
    CHECK(is_first, "ZeroMQ gave a part of a message");
    return false;
  }
  return true;
}

bool ZmqSocket::has_more(const ZmqFrame& part) {
  return zmq_msg_more(static_cast<const zmq_msg_t*>(part.native())) != 0;
}

Result<bool> ZmqSocket::receive_frame(ZmqMessage& message) {
  ASSIGN_OR_RETURN(const bool has_one, receive_part(message.frame, true));
  if (!has_one) return false;
  message.frame_count = 1;
  if (state_->type == ZmqType::kRouter) {
    message.identity.assign(message.frame.bytes());
    message.frame_count = 0;
    if (!has_more(message.frame)) return true;
    ASSIGN_OR_RETURN(const bool has_body, receive_part(message.frame, false));
    message.frame_count = has_body ? 1 : 0;
  }
  if (!has_more(message.frame)) return true;
  ZmqFrame rest;
  do {
    RETURN_IF_ERROR(receive_part(rest, false).error());
    ++message.frame_count;
  } while (has_more(rest));
  return true;
}

Result<std::optional<std::vector<std::string>>> ZmqSocket::receive() {
  std::vector<std::string> frames;
  ZmqFrame part;
  do {
    ASSIGN_OR_RETURN(const bool has_part, receive_part(part, frames.empty()));
    if (!has_part) return std::optional<std::vector<std::string>>();
    frames.emplace_back(part.bytes());
  } while (has_more(part));
  return std::optional<std::vector<std::string>>(std::move(frames));
}

ZmqLink ZmqSocket::link() {
  CHECK(state_->watch != nullptr, "link() of a socket that is not a watched DEALER");
  return state_->watch->link();
}

ZmqRefusals ZmqSocket::refusals() const {
  CHECK(state_->guard != nullptr, "refusals() of a socket that is not a watched ROUTER");
  return state_->guard->refusals();
}

const std::string& ZmqSocket::bound_endpoint() const { return state_->bound_endpoint; }

// --- waiting ---

struct PollAccess {
  static void* handle(ZmqSocket& socket) { return socket.state_->socket.get(); }
};

Result<int> poll(std::span<PollItem> items, std::chrono::milliseconds timeout) {
  // Each turn of a service's loop comes by here: no memory is asked for where a few items are few.
  std::array<zmq_pollitem_t, 8> few{};
  std::vector<zmq_pollitem_t> many(items.size() > few.size() ? items.size() : 0);
  zmq_pollitem_t* const native = many.empty() ? few.data() : many.data();
  for (size_t i = 0; i < items.size(); ++i) {
    const int events = items[i].wants_write ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN;
    void* const handle =
        items[i].socket != nullptr ? PollAccess::handle(*items[i].socket) : nullptr;
    native[i] = {handle, items[i].fd, static_cast<short>(events), 0};
  }
  const int count = zmq_poll(native, static_cast<int>(items.size()), timeout.count());
  for (size_t i = 0; i < items.size(); ++i) {
    // A broken descriptor is "readable", so that its owner reads and sees the error.
    items[i].is_readable = count > 0 && (native[i].revents & (ZMQ_POLLIN | ZMQ_POLLERR)) != 0;
    items[i].is_writable = count > 0 && (native[i].revents & ZMQ_POLLOUT) != 0;
  }
  if (count >= 0) return count;
  if (zmq_errno() == EINTR) return 0;
  return zmq_status("poll");
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
