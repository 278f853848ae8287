#include "queue/client/zmq_queue_client.h"

#include <algorithm>
#include <utility>

#include "base/curve_keys.h"
#include "base/log.h"
#include "queue/client/waiter.h"
#include "queue/client/zmq_queue_client_impl.h"

namespace verbatim::queue {
namespace {

using base::MutexLock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr size_t kNameMaxBytes = 128;
// A consumer's call waits at least so long for a connection.
constexpr milliseconds kCallWaitMin{100};

Status stopped() { return cancelled("the queue client is stopped"); }

}  // namespace

namespace {

LinkReport::Facts facts_of(const ZmqQueueClientOptions& options) {
  LinkReport::Facts facts{options.client_name, options.address, ""};
  if (!options.curve) return facts;
  const auto public_key = base::public_curve_key_of(options.curve->secret_key);
  if (public_key) facts.public_key = *public_key;  // else no socket is made with it
  return facts;
}

}  // namespace

ZmqQueueClient::ZmqQueueClient(const ZmqQueueClientOptions& options)
    : options_(options),
      clock_(*options.clock),
      link_(facts_of(options)),
      pipeline_({.queue = options.queue,
                 .producer = options.producer,
                 .batch_max_bytes = options.batch_max_bytes,
                 .batch_max_count = options.batch_max_count,
                 .in_flight_max_count = options.in_flight_max_count}),
      producer_(options.queue, options.producer, pipeline_),
      consumer_calls_(options.answer_timeout),
      subscription_(options.queue),
      retry_(options.retry_min) {}

Status ZmqQueueClient::start() {
  RETURN_IF_ERROR(connect());
  thread_ = std::thread([this] { run(); });
  return {};
}

Status ZmqQueueClient::put(PutRequest request, nanoseconds deadline, PutCallback done) {
  RETURN_IF_ERROR(check(request));
  if (options_.producer.empty()) return failed_precondition("this client has no producer name");
  const size_t size = request.envelope.size() + request.body.size();
  // Encoded before the lock: many threads do it at once.
  PipelinePut put(request, deadline, std::move(done), std::move(request.late));
  bool must_wake = false;
  {
    MutexLock lock(mutex_);
    if (is_stopping_) return stopped();
    if (state_.condition == ClientCondition::kFenced) return failed_precondition(state_.sentence);
    if (state_.condition == ClientCondition::kNotPermitted) {
      return permission_denied(state_.sentence);
    }
    RETURN_IF_ERROR(check_size(size, message_max_bytes_));
    if (held_bytes_ + put.size() > options_.memory_max_bytes) {
      return resource_exhausted(
          fmt::format("too many puts wait in the queue client held_bytes={} memory_max_bytes={}",
                      held_bytes_, options_.memory_max_bytes));
    }
    held_bytes_ += put.size();
    incoming_bytes_ += put.size();
    const bool is_due = put.deadline < asleep_until_;
    incoming_puts_.push_back(std::move(put));
    if (is_due || incoming_puts_.size() >= wanted_.count || incoming_bytes_ >= wanted_.bytes) {
      must_wake = std::exchange(is_asleep_, false);
    }
  }
  if (must_wake) waker_.wake();
  return {};
}

Status ZmqQueueClient::call(v1::QueueFrame frame, milliseconds wait, ConsumerCall::Callback done) {
  ConsumerCall call{.frame = std::move(frame),
                    .wait = wait,
                    .connect_until = clock_.monotonic() + std::max(wait, kCallWaitMin),
                    .done = std::move(done)};
  bool must_wake = false;
  {
    MutexLock lock(mutex_);
    if (is_stopping_) return stopped();
    if (call_count_ >= options_.calls_max_count) {
      return resource_exhausted(
          fmt::format("too many calls wait in the queue client calls_max_count={}", call_count_));
    }
    ++call_count_;
    incoming_calls_.push_back(std::move(call));
    must_wake = std::exchange(is_asleep_, false);
  }
  if (must_wake) waker_.wake();
  return {};
}

Result<Lease> ZmqQueueClient::receive(const ReceiveOptions& options) {
  return receive_later(options).get();
}

std::future<Result<Lease>> ZmqQueueClient::receive_later(const ReceiveOptions& options) {
  v1::QueueFrame frame;
  v1::Receive& receive = *frame.mutable_receive();
  receive.set_queue(options_.queue);
  receive.set_max_count(options.max_count);
  receive.set_max_bytes(options.max_bytes);
  receive.set_lease_ms(options.lease.count());
  receive.set_wait_ms(options.wait.count());
  receive.set_lookup_id(options.lookup_id);
  receive.mutable_behind_lease_ids()->Add(options.behind_lease_ids.begin(),
                                          options.behind_lease_ids.end());
  const auto lease = std::make_shared<std::promise<Result<Lease>>>();
  const Status status =
      call(std::move(frame), options.wait, [lease](Result<v1::QueueFrame> answer) {
        if (!answer) {
          lease->set_value(answer.error());
        } else if (!answer->has_receive_reply()) {
          lease->set_value(unavailable("the queue service answered wrongly"));
        } else {
          lease->set_value(take_lease(*answer->mutable_receive_reply()));
        }
      });
  if (!status.ok()) lease->set_value(status);
  return lease->get_future();
}

Status ZmqQueueClient::settle(Settlement settlement, SettleCallback done) {
  RETURN_IF_ERROR(check(settlement));
  return call(to_frame(settlement, options_.queue), options_.answer_timeout,
              [done = std::move(done)](Result<v1::QueueFrame> answer) {
                if (!done) return;
                if (answer && !answer->has_settle_reply()) {
                  return done(unavailable("the queue service answered wrongly"));
                }
                done(answer.error());
              });
}

Status ZmqQueueClient::extend(uint64_t lease_id, milliseconds time, ExtendCallback done) {
  if (time <= milliseconds(0)) return invalid_argument("a lease is extended by more than nothing");
  v1::QueueFrame frame;
  v1::Extend& extend = *frame.mutable_extend();
  extend.set_queue(options_.queue);
  extend.set_lease_id(lease_id);
  extend.set_lease_ms(time.count());
  return call(std::move(frame), options_.answer_timeout,
              [done = std::move(done)](Result<v1::QueueFrame> answer) {
                if (!done) return;
                if (!answer) return done(answer.error());
                if (!answer->has_extend_reply()) {
                  return done(unavailable("the queue service answered wrongly"));
                }
                done(milliseconds(answer->extend_reply().lease_ms()));
              });
}

Status ZmqQueueClient::subscribe(const SubscribeOptions& options, LeaseCallback on_lease) {
  RETURN_IF_ERROR(check(options));
  if (!on_lease) return invalid_argument("a subscription has a callback");
  {
    MutexLock lock(mutex_);
    if (is_stopping_) return stopped();
  }
  wish({.options = options, .on_lease = std::move(on_lease)}, false);
  return {};
}

void ZmqQueueClient::unsubscribe() { wish({}, std::this_thread::get_id() != thread_.get_id()); }

void ZmqQueueClient::wish(Wish wish, bool must_wait) {
  MutexLock lock(mutex_);
  if (has_ended_) return;
  wish_ = std::move(wish);
  const uint64_t number = ++wish_count_;
  if (std::exchange(is_asleep_, false)) waker_.wake();
  if (!must_wait) return;
  changed_.wait(mutex_,
                [&]() REQUIRES(mutex_) { return has_ended_ || wish_taken_count_ >= number; });
}

ClientState ZmqQueueClient::state() const {
  MutexLock lock(mutex_);
  if (is_stopping_) {
    return {.condition = ClientCondition::kStopped, .sentence = "the queue client is stopped"};
  }
  return state_;
}

void ZmqQueueClient::stop() {
  {
    MutexLock lock(mutex_);
    is_stopping_ = true;
    is_asleep_ = false;
    waker_.wake();
  }
  MutexLock lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

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
