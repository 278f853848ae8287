#include "tests/tools/load_producer.h"

#include <algorithm>
#include <utility>

#include "base/hex.h"
#include "base/sha256.h"
#include "tests/tools/load_text.h"

namespace verbatim::tools {
namespace {

using Time = std::chrono::steady_clock;

void fill_event(const LoadOptions& options, uint64_t number, v1::Event& event) {
  LoadPost post = make_post(options, number);
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  event.mutable_conversation()->set_address(post.room);
  event.mutable_conversation()->set_name(post.room.substr(0, post.room.find('@')));
  event.mutable_actor()->set_address("user-" + std::to_string(number % 50) + "@example.com/load");
  event.set_phase(v1::PHASE_CONFIRMED);
  event.set_source_time_unix_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                    std::chrono::system_clock::now().time_since_epoch())
                                    .count());
  event.mutable_references()->set_message_id("m-" + std::to_string(number));
  event.mutable_original_text()->set_plain(std::move(post.text));
  event.mutable_message_posted();
}

}  // namespace

LoadPost make_post(const LoadOptions& options, uint64_t number) {
  LoadPost post;
  const uint64_t room = (number - 1) % options.rooms;
  post.room = "room-" + std::to_string(room) + "@conference.example";
  post.sequence = (number - 1) / options.rooms + 1;
  post.text = options.producer + " room " + std::to_string(room) + " sequence " +
              std::to_string(post.sequence) + " ";
  // Made fast: the load must not be what is measured.
  while (post.text.size() < options.payload_bytes) {
    const size_t missing = options.payload_bytes - post.text.size();
    post.text += load_text(number + post.text.size(), std::min(missing, kLoadTextMaxSize));
  }
  return post;
}

LoadProducer::LoadProducer(LoadOptions options, OpenLink open_link, std::FILE* accepted,
                           std::FILE* receipts)
    : options_(std::move(options)),
      open_link_(std::move(open_link)),
      accepted_file_(accepted),
      receipts_file_(receipts) {
  base::MutexLock lock(mutex_);
  states_.resize(options_.count, State::kNew);
  first_sent_.resize(options_.count);
  latencies_us_.reserve(options_.count);
}

bool LoadProducer::is_done() { return answered_ == options_.count; }

LoadResult LoadProducer::run() {
  const auto begin = Time::now();
  while (Time::now() - begin < options_.time_limit) {
    bool must_connect = false;
    {
      base::MutexLock lock(mutex_);
      if (is_done()) break;
      const bool is_silent = in_flight_ > 0 && Time::now() - last_reply_ > options_.silence_max;
      must_connect = is_down_ || is_silent;
      if (must_connect && Time::now() < retry_at_) {
        changed_.wait_for(mutex_, std::chrono::milliseconds(20), [] { return false; });
        continue;
      }
    }
    if (must_connect) {
      connect();
      continue;
    }
    if (send_due()) continue;
    base::MutexLock lock(mutex_);
    const uint64_t answered = answered_;
    const uint64_t credit = credit_;
    changed_.wait_for(mutex_, std::chrono::milliseconds(options_.rate > 0 ? 1 : 20),
                      [&, this]() REQUIRES(mutex_) {
                        return is_down_ || answered_ != answered || credit_ != credit;
                      });
  }
  link_.reset();
  return result(begin);
}

// A fresh link: says hello; everything sent and unanswered goes again.
void LoadProducer::connect() {
  link_.reset();
  uint64_t generation = 0;
  {
    base::MutexLock lock(mutex_);
    generation = ++generation_;
    if (generation > 1) ++reconnects_;
    for (uint64_t number = 1; number < next_; ++number) {
      State& state = states_[number - 1];
      if (state == State::kSent) state = State::kAgain;
      if (state == State::kAgain) again_.insert(number);
    }
    in_flight_ = 0;
    credit_ = 0;
    is_down_ = false;
    last_reply_ = Time::now();
    retry_at_ = Time::now() + std::chrono::milliseconds(100);
  }
  ProducerLink::Callbacks callbacks;
  callbacks.on_reply = [this, generation](const v1::SendReply& reply) {
    on_reply(generation, reply);
  };
  callbacks.on_down = [this, generation](const std::string& why) { on_down(generation, why); };
  link_ = open_link_(std::move(callbacks));
  v1::SendRequest request;
  request.mutable_hello()->set_producer(options_.producer);
  request.mutable_hello()->set_epoch(options_.epoch);
  request.mutable_hello()->set_software("verbatim-producer");
  base::MutexLock lock(mutex_);
  ++in_flight_;  // the hello: its answer is due too
  lock.unlock();
  if (!link_ || !link_->send(request)) on_down(generation, "hello not sent");
}

