#include "queue/client/zmq_queue_client.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "base/curve_keys.h"
#include "base/frame.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/zmq_socket.h"
#include "queue/client/link_report.h"
#include "queue/client/put_pipeline.h"

namespace verbatim::queue {
namespace {

using base::MutexLock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr size_t kNameMaxBytes = 128;
constexpr size_t kSourceKeyMaxBytes = 512;
constexpr size_t kSmallFieldMaxBytes = 4096;
constexpr milliseconds kPollMax{100};
// While an answer is due the service is asked more often whether it still knows us.
constexpr milliseconds kAnxiousInterval{200};
// A consumer's call waits at least so long for a connection.
constexpr milliseconds kCallWaitMin{100};

std::string random_bytes(size_t count) {
  std::random_device device;
  std::string bytes;
  while (bytes.size() < count) bytes.push_back(static_cast<char>(device()));
  return bytes;
}

Status check(const PutRequest& request) {
  if (request.source.empty() || request.source.size() > kNameMaxBytes) {
    return invalid_argument("source is 1 to 128 bytes");
  }
  if (request.source_key.size() > kSourceKeyMaxBytes) {
    return invalid_argument("source_key is longer than 512 bytes");
  }
  if (std::max(request.order_key.size(), request.verdict.size()) > kSmallFieldMaxBytes) {
    return invalid_argument("order_key or verdict is longer than 4096 bytes");
  }
  return {};
}

LinkReport::Facts facts_of(const ZmqQueueClientOptions& options) {
  LinkReport::Facts facts{options.client_name, options.address, ""};
  if (!options.curve) return facts;
  const auto public_key = base::public_curve_key_of(options.curve->secret_key);
  if (public_key) facts.public_key = *public_key;  // else no socket is made with it
  return facts;
}

class ZmqQueueClient final : public QueueClient {
 public:
  explicit ZmqQueueClient(const ZmqQueueClientOptions& options)
      : options_(options),
        clock_(*options.clock),
        link_(facts_of(options)),
        pipeline_({.queue = options.queue,
                   .producer = options.producer,
                   .batch_max_bytes = options.batch_max_bytes,
                   .batch_max_count = options.batch_max_count,
                   .in_flight_max_count = options.in_flight_max_count}),
        retry_(options.retry_min) {}
  ~ZmqQueueClient() override { stop(); }

  Status start() {
    RETURN_IF_ERROR(connect());
    thread_ = std::thread([this] { run(); });
    return {};
  }

  Status put(PutRequest request, nanoseconds deadline, PutCallback done) override {
    RETURN_IF_ERROR(check(request));
    const size_t bytes = PutPipeline::size_of(request);
    MutexLock lock(mutex_);
    if (is_stopping_) return cancelled("the queue client is stopped");
    if (is_fenced_) return failed_precondition("another client uses this producer name");
    if (options_.producer.empty()) return failed_precondition("this client has no producer name");
    if (held_bytes_ + bytes > options_.memory_max_bytes) {
      return resource_exhausted("too many puts wait in the queue client");
    }
    held_bytes_ += bytes;
    incoming_.push_back({std::move(request), deadline, std::move(done)});
    if (incoming_.size() == 1) waker_.wake();
    return {};
  }

  Result<Lease> receive(const ReceiveOptions& options) override {
    v1::QueueFrame frame;
    v1::Receive& receive = *frame.mutable_receive();
    receive.set_queue(options_.queue);
    receive.set_max_count(options.max_count);
    receive.set_max_bytes(options.max_bytes);
    receive.set_lease_ms(options.lease.count());
    receive.set_wait_ms(options.wait.count());
    ASSIGN_OR_RETURN(v1::QueueFrame answer, call(std::move(frame), options.wait));
    if (!answer.has_receive_reply()) return unavailable("the queue service answered wrongly");
    Lease lease;
    lease.id = answer.receive_reply().lease_id();
    lease.log_id = answer.receive_reply().log_id();
    auto* const messages = answer.mutable_receive_reply()->mutable_messages();
    lease.messages.reserve(static_cast<size_t>(messages->size()));
    for (v1::QueueMessage& message : *messages) lease.messages.push_back(std::move(message));
    return lease;
  }

