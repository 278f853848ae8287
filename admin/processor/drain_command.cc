// The planned switch: puts are paused, the queues run empty, the store runs empty, every adapter
// has acknowledged. Each stage is told with what is left.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "admin/processor/processor_commands.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{250};
// Without a terminal a line is told so often, and whenever it changes stage.
constexpr std::chrono::seconds kTellInterval{5};

// Progress goes to standard error, so that --json stays one object.
class Progress {
 public:
  void tell(const std::string& stage, const std::string& left) {
    const auto now = steady_clock::now();
    const bool is_new = stage != stage_;
    if (is_terminal_) {
      std::fprintf(stderr, "%s\r\x1b[K%-8s %s", is_new && !stage_.empty() ? "\n" : "",
                   stage.c_str(), left.c_str());
    } else if (is_new || now - told_ >= kTellInterval) {
      std::fprintf(stderr, "%-8s %s\n", stage.c_str(), left.c_str());
    } else {
      return;
    }
    std::fflush(stderr);
    stage_ = stage;
    told_ = now;
  }
  ~Progress() {
    if (is_terminal_ && !stage_.empty()) std::fputc('\n', stderr);
  }

 private:
  const bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
  std::string stage_;
  steady_clock::time_point told_{};
};

Status switch_puts(AdminClient& client, const std::string& queue, bool is_paused,
                   const std::string& reason) {
  v1::SwitchQueueRequest request;
  request.set_queue(queue);
  request.set_action(is_paused ? v1::SwitchQueueRequest::ACTION_PAUSE_PUTS
                               : v1::SwitchQueueRequest::ACTION_RESUME_PUTS);
  request.set_reason(reason);
  return client.switch_queue(request).error();
}

struct Left {
  int64_t queued = 0;
  int64_t oldest_ms = 0;
  // Why nobody takes it, where that is known.
  std::string in_the_way;
};

Result<Left> left_in_queues(AdminClient& client, const v1::DrainResponse& state) {
  Left left;
  ASSIGN_OR_RETURN(const v1::ListQueuesResponse answer, client.list_queues());
  for (const auto& queue : answer.queues()) {
    const auto& names = state.queues();
    if (std::find(names.begin(), names.end(), queue.name()) == names.end()) continue;
    left.queued += queue.depth();
    if (queue.depth() > 0 && queue.is_receive_paused()) {
      left.in_the_way += fmt::format(", receives of queue {} are paused", printable(queue.name()));
    } else if (queue.depth() > 0 && queue.consumer_count() == 0) {
      left.in_the_way += fmt::format(", queue {} has no consumer", printable(queue.name()));
    }
    left.oldest_ms = std::max(left.oldest_ms, queue.oldest_age_ms());
  }
  return left;
}

// Events that no required adapter takes: no adapter has to acknowledge them, and they stay.
Result<int64_t> unrouted(AdminClient& client) {
  ASSIGN_OR_RETURN(const v1::GetAccountingResponse cut, client.get_accounting(/*recount=*/false));
  return cut.unrouted_count();
}

// An adapter that is in the way: the one that lags most.
std::string slowest(const v1::DrainResponse& state) {
  const v1::AdapterInfo* worst = nullptr;
  for (const auto& adapter : state.adapters()) {
    const bool is_worse = worst == nullptr || adapter.pending_count() > worst->pending_count();
    if (adapter.pending_count() > 0 && is_worse) worst = &adapter;
  }
  if (worst == nullptr) return "";
  return fmt::format(", adapter {} ({}) has {} to acknowledge", printable(worst->name()),
                     printable(worst->state()), human_count(worst->pending_count()));
}

bool is_empty(const v1::DrainResponse& state) {
  return state.staged_count() == 0 &&
         std::all_of(state.adapters().begin(), state.adapters().end(), [](const auto& adapter) {
           return adapter.pending_count() == 0 && adapter.replay_left_count() == 0;
         });
}

Result<v1::DrainResponse> ask(AdminClient& client, v1::DrainRequest::Action action,
                              const std::string& reason) {
  v1::DrainRequest request;
  request.set_action(action);
  request.set_reason(reason);
  return client.drain(request);
}

