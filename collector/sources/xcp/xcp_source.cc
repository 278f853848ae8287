#include "collector/sources/xcp/xcp_source.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "collector/sources/xcp/codec/verbatim_codec.h"

namespace verbatim::collector {
namespace {

using State = XcpLink::State;

constexpr int kPollMs = 50;
constexpr size_t kReadBytes = 64 << 10;
constexpr auto kLastWordsMax = std::chrono::seconds(1);
// One line at most in that time about peers that were turned away.
constexpr auto kRefusalLogEvery = std::chrono::seconds(1);
constexpr uint64_t kListenerTag = 0;
constexpr uint64_t kWakeTag = UINT64_MAX;

bool is_waiting(const XcpLink& link) { return link.state() != State::kActive; }

XcpLinkOptions link_options(const v1::XcpSource& config, const EventCodec& codec) {
  XcpLinkOptions options;
  options.component = config.component();
  options.secret = config.secret();
  options.payload_ns = codec.ns();
  options.stanza_max_bytes = static_cast<size_t>(config.stanza_max_bytes());
  options.send_component_presence = config.send_component_presence();
  options.is_reverse_allowed = config.accept_reverse_handshake();
  return options;
}

void add_to_poll(const FileDescriptor& poll, int socket, uint32_t interest, uint64_t tag) {
  epoll_event event = {};
  event.events = interest;
  event.data.u64 = tag;
  CHECK(::epoll_ctl(poll.get(), EPOLL_CTL_ADD, socket, &event) == 0, "a new socket can be polled");
}

}  // namespace

XcpSource::XcpSource(const v1::XcpSource& config, Broker& broker, std::unique_ptr<EventCodec> codec)
    : config_(config),
      broker_(broker),
      codec_(codec != nullptr ? std::move(codec) : std::make_unique<VerbatimCodec>()) {}

XcpSource::~XcpSource() { stop(std::chrono::milliseconds(0)); }

const std::string& XcpSource::protocol() const {
  static const std::string name = "xcp";
  return name;
}

Status XcpSource::start() {
  ASSIGN_OR_RETURN(const base::NetAddress address, base::parse_net_address(config_.listen()));
  if (!base::is_loopback(address) && config_.plain() != "accepted") {
    return invalid_argument("xcp listens on loopback only, unless plain = \"accepted\"");
  }
  ASSIGN_OR_RETURN(listener_, listen_tcp(address));
  bound_address_ = bound_address_of(listener_);
  poll_ = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
  wake_ = FileDescriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!poll_.is_open() || !wake_.is_open()) return unavailable("no descriptors for the poll");
  add_to_poll(poll_, listener_.get(), EPOLLIN, kListenerTag);
  add_to_poll(poll_, wake_.get(), EPOLLIN, kWakeTag);
  flow_ = std::make_unique<EventFlow>(
      EventFlowOptions{.source_name = config_.name()}, broker_, *codec_,
      [this](uint64_t link, const Xdb& xdb, const Reply& reply) { return send(link, xdb, reply); },
      [this] { wake(); });
  state_since_unix_ns_ = broker_.clock().unix_now_ns();
  down_since_unix_ns_ = state_since_unix_ns_;
  publish_info();
  thread_ = std::thread([this] { run(); });
  LOG_INFO("xcp source listens name={} address={}", config_.name(), bound_address_);
  return {};
}

void XcpSource::stop(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return;
  {
    base::MutexLock lock(mutex_);
    is_stop_asked_ = true;
    patience_ = patience;
  }
  wake();
  thread_.join();
  flow_.reset();
}

std::vector<v1::SourceInfo> XcpSource::info() const {
  base::MutexLock lock(mutex_);
  return {info_};
}

void XcpSource::wake() const {
  const uint64_t one = 1;
  // A full counter wakes as well.
  if (::write(wake_.get(), &one, sizeof one) < 0) return;
}

void XcpSource::run() {
  while (!is_finished()) {
    wait_and_read();
    flow_->run_completions();
    serve_all();
    flow_->tick(broker_.clock().monotonic());
    publish_info();
  }
  for (auto& [number, connection] : connections_) note_closed(connection);
  connections_.clear();
  if (down_since_unix_ns_) report_outage("until the collector stopped");
  flow_->finish();
  publish_info();
}

bool XcpSource::is_finished() {
  const auto now = broker_.clock().monotonic();
  if (!is_stopping_) {
    base::MutexLock lock(mutex_);
    if (!is_stop_asked_) return false;
    stop_at_ = now + patience_;
  }
  if (!is_stopping_) begin_stop();
  if (!is_finishing_ && (flow_->in_flight_count() == 0 || now >= stop_at_)) {
    is_finishing_ = true;
    stop_at_ = now + kLastWordsMax;
    for (auto& [number, connection] : connections_) connection.link->finish();
  }
  return is_finishing_ && (connections_.empty() || now >= stop_at_);
}

