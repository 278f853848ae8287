#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <map>

#include "admin/processor/processor_commands.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

constexpr int kPartCount = 1'000;

std::string place_word(const v1::EventInfo& info) {
  return enum_word(v1::EventInfo::Place_Name(info.place()), "PLACE_");
}

std::string holds_text(const v1::EventInfo& info) {
  std::string text;
  for (const uint64_t hold : info.holds()) text += (text.empty() ? "" : ",") + std::to_string(hold);
  return text.empty() ? "-" : text;
}

std::string staged_line(const v1::EventInfo& event) {
  std::string line = event_line(event);
  line.pop_back();
  return fmt::format("{:<11} {:<6} {}\n", place_word(event), holds_text(event), line);
}

// What a chat text may do to a terminal is shown, not done; lines stay lines.
std::string shown_text(const std::string& text) {
  std::string shown;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    shown += "    | " + printable(text.substr(begin, end - begin)) + "\n";
    begin = end + 1;
  }
  return shown;
}

std::string traced_text(const v1::TracedEvent& traced) {
  const v1::EventInfo& info = traced.info();
  std::string what;
  if (traced.version() > 0) {
    what = fmt::format("version {}", traced.version());
  } else if (traced.of_version() > 0) {
    what = fmt::format("to version {}", traced.of_version());
  }
  if (traced.is_by_other()) what += (what.empty() ? "" : ", ") + std::string("by somebody else");
  if (!traced.link().empty()) what += (what.empty() ? "" : ", ") + traced.link();
  std::string text = staged_line(info);
  text.pop_back();
  text += "  <" + what + ">\n";
  if (traced.has_text()) text += shown_text(traced.text().plain());
  if (traced.has_final_text()) {
    text += "    delivered as:\n" + shown_text(traced.final_text().plain());
  }
  return text;
}

}  // namespace

int list_staged(CommandContext& context, const v1::ListStagedRequest& request, int lines) {
  v1::ListStagedRequest part = request;
  int shown = 0;
  int64_t count = 0;
  int64_t bytes = 0;
  uint64_t next = 0;
  do {
    part.set_max_count(lines == 0 ? 0 : std::min(lines - shown, kPartCount));
    const Result<v1::ListStagedResponse> answer = context.client.list_staged(part);
    if (!answer) return report_error(answer.error());
    for (const auto& event : answer->events()) {
      if (context.style.is_json) {
        print_json(event);
      } else {
        print_text(staged_line(event));
      }
    }
    shown += answer->events_size();
    count += answer->match_count();
    bytes += answer->match_bytes();
    next = answer->next_sequence();
    part.set_from_sequence(next);
  } while (next != 0 && (lines == 0 || shown < lines));
  if (context.style.is_json && lines > 0) return kExitOk;
  if (context.style.is_json) {
    v1::ListStagedResponse total;
    total.set_match_count(count);
    total.set_match_bytes(bytes);
    print_json(total);
    return kExitOk;
  }
  print_text(
      fmt::format("{} events, {}.{}\n", human_count(count), human_bytes(bytes),
                  next == 0 ? "" : fmt::format(" There are more: --from-sequence {}", next)));
  return kExitOk;
}

int show_event(CommandContext& context, const v1::ShowEventRequest& request, bool with_content) {
  if (!with_content) {
    v1::ListStagedRequest list;
    list.set_from_sequence(request.sequence());
    list.set_max_count(1);
    const Result<v1::ListStagedResponse> answer = context.client.list_staged(list);
    if (!answer) return report_error(answer.error());
    if (answer->events().empty() || answer->events(0).sequence() != request.sequence()) {
      return report_error(not_found("the store has no such event"));
    }
    if (context.style.is_json) {
      print_json(answer->events(0));
    } else {
      print_text(staged_line(answer->events(0)));
    }
    return kExitOk;
  }
  const Result<v1::ShowEventResponse> answer = context.client.show_event(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  print_text(staged_line(answer->info()));
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(answer->event(), &json, options).ok()) {
    return report_error(data_loss("the event cannot be shown as text"));
  }
  print_text(json);
  return kExitOk;
}

