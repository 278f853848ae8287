#include "adapters/check/bench.h"

#include <charconv>
#include <utility>

#include "adapters/check/contract.h"
#include "base/hex.h"

namespace verbatim::adapters::check {
namespace {

constexpr milliseconds kAttachPoll{100};

std::string n(uint64_t number) { return std::to_string(number); }

const char* kind_of(const v1::FromAdapter& message) {
  switch (message.kind_case()) {
    case v1::FromAdapter::kHello:
      return "hello";
    case v1::FromAdapter::kAck:
      return "ack";
    case v1::FromAdapter::kRetry:
      return "retry";
    case v1::FromAdapter::kReject:
      return "reject";
    case v1::FromAdapter::kBatchState:
      return "batch_state";
    case v1::FromAdapter::kCredit:
      return "credit";
    case v1::FromAdapter::kHeartbeat:
      return "heartbeat";
    default:
      return "nothing known";
  }
}

// Of an answer to a batch: which one, and under which epoch.
std::pair<uint64_t, uint64_t> batch_and_epoch(const v1::FromAdapter& answer) {
  if (answer.has_ack()) return {answer.ack().batch(), answer.ack().store_epoch()};
  if (answer.has_retry()) return {answer.retry().batch(), answer.retry().store_epoch()};
  return {answer.reject().batch(), answer.reject().store_epoch()};
}

}  // namespace

Status Bench::broken(const char* sentence, std::string reason) {
  sentence_ = sentence;
  return failed_precondition(std::move(reason));
}

Status Bench::no_answer(const char* sentence, const std::string& what, const Status& error) {
  if (can_kill() && !plugin_.is_running()) {
    return broken(sentence, what + ": the plugin is gone, " + plugin_.end());
  }
  return broken(sentence, what + ": " + error.message());
}

Status Bench::take_hello() {
  if (stream_ != nullptr) stream_->cut();
  if (can_kill() && !plugin_.is_running()) {
    RETURN_IF_ERROR(plugin_.start());
    is_new_process_ = true;
  }
  Result<std::shared_ptr<HubStream>> stream = wait_stream();
  if (!stream) return no_answer(contract::kHello, "it did not attach", stream.error());
  stream_ = *std::move(stream);
  const Result<v1::FromAdapter> first = stream_->next(options_.patience);
  if (!first) return no_answer(contract::kHello, "no hello came", first.error());
  if (!first->has_hello()) {
    return broken(contract::kHello, std::string("its first message is ") + kind_of(*first));
  }
  RETURN_IF_ERROR(check_hello(first->hello()));
  hello_ = first->hello();
  chain_.set_adapter(hello_.adapter());
  return {};
}

// A plugin that has ended does not come any more.
Result<std::shared_ptr<HubStream>> Bench::wait_stream() {
  const auto end = std::chrono::steady_clock::now() + options_.patience;
  while (true) {
    Result<std::shared_ptr<HubStream>> stream = hub_.wait_stream(kAttachPoll);
    const bool is_gone = can_kill() && !plugin_.is_running();
    if (stream || is_gone || std::chrono::steady_clock::now() >= end) return stream;
  }
}

Status Bench::check_hello(const v1::AdapterHello& hello) {
  if (hello.adapter().empty()) return broken(contract::kHello, "its hello names no adapter");
  if (hello.instance().empty()) return broken(contract::kInstance, "its hello has no instance");
  if (is_new_process_ && hello.instance() == earlier_instance_) {
    return broken(contract::kInstance, "a process started anew has the instance of the one before");
  }
  is_new_process_ = false;
  earlier_instance_ = hello.instance();
  if (hello.schema_revision() < 1) {
    return broken(contract::kRevision, "its hello has no schema_revision");
  }
  const uint64_t last = hello.last_applied_batch();
  if (last == 0) return {};
  const auto sent = sent_.find(last);
  if (sent == sent_.end()) {
    return broken(contract::kLastApplied,
                  "its hello says that batch " + n(last) + " was applied, which was never sent" +
                      (sent_.empty() ? "; begin with an empty target" : ""));
  }
  if (sent->second != hello.last_applied_digest()) {
    return broken(contract::kLastApplied, "its hello has another digest for batch " + n(last));
  }
  return {};
}

void Bench::welcome() {
  HubStream::Welcome welcome;
  welcome.store_epoch = epoch_;
  welcome.heartbeat = options_.heartbeat;
  welcome.last_acked_batch = chain_.last_applied();
  welcome.last_acked_digest = chain_.last_digest();
  welcome.settings = options_.settings;
  stream_->welcome(welcome);
}

void Bench::activate() { stream_->activate(chain_.last_applied(), chain_.last_digest()); }

Status Bench::be_ready() {
  if (stream_ != nullptr && !stream_->has_ended()) return {};
  RETURN_IF_ERROR(take_hello());
  welcome();
  activate();
  return {};
}

void Bench::cut() {
  if (stream_ != nullptr) stream_->cut();
  stream_ = nullptr;
  ++epoch_;
}

void Bench::kill() {
  plugin_.kill();
  cut();
}

void Bench::stop() {
  if (stream_ != nullptr) stream_->cut();
  plugin_.stop(options_.patience);
}

Status Bench::recover() {
  sentence_.clear();
  kill();
  RETURN_IF_ERROR(be_ready());
  if (last_sent_.number() > chain_.last_applied()) {
    ASSIGN_OR_RETURN(const auto state, ask_state(last_sent_.number(), last_sent_.digest));
    if (state == v1::BatchStateAnswer::STATE_APPLIED) chain_.apply(last_sent_);
  }
  return begin_counting();
}

void Bench::send(const TestBatch& batch, Damage damage) {
  if (damage == Damage::kNone) {
    sent_[batch.number()] = batch.digest;
    last_sent_ = batch;
  }
  stream_->send_batch(batch, epoch_, damage);
}

Result<v1::FromAdapter> Bench::take_answer(const TestBatch& batch) {
  while (true) {
    Result<v1::FromAdapter> answer = stream_->next(options_.patience);
    const std::string which = "batch " + n(batch.number());
    if (!answer) return no_answer(contract::kAnswer, which + " was not answered", answer.error());
    if (answer->has_credit()) continue;
    if (!answer->has_ack() && !answer->has_retry() && !answer->has_reject()) {
      return broken(contract::kAnswer, which + " was answered by " + kind_of(*answer));
    }
    const auto [number, epoch] = batch_and_epoch(*answer);
    if (number != batch.number()) {
      return broken(contract::kAnswer, which + " was answered with the number " + n(number));
    }
    if (epoch != epoch_) {
      return broken(contract::kAckEpoch, which + " was sent under epoch " + n(epoch_) +
                                             " and answered under epoch " + n(epoch));
    }
    if (answer->has_ack() && answer->ack().digest() != batch.digest) {
      return broken(contract::kAckDigest, "the acknowledgement of " + which + " has the digest " +
                                              base::to_hex(answer->ack().digest()));
    }
    return answer;
  }
}

Status Bench::expect_ack(const TestBatch& batch) {
  ASSIGN_OR_RETURN(const v1::FromAdapter answer, take_answer(batch));
  if (answer.has_ack()) return {};
  return broken(contract::kAnswer,
                "a good batch was answered with " + std::string(kind_of(answer)) + ": " +
                    (answer.has_retry() ? answer.retry().reason() : answer.reject().reason()));
}

void Bench::note_applied(const TestBatch& batch) {
  chain_.apply(batch);
  if (effects_) *effects_ += static_cast<int64_t>(batch.event_count());
}

Status Bench::apply(const TestBatch& batch) {
  send(batch);
  RETURN_IF_ERROR(expect_ack(batch));
  note_applied(batch);
  return {};
}

Result<v1::BatchStateAnswer::State> Bench::ask_state(uint64_t batch, const std::string& digest) {
  stream_->ask_state(batch, digest);
  while (true) {
    const Result<v1::FromAdapter> answer = stream_->next(options_.patience);
    if (!answer) {
      return no_answer(contract::kState, "the question for batch " + n(batch) + " was not answered",
                       answer.error());
    }
    if (answer->has_credit()) continue;
    if (!answer->has_batch_state()) {
      return broken(contract::kState,
                    "the question for batch " + n(batch) + " was answered by " + kind_of(*answer));
    }
    const v1::BatchStateAnswer& state = answer->batch_state();
    if (state.batch() != batch || state.digest() != digest) {
      return broken(contract::kState, "the answer is for another batch or digest than was asked");
    }
    return state.state();
  }
}

Status Bench::expect_state(const TestBatch& batch, v1::BatchStateAnswer::State expected) {
  ASSIGN_OR_RETURN(const auto state, ask_state(batch.number(), batch.digest));
  if (state == expected) return {};
  return broken(contract::kState, "of batch " + n(batch.number()) + " it says " +
                                      v1::BatchStateAnswer::State_Name(state) +
                                      ", which should be " +
                                      v1::BatchStateAnswer::State_Name(expected));
}

Result<int64_t> Bench::count_effects() {
  ASSIGN_OR_RETURN(const std::string text, run_shell(options_.count_command));
  int64_t count = 0;
  const char* begin = text.data() + text.find_first_not_of(" \t\n");
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), count);
  if (text.empty() || error != std::errc()) {
    return invalid_argument("the command that counts printed no number: " + options_.count_command);
  }
  return count;
}

Status Bench::begin_counting() {
  if (options_.count_command.empty()) return {};
  ASSIGN_OR_RETURN(const int64_t count, count_effects());
  effects_ = count;
  return {};
}

Status Bench::expect_effects(const std::string& when) {
  if (!effects_) return {};
  ASSIGN_OR_RETURN(const int64_t count, count_effects());
  if (count == *effects_) return {};
  const std::string reason = when + " there are " + std::to_string(count) + " events, and " +
                             std::to_string(*effects_) + " should be";
  const bool is_more = count > *effects_;
  effects_ = count;  // one fault is told once
  return broken(is_more ? contract::kRepeat : contract::kAtomic, reason);
}

}  // namespace verbatim::adapters::check
