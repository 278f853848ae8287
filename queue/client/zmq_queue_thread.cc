#include <algorithm>
#include <random>
#include <utility>

#include "base/frame.h"
#include "base/log.h"
#include "queue/client/zmq_queue_client_impl.h"

namespace verbatim::queue {
namespace {

using base::MutexLock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds kPollMax{100};
// While an answer is due the service is asked more often whether it still knows us.
constexpr milliseconds kAnxiousInterval{200};
// What is given back waits for no connection: its lease would be gone.
constexpr milliseconds kGiveBackWait{100};
// Of the service's credit, for hello, open and heartbeat.
constexpr int64_t kCreditReserve = 4;

constexpr std::string_view kNoAnswer = "no answer";

std::string random_bytes(size_t count) {
  std::random_device device;
  std::string bytes;
  while (bytes.size() < count) bytes.push_back(static_cast<char>(device()));
  return bytes;
}

}  // namespace

void ZmqQueueClient::run() {
  while (true) {
    wait_for_work();
    if (take_work()) break;
    read_frames();
    watch();
    pipeline_.expire(clock_.monotonic());
    send_all();
    publish_state();
    run_callbacks();
  }
  pipeline_.end_all(StatusCode::kCancelled, "the queue client is stopped");
  consumer_calls_.end_all(cancelled("the queue client is stopped"));
  run_callbacks();
  socket_.reset();
  MutexLock lock(mutex_);
  has_ended_ = true;
  changed_.notify_all();
}

void ZmqQueueClient::wait_for_work() {
  milliseconds timeout = poll_timeout();
  {
    MutexLock lock(mutex_);
    const bool has_work =
        !incoming_puts_.empty() || !incoming_calls_.empty() || wish_ || is_stopping_;
    if (has_work) timeout = milliseconds(0);
    is_asleep_ = !has_work;
    asleep_until_ = clock_.monotonic() + timeout;
    wanted_ = pipeline_.wanted();
  }
  base::PollItem items[2] = {{.fd = waker_.fd()}};
  const bool has_socket = socket_ && !is_redialling_;
  if (has_socket) items[1].socket = socket_.get();
  const auto polled = base::poll(std::span(items, has_socket ? 2 : 1), timeout);
  if (!polled) LOG_ERROR("queue client: polling failed: {}", polled.error().to_string());
  if (items[0].is_readable) waker_.clear();
}

milliseconds ZmqQueueClient::poll_timeout() const {
  nanoseconds due = std::min(pipeline_.next_due(), producer_.next_due());
  if (is_known_) due = std::min(due, subscription_.next_due());
  const auto left = std::min<nanoseconds>(due - clock_.monotonic(), kPollMax);
  return std::max(std::chrono::ceil<milliseconds>(left), milliseconds(0));
}

// True when the client is to stop.
bool ZmqQueueClient::take_work() {
  bool is_stopping = false;
  {
    MutexLock lock(mutex_);
    is_asleep_ = false;
    puts_.swap(incoming_puts_);
    incoming_bytes_ = 0;
    calls_.swap(incoming_calls_);
    is_stopping = is_stopping_;
  }
  for (PipelinePut& put : puts_) pipeline_.add(std::move(put));
  for (ConsumerCall& call : calls_) consumer_calls_.add(std::move(call));
  puts_.clear();
  calls_.clear();
  producer_.end_puts_if_barred();
  apply_wish();
  return is_stopping;
}

void ZmqQueueClient::apply_wish() {
  std::optional<Wish> wish;
  {
    MutexLock lock(mutex_);
    if (!wish_) return;
    wish.swap(wish_);
    wish_taken_count_ = wish_count_;
    changed_.notify_all();
  }
  if (wish->on_lease) {
    subscription_.start(wish->options, std::move(wish->on_lease));
  } else {
    subscription_.end();
  }
}

void ZmqQueueClient::run_callbacks() {
  pipeline_.take_ended(ended_puts_);
  consumer_calls_.take_ended(ended_calls_);
  if (ended_puts_.empty() && ended_calls_.empty()) return;
  size_t bytes = 0;
  for (const PutPipeline::Ended& one : ended_puts_) bytes += one.bytes;
  {
    // First, so that who is woken finds the room.
    MutexLock lock(mutex_);
    held_bytes_ -= bytes;
    call_count_ -= ended_calls_.size();
  }
  for (ConsumerCalls::Ended& one : ended_calls_) one.callback(std::move(one.answer));
  for (PutPipeline::Ended& one : ended_puts_) {
    if (one.callback) one.callback(std::move(one.outcome));
  }
  ended_calls_.clear();
  ended_puts_.clear();
}

void ZmqQueueClient::publish_state() {
  ClientState state = current_state();
  if (state.condition == published_.condition && state.sentence == published_.sentence) return;
  published_ = state;
  MutexLock lock(mutex_);
  state_ = std::move(state);
}

ClientState ZmqQueueClient::current_state() const {
  if (is_barred_) {
    return {.condition = ClientCondition::kNotPermitted,
            .sentence = "the queue service does not permit this client: " + trouble_};
  }
  if (!is_known_ && !producer_.is_fenced()) {
    return {.condition = ClientCondition::kConnecting,
            .sentence = "connecting to the queue service address=" + options_.address + ": " +
                        (link_.trouble().empty() ? trouble_ : link_.trouble())};
  }
  return producer_.state();
}

// --- connection ---

Status ZmqQueueClient::connect() {
  socket_.reset();
  base::ZmqOptions zmq;
  zmq.frame_size_max_bytes = -1;
  zmq.curve = options_.curve;
  zmq.is_watched = true;
  ASSIGN_OR_RETURN(auto socket, base::ZmqSocket::create(context_, base::ZmqType::kDealer, zmq));
  socket_ = std::make_unique<base::ZmqSocket>(std::move(socket));
  RETURN_IF_ERROR(socket_->connect(options_.address));
  v1::QueueFrame frame;
  frame.mutable_hello()->set_client(options_.client_name);
  // A new instance for each connection: leases whose answers were lost with the old one end.
  frame.mutable_hello()->set_instance(random_bytes(16));
  step_id_ = send_step(std::move(frame));
  return {};
}

void ZmqQueueClient::reconnect(std::string_view why) {
  if (is_known_) {
    LOG_WARN("queue client: connecting again client={} reason={}", options_.client_name, why);
    retry_ = options_.retry_min;
  }
  trouble_ = why;
  is_known_ = false;
  step_id_ = 0;
  pipeline_.on_disconnected();
  producer_.on_disconnected();
  consumer_calls_.on_disconnected();
  subscription_.on_disconnected();
  retry_at_ = clock_.monotonic() + retry_;
  retry_ = std::min(retry_ * 2, options_.retry_max);
  is_redialling_ = true;
}

// Why no put can go out, as far as is known.
std::string ZmqQueueClient::obstacle() const {
  if (is_known_) return producer_.state().sentence;
  if (!link_.trouble().empty() || trouble_ == kNoAnswer) return link_.trouble();
  return "not connected to the queue service: " + trouble_;
}

// Timers: the next attempt, answers that are overdue, heartbeats.
void ZmqQueueClient::watch() {
  const auto now = clock_.monotonic();
  if (!is_known_ && socket_) link_.look_at(socket_->link());
  if (!is_known_) consumer_calls_.expire(now, link_.trouble());
  if (!is_known_ || producer_.is_refused()) pipeline_.set_obstacle(obstacle());
  if (is_redialling_) {
    if (now < retry_at_) return;
    is_redialling_ = false;
    if (const Status status = connect(); !status.ok()) reconnect(status.message());
    return;
  }
  // A hello waits for no disk; a producer's step does.
  const nanoseconds patience =
      is_known_ ? options_.answer_timeout : std::max(retry_, kAnxiousInterval);
  if (step_id_ != 0 && now - step_sent_ > patience) return reconnect(kNoAnswer);
  if (!is_known_) return;
  if (pipeline_.trouble() == PutPipeline::Trouble::kResync) return reconnect("out of step");
  if (pipeline_.trouble() == PutPipeline::Trouble::kFenced) producer_.fence();
  watch_answers(now);
}

void ZmqQueueClient::watch_answers(nanoseconds now) {
  const auto oldest = pipeline_.oldest_sent();
  const bool is_overdue = oldest && now - *oldest > options_.answer_timeout;
  if (is_overdue || consumer_calls_.is_overdue(now)) return reconnect("answer overdue");
  const bool is_anxious =
      (oldest && now - *oldest > kAnxiousInterval) || consumer_calls_.has_sent() || step_id_ != 0;
  const auto interval = is_anxious ? std::min(kAnxiousInterval, options_.heartbeat_interval)
                                   : options_.heartbeat_interval;
  if (now - last_heartbeat_ < interval) return;
  last_heartbeat_ = now;
  v1::QueueFrame frame;
  frame.mutable_heartbeat();
  send(base::encode_frame(frame));
}

// Gives the step's id; a refused send shows as a missing answer.
uint64_t ZmqQueueClient::send_step(v1::QueueFrame frame) {
  frame.set_request_id(next_request_id_++);
  step_sent_ = clock_.monotonic();
  send(base::encode_frame(frame));
  return frame.request_id();
}

bool ZmqQueueClient::send(std::string frame) {
  return socket_->send_frame("", base::ZmqFrame(std::move(frame))).ok();
}

void ZmqQueueClient::send_all() {
  if (!is_known_ || is_redialling_) return;
  const auto now = clock_.monotonic();
  if (step_id_ == 0) {
    if (auto frame = producer_.next_step(now, clock_.unix_now_ns())) {
      step_id_ = send_step(*std::move(frame));
    }
  }
  const auto send_from = [&](auto& origin) {
    while (auto frame = origin.next_frame(now, next_request_id_)) {
      if (!send(*std::move(frame))) return false;
    }
    return true;
  };
  if (!send_from(pipeline_) || !send_from(consumer_calls_) || !send_from(subscription_)) {
    reconnect("a send was refused");
  }
}

void ZmqQueueClient::read_frames() {
  while (socket_ && !is_redialling_) {
    const auto has_one = socket_->receive_frame(message_);
    if (!has_one) return reconnect(has_one.error().message());
    if (!*has_one) return;
    v1::QueueFrame frame;
    if (message_.frame_count != 1 || !base::decode_frame(message_.frame.bytes(), frame).ok()) {
      return reconnect("an answer cannot be read");
    }
    on_frame(frame);
  }
}

void ZmqQueueClient::on_frame(v1::QueueFrame& frame) {
  if (frame.has_refused() && frame.refused().reason() == v1::REFUSAL_REASON_HELLO_WANTED) {
    // If it answers a put, that is not stored.
    pipeline_.on_reply(frame, clock_.monotonic());
    return reconnect("the service does not know us");
  }
  if (frame.request_id() == step_id_ && step_id_ != 0) {
    step_id_ = 0;
    if (!is_known_) return on_hello_answer(frame);
    return producer_.on_step(frame, clock_.monotonic());
  }
  if (!is_known_ || pipeline_.on_reply(frame, clock_.monotonic()) ||
      consumer_calls_.on_reply(frame)) {
    return;
  }
  on_push_answer(frame);
}

void ZmqQueueClient::on_hello_answer(const v1::QueueFrame& frame) {
  const bool was_barred = is_barred_;
  is_barred_ = frame.has_refused() && frame.refused().reason() == v1::REFUSAL_REASON_NOT_PERMITTED;
  if (is_barred_ && !was_barred) {
    LOG_ERROR("queue client: kept out client={} address={}: {}", options_.client_name,
              options_.address, frame.refused().detail());
  }
  if (is_barred_) pipeline_.end_all(StatusCode::kPermissionDenied, "the client is not permitted");
  if (!frame.has_hello_reply()) return reconnect("refused: " + frame.refused().detail());
  const v1::QueueHelloReply& hello = frame.hello_reply();
  pipeline_.set_credit(hello.credit_count(), hello.credit_bytes());
  consumer_calls_.set_credit(hello.credit_count() - kCreditReserve -
                             static_cast<int64_t>(pipeline_.in_flight_max_count()));
  link_.look_at(base::ZmqLink::kConnected);
  is_known_ = true;
  retry_ = options_.retry_min;
  last_heartbeat_ = clock_.monotonic();
  MutexLock lock(mutex_);
  message_max_bytes_ = hello.message_max_bytes();
}

void ZmqQueueClient::on_push_answer(v1::QueueFrame& frame) {
  // A callback of this round may have ended the subscription.
  apply_wish();
  switch (subscription_.on_reply(frame, clock_.monotonic())) {
    case Subscription::Answer::kPush:
      return subscription_.callback()(take_lease(*frame.mutable_receive_reply()));
    case Subscription::Answer::kEnded: {
      const LeaseCallback callback = subscription_.callback();
      subscription_.end();
      return callback(status_of(frame.refused()));
    }
    case Subscription::Answer::kGiveBack:
      return give_back(frame.receive_reply().lease_id());
    case Subscription::Answer::kNone:
      return;
  }
}

void ZmqQueueClient::give_back(uint64_t lease_id) {
  {
    MutexLock lock(mutex_);
    ++call_count_;
  }
  const Settlement untried{
      .kind = Settlement::Kind::kAbort, .lease_id = lease_id, .is_untried = true};
  consumer_calls_.add({.frame = to_frame(untried, options_.queue),
                       .wait = options_.answer_timeout,
                       .connect_until = clock_.monotonic() + kGiveBackWait,
                       .done = [](const auto&) {}});
}

}  // namespace verbatim::queue
