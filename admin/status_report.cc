#include "admin/status_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "admin/text.h"

namespace verbatim::admin {
namespace {

constexpr const char* kSystemQueuePrefix = "verbatim.";

using SourceName = std::pair<std::string, std::string>;  // queue, source

bool is_up(const v1::StatusReport& report, std::string_view service) {
  for (const auto& state : report.services()) {
    if (state.service() == service) return state.is_up();
  }
  return false;
}

std::map<SourceName, v1::SourceBalance> balances_of(const v1::StatusReport& report) {
  std::map<SourceName, v1::SourceBalance> balances;
  for (const auto& cut : report.accounting().queues()) {
    for (const auto& source : cut.sources()) {
      v1::SourceBalance& balance = balances[{cut.queue(), source.source()}];
      balance.set_accepted_at_cut(source.accepted());
      balance.set_archived(source.archived());
      balance.set_quarantined(source.quarantined());
      balance.set_staged(source.staged());
      balance.set_repeats(source.repeats());
      balance.set_difference(source.difference());
    }
  }
  for (const auto& queue : report.queues()) {
    // The service's own queues hold no events.
    if (queue.name().starts_with(kSystemQueuePrefix)) continue;
    for (const auto& [source, accepted] : queue.accepted_by_source()) {
      balances[{queue.name(), source}].set_accepted_total(accepted);
    }
  }
  return balances;
}

void add_balances(v1::StatusReport& report) {
  // Half of the picture would show the other half as missing.
  const bool is_whole = is_up(report, "queue") && is_up(report, "processor");
  uint64_t difference_total = 0;
  for (auto& [name, balance] : balances_of(report)) {
    balance.set_queue(name.first);
    balance.set_source(name.second);
    if (is_whole) {
      balance.set_queued(
          static_cast<int64_t>(balance.accepted_total() - balance.accepted_at_cut()));
    }
    difference_total += static_cast<uint64_t>(std::abs(balance.difference()));
    if (balance.queued() < 0) difference_total += static_cast<uint64_t>(-balance.queued());
    *report.add_balance() = std::move(balance);
  }
  for (const auto& adapter : report.accounting().adapters()) {
    difference_total += static_cast<uint64_t>(std::abs(adapter.difference()));
  }
  report.set_difference_total(difference_total);
}

void note_differences(v1::StatusReport& report) {
  for (const auto& balance : report.balance()) {
    if (balance.difference() != 0) {
      report.add_attention(fmt::format(
          "accounting: queue {} source {}: {} events of the accepted ones are in no state",
          balance.queue(), balance.source(), human_count(balance.difference())));
    }
    if (balance.queued() < 0) {
      report.add_attention(
          fmt::format("accounting: queue {} source {}: staging holds {} events more than the queue "
                      "says it has accepted",
                      balance.queue(), balance.source(), human_count(-balance.queued())));
    }
  }
  for (const auto& adapter : report.accounting().adapters()) {
    if (adapter.difference() != 0) {
      report.add_attention(fmt::format("accounting: adapter {}: {} events are in no state",
                                       adapter.adapter(), human_count(adapter.difference())));
    }
  }
  for (const auto& difference : report.accounting().recount_differences()) {
    report.add_attention("recount: " + difference);
  }
}

void note_processor(v1::StatusReport& report) {
  if (!is_up(report, "processor")) return;
  const auto& accounting = report.accounting();
  if (!accounting.has_required_adapter()) {
    report.add_attention("processor: no adapter is required, so nothing is ever deleted");
  }
  if (accounting.unrouted_count() > 0) {
    report.add_attention(fmt::format("processor: {} events are taken by no required adapter",
                                     human_count(accounting.unrouted_count())));
  }
  for (const auto& adapter : report.adapters()) {
    const bool is_stuck = adapter.state() != "active" && adapter.state() != "retrying";
    if (adapter.required() && is_stuck) {
      report.add_attention(
          fmt::format("adapter {}: {}{}", adapter.name(), adapter.state(),
                      adapter.last_reason().empty() ? "" : " (" + adapter.last_reason() + ")"));
    }
    if (adapter.quarantined_count() > 0) {
      report.add_attention(
          fmt::format("adapter {}: {} events are quarantined; see verbatimctl quarantine list",
                      adapter.name(), human_count(adapter.quarantined_count())));
    }
  }
}

void note_collector(v1::StatusReport& report) {
  if (!is_up(report, "collector")) return;
  if (!report.collector().is_queue_connected()) {
    report.add_attention("collector: not connected to the queue; awaited events get an error");
  }
  for (const auto& source : report.collector().sources()) {
    if (source.protocol() == "xcp" && source.state() != v1::SourceInfo::LINK_STATE_ACTIVE) {
      report.add_attention(
          fmt::format("source {}: no chat node is attached at {}{}", source.name(), source.listen(),
                      source.reason().empty() ? "" : " (" + source.reason() + ")"));
    }
  }
}

// A service may tell of an alarm among its notices, too.
bool is_told_by_alarm(const v1::StatusReport& report, const std::string& notice) {
  return std::any_of(report.alarms().begin(), report.alarms().end(), [&](const v1::Alarm& alarm) {
    return !alarm.text().empty() && notice.ends_with(alarm.text());
  });
}

// What note_processor() says of the same.
bool is_said_of_processor(const v1::Alarm& alarm) {
  constexpr std::array<std::string_view, 4> kNames = {"unrouted", "no-required-adapter",
                                                      "adapter-paused", "quarantine"};
  return std::find(kNames.begin(), kNames.end(), alarm.name()) != kNames.end();
}

void note_alarms(v1::StatusReport& report) {
  for (const auto& alarm : report.alarms()) {
    if (is_said_of_processor(alarm)) continue;
    const std::string subject = alarm.subject().empty() ? "" : " " + alarm.subject();
    report.add_attention(fmt::format("alarm {}{}: {}", alarm.name(), subject, alarm.text()));
  }
}

}  // namespace

void judge(v1::StatusReport& report) {
  report.clear_balance();
  report.clear_attention();
  add_balances(report);
  note_differences(report);
  note_processor(report);
  note_collector(report);
  note_alarms(report);
  bool is_any_down = false;
  for (const auto& state : report.services()) {
    is_any_down = is_any_down || !state.is_up();
    for (const auto& notice : state.info().notices()) {
      if (is_told_by_alarm(report, notice)) continue;
      report.add_attention(state.service() + ": " + notice);
    }
  }
  const bool needs_attention = report.difference_total() != 0 || report.attention_size() > 0;
  report.set_exit_code(is_any_down ? kExitServiceDown : needs_attention ? kExitAttention : kExitOk);
}

}  // namespace verbatim::admin
