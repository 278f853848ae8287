#include "processor/hub/adapter_channel.h"

#include <algorithm>

#include "base/log.h"

namespace verbatim::processor {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr size_t kInboxMaxCount = 1'024;
constexpr nanoseconds kIdle = std::chrono::seconds(60);
constexpr milliseconds kRoomInterval{200};

}  // namespace

AdapterChannel::AdapterChannel(Staging& staging, ChannelOptions options, const base::Clock& clock)
    : staging_(staging),
      options_(std::move(options)),
      clock_(clock),
      epoch_(staging.epoch()),
      jitter_(std::hash<std::string>()(options_.adapter)) {}

void AdapterChannel::attach(std::shared_ptr<Session> session) {
  session->heard_at(clock_.monotonic());
  post({std::move(session), Attached{}});
}

void AdapterChannel::detach(const std::shared_ptr<Session>& session) {
  session->close(cancelled("the adapter's stream has ended"));
  post({session, Detached{}});
}

void AdapterChannel::receive(const std::shared_ptr<Session>& session, v1::FromAdapter message) {
  session->heard_at(clock_.monotonic());
  if (message.kind_case() == v1::FromAdapter::kHeartbeat || session->is_closed()) return;
  post({session, std::move(message)});
}

void AdapterChannel::post(Input input) {
  base::MutexLock lock(mutex_);
  const bool is_detach = std::holds_alternative<Detached>(input.what);
  if (!closed_.ok()) {
    input.session->close(closed_);
  } else if (inbox_.size() + held_count_ >= kInboxMaxCount && !is_detach) {
    input.session->close(resource_exhausted("too many messages wait for the hub"));
  } else {
    inbox_.push_back(std::move(input));
  }
  changed_.notify_all();
}

void AdapterChannel::poke() {
  base::MutexLock lock(mutex_);
  is_poked_ = true;
  changed_.notify_all();
}

void AdapterChannel::set_draining(bool is_draining) {
  is_draining_ = is_draining;
  poke();
}

void AdapterChannel::wait(nanoseconds timeout) {
  base::MutexLock lock(mutex_);
  changed_.wait_for(mutex_, timeout,
                    [this]() REQUIRES(mutex_) { return is_poked_ || !inbox_.empty(); });
  is_poked_ = false;
}

ChannelStatus AdapterChannel::status() const {
  base::MutexLock lock(mutex_);
  return status_;
}

void AdapterChannel::close_all(const Status& reason) {
  base::MutexLock lock(mutex_);
  closed_ = reason;
  is_poked_ = true;
  changed_.notify_all();
}

nanoseconds AdapterChannel::step() {
  wait_ = kIdle;
  std::deque<Input> inbox;
  Status closed;
  {
    base::MutexLock lock(mutex_);
    inbox.swap(inbox_);
    closed = closed_;
  }
  const bool has_room = !options_.has_room || options_.has_room();
  handle_all(std::move(inbox), has_room);
  if (!closed.ok()) {
    for (const auto& session : sessions_) session->close(closed);
  }
  drop_gone_sessions();
  choose_active();
  beat();
  if (has_room) {
    deliver();
  } else {
    last_reason_ = "the disk of the staging store is full";
    due_in(kRoomInterval);
  }
  publish();
  return wait_;
}

void AdapterChannel::handle_all(std::deque<Input> inbox, bool has_room) {
  std::deque<Input> held = std::move(held_);
  held_.clear();
  for (auto* inputs : {&held, &inbox}) {
    for (Input& input : *inputs) {
      if (has_room || !std::holds_alternative<v1::FromAdapter>(input.what)) {
        handle(input);
      } else {
        held_.push_back(std::move(input));
      }
    }
  }
  held_count_ = held_.size();
}

void AdapterChannel::handle(Input& input) {
  if (std::holds_alternative<Attached>(input.what)) {
    handle_attach(input.session);
  } else if (const auto* message = std::get_if<v1::FromAdapter>(&input.what)) {
    handle_message(input.session, *message);
  }
  // A detached session is closed, and dropped with the other closed ones.
}