// The link's end is ours: no outage of the node's begins here.
void XcpSource::begin_stop() {
  is_stopping_ = true;
  listener_.close();
  for (auto& [number, connection] : connections_) connection.link->drain("the collector stops");
}

void XcpSource::wait_and_read() {
  std::array<epoll_event, 64> events;
  const int count =
      ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), kPollMs);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.u64 == kListenerTag) {
      accept_all();
    } else if (event.data.u64 == kWakeTag) {
      uint64_t ignored = 0;
      if (::read(wake_.get(), &ignored, sizeof ignored) < 0) continue;
    } else if (const auto found = connections_.find(event.data.u64); found != connections_.end()) {
      if ((event.events & EPOLLIN) != 0) read(found->second);
      if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) {
        found->second.is_broken = true;
        found->second.link->on_end_of_input();
      }
    }
  }
}

void XcpSource::accept_all() {
  XcpLinkObserver& observer = *this;
  for (size_t i = 0; i < kWaitingMaxCount && listener_.is_open(); ++i) {
    FileDescriptor socket = accept_tcp(listener_);
    if (!socket.is_open()) {
      // Out of descriptors: whoever said nothing yet makes room for whoever comes next.
      if (is_out_of_descriptors()) end_oldest_waiting(1);
      return;
    }
    end_oldest_waiting(kWaitingMaxCount);
    const uint64_t number = ++last_number_;
    Connection connection;
    connection.link = std::make_unique<XcpLink>(number, link_options(config_, *codec_),
                                                broker_.clock().monotonic(), observer);
    connection.interest = EPOLLIN;
    add_to_poll(poll_, socket.get(), EPOLLIN, number);
    connection.socket = std::move(socket);
    connections_.emplace(number, std::move(connection));
  }
}

void XcpSource::end_oldest_waiting(size_t limit) {
  size_t count = 0;
  auto oldest = connections_.end();
  for (auto at = connections_.begin(); at != connections_.end(); ++at) {
    if (!is_waiting(*at->second.link)) continue;
    ++count;
    if (oldest == connections_.end()) oldest = at;
  }
  if (count < limit) return;
  note_closed(oldest->second);
  connections_.erase(oldest);
}

void XcpSource::read(Connection& connection) {
  std::array<char, kReadBytes> buffer;
  const TcpRead got = read_tcp(connection.socket, buffer.data(), buffer.size());
  if (got.is_closed) {
    connection.has_input_ended = true;
    if (!connection.link->wants_input()) return;  // it may still take what is owed to it
    connection.is_broken = true;
    connection.link->on_end_of_input();
  } else {
    connection.link->on_bytes({buffer.data(), got.size});  // ignored once the link is closed
  }
}

void XcpSource::serve_all() {
  for (auto at = connections_.begin(); at != connections_.end();) {
    if (serve(at->second)) {
      ++at;
    } else {
      note_closed(at->second);
      at = connections_.erase(at);
    }
  }
}

bool XcpSource::serve(Connection& connection) {
  XcpLink& link = *connection.link;
  const auto now = broker_.clock().monotonic();
  link.on_tick(now);
  link.pump();
  if (link.state() == State::kDraining && flow_->in_flight_count(link.number()) == 0) link.finish();
  write_output(connection);
  if (connection.is_broken) return false;
  if (link.state() == State::kClosed) {
    note_closed(connection);
    if (!connection.close_at) connection.close_at = now + kLastWordsMax;
    const bool is_done = connection.has_input_ended && link.output().empty();
    if (is_done || now >= *connection.close_at) return false;
    if (link.output().empty() && !connection.is_shut_down) {
      shut_down_write(connection.socket);
      connection.is_shut_down = true;
    }
  }
  set_interest(connection);
  return true;
}

void XcpSource::write_output(Connection& connection) {
  std::string& output = connection.link->output();
  while (!output.empty() && !connection.is_broken) {
    const int64_t written = write_tcp(connection.socket, output);
    if (written == 0) return;
    if (written < 0) {
      connection.is_broken = true;
      connection.link->on_end_of_input();
      return;
    }
    output.erase(0, static_cast<size_t>(written));
  }
}