  Status commit(uint64_t lease_id) override {
    v1::QueueFrame frame;
    fill(*frame.mutable_commit(), lease_id, {});
    return call(std::move(frame), options_.answer_timeout).error();
  }

  Status abort(uint64_t lease_id, const std::vector<uint64_t>& lookup_ids) override {
    v1::QueueFrame frame;
    fill(*frame.mutable_abort(), lease_id, lookup_ids);
    return call(std::move(frame), options_.answer_timeout).error();
  }

  bool is_connected() const override {
    MutexLock lock(mutex_);
    return is_ready_;
  }

  void stop() override {
    {
      MutexLock lock(mutex_);
      is_stopping_ = true;
      waker_.wake();
    }
    MutexLock lock(join_mutex_);
    if (thread_.joinable()) thread_.join();
  }

 private:
  enum class State { kHello, kAsk, kOpen, kReady };

  struct Incoming {
    PutRequest request;
    nanoseconds deadline{};
    PutCallback done;
  };
  // A consumer's call, on its caller's stack.
  struct Call {
    v1::QueueFrame frame;
    nanoseconds until{};  // for the connection; once sent, for the answer
    milliseconds wait{};
    bool is_done = false;
    Status status;
    v1::QueueFrame answer;
  };

  template <class Settle>
  void fill(Settle& settle, uint64_t lease_id, const std::vector<uint64_t>& lookup_ids) const {
    settle.set_queue(options_.queue);
    settle.set_lease_id(lease_id);
    for (const uint64_t id : lookup_ids) settle.add_lookup_ids(id);
  }

  Result<v1::QueueFrame> call(v1::QueueFrame frame, milliseconds wait) {
    Call call;
    call.frame = std::move(frame);
    call.wait = wait;
    call.until = clock_.monotonic() + std::max(wait, kCallWaitMin);
    MutexLock lock(mutex_);
    if (is_stopping_) return cancelled("the queue client is stopped");
    calls_.push_back(&call);
    waker_.wake();
    changed_.wait(mutex_, [&call] { return call.is_done; });
    if (!call.status.ok()) return call.status;
    return std::move(call.answer);
  }

  // --- the client's thread ---

  void run() {
    while (true) {
      std::vector<base::PollItem> items;
      items.push_back({.fd = waker_.fd()});
      if (socket_ && !is_waiting_) items.push_back({.socket = socket_.get()});
      const auto polled = base::poll(items, poll_timeout());
      if (!polled) LOG_ERROR("queue client: polling failed: {}", polled.error().to_string());
      waker_.clear();
      if (take_incoming()) break;
      read_frames();
      watch();
      pipeline_.expire(clock_.monotonic());
      send_puts();
      send_calls();
      run_callbacks();
    }
    pipeline_.end_all(StatusCode::kCancelled);
    end_calls(cancelled("the queue client is stopped"));
    run_callbacks();
    socket_.reset();
  }

  milliseconds poll_timeout() const {
    const auto left = pipeline_.next_due() - clock_.monotonic();
    const auto rounded = std::chrono::ceil<milliseconds>(std::min<nanoseconds>(left, kPollMax));
    return std::max(rounded, milliseconds(0));
  }

  // True when the client is to stop.
  bool take_incoming() {
    std::deque<Incoming> incoming;
    bool is_stopping = false;
    bool is_fenced = false;
    {
      MutexLock lock(mutex_);
      incoming.swap(incoming_);
      is_stopping = is_stopping_;
      is_fenced = is_fenced_;
    }
    for (Incoming& put : incoming) {
      pipeline_.add(std::move(put.request), put.deadline, std::move(put.done));
    }
    if (is_fenced) pipeline_.end_all(StatusCode::kFailedPrecondition);
    return is_stopping;
  }

