#include "tests/model/queue_history.h"

#include <ostream>

#include "tests/model/queue_history_run.h"

namespace verbatim::queue::model {
namespace {

constexpr std::array<const char*, static_cast<size_t>(StepKind::kCount)> kNames = {
    "put",           "put-out-of-sequence",
    "put-again",     "put-stale",
    "open-producer", "receive",
    "commit",        "abort",
    "abandon",       "extend",
    "wait",          "restart-consumer",
    "purge",         "move",
    "redrive",       "delete",
    "create",        "configure",
    "switch",        "ask-token",
    "destroy",       "trim-journal",
    "restart"};

}  // namespace

const char* kind_name(StepKind kind) { return kNames[static_cast<size_t>(kind)]; }

void History::do_step(const Step& step) {
  switch (step.kind) {
    case StepKind::kPut:
      return put_next(step, 0, false);
    case StepKind::kPutOutOfSequence:
      return put_next(step, 1 + step.c % 3, false);
    case StepKind::kPutStale:
      return put_next(step, 0, true);
    case StepKind::kPutAgain:
      return put_again(step);
    case StepKind::kOpenProducer:
      return open_producer(step);
    case StepKind::kReceive:
      return receive(step.a % 4 == 0 ? any_queue(step.b) : main_queue(step.b), 1 + step.c % 6,
                     step.c % 2 == 0 ? 200 : 3'000, leases_to_name(step));
    case StepKind::kCommit:
    case StepKind::kAbort:
    case StepKind::kAbandon:
      return settle_lease(step);
    case StepKind::kExtend:
      return extend(step);
    case StepKind::kWait: {
      const int64_t time = std::array<int64_t, 4>{0, 150, 800, 9'000}[step.a % 4];
      tell("wait {} ms", time);
      pass(time);
      return settle();
    }
    case StepKind::kRestartConsumer:
      return restart_consumer();
    case StepKind::kPurge:
    case StepKind::kMove:
    case StepKind::kRedrive:
      return transfer(step);
    case StepKind::kDelete:
    case StepKind::kCreate:
      return create_or_delete(step);
    case StepKind::kConfigure:
      return configure(step);
    case StepKind::kSwitch:
      return switch_queue(step);
    case StepKind::kAskToken:
      return ask_token(step);
    case StepKind::kDestroy:
      return destroy(step);
    case StepKind::kTrimJournal:
      return trim(step);
    case StepKind::kRestart:
    case StepKind::kCount:
      return step.doom == Doom::kNone ? restart(step.a % 2 == 0) : void();
  }
}

std::ostream& operator<<(std::ostream& out, const Step& step) {
  constexpr std::array kDooms = {"", " dropped", " power-cut", " disk-fails"};
  return out << kind_name(step.kind) << kDooms[static_cast<size_t>(step.doom)] << " " << step.a
             << " " << step.b << " " << step.c;
}

CoreOptions history_options() {
  CoreOptions options;
  options.log.directory = "/queue";
  options.log.segment_bytes = 64 * 1024;
  options.log.cache_bytes = 16 * 1024;
  options.message_max_bytes = 2'048;
  options.source_key_window = std::chrono::milliseconds(kWindow / kMillisecond);
  options.consumer_silence_max = std::chrono::hours(24);
  return options;
}

HistoryResult run_history(const std::vector<Step>& steps, const CoreOptions& options,
                          HistoryTotals& totals) {
  return History(options, totals).run(steps);
}

}  // namespace verbatim::queue::model
