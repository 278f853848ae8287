#include "base/zmq_guard.h"

#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/log.h"

namespace verbatim::base {
namespace {

constexpr const char* kKeyQuestions = "inproc://zeromq.zap.01";
constexpr size_t kKeyBytes = 32;
constexpr size_t kKeyTextBytes = 40;
// As much of a public key as a log shows.
constexpr size_t kKeyShownBytes = 8;
// One handshake that ends without a word may be a server that is being restarted.
constexpr int kSilentEndMax = 2;

constexpr int kRouterEvents = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_MONITOR_STOPPED;
constexpr int kDealerEvents = ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED |
                              ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_SUCCEEDED;

// One message with all its frames; nothing when there is none.
std::optional<std::vector<std::string>> receive_all(void* socket) {
  std::vector<std::string> frames;
  zmq_msg_t frame;
  zmq_msg_init(&frame);
  bool has_more = true;
  while (has_more && zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0) {
    frames.emplace_back(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
    has_more = zmq_msg_more(&frame) != 0;
  }
  zmq_msg_close(&frame);
  if (frames.empty()) return std::nullopt;
  return frames;
}

struct Event {
  int kind = 0;
  uint32_t value = 0;
  std::string endpoint;
};

// zmq_socket_monitor(3): 16 bits of event and 32 of value in the machine's order, then the
// endpoint.
std::optional<Event> receive_event(void* socket) {
  const auto frames = receive_all(socket);
  if (!frames || frames->size() != 2 || (*frames)[0].size() != 6) return std::nullopt;
  Event event;
  uint16_t kind = 0;
  std::memcpy(&kind, (*frames)[0].data(), sizeof(kind));
  std::memcpy(&event.value, (*frames)[0].data() + sizeof(kind), sizeof(event.value));
  event.kind = kind;
  event.endpoint = (*frames)[1];
  return event;
}

Result<ZmqHandle> watch(void* context, void* socket, int events) {
  static std::atomic<uint64_t> next_number{0};
  const std::string endpoint = "inproc://verbatim.events." + std::to_string(next_number++);
  if (zmq_socket_monitor(socket, endpoint.c_str(), events) != 0) return zmq_status("monitor");
  ZmqHandle reader(zmq_socket(context, ZMQ_PAIR));
  if (reader == nullptr) return zmq_status("create");
  RETURN_IF_ERROR(set_zmq_option(reader.get(), ZMQ_LINGER, 0));
  // ZeroMQ's own thread waits for a reader that is slow.
  RETURN_IF_ERROR(set_zmq_option(reader.get(), ZMQ_RCVHWM, 0));
  if (zmq_connect(reader.get(), endpoint.c_str()) != 0) return zmq_status("connect");
  return reader;
}

Result<ZmqHandle> bind_key_questions(void* context) {
  ZmqHandle keys(zmq_socket(context, ZMQ_REP));
  if (keys == nullptr) return zmq_status("create");
  RETURN_IF_ERROR(set_zmq_option(keys.get(), ZMQ_LINGER, 0));
  if (zmq_bind(keys.get(), kKeyQuestions) != 0) return zmq_status("bind", kKeyQuestions);
  return keys;
}

std::string why_failed(const Event& event) {
  if (event.kind == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL) {
    return "the client broke it off, as one without CURVE does, or with another server_public_key";
  }
  if (event.value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) {
    return "one side speaks CURVE and the other does not";
  }
  if (event.value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC) {
    return "the client has another server_public_key than ours";
  }
  return "it broke ZeroMQ's protocol";
}

std::string left_out(uint64_t count) {
  return count == 0 ? "" : " (and " + std::to_string(count) + " more of the kind before)";
}

}  // namespace

// --- ROUTER ---

Result<std::unique_ptr<ZmqGuard>> ZmqGuard::start(void* context, void* socket,
                                                  const ZmqCurve* curve) {
  std::unique_ptr<ZmqGuard> guard(new ZmqGuard());
  if (curve != nullptr) {
    for (const ZmqAllowedKey& key : curve->allowed) {
      std::string bytes(kKeyBytes, '\0');
      const bool is_key = key.public_key.size() == kKeyTextBytes &&
                          zmq_z85_decode(reinterpret_cast<uint8_t*>(bytes.data()),
                                         key.public_key.c_str()) != nullptr;
      if (!is_key) return invalid_argument("not a key of 40 characters name=" + key.name);
      guard->names_[bytes] = key.name;
    }
    ASSIGN_OR_RETURN(guard->keys_, bind_key_questions(context));
  }
  ASSIGN_OR_RETURN(guard->events_, watch(context, socket, kRouterEvents));
  ZmqGuard* self = guard.get();
  self->thread_ = std::thread([self] { self->run(); });
  return guard;
}

ZmqGuard::~ZmqGuard() {
  stop_.wake();
  if (thread_.joinable()) thread_.join();
}

void ZmqGuard::run() {
  std::array<zmq_pollitem_t, 3> items{{{nullptr, stop_.fd(), ZMQ_POLLIN, 0},
                                       {events_.get(), 0, ZMQ_POLLIN, 0},
                                       {keys_.get(), 0, ZMQ_POLLIN, 0}}};
  const int count = keys_ != nullptr ? 3 : 2;
  while (true) {
    if (zmq_poll(items.data(), count, -1) < 0 && zmq_errno() != EINTR) return;
    if ((items[0].revents & ZMQ_POLLIN) != 0) return;
    if (keys_ != nullptr) answer_key();
    on_event();
  }
}

void ZmqGuard::answer_key() {
  const auto question = receive_all(keys_.get());
  if (!question) return;
  // version, request id, domain, address, identity, mechanism, credentials
  const bool is_curve =
      question->size() == 7 && (*question)[5] == "CURVE" && (*question)[6].size() == kKeyBytes;
  const auto name = is_curve ? names_.find((*question)[6]) : names_.end();
  const bool is_known = name != names_.end();
  const std::array<std::string, 6> answer{"1.0",
                                          question->size() > 1 ? (*question)[1] : std::string(),
                                          is_known ? "200" : "400",
                                          is_known ? "OK" : "this key is not on the list",
                                          is_known ? name->second : std::string(),
                                          {}};
  for (size_t i = 0; i < answer.size(); ++i) {
    zmq_send(keys_.get(), answer[i].data(), answer[i].size(),
             i + 1 < answer.size() ? ZMQ_SNDMORE : 0);
  }
  if (is_known) return;
  ++unknown_key_;
  log_unknown_key(question->size() > 3 ? (*question)[3] : "", is_curve ? (*question)[6] : "");
}

void ZmqGuard::log_unknown_key(const std::string& address, const std::string& public_key) {
  const auto more = key_limit_.pass(system_clock().monotonic());
  if (!more) return;
  std::array<char, kKeyTextBytes + 1> text{};
  if (!public_key.empty()) {
    zmq_z85_encode(text.data(), reinterpret_cast<const uint8_t*>(public_key.data()), kKeyBytes);
  }
  LOG_ERROR(
      "a client was refused: its key is not on the list public_key={}... address={}; if it is one "
      "of ours, its key belongs into the configuration{}",
      std::string_view(text.data()).substr(0, kKeyShownBytes), address, left_out(*more));
}

void ZmqGuard::on_event() {
  while (const auto event = receive_event(events_.get())) {
    const bool is_failure = event->kind == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL ||
                            event->kind == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
    if (is_failure) log_bad_handshake(event->endpoint, why_failed(*event));
  }
}

void ZmqGuard::log_bad_handshake(const std::string& endpoint, const std::string& why) {
  ++bad_handshake_;
  const auto more = handshake_limit_.pass(system_clock().monotonic());
  if (!more) return;
  LOG_ERROR("a client was refused: its handshake failed endpoint={}: {}{}", endpoint, why,
            left_out(*more));
}

// --- DEALER ---

Result<std::unique_ptr<ZmqLinkWatch>> ZmqLinkWatch::start(void* context, void* socket,
                                                          bool is_curve) {
  std::unique_ptr<ZmqLinkWatch> result(new ZmqLinkWatch(is_curve));
  ASSIGN_OR_RETURN(result->events_, watch(context, socket, kDealerEvents));
  return result;
}

ZmqLink ZmqLinkWatch::link() {
  while (const auto event = receive_event(events_.get())) on_event(event->kind, event->value);
  return link_;
}

void ZmqLinkWatch::on_event(int event, uint32_t value) {
  switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      silent_end_count_ = 0;
      link_ = ZmqLink::kConnected;
      return;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      link_ = ZmqLink::kKeyRefused;
      return;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      link_ = value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH ? ZmqLink::kNotCurve
                                                                  : ZmqLink::kWrongKey;
      return;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      if (++silent_end_count_ < kSilentEndMax) return;
      link_ = is_curve_ ? ZmqLink::kWrongKey : ZmqLink::kNotCurve;
      return;
    case ZMQ_EVENT_CLOSED:  // nobody listens there
      silent_end_count_ = 0;
      link_ = ZmqLink::kConnecting;
      return;
    default:  // an end after a failed handshake says nothing new
      if (link_ == ZmqLink::kConnected) link_ = ZmqLink::kConnecting;
  }
}

}  // namespace verbatim::base