  void run_callbacks() {
    auto ended = pipeline_.take_ended();
    if (ended.empty()) return;
    size_t bytes = 0;
    for (PutPipeline::Ended& one : ended) {
      bytes += one.bytes;
      if (one.callback) one.callback(std::move(one.outcome));
    }
    MutexLock lock(mutex_);
    held_bytes_ -= bytes;
  }

  // --- connection ---

  Status connect() {
    socket_.reset();
    base::ZmqOptions zmq;
    zmq.frame_size_max_bytes = -1;
    zmq.curve = options_.curve;
    zmq.is_watched = true;
    ASSIGN_OR_RETURN(auto socket, base::ZmqSocket::create(context_, base::ZmqType::kDealer, zmq));
    socket_ = std::make_unique<base::ZmqSocket>(std::move(socket));
    RETURN_IF_ERROR(socket_->connect(options_.address));
    state_ = State::kHello;
    v1::QueueFrame frame;
    frame.mutable_hello()->set_client(options_.client_name);
    // A new instance for each connection: leases whose answers were lost with the old one end.
    frame.mutable_hello()->set_instance(random_bytes(16));
    send_request(std::move(frame));
    return {};
  }

  void reconnect(std::string_view why) {
    if (state_ == State::kReady) {
      LOG_WARN("queue client: connecting again client={} reason={}", options_.client_name, why);
      retry_ = options_.retry_min;
    }
    set_ready(false);
    pipeline_.on_disconnected();
    end_sent_calls(unavailable("the connection to the queue service was lost"));
    retry_at_ = clock_.monotonic() + retry_;
    retry_ = std::min(retry_ * 2, options_.retry_max);
    is_waiting_ = true;
  }

  void set_ready(bool is_ready) {
    MutexLock lock(mutex_);
    is_ready_ = is_ready;
  }

  // Timers: the next attempt, answers that are overdue, heartbeats.
  void watch() {
    const auto now = clock_.monotonic();
    if (is_waiting_) {
      if (now < retry_at_) return;
      is_waiting_ = false;
      if (const Status status = connect(); !status.ok()) reconnect(status.message());
      return;
    }
    if (pipeline_.trouble() == PutPipeline::Trouble::kResync) return reconnect("out of step");
    if (pipeline_.trouble() == PutPipeline::Trouble::kFenced) fence();
    if (state_ != State::kReady) {
      link_.look_at(socket_->link());
      if (now - step_sent_ > std::max(retry_, kAnxiousInterval)) reconnect("no answer");
      return;
    }
    const auto oldest = pipeline_.oldest_sent();
    const bool is_overdue = oldest && now - *oldest > options_.answer_timeout;
    if (is_overdue || is_call_overdue(now)) return reconnect("answer overdue");
    const bool is_anxious = (oldest && now - *oldest > kAnxiousInterval) || !sent_calls_.empty();
    const auto interval = is_anxious ? std::min(kAnxiousInterval, options_.heartbeat_interval)
                                     : options_.heartbeat_interval;
    if (now - last_heartbeat_ >= interval) {
      last_heartbeat_ = now;
      v1::QueueFrame frame;
      frame.mutable_heartbeat();
      ignore_error(socket_->send("", {base::encode_frame(frame)}), "the next one may get through");
    }
  }

  void fence() {
    {
      MutexLock lock(mutex_);
      if (is_fenced_) return;
      is_fenced_ = true;
      is_ready_ = false;
    }
    LOG_ERROR("queue client: another client uses producer={}; this one puts no more",
              options_.producer);
    pipeline_.end_all(StatusCode::kFailedPrecondition);
  }

  // Gives the request's id; a refused send shows as a missing answer.
  uint64_t send_request(v1::QueueFrame frame) {
    frame.set_request_id(next_request_id_++);
    step_sent_ = clock_.monotonic();
    step_id_ = frame.request_id();
    ignore_error(socket_->send("", {base::encode_frame(frame)}), "its answer is waited for");
    return frame.request_id();
  }

