#include "collector/sources/zmq/zmq_source.h"

#include <array>
#include <atomic>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "base/frame.h"
#include "base/log.h"
#include "base/zmq_socket.h"
#include "collector/sources/producer_session.h"

namespace verbatim::collector {
namespace {

const std::string kName = "zmq";
constexpr std::chrono::milliseconds kTickInterval{50};
// Requests taken from the socket before replies are looked after.
constexpr int kReceiveMaxCount = 64;

}  // namespace

struct ZmqSource::State {
  struct Peer {
    std::shared_ptr<ProducerSession> session;
    std::optional<std::string> unsent;  // a frame that the peer's buffer did not take
    std::chrono::nanoseconds last_seen{0};
  };
  // Wakes the loop from sessions, also late ones.
  struct Bell {
    base::Waker waker;
    std::atomic<bool> is_rung{false};
    void ring() {
      if (!is_rung.exchange(true)) waker.wake();
    }
  };

  State(ZmqSourceOptions the_options, Broker& the_broker)
      : options(std::move(the_options)), broker(the_broker), book(the_broker.clock()) {}

  void run();
  void receive();
  void on_frame(const std::string& identity, const std::string& frame);
  void send_replies();
  bool send_reply(const std::string& identity, Peer& peer);
  void drop(const std::string& identity, const std::string& reason);
  void tell_hello_wanted(const std::string& identity, const std::string& reason);
  void drop_silent();
  bool is_idle() const;

