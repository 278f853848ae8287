#include "admin/status_text.h"

#include <fmt/format.h>

#include "admin/status_report.h"
#include "admin/table.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

Cell zero_is_good(int64_t value) {
  return {human_count(value), value == 0 ? Mood::kGood : Mood::kBad};
}

std::string services_text(const v1::StatusReport& report, bool has_colour,
                          std::chrono::nanoseconds now) {
  Table table({{"SERVICE"}, {"STATE"}, {"UP SINCE"}, {"VERSION"}, {"PID"}, {"ADDRESS"}});
  for (const auto& state : report.services()) {
    if (!state.is_up()) {
      table.add_row({state.service(), Cell("DOWN", Mood::kBad), "-", "-", "-", state.address()});
      continue;
    }
    const int64_t age_ms = (now.count() - state.info().started_unix_ns()) / 1'000'000;
    table.add_row({state.service(), Cell("up", Mood::kGood), human_age(age_ms),
                   printable(state.info().version()), std::to_string(state.info().pid()),
                   state.address()});
  }
  return table.to_text(has_colour);
}

std::string balance_text(const v1::StatusReport& report, bool has_colour) {
  Table table({{"QUEUE"},
               {"SOURCE"},
               {"ACCEPTED", Align::kRight},
               {"ARCHIVED", Align::kRight},
               {"QUARANTINED", Align::kRight},
               {"STAGED", Align::kRight},
               {"REPEATS", Align::kRight},
               {"DIFFERENCE", Align::kRight},
               {"STILL QUEUED", Align::kRight}});
  for (const auto& balance : report.balance()) {
    table.add_row({printable(balance.queue()), printable(balance.source()),
                   human_count(balance.accepted_at_cut()), human_count(balance.archived()),
                   human_count(balance.quarantined()), human_count(balance.staged()),
                   human_count(balance.repeats()), zero_is_good(balance.difference()),
                   human_count(balance.queued())});
  }
  if (table.is_empty()) return "Nothing has been accepted yet.\n";
  return "At the cut (accepted = archived + quarantined + staged + repeats + difference):\n" +
         table.to_text(has_colour);
}

std::string adapters_text(const v1::StatusReport& report, bool has_colour) {
  Table table({{"ADAPTER"},
               {"REQUIRED"},
               {"STATE"},
               {"ACCEPTED", Align::kRight},
               {"ACKNOWLEDGED", Align::kRight},
               {"PENDING", Align::kRight},
               {"FILTERED", Align::kRight},
               {"SKIPPED", Align::kRight},
               {"QUARANTINED", Align::kRight},
               {"DIFFERENCE", Align::kRight}});
  for (const auto& account : report.accounting().adapters()) {
    std::string state = "-";
    for (const auto& adapter : report.adapters()) {
      if (adapter.name() == account.adapter()) state = adapter.state();
    }
    table.add_row({printable(account.adapter()), account.required() ? "yes" : "no",
                   Cell(printable(state), state == "active" ? Mood::kGood : Mood::kBad),
                   human_count(account.accepted()), human_count(account.acknowledged()),
                   human_count(account.pending()), human_count(account.filtered()),
                   human_count(account.skipped()), human_count(account.quarantined()),
                   zero_is_good(account.difference())});
  }
  return table.is_empty() ? "No adapters.\n" : table.to_text(has_colour);
}

std::string outbox_text(const v1::StatusReport& report) {
  const auto& outbox = report.collector().outbox();
  return fmt::format(
      "Received, not yet accepted (outbox): {} events, {}; waiting for the queue: {}\n",
      human_count(outbox.event_count()), human_bytes(outbox.bytes()),
      human_count(report.collector().in_flight_count()));
}

std::string verdict_text(const v1::StatusReport& report, bool has_colour) {
  std::string text;
  for (const auto& sentence : report.attention()) {
    text += coloured("attention: ", Mood::kBad, has_colour) + printable(sentence) + "\n";
  }
  if (report.exit_code() == kExitServiceDown) {
    return text +
           coloured("Not all services answer; the picture is not complete.", Mood::kBad,
                    has_colour) +
           "\n";
  }
  if (report.difference_total() != 0) {
    return text +
           coloured(fmt::format("NOT ALL IS ACCOUNTED FOR: difference {}.",
                                human_count(report.difference_total())),
                    Mood::kBad, has_colour) +
           "\n";
  }
  uint64_t accepted = 0;
  for (const auto& balance : report.balance()) accepted += balance.accepted_total();
  return text +
         coloured(
             fmt::format("All accounted for: accepted {}, difference 0.", human_count(accepted)),
             Mood::kGood, has_colour) +
         "\n";
}

}  // namespace

std::string status_text(const v1::StatusReport& report, bool has_colour,
                        std::chrono::nanoseconds now) {
  const auto is_up = [&](std::string_view service) {
    for (const auto& state : report.services()) {
      if (state.service() == service) return state.is_up();
    }
    return false;
  };
  std::string text = services_text(report, has_colour, now) + "\n";
  if (is_up("processor") || is_up("queue")) text += balance_text(report, has_colour) + "\n";
  if (is_up("processor")) text += adapters_text(report, has_colour) + "\n";
  if (is_up("collector")) text += outbox_text(report);
  return text + verdict_text(report, has_colour);
}

}  // namespace verbatim::admin