int end_drain(CommandContext& context, const std::string& reason) {
  const auto state = ask(context.client, v1::DrainRequest::ACTION_END, reason);
  if (!state) return report_error(state.error());
  for (const std::string& queue : state->queues()) {
    const Status status = switch_puts(context.client, queue, false, reason);
    if (!status.ok()) return report_error(status);
  }
  if (context.style.is_json) {
    print_json(*state);
  } else {
    print_text("Drain mode is ended, puts go on.\n");
  }
  return kExitOk;
}

// Until all is empty or the time is over; gives the last state, and what is still queued.
Result<v1::DrainResponse> wait_empty(AdminClient& client, steady_clock::time_point until,
                                     Left& left) {
  Progress progress;
  while (true) {
    ASSIGN_OR_RETURN(v1::DrainResponse state,
                     ask(client, v1::DrainRequest::ACTION_UNSPECIFIED, ""));
    // The queue after the store: what leaves it meanwhile is seen there with the next look.
    ASSIGN_OR_RETURN(left, left_in_queues(client, state));
    if (left.queued > 0) {
      progress.tell("queue", fmt::format("{} messages left, the oldest is {} old",
                                         human_count(left.queued), human_age(left.oldest_ms)));
    } else if (!is_empty(state)) {
      progress.tell("staging",
                    fmt::format("{} events ({}) left{}", human_count(state.staged_count()),
                                human_bytes(state.staged_bytes()), slowest(state)));
    } else {
      ASSIGN_OR_RETURN(state, ask(client, v1::DrainRequest::ACTION_UNSPECIFIED, ""));
      if (is_empty(state)) return state;
    }
    if (!state.is_draining()) {
      return aborted(
          "drain mode has ended meanwhile: the processor was started again, or "
          "somebody has ended it; drain again");
    }
    if (steady_clock::now() >= until) return state;
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace

int drain(CommandContext& context, const DrainCommand& command) {
  if (command.end) return end_drain(context, command.reason);
  AdminClient& client = context.client;
  const auto until = steady_clock::now() + command.time_max;
  auto state = ask(client, v1::DrainRequest::ACTION_BEGIN, command.reason);
  if (!state) return report_error(state.error());
  for (const std::string& queue : state->queues()) {
    const Status status = switch_puts(client, queue, true, command.reason);
    if (!status.ok()) return report_error(status);
    std::fprintf(stderr, "%-8s puts of queue %s are paused until 'verbatimctl drain --end'\n",
                 "intake", queue.c_str());
  }
  Left left;
  state = wait_empty(client, until, left);
  if (!state) return report_error(state.error());
  const auto unrouted_count = unrouted(client);
  if (!unrouted_count) return report_error(unrouted_count.error());
  const bool is_empty_now = left.queued == 0 && is_empty(*state);
  const bool is_done = is_empty_now && *unrouted_count == 0;
  if (context.style.is_json) {
    print_json(*state);
  } else if (is_done) {
    print_text(
        fmt::format("Drained: nothing is queued or staged, every adapter has acknowledged.{}\n"
                    "Puts stay paused until 'verbatimctl drain --end'.\n",
                    state->kept_count() + state->quarantined_count() == 0
                        ? std::string()
                        : fmt::format(" {} copies stay for holds, {} events in quarantine.",
                                      human_count(state->kept_count()),
                                      human_count(state->quarantined_count()))));
  }
  if (is_done) return kExitOk;
  if (is_empty_now) {
    report_error(failed_precondition(fmt::format(
        "not drained: {} events are unrouted, no required adapter takes them, so they are archived "
        "nowhere and stay in the store; widen a filter, or add a required adapter that starts with "
        "the oldest. Puts stay paused until 'verbatimctl drain --end'",
        human_count(*unrouted_count))));
    return kExitAttention;
  }
  report_error(deadline_exceeded(
      fmt::format(
          "not drained in time: {} messages queued{}, {} events staged{}{}", left.queued,
          left.in_the_way, state->staged_count(), slowest(*state),
          state->has_required_adapter() ? "" : "; no adapter is required, so nothing is deleted") +
      ". Puts stay paused until 'verbatimctl drain --end'"));
  return kExitAttention;
}

}  // namespace verbatim::admin