  const ZmqSourceOptions options;
  Broker& broker;
  ProducerBook book;
  std::shared_ptr<Bell> bell = std::make_shared<Bell>();
  base::ZmqContext context;
  std::optional<base::ZmqSocket> socket;  // the loop's own after start
  std::map<std::string, Peer> peers;      // the loop's own
  std::string bound;
  std::atomic<bool> is_stopping{false};
  std::atomic<int64_t> patience_ms{0};
  std::thread thread;
};

void ZmqSource::State::run() {
  std::optional<std::chrono::nanoseconds> end;
  auto next_tick = broker.clock().monotonic();
  while (true) {
    std::array<base::PollItem, 2> items{};
    items[0].fd = bell->waker.fd();
    items[1].socket = &*socket;
    const bool is_draining = end.has_value();
    const auto polled =
        base::poll(std::span<base::PollItem>(items).first(is_draining ? 1 : 2), kTickInterval);
    if (!polled.has_value()) {
      LOG_ERROR("zmq source: poll failed: {}", polled.error().to_string());
      return;
    }
    bell->waker.clear();
    bell->is_rung = false;
    if (!is_draining) receive();
    const auto now = broker.clock().monotonic();
    if (now >= next_tick) {
      for (auto& [identity, peer] : peers) peer.session->tick();
      drop_silent();
      next_tick = now + kTickInterval;
    }
    if (is_stopping && !end) end = now + std::chrono::milliseconds(patience_ms);
    if (end && now >= *end) {
      for (auto& [identity, peer] : peers) peer.session->expire_all();
    }
    send_replies();
    if (end && (is_idle() || now >= *end)) return;
  }
}

void ZmqSource::State::receive() {
  for (int i = 0; i < kReceiveMaxCount; ++i) {
    auto message = socket->receive();
    if (!message.has_value()) {
      LOG_ERROR("zmq source: receive failed: {}", message.error().to_string());
      return;
    }
    if (!*message) return;
    const std::vector<std::string>& frames = **message;
    if (frames.size() == 2) {
      on_frame(frames[0], frames[1]);
    } else {
      drop(frames[0], "a message must be one frame");
    }
    if (i + 1 == kReceiveMaxCount) bell->ring();  // there may be more
  }
}

void ZmqSource::State::on_frame(const std::string& identity, const std::string& frame) {
  v1::ZmqSourceFrame decoded;
  if (const Status status = base::decode_frame(frame, decoded); !status.ok()) {
    drop(identity, status.message());
    return;
  }
  if (decoded.kind_case() != v1::ZmqSourceFrame::kRequest) {
    drop(identity, "a frame that is no request");
    return;
  }
  auto found = peers.find(identity);
  const bool is_hello = decoded.request().has_hello();
  if (found != peers.end() && is_hello) {
    // The producer begins anew on the same connection, as it does when told to.
    found->second.session->on_gone("said hello again");
    peers.erase(found);
    found = peers.end();
  }
  if (found == peers.end()) {
    if (!is_hello) {
      tell_hello_wanted(identity, "");
      return;
    }
    if (peers.size() >= options.peers_max_count) {
      tell_hello_wanted(identity, "too many producers");
      return;
    }
    ProducerSession::Options session_options;
    session_options.broker = &broker;
    session_options.book = &book;
    session_options.protocol = kName;
    session_options.node = kName;
    session_options.credit_events = options.credit_events;
    session_options.event_deadline = options.event_deadline;
    Peer peer;
    peer.session = std::make_shared<ProducerSession>(std::move(session_options),
                                                     [rung = bell] { rung->ring(); });
    found = peers.emplace(identity, std::move(peer)).first;
  }
  found->second.last_seen = broker.clock().monotonic();
  const Status status = found->second.session->on_request(std::move(*decoded.mutable_request()));
  if (!status.ok()) drop(identity, status.message());
}

void ZmqSource::State::send_replies() {
  std::vector<std::pair<std::string, std::string>> ended;
  for (auto& [identity, peer] : peers) {
    if (!send_reply(identity, peer)) {
      ended.emplace_back(identity, std::string());
    } else if (const auto status = peer.session->end_status(); status && !status->ok()) {
      ended.emplace_back(identity, status->message());
    }
  }
  for (const auto& [identity, reason] : ended) {
    if (!reason.empty()) {
      drop(identity, reason);
    } else if (const auto found = peers.find(identity); found != peers.end()) {
      found->second.session->on_gone("the connection has ended");
      peers.erase(found);
    }
  }
}

// Sends what is due; false where the peer is gone.
bool ZmqSource::State::send_reply(const std::string& identity, Peer& peer) {
  while (true) {
    if (!peer.unsent) {
      auto reply = peer.session->next_reply();
      if (!reply) return true;
      v1::ZmqSourceFrame frame;
      *frame.mutable_reply() = *std::move(reply);
      peer.unsent = base::encode_frame(frame);
    }
    const Status status = socket->send(identity, {*peer.unsent});
    if (status.code() == StatusCode::kResourceExhausted) return true;  // later
    if (!status.ok()) return false;
    peer.unsent.reset();
  }
}

void ZmqSource::State::drop(const std::string& identity, const std::string& reason) {
  LOG_WARN("zmq source: session ended: {}", reason);
  if (const auto found = peers.find(identity); found != peers.end()) {
    found->second.session->on_gone(reason);
    peers.erase(found);
  }
  tell_hello_wanted(identity, reason);
}

void ZmqSource::State::tell_hello_wanted(const std::string& identity, const std::string& reason) {
  v1::ZmqSourceFrame frame;
  frame.mutable_hello_wanted()->set_reason(reason);
  ignore_error(socket->send(identity, {base::encode_frame(frame)}),
               "a peer that is gone or does not read needs no word; its next frame gets one again");
}

void ZmqSource::State::drop_silent() {
  const auto now = broker.clock().monotonic();
  for (auto place = peers.begin(); place != peers.end();) {
    Peer& peer = place->second;
    if (now - peer.last_seen < options.silence_max || !peer.session->is_idle() || peer.unsent) {
      ++place;
      continue;
    }
    peer.session->on_gone("silent");
    place = peers.erase(place);
  }
}

bool ZmqSource::State::is_idle() const {
  for (const auto& [identity, peer] : peers) {
    if (!peer.session->is_idle() || peer.unsent) return false;
  }
  return true;
}

ZmqSource::ZmqSource(ZmqSourceOptions options, Broker& broker)
    : state_(std::make_unique<State>(std::move(options), broker)) {}

ZmqSource::~ZmqSource() { stop(std::chrono::milliseconds(0)); }

Status ZmqSource::start() {
  base::ZmqOptions options;
  options.frame_size_max_bytes = kRequestMaxBytes;
  ASSIGN_OR_RETURN(auto socket,
                   base::ZmqSocket::create(state_->context, base::ZmqType::kRouter, options));
  ASSIGN_OR_RETURN(state_->bound, socket.bind(state_->options.listen));
  state_->socket.emplace(std::move(socket));
  state_->thread = std::thread([this] { state_->run(); });
  return {};
}

void ZmqSource::stop(std::chrono::milliseconds patience) {
  if (!state_->thread.joinable()) return;
  state_->patience_ms = patience.count();
  state_->is_stopping = true;
  state_->bell->waker.wake();
  state_->thread.join();
  for (auto& [identity, peer] : state_->peers) peer.session->on_gone("the collector is stopping");
  state_->peers.clear();
  state_->socket.reset();
}

std::vector<v1::SourceInfo> ZmqSource::info() const {
  std::vector<v1::SourceInfo> rows = state_->book.info();
  if (rows.empty()) {
    rows.emplace_back();
    rows.back().set_name(kName);
    rows.back().set_state(v1::SourceInfo::LINK_STATE_GONE);
    rows.back().set_reason("no producer has attached yet");
  }
  for (v1::SourceInfo& row : rows) {
    row.set_protocol(kName);
    row.set_listen(state_->bound);
  }
  return rows;
}

const std::string& ZmqSource::name() const { return kName; }
const std::string& ZmqSource::protocol() const { return kName; }
std::string ZmqSource::bound_address() const { return state_->bound; }

}  // namespace verbatim::collector