  void read_frames() {
    if (is_waiting_ || !socket_) return;
    while (true) {
      const auto frames = socket_->receive();
      if (!frames) return reconnect(frames.error().message());
      if (!*frames) return;
      v1::QueueFrame frame;
      if ((*frames)->size() != 1 || !base::decode_frame((*frames)->front(), frame).ok()) {
        return reconnect("an answer cannot be read");
      }
      on_frame(frame);
      if (is_waiting_) return;
    }
  }

  void on_frame(v1::QueueFrame& frame) {
    if (frame.has_refused() && frame.refused().reason() == v1::REFUSAL_REASON_HELLO_WANTED) {
      return reconnect("the service does not know us");
    }
    if (state_ != State::kReady) {
      if (frame.request_id() == step_id_) on_step(frame);
      return;
    }
    if (pipeline_.on_reply(frame, clock_.monotonic())) return;
    const auto it = sent_calls_.find(frame.request_id());
    if (it == sent_calls_.end()) return;
    Call* const call = it->second;
    sent_calls_.erase(it);
    finish_call(*call, std::move(frame));
  }

  // hello → ask → (open) → ready
  void on_step(const v1::QueueFrame& frame) {
    if (state_ == State::kHello && frame.has_hello_reply()) {
      pipeline_.set_credit(frame.hello_reply().credit_count(), frame.hello_reply().credit_bytes());
      if (options_.producer.empty()) return become_ready();
      state_ = State::kAsk;
      return send_open(0);
    }
    if (state_ == State::kAsk && frame.has_open_producer_reply()) {
      return on_asked(frame.open_producer_reply());
    }
    if (state_ == State::kOpen && frame.has_open_producer_reply()) {
      pipeline_.on_opened(frame.open_producer_reply().epoch());
      return become_ready();
    }
    if (frame.has_refused() && frame.refused().reason() == v1::REFUSAL_REASON_UNKNOWN_QUEUE) {
      LOG_ERROR("queue client: the service has no queue={}", options_.queue);
    }
    reconnect("refused");
  }

  void on_asked(const v1::OpenProducerReply& known) {
    const uint64_t epoch = pipeline_.epoch();
    if (epoch != 0 && known.epoch() == epoch) {
      pipeline_.on_resumed(known.last_sequence());
      return become_ready();
    }
    if (epoch != 0 && known.epoch() > epoch && known.epoch() != opening_epoch_) {
      fence();
      return become_ready();
    }
    if (epoch != 0) {
      LOG_ERROR("queue client: the service has forgotten producer={} epoch={}", options_.producer,
                epoch);
    }
    opening_epoch_ = std::max(known.epoch() + 1, static_cast<uint64_t>(clock_.unix_now_ns()));
    state_ = State::kOpen;
    send_open(opening_epoch_);
  }

  void send_open(uint64_t epoch) {
    v1::QueueFrame frame;
    v1::OpenProducer& open = *frame.mutable_open_producer();
    open.set_queue(options_.queue);
    open.set_producer(options_.producer);
    open.set_epoch(epoch);
    send_request(std::move(frame));
  }

  void become_ready() {
    link_.look_at(base::ZmqLink::kConnected);
    state_ = State::kReady;
    retry_ = options_.retry_min;
    last_heartbeat_ = clock_.monotonic();
    MutexLock lock(mutex_);
    is_ready_ = !is_fenced_;
  }

  // --- puts and calls ---

  void send_puts() {
    if (state_ != State::kReady || is_waiting_) return;
    while (auto frame = pipeline_.next_frame(clock_.monotonic(), next_request_id_)) {
      if (socket_->send("", {base::encode_frame(*frame)}).ok()) continue;
      return reconnect("a send was refused");
    }
  }

