#include "adapters/check/checks.h"

#include <algorithm>
#include <thread>

#include "adapters/check/contract.h"

namespace verbatim::adapters::check {
namespace {

using State = v1::BatchStateAnswer;
using Clock = std::chrono::steady_clock;

constexpr int kHeartbeatsWatched = 5;
// On a loaded machine a heartbeat may be late; the hub itself waits for five intervals.
constexpr int kHeartbeatIntervalsMax = 3;
constexpr int kRandomKills = 8;
constexpr milliseconds kRetryDelayMax{30'000};

std::string n(uint64_t number) { return std::to_string(number); }

Result<Finding> check_hello(Bench& bench) {
  RETURN_IF_ERROR(bench.take_hello());
  if (bench.hello().last_applied_batch() != 0) {
    return bench.broken(contract::kLastApplied, "begin with an empty target");
  }
  bench.welcome();
  bench.activate();
  RETURN_IF_ERROR(bench.begin_counting());
  return Finding{false, "adapter " + bench.hello().adapter() + ", " + bench.hello().software()};
}

Result<Finding> check_heartbeat(Bench& bench) {
  bench.stream().take_heard();
  const milliseconds interval = bench.options().heartbeat;
  const Result<v1::FromAdapter> message = bench.stream().next(interval * kHeartbeatsWatched);
  if (message.error().code() == StatusCode::kUnavailable) {
    return bench.broken(contract::kHeartbeat, "it left the stream while there was nothing to do");
  }
  const HubStream::Heard heard = bench.stream().take_heard();
  if (heard.longest_gap > interval * kHeartbeatIntervalsMax) {
    return bench.broken(contract::kHeartbeat,
                        "it was silent for " + n(static_cast<uint64_t>(heard.longest_gap.count())) +
                            " ms, and heartbeat_ms is " +
                            n(static_cast<uint64_t>(interval.count())));
  }
  return Finding{false, n(static_cast<uint64_t>(heard.count)) + " in " +
                            n(static_cast<uint64_t>((interval * kHeartbeatsWatched).count())) +
                            " ms"};
}

Result<Finding> check_succeed(Bench& bench) {
  int events = 0;
  for (const int posts : {3, 1, 120}) {
    const TestBatch batch = bench.chain().next(posts);
    RETURN_IF_ERROR(bench.apply(batch));
    RETURN_IF_ERROR(bench.expect_effects("after batch " + n(batch.number())));
    RETURN_IF_ERROR(bench.expect_state(batch, State::STATE_APPLIED));
    events += posts;
  }
  return Finding{false, "3 batches, " + std::to_string(events) + " events, in order"};
}

// The hub was gone before the acknowledgement came: it knows nothing, the plugin has the effect.
Result<Finding> check_repeat(Bench& bench) {
  const TestBatch batch = bench.chain().next(4);
  bench.send(batch);
  RETURN_IF_ERROR(bench.expect_ack(batch));
  for (int i = 0; i < 2; ++i) {
    bench.cut();
    RETURN_IF_ERROR(bench.be_ready());
    bench.send(batch);
    RETURN_IF_ERROR(bench.expect_ack(batch));
  }
  bench.note_applied(batch);
  RETURN_IF_ERROR(bench.expect_effects("after a batch that came three times"));
  RETURN_IF_ERROR(bench.apply(bench.chain().next(1)));
  RETURN_IF_ERROR(bench.expect_effects("after the next batch"));
  return Finding{false, "acknowledged again, in effect once"};
}

// Bytes that do not fit their digest: no adapter may take them, nor blame the events.
Result<Finding> check_damage(Bench& bench) {
  const TestBatch batch = bench.chain().next(3);
  for (const Damage damage : {Damage::kDigest, Damage::kMissingEvent}) {
    RETURN_IF_ERROR(bench.be_ready());
    bench.send(batch, damage);
    const Result<v1::FromAdapter> answer = bench.take_answer(batch);
    if (!answer && !bench.stream().has_ended()) return answer.error();
    bench.forget_broken();
    if (answer && !answer->has_retry()) {
      return bench.broken(
          contract::kDamaged,
          std::string(damage == Damage::kDigest ? "a wrong digest" : "a missing event") +
              " was answered by " + (answer->has_ack() ? "ack" : "reject"));
    }
    RETURN_IF_ERROR(bench.expect_effects("after a damaged batch"));
  }
  RETURN_IF_ERROR(bench.be_ready());
  RETURN_IF_ERROR(bench.expect_state(batch, State::STATE_NOT_APPLIED));
  RETURN_IF_ERROR(bench.apply(batch));
  RETURN_IF_ERROR(bench.expect_effects("after the same batch came whole"));
  return Finding{false, "not taken; taken when it came whole"};
}

// Sends until it is acknowledged, as late as the plugin asks for.
Status apply_with_retries(Bench& bench, const TestBatch& batch, milliseconds delay) {
  const auto end = Clock::now() + bench.options().patience + kRetryDelayMax;
  while (true) {
    std::this_thread::sleep_for(std::clamp(delay, milliseconds(0), kRetryDelayMax));
    bench.send(batch);
    ASSIGN_OR_RETURN(const v1::FromAdapter answer, bench.take_answer(batch));
    if (answer.has_ack()) break;
    if (answer.has_reject() || Clock::now() > end) {
      return bench.broken(contract::kRetry,
                          "its target is back, and the batch is still answered "
                          "with " +
                              std::string(answer.has_reject() ? "reject" : "retry"));
    }
    delay = milliseconds(answer.retry().retry_after_ms());
  }
  bench.note_applied(batch);
  return {};
}

Result<Finding> check_retry(Bench& bench) {
  const BenchOptions& options = bench.options();
  if (options.down_command.empty()) {
    return Finding{true, "no --target-down and --target-up: how to make its target refuse?"};
  }
  const TestBatch batch = bench.chain().next(3);
  RETURN_IF_ERROR(run_shell(options.down_command).error());
  bench.send(batch);
  const Result<v1::FromAdapter> answer = bench.take_answer(batch);
  const Status up = run_shell(options.up_command).error();
  RETURN_IF_ERROR(answer.error());
  RETURN_IF_ERROR(up);
  if (!answer->has_retry()) {
    return bench.broken(answer->has_ack() ? contract::kAtomic : contract::kReject,
                        std::string("its target is down, and it answers ") +
                            (answer->has_ack() ? "ack" : "reject, as if the events were to blame"));
  }
  if (answer->retry().retry_after_ms() < 0) {
    return bench.broken(contract::kRetry, "its retry_after_ms is negative");
  }
  RETURN_IF_ERROR(apply_with_retries(bench, batch, milliseconds(answer->retry().retry_after_ms())));
  RETURN_IF_ERROR(bench.expect_effects("after the retry"));
  RETURN_IF_ERROR(bench.expect_state(batch, State::STATE_APPLIED));
  return Finding{false, "refused for now, taken when its target was back"};
}

Status check_culprits(Bench& bench, const v1::BatchReject& reject, const TestBatch& batch) {
  for (const v1::RejectedEvent& event : reject.events()) {
    if (event.sequence() == batch.broken_sequence) continue;
    return bench.broken(contract::kCulprits, "it blames event " + n(event.sequence()) +
                                                 ", and the broken one is " +
                                                 n(batch.broken_sequence));
  }
  return {};
}

// An event whose bytes are none. A plugin that does not look into events may take it.
Result<Finding> check_reject(Bench& bench) {
  const TestBatch batch = bench.chain().next(3, true);
  bench.send(batch);
  ASSIGN_OR_RETURN(const v1::FromAdapter answer, bench.take_answer(batch));
  if (answer.has_retry()) {
    return bench.broken(contract::kReject,
                        "an event that nobody can read is answered with retry, for ever: " +
                            answer.retry().reason());
  }
  if (answer.has_ack()) {
    bench.note_applied(batch);
    RETURN_IF_ERROR(bench.expect_effects("after a batch with an event that cannot be read"));
    RETURN_IF_ERROR(bench.expect_state(batch, State::STATE_APPLIED));
    return Finding{false, "it took an event that cannot be read; nothing to reject"};
  }
  RETURN_IF_ERROR(check_culprits(bench, answer.reject(), batch));
  RETURN_IF_ERROR(bench.expect_state(batch, State::STATE_NOT_APPLIED));
  RETURN_IF_ERROR(bench.expect_effects("after a rejected batch"));
  const TestBatch replacement = bench.chain().replacement(batch);
  RETURN_IF_ERROR(bench.apply(replacement));
  RETURN_IF_ERROR(bench.expect_effects("after its replacement"));
  RETURN_IF_ERROR(bench.expect_state(batch, State::STATE_NOT_APPLIED));
  return Finding{false, answer.reject().events().empty()
                            ? "nothing in effect, no culprit named; the replacement was taken"
                            : "nothing in effect, culprit named; the replacement was taken"};
}

Result<Finding> check_state(Bench& bench) {
  const TestBatch applied = bench.chain().next(2);
  RETURN_IF_ERROR(bench.apply(applied));
  RETURN_IF_ERROR(bench.expect_state(applied, State::STATE_APPLIED));
  TestBatch other = applied;
  other.digest = std::string(32, 'x');
  ASSIGN_OR_RETURN(auto state, bench.ask_state(other.number(), other.digest));
  if (state == State::STATE_APPLIED) {
    return bench.broken(contract::kState, "it says that another batch of this number was applied");
  }
  const TestBatch unsent = bench.chain().next(2);
  RETURN_IF_ERROR(bench.expect_state(unsent, State::STATE_NOT_APPLIED));
  RETURN_IF_ERROR(bench.apply(unsent));
  RETURN_IF_ERROR(bench.expect_state(unsent, State::STATE_APPLIED));
  return Finding{false, "applied, not applied and another digest are told apart"};
}

// After a kill: the plugin comes back, says what it knows, and the batch comes again.
Status finish_after_kill(Bench& bench, const TestBatch& batch) {
  RETURN_IF_ERROR(bench.be_ready());
  ASSIGN_OR_RETURN(const auto state, bench.ask_state(batch.number(), batch.digest));
  if (bench.hello().last_applied_batch() == batch.number() && state == State::STATE_NOT_APPLIED) {
    return bench.broken(contract::kLastApplied,
                        "its hello says that batch " + n(batch.number()) +
                            " was applied, and its state says that it was not");
  }
  RETURN_IF_ERROR(bench.apply(batch));
  return bench.expect_effects("after a kill and the repeat");
}

Result<Finding> check_kill(Bench& bench) {
  if (!bench.can_kill()) return Finding{true, "it was started by somebody else"};
  // Between effect and acknowledgement, as the hub sees it: the acknowledgement is thrown away.
  TestBatch batch = bench.chain().next(50);
  const auto begin = Clock::now();
  bench.send(batch);
  RETURN_IF_ERROR(bench.expect_ack(batch));
  const auto latency = Clock::now() - begin;
  bench.kill();
  RETURN_IF_ERROR(bench.be_ready());
  RETURN_IF_ERROR(bench.expect_state(batch, State::STATE_APPLIED));
  RETURN_IF_ERROR(finish_after_kill(bench, batch));
  // Right behind the acknowledgement, which counts: the batch never comes again.
  batch = bench.chain().next(50);
  RETURN_IF_ERROR(bench.apply(batch));
  bench.kill();
  RETURN_IF_ERROR(bench.expect_effects("killed right after the acknowledgement,"));
  RETURN_IF_ERROR(bench.be_ready());
  RETURN_IF_ERROR(bench.expect_state(batch, State::STATE_APPLIED));
  // Anywhere on the way.
  for (int i = 1; i <= kRandomKills; ++i) {
    batch = bench.chain().next(50);
    bench.send(batch);
    std::this_thread::sleep_for(latency * i / kRandomKills);
    bench.kill();
    RETURN_IF_ERROR(finish_after_kill(bench, batch));
  }
  return Finding{false, n(kRandomKills + 2) + " times with SIGKILL, each event in effect once"};
}

// The hub dies while the plugin is busy; what it answers to the old hub must not reach the new one.
Result<Finding> check_epoch(Bench& bench) {
  const TestBatch batch = bench.chain().next(50);
  bench.send(batch);
  bench.cut();
  RETURN_IF_ERROR(bench.take_hello());
  bench.welcome();
  bench.activate();
  const Result<v1::FromAdapter> early = bench.stream().next(bench.options().heartbeat);
  if (early && !early->has_credit()) {
    return bench.broken(contract::kSameStream,
                        "an answer came on a new stream, before any batch was sent there");
  }
  RETURN_IF_ERROR(bench.apply(batch));
  RETURN_IF_ERROR(bench.expect_effects("after a batch that was sent under two epochs"));
  return Finding{false, "nothing of an older epoch came; acknowledged under the new one"};
}

Result<Finding> check_standby(Bench& bench) {
  bench.cut();
  RETURN_IF_ERROR(bench.take_hello());
  bench.welcome();
  bench.stream().stand_by();
  const Result<v1::FromAdapter> message = bench.stream().next(bench.options().heartbeat * 2);
  if (message.error().code() == StatusCode::kUnavailable) {
    return bench.broken(contract::kActive, "it left the stream because it was to stand by");
  }
  // Meanwhile the active instance, which shares nothing with this one, has taken a batch.
  bench.chain().apply(bench.chain().next(2));
  bench.activate();
  const TestBatch batch = bench.chain().next(2);
  bench.send(batch);
  ASSIGN_OR_RETURN(const v1::FromAdapter answer, bench.take_answer(batch));
  if (!answer.has_ack()) {
    return bench.broken(contract::kFollows,
                        "it refuses what follows a batch that another instance has applied");
  }
  bench.note_applied(batch);
  RETURN_IF_ERROR(bench.expect_effects("after it stood by"));
  return Finding{false, "it stood by, and went on from where another instance was"};
}

constexpr Check kChecks[] = {
    {"hello", "attaches, says who it is and what it has applied", check_hello},
    {"heartbeat", "is heard while there is nothing to do", check_heartbeat},
    {"succeed", "applies batches in order", check_succeed},
    {"state", "knows which batches it applied", check_state},
    {"repeat", "a batch comes again because its acknowledgement was lost", check_repeat},
    {"damage", "a batch arrives damaged", check_damage},
    {"retry", "its target refuses for a time", check_retry},
    {"reject", "an event is none; the batch is replaced", check_reject},
    {"epoch", "the hub comes back under a new store epoch", check_epoch},
    {"standby", "stands by while another instance goes on, then is active", check_standby},
    {"kill", "is killed between effect and acknowledgement, and elsewhere", check_kill},
};

}  // namespace

std::span<const Check> all_checks() { return kChecks; }

}  // namespace verbatim::adapters::check