void AdapterChannel::handle_attach(const std::shared_ptr<Session>& session) {
  const auto acked = staging_.last_acked(options_.adapter);
  if (!acked) {
    session->close(failed_precondition(acked.error().message()));
    return;
  }
  // One that ended in this very step gives way at once.
  std::erase_if(sessions_, [](const auto& other) { return other->is_closed(); });
  v1::ToAdapter message;
  v1::AdapterWelcome& welcome = *message.mutable_welcome();
  welcome.set_store_epoch(epoch_);
  for (const auto& [key, value] : options_.settings) (*welcome.mutable_settings())[key] = value;
  welcome.set_heartbeat_ms(options_.heartbeat.count());
  welcome.set_last_acked_batch(acked->first);
  welcome.set_last_acked_digest(acked->second);
  session->push(std::move(message));
  // The same instance on a new stream: its old one is dead, whatever the network still says.
  const auto same = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& other) {
    return other->hello().instance() == session->hello().instance();
  });
  if (same != sessions_.end()) {
    (*same)->close(aborted("the same instance has attached again"));
    sessions_.insert(same, session);
  } else {
    sessions_.push_back(session);
  }
  if (sessions_.front() != session) {
    v1::ToAdapter standby;
    standby.mutable_activity()->set_is_active(false);
    session->push(std::move(standby));
    LOG_INFO("an instance stands by adapter={}", options_.adapter);
  }
}

void AdapterChannel::drop_gone_sessions() {
  const nanoseconds now = clock_.monotonic();
  for (const auto& session : sessions_) {
    const nanoseconds silent_at = session->last_heard() + options_.silence_max;
    if (now >= silent_at) {
      session->close(deadline_exceeded("no heartbeat from the adapter"));
    } else {
      due_in(silent_at - now);
    }
  }
  std::erase_if(sessions_, [](const auto& session) { return session->is_closed(); });
  if (active_ == nullptr || !active_->is_closed()) return;
  LOG_WARN("the active instance is gone adapter={} reason={}", options_.adapter,
           active_->close_reason().to_string());
  active_.reset();
  // What was sent to it is void; the next instance gets the same bytes.
  sent_.reset();
}

void AdapterChannel::choose_active() {
  if (active_ != nullptr || sessions_.empty()) return;
  active_ = sessions_.front();
  credit_ = 1;
  retry_at_ = nanoseconds(0);
  v1::ToAdapter message;
  v1::Activity& activity = *message.mutable_activity();
  activity.set_is_active(true);
  // Its welcome is as old as its attaching. A removed adapter is sent away by deliver().
  if (const auto acked = staging_.last_acked(options_.adapter)) {
    activity.set_last_acked_batch(acked->first);
    activity.set_last_acked_digest(acked->second);
  }
  active_->push(std::move(message));
  LOG_INFO("an instance is active adapter={}", options_.adapter);
}

void AdapterChannel::beat() {
  if (sessions_.empty()) return;
  const nanoseconds now = clock_.monotonic();
  if (now >= next_beat_) {
    v1::ToAdapter message;
    message.mutable_heartbeat();
    for (const auto& session : sessions_) session->push(message);
    next_beat_ = now + options_.heartbeat;
  }
  due_in(next_beat_ - now);
}

bool AdapterChannel::is_active(const std::shared_ptr<Session>& session) const {
  return session == active_ && active_ != nullptr && !active_->is_closed();
}

void AdapterChannel::due_in(nanoseconds time) {
  wait_ = std::clamp(time, nanoseconds(milliseconds(1)), wait_);
}

void AdapterChannel::end_active(Status reason) {
  LOG_WARN("an adapter's session is ended adapter={} reason={}", options_.adapter,
           reason.to_string());
  last_reason_ = reason.message();
  active_->close(std::move(reason));
}

// Staging's own errors end the service, through Staging::fatal(); what is left concerns one
// adapter.
void AdapterChannel::note_error(const Status& status) {
  last_reason_ = status.message();
  if (status.code() == StatusCode::kDataLoss) {
    is_damaged_ = true;
    LOG_ERROR("a batch cannot be delivered, a person is needed adapter={}: {}", options_.adapter,
              status.to_string());
  } else {
    LOG_WARN("the hub cannot go on now adapter={}: {}", options_.adapter, status.to_string());
    due_in(milliseconds(200));
  }
}

void AdapterChannel::publish() {
  ChannelStatus now;
  now.retry_count = retry_count_;
  now.last_reason = last_reason_;
  now.session_count = sessions_.size();
  now.is_damaged = is_damaged_;
  if (active_ != nullptr) {
    now.instance = active_->hello().instance();
    now.software = active_->hello().software();
    now.state = "active";
    if (retry_at_ > clock_.monotonic()) now.state = "retrying";
    if (is_too_old_) now.state = "adapter too old";
  }
  if (is_paused_ || is_damaged_) now.state = "paused";
  base::MutexLock lock(mutex_);
  status_ = std::move(now);
}

}  // namespace verbatim::processor