int trace_message(CommandContext& context, const v1::TraceMessageRequest& request) {
  const Result<v1::TraceMessageResponse> answer = context.client.trace_message(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  for (const auto& traced : answer->events()) print_text(traced_text(traced));
  return kExitOk;
}

int list_batches(CommandContext& context, const v1::ListBatchesRequest& request) {
  const Result<v1::ListBatchesResponse> answer = context.client.list_batches(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  Table batches({{"ADAPTER"},
                 {"BATCH", Align::kRight},
                 {"STATE"},
                 {"EVENTS", Align::kRight},
                 {"BYTES", Align::kRight},
                 {"FIRST", Align::kRight},
                 {"LAST", Align::kRight},
                 {"SEALED"},
                 {"WHY"},
                 {"REPLACES", Align::kRight},
                 {"REPLAY OF", Align::kRight},
                 {"DIGEST"}});
  const auto or_dash = [](uint64_t number) {
    return number == 0 ? std::string("-") : std::to_string(number);
  };
  for (const auto& batch : answer->batches()) {
    batches.add_row(
        {printable(batch.adapter()), or_dash(batch.batch()),
         enum_word(v1::BatchInfo::State_Name(batch.state()), "STATE_"),
         human_count(batch.event_count()), human_bytes(static_cast<int64_t>(batch.body_bytes())),
         or_dash(batch.first_sequence()), or_dash(batch.last_sequence()),
         utc_time(batch.sealed_unix_ns()), batch.reason().empty() ? "-" : printable(batch.reason()),
         or_dash(batch.replaces()), or_dash(batch.replay_of()),
         batch.digest().empty() ? "-" : batch.digest().substr(0, 16)});
  }
  print_table(context.style, batches, "No batch was sealed yet.");
  if (request.batch() == 0 || answer->batches().empty()) return kExitOk;
  Table slices({{"CONVERSATION"},
                {"KIND"},
                {"EVENTS", Align::kRight},
                {"AT START", Align::kRight},
                {"AT END", Align::kRight}});
  for (const auto& slice : answer->batches(0).slices()) {
    slices.add_row(
        {printable(slice.conversation_key()),
         enum_word(v1::ConversationKind_Name(slice.conversation_kind()), "CONVERSATION_KIND_"),
         human_count(slice.event_count()), std::to_string(slice.present_at_start_count()),
         std::to_string(slice.present_at_end_count())});
  }
  print_text(fmt::format("\ndigest   {}\nprevious {}\n\n", answer->batches(0).digest(),
                         answer->batches(0).previous_digest()));
  print_table(context.style, slices, "No slices.");
  return kExitOk;
}

namespace {

// A file that events of several parts of the answer name is one row.
void add_file(const v1::NamedFile& file, std::map<std::string, int>& rows,
              v1::ListFilesResponse& all) {
  const auto [row, is_new] = rows.emplace(file.sha256(), all.files_size());
  if (is_new) {
    *all.add_files() = file;
    return;
  }
  v1::NamedFile& known = *all.mutable_files(row->second);
  known.set_event_count(known.event_count() + file.event_count());
  known.set_first_sequence(std::min(known.first_sequence(), file.first_sequence()));
  known.set_last_sequence(std::max(known.last_sequence(), file.last_sequence()));
}

int list_unnamed_files(CommandContext& context, const v1::ListFilesRequest& request) {
  const Result<v1::ListFilesResponse> answer = context.client.list_files(request);
  if (!answer) return report_error(answer.error());
  if (context.style.is_json) {
    print_json(*answer);
    return kExitOk;
  }
  Table files({{"SHA-256"}, {"BYTES", Align::kRight}, {"STILL THERE BECAUSE"}});
  for (const auto& file : answer->files()) {
    files.add_row({file.sha256(), human_bytes(file.size_bytes()), file.stays_because()});
  }
  print_table(context.style, files, "Every stored file is named by an event of the store.");
  const v1::FileCollection& collection = answer->collection();
  print_text(fmt::format("Removed since the service started: {} files ({}).\n",
                         human_count(collection.collected_count()),
                         human_bytes(collection.collected_bytes())));
  return kExitOk;
}

}  // namespace

int list_files(CommandContext& context, const v1::ListFilesRequest& request) {
  if (request.only_unnamed()) return list_unnamed_files(context, request);
  v1::ListFilesRequest part = request;
  v1::ListFilesResponse all;
  std::map<std::string, int> rows;
  bool is_any_missing = false;
  do {
    const Result<v1::ListFilesResponse> answer = context.client.list_files(part);
    if (!answer) return report_error(answer.error());
    for (const auto& file : answer->files()) add_file(file, rows, all);
    part.set_from_sequence(answer->next_sequence());
  } while (part.from_sequence() != 0);
  Table files({{"SHA-256"},
               {"CONTENT"},
               {"BYTES", Align::kRight},
               {"EVENTS", Align::kRight},
               {"FIRST", Align::kRight},
               {"LAST", Align::kRight}});
  for (const auto& file : all.files()) {
    is_any_missing = is_any_missing || !file.is_stored();
    files.add_row({file.sha256(),
                   file.is_stored() ? Cell("stored", Mood::kGood) : Cell("MISSING", Mood::kBad),
                   file.is_stored() ? human_bytes(file.size_bytes()) : "-",
                   human_count(file.event_count()), std::to_string(file.first_sequence()),
                   std::to_string(file.last_sequence())});
  }
  if (context.style.is_json) {
    print_json(all);
  } else {
    print_table(context.style, files, "No event of the store names a file.");
  }
  return is_any_missing ? kExitAttention : kExitOk;
}

int replay_adapter(CommandContext& context, const v1::ReplayAdapterRequest& request) {
  const Result<v1::ReplayAdapterResponse> answer = context.client.replay_adapter(request);
  if (!answer) return report_error(answer.error());
  const bool is_out_of_reach = request.only_look() && answer->event_count() == 0;
  if (context.style.is_json) {
    print_json(*answer);
    return is_out_of_reach ? kExitAttention : kExitOk;
  }
  if (request.end()) {
    print_text(
        fmt::format("The replay to adapter {} is ended; a batch that was sealed is still "
                    "delivered.\n",
                    request.adapter()));
    return kExitOk;
  }
  if (is_out_of_reach) {
    print_text(fmt::format(
        "A replay would reach nothing: what lies below sequence {} is archived and "
        "deleted, and of the rest this adapter has acknowledged nothing from there on.\n",
        answer->whole_from_sequence()));
    return kExitAttention;
  }
  print_text(fmt::format(
      "{} at most {} events ({}), sequences {} to {}, of them {} copies kept for holds.\n"
      "What lies below sequence {} is archived and deleted, but for such copies: a replay cannot "
      "reach it.\n",
      request.only_look() ? "A replay would reach" : "The replay gives again",
      human_count(answer->event_count()), human_bytes(answer->bytes()), answer->first_sequence(),
      answer->last_sequence(), human_count(answer->kept_count()), answer->whole_from_sequence()));
  if (!request.only_look()) {
    print_text(
        fmt::format("Its batches are marked as a replay of batches up to {}; deletion waits "
                    "for them.\n",
                    answer->replay_of()));
  }
  return kExitOk;
}

}  // namespace verbatim::admin