  void send_calls() {
    const auto now = clock_.monotonic();
    const bool is_ready = state_ == State::kReady && !is_waiting_;
    std::deque<Call*> calls;
    {
      MutexLock lock(mutex_);
      calls.swap(calls_);
    }
    for (Call* call : calls) waiting_calls_.push_back(call);
    std::deque<Call*> left;
    for (Call* call : waiting_calls_) {
      if (!is_ready) {
        if (now < call->until) {
          left.push_back(call);
        } else {
          end_call(*call, unavailable(link_.trouble().empty() ? "the queue service is away"
                                                              : link_.trouble()));
        }
        continue;
      }
      call->frame.set_request_id(next_request_id_++);
      call->until = now + call->wait + options_.answer_timeout;
      sent_calls_[call->frame.request_id()] = call;
      ignore_error(socket_->send("", {base::encode_frame(call->frame)}),
                   "its answer is waited for");
    }
    waiting_calls_ = std::move(left);
  }

  bool is_call_overdue(nanoseconds now) const {
    return std::any_of(sent_calls_.begin(), sent_calls_.end(),
                       [now](const auto& entry) { return now > entry.second->until; });
  }

  void finish_call(Call& call, v1::QueueFrame answer) {
    Status status;
    if (answer.has_refused()) {
      switch (answer.refused().reason()) {
        case v1::REFUSAL_REASON_LEASE_LOST:
          status = aborted("the lease was lost");
          break;
        case v1::REFUSAL_REASON_UNKNOWN_QUEUE:
          status = not_found("the queue service has no such queue");
          break;
        case v1::REFUSAL_REASON_INVALID:
          status = invalid_argument(answer.refused().detail());
          break;
        default:
          status = unavailable("the queue service refused: " + answer.refused().detail());
      }
    }
    MutexLock lock(mutex_);
    call.answer = std::move(answer);
    call.status = std::move(status);
    call.is_done = true;
    changed_.notify_all();
  }

  void end_call(Call& call, Status status) {
    MutexLock lock(mutex_);
    call.status = std::move(status);
    call.is_done = true;
    changed_.notify_all();
  }

  void end_sent_calls(const Status& status) {
    for (const auto& [id, call] : sent_calls_) end_call(*call, status);
    sent_calls_.clear();
  }

  void end_calls(const Status& status) {
    end_sent_calls(status);
    for (Call* call : waiting_calls_) end_call(*call, status);
    waiting_calls_.clear();
    std::deque<Call*> calls;
    {
      MutexLock lock(mutex_);
      calls.swap(calls_);
    }
    for (Call* call : calls) end_call(*call, status);
  }

  const ZmqQueueClientOptions options_;
  base::Clock& clock_;
  LinkReport link_;
  base::Waker waker_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Incoming> incoming_ GUARDED_BY(mutex_);
  std::deque<Call*> calls_ GUARDED_BY(mutex_);
  size_t held_bytes_ GUARDED_BY(mutex_) = 0;
  bool is_ready_ GUARDED_BY(mutex_) = false;
  bool is_fenced_ GUARDED_BY(mutex_) = false;
  bool is_stopping_ GUARDED_BY(mutex_) = false;

  // Of the client's thread.
  base::ZmqContext context_;
  std::unique_ptr<base::ZmqSocket> socket_;
  PutPipeline pipeline_;
  State state_ = State::kHello;
  uint64_t next_request_id_ = 1;
  uint64_t step_id_ = 0;
  nanoseconds step_sent_{};
  uint64_t opening_epoch_ = 0;
  nanoseconds last_heartbeat_{};
  milliseconds retry_;
  nanoseconds retry_at_{};
  bool is_waiting_ = false;  // for retry_at_
  std::deque<Call*> waiting_calls_;
  std::map<uint64_t, Call*> sent_calls_;

  base::Mutex join_mutex_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<QueueClient>> create_zmq_queue_client(const ZmqQueueClientOptions& options) {
  if (options.client_name.empty() || options.client_name.size() > kNameMaxBytes ||
      options.producer.size() > kNameMaxBytes || options.queue.empty()) {
    return invalid_argument("client, producer and queue have names of up to 128 bytes");
  }
  auto client = std::make_unique<ZmqQueueClient>(options);
  RETURN_IF_ERROR(client->start());
  return std::unique_ptr<QueueClient>(std::move(client));
}

}  // namespace verbatim::queue