void XcpSource::set_interest(Connection& connection) {
  const XcpLink& link = *connection.link;
  uint32_t interest = 0;
  // Closed: what the peer still sends is read and dropped, so that it reads our last words.
  const bool is_reading =
      link.state() == State::kClosed ||
      (link.wants_input() && (link.state() != State::kActive || has_room(link)));
  if (is_reading && !connection.has_input_ended) interest |= EPOLLIN;
  if (!connection.link->output().empty()) interest |= EPOLLOUT;
  if (interest == connection.interest) return;
  epoll_event event = {};
  event.events = interest;
  event.data.u64 = link.number();
  CHECK(::epoll_ctl(poll_.get(), EPOLL_CTL_MOD, connection.socket.get(), &event) == 0,
        "a polled socket stays polled");
  connection.interest = interest;
}

bool XcpSource::admit(XcpLink& link) {
  const auto old = connections_.find(active_);
  if (active_ == 0 || old == connections_.end() || active_ == link.number()) return true;
  if (config_.on_conflict() == "refuse-new") return false;
  old->second.link->fail("conflict", "replaced by a newer link");
  note_closed(old->second);
  return true;
}

void XcpSource::on_active(XcpLink& link) {
  active_ = link.number();
  state_reason_ = link.reason();
  state_since_unix_ns_ = broker_.clock().unix_now_ns();
  LOG_INFO("xcp link active source={}", config_.name());
  if (down_since_unix_ns_) report_outage("until the link was active");
}

void XcpSource::report_outage(const std::string& detail) {
  GapReport report{config_.name(), "xcp", {}};
  report.gap.set_start_unix_ns(*down_since_unix_ns_);
  report.gap.set_end_unix_ns(broker_.clock().unix_now_ns());
  report.gap.set_node(flow_->node().empty() ? config_.component() : flow_->node());
  report.gap.set_reason(v1::CaptureGap::REASON_LINK_DOWN);
  report.gap.set_missing_count(-1);
  report.gap.set_detail(detail);
  broker_.submit_gap(report);
  ++outage_count_;
  down_since_unix_ns_.reset();
}

// Once a link.
void XcpSource::note_closed(Connection& connection) {
  if (std::exchange(connection.is_counted_closed, true)) return;
  XcpLink& link = *connection.link;
  flow_->on_link_closed(link.number());
  if (link.number() == active_) {
    active_ = 0;
    state_since_unix_ns_ = broker_.clock().unix_now_ns();
    if (!is_stopping_) down_since_unix_ns_ = state_since_unix_ns_;
  }
  if (active_ == 0) state_reason_ = link.reason();
  if (link.was_active()) {
    LOG_INFO("xcp link gone source={} reason={}", config_.name(), link.reason());
  } else if (link.has_failed()) {
    log_refusal(link.reason());
  }
}

void XcpSource::log_refusal(const std::string& reason) {
  ++unlogged_refusals_;
  const auto now = broker_.clock().monotonic();
  if (now < next_refusal_log_) return;
  next_refusal_log_ = now + kRefusalLogEvery;
  LOG_WARN("xcp links refused source={} count={} last_reason={}", config_.name(),
           std::exchange(unlogged_refusals_, 0), reason);
}

void XcpSource::on_xdb(XcpLink& link, const base::XmlElement& xdb, std::string_view raw) {
  flow_->take(link.number(), xdb, raw);
}

bool XcpSource::has_room(const XcpLink&) const {
  return flow_->in_flight_count() < static_cast<size_t>(config_.in_flight_max_count());
}

bool XcpSource::send(uint64_t number, const Xdb& xdb, const Reply& reply) {
  const auto found = connections_.find(number);
  if (found == connections_.end() || found->second.is_broken) return false;
  XcpLink& link = *found->second.link;
  if (link.state() == State::kClosed) return false;
  link.send(codec_->encode(xdb, reply, link.stream_ns()));
  return true;
}

void XcpSource::publish_info() {
  const EventFlowCounters& counters = flow_->counters();
  base::MutexLock lock(mutex_);
  info_.set_name(config_.name());
  info_.set_protocol(protocol());
  info_.set_listen(bound_address_);
  const bool is_connected = !connections_.empty();
  info_.set_state(active_ != 0   ? v1::SourceInfo::LINK_STATE_ACTIVE
                  : is_connected ? v1::SourceInfo::LINK_STATE_CONNECTED
                                 : v1::SourceInfo::LINK_STATE_GONE);
  info_.set_reason(state_reason_);
  info_.set_since_unix_ns(state_since_unix_ns_);
  info_.set_received_count(counters.received);
  info_.set_accepted_count(counters.accepted);
  info_.set_refused_count(counters.refused);
  info_.set_error_count(counters.errors);
  info_.set_repeat_count(counters.repeats);
  info_.set_gap_count(counters.gaps + outage_count_);
  info_.set_in_flight_count(static_cast<int64_t>(flow_->in_flight_count()));
  info_.set_last_event_unix_ns(counters.last_event_unix_ns);
}

}  // namespace verbatim::collector
