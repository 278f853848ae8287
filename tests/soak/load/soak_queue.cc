#include "tests/soak/load/soak_queue.h"

#include <charconv>
#include <set>
#include <thread>
#include <vector>

#include "base/check.h"
#include "queue/client/zmq_queue_client.h"

namespace verbatim::soak {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTick{50};
constexpr std::chrono::seconds kQuiet{10};
// A queue without a limit of its own on tries must not keep a message for ever.
constexpr int64_t kPatience = 40;

std::unique_ptr<queue::QueueClient> connect(const SoakOptions& options, const std::string& queue,
                                            const std::string& role) {
  queue::ZmqQueueClientOptions client_options;
  client_options.address = options.address;
  client_options.client_name = queue + "-" + role;
  if (role == "producer") client_options.producer = queue + "-producer";
  client_options.queue = queue;
  auto client = queue::create_zmq_queue_client(client_options);
  CHECK(client.has_value(), client.error().to_string());
  return *std::move(client);
}

uint64_t number_of(std::string_view text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  CHECK(number > 0, "a message has its number");
  return number;
}

Received received_of(const v1::QueueMessage& message) {
  return {.number = number_of(message.body()),
          .order_key = number_of(message.order_key()),
          .lookup_id = message.lookup_id(),
          .has_moved = message.hops_size() > 0};
}

}  // namespace

SoakQueue::SoakQueue(const SoakOptions& options, const Behaviour& behaviour)
    : options_(options), behaviour_(behaviour), ledger_(!behaviour.is_operated) {}
SoakQueue::~SoakQueue() = default;

void SoakQueue::run() {
  std::thread producer([this] { produce(); });
  consume();
  producer.join();
  take_poison();
}

bool SoakQueue::is_over() const { return steady_clock::now() >= options_.end; }

// --- the producer ---

void SoakQueue::produce() {
  const auto client = connect(options_, behaviour_.queue, "producer");
  const auto begin = steady_clock::now();
  uint64_t number = 0;
  for (auto next = begin; !is_over(); next += kTick) {
    std::this_thread::sleep_until(next);
    const double seconds = duration<double>(steady_clock::now() - begin).count();
    const auto due = static_cast<uint64_t>(seconds * behaviour_.messages_per_second);
    while (number < due && !is_over()) put_one(*client, ++number);
  }
  // No put has a deadline, so all of them end well once the service answers.
  while (unanswered_count_ > 0 && steady_clock::now() < options_.end + options_.drain_max) {
    std::this_thread::sleep_for(kTick);
  }
  client->stop();
  has_produced_ = true;
}

void SoakQueue::put_one(queue::QueueClient& client, uint64_t number) {
  std::string body = std::to_string(number) + " ";
  body.resize(std::max(body.size(), behaviour_.body_bytes), 'x');
  while (!is_over()) {
    queue::PutRequest request;
    request.order_key = std::to_string(1 + number % behaviour_.order_keys);
    request.source = "soak";
    request.body = body;
    ++unanswered_count_;
    const Status status = client.put(std::move(request), nanoseconds::max(),
                                     [this, number](const Result<queue::PutOutcome>& outcome) {
                                       if (outcome) ledger_.accepted(number, outcome->lookup_id);
                                       --unanswered_count_;
                                     });
    if (status.ok()) return;
    --unanswered_count_;
    CHECK(status.code() == StatusCode::kResourceExhausted, status.to_string());
    std::this_thread::sleep_for(kTick);
  }
}

// --- the consumer ---

void SoakQueue::consume() {
  const auto client = connect(options_, behaviour_.queue, "consumer");
  auto rests_until = steady_clock::now() + behaviour_.rest;
  auto last_message = steady_clock::now();
  while (!(has_produced_ && ledger_.open_count() == 0)) {
    const auto now = steady_clock::now();
    // What does not come any more is in a sub-queue, or lost.
    if (now > options_.end + options_.drain_max) break;
    if (has_produced_ && now > last_message + kQuiet) break;
    if (!is_over() && now < rests_until) {
      std::this_thread::sleep_until(std::min(rests_until, options_.end));
    } else if (!is_over() && ledger_.open_count() < behaviour_.kept_count) {
      std::this_thread::sleep_for(kTick);
    } else if (take(*client) == 0) {
      rests_until = steady_clock::now() + behaviour_.rest;
    } else {
      last_message = steady_clock::now();
    }
  }
  client->stop();
}

size_t SoakQueue::take(queue::QueueClient& client) {
  queue::ReceiveOptions receive;
  receive.max_count = 512;
  receive.wait = milliseconds(200);
  const auto lease = client.receive(receive);
  if (!lease) {
    std::this_thread::sleep_for(kTick);  // the service is away
    return 1;
  }
  std::vector<Received> kept;
  std::vector<uint64_t> given_back;
  std::set<uint64_t> given_back_keys;  // what is behind them goes back too, to keep its order
  for (const v1::QueueMessage& message : lease->messages) {
    const Received received = received_of(message);
    ledger_.received(received);
    if (given_back_keys.contains(received.order_key) || gives_back(message, received.number)) {
      given_back.push_back(received.lookup_id);
      given_back_keys.insert(received.order_key);
    } else {
      kept.push_back(received);
    }
  }
  if (!given_back.empty() && !client.abort(lease->id, given_back).ok()) return 1;
  if (kept.empty()) return given_back.size();
  const Status status = client.commit(lease->id);
  for (const Received& one : kept) {
    if (status.ok()) {
      ledger_.committed(one);
    } else if (status.code() != StatusCode::kAborted) {
      ledger_.maybe_committed(one);
    }
  }
  return lease->messages.size();
}

bool SoakQueue::gives_back(const v1::QueueMessage& message, uint64_t number) const {
  const auto is_every = [number](uint64_t every) { return every > 0 && number % every == 0; };
  if (is_every(behaviour_.abort_always_every)) return message.delivery_count() < kPatience;
  return is_every(behaviour_.abort_once_every) && message.delivery_count() == 1;
}

void SoakQueue::take_poison() {
  const auto client = connect(options_, behaviour_.queue + ";poison", "consumer");
  queue::ReceiveOptions receive;
  receive.wait = milliseconds(200);
  while (steady_clock::now() < options_.end + 2 * options_.drain_max) {
    const auto lease = client->receive(receive);
    if (!lease && lease.error().code() == StatusCode::kUnavailable) continue;
    if (!lease || lease->messages.empty()) break;
    for (const v1::QueueMessage& message : lease->messages) ledger_.parked(received_of(message));
    CHECK(client->commit(lease->id).ok(), "the service runs at the end");
  }
  client->stop();
}

}  // namespace verbatim::soak