// Sends one batch, if one is due.
bool LoadProducer::send_due() {
  uint64_t first = 0;
  uint64_t count = 0;
  {
    base::MutexLock lock(mutex_);
    const auto now = Time::now();
    if (is_down_ || credit_ == 0 || now < retry_at_) return false;
    const uint64_t room = std::min(options_.window, credit_);
    if (in_flight_ >= room) return false;
    uint64_t limit = std::min(options_.batch, room - in_flight_);
    if (!again_.empty()) {
      first = *again_.begin();
      while (count < limit && again_.contains(first + count)) again_.erase(first + count++);
      resent_ += count;
    } else if (next_ <= options_.count) {
      first = next_;
      limit = std::min(limit, options_.count - next_ + 1);
      if (options_.rate > 0) {
        const double due = std::chrono::duration<double>(now.time_since_epoch()).count();
        static const double begin = due;
        const double allowed = (due - begin) * options_.rate + 1;
        const double open = allowed - static_cast<double>(next_ - 1);
        limit = open < 1 ? 0 : std::min(limit, static_cast<uint64_t>(open));
      }
      count = limit;
      next_ += count;
    }
    if (count == 0) return false;
    if (in_flight_ == 0) last_reply_ = now;
    in_flight_ += count;
    for (uint64_t i = 0; i < count; ++i) {
      State& state = states_[first + i - 1];
      if (state == State::kNew) first_sent_[first + i - 1] = now;
      state = State::kSent;
    }
  }
  return send_batch(first, count);
}

bool LoadProducer::send_batch(uint64_t first, uint64_t count) {
  v1::SendRequest request;
  request.mutable_batch()->set_first_sequence(first);
  for (uint64_t i = 0; i < count; ++i) {
    fill_event(options_, first + i, *request.mutable_batch()->add_events());
  }
  if (link_->send(request)) return true;
  base::MutexLock lock(mutex_);
  is_down_ = true;
  return false;
}

void LoadProducer::on_down(uint64_t generation, const std::string& why) {
  base::MutexLock lock(mutex_);
  if (generation != generation_) return;
  is_down_ = true;
  if (!is_done()) std::fprintf(stderr, "producer: link down: %s\n", why.c_str());
  changed_.notify_all();
}

void LoadProducer::on_reply(uint64_t generation, const v1::SendReply& reply) {
  base::MutexLock lock(mutex_);
  if (generation != generation_) return;
  last_reply_ = Time::now();
  if (reply.has_welcome()) {
    credit_ = static_cast<uint64_t>(reply.welcome().credit_events());
    retry_at_ = Time::now();
    --in_flight_;
  }
  if (reply.has_receipts()) on_receipts(reply.receipts());
  changed_.notify_all();
}

void LoadProducer::on_receipts(const v1::ReceiptBatch& receipts) {
  if (receipts_file_ != nullptr) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    std::fprintf(
        receipts_file_, "%lld %llu\n",
        static_cast<long long>(std::chrono::duration_cast<std::chrono::microseconds>(now).count()),
        static_cast<unsigned long long>(receipts.first_sequence() + receipts.count() - 1));
  }
  int refusal = 0;
  for (uint64_t i = 0; i < receipts.count(); ++i) {
    const uint64_t number = receipts.first_sequence() + i;
    if (number == 0 || number >= next_) continue;
    if (in_flight_ > 0) --in_flight_;
    if (refusal >= receipts.refusals_size() || receipts.refusals(refusal).sequence() != number) {
      settle(number, State::kAccepted);
      continue;
    }
    const v1::Refusal& refused = receipts.refusals(refusal++);
    const bool is_final = refused.reason() == v1::Refusal::REASON_INVALID ||
                          refused.reason() == v1::Refusal::REASON_TOO_LARGE;
    if (is_final) {
      std::fprintf(stderr, "producer: refused number=%llu: %s\n",
                   static_cast<unsigned long long>(number), refused.detail().c_str());
      settle(number, State::kRefused);
    } else if (states_[number - 1] == State::kSent) {
      states_[number - 1] = State::kAgain;
      again_.insert(number);
      retry_at_ = Time::now() + std::chrono::milliseconds(refused.retry_after_ms());
    }
  }
}

void LoadProducer::settle(uint64_t number, State state) {
  State& known = states_[number - 1];
  if (known == State::kAccepted || known == State::kRefused) return;
  known = state;
  again_.erase(number);
  ++answered_;
  if (state != State::kAccepted) return;
  const auto latency = Time::now() - first_sent_[number - 1];
  latencies_us_.push_back(std::chrono::duration_cast<std::chrono::microseconds>(latency).count());
  if (accepted_file_ == nullptr) return;
  const LoadPost post = make_post(options_, number);
  std::fprintf(accepted_file_, "%s %llu %s\n", post.room.c_str(),
               static_cast<unsigned long long>(post.sequence),
               base::to_hex(base::sha256(post.text)).c_str());
}

LoadResult LoadProducer::result(Time::time_point begin) {
  base::MutexLock lock(mutex_);
  LoadResult result;
  for (const State state : states_) {
    if (state == State::kAccepted) ++result.accepted;
    if (state == State::kRefused) ++result.refused;
  }
  result.resent = resent_;
  result.reconnects = reconnects_;
  result.is_complete = is_done();
  result.seconds = std::chrono::duration<double>(Time::now() - begin).count();
  if (latencies_us_.empty()) return result;
  std::sort(latencies_us_.begin(), latencies_us_.end());
  result.p50_us = latencies_us_[latencies_us_.size() / 2];
  result.p99_us = latencies_us_[latencies_us_.size() * 99 / 100];
  return result;
}

}  // namespace verbatim::tools
