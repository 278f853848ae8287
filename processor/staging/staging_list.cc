// What the store has, for people: staged events and copies of others; by filter, in order, in
// bounded parts. Metadata, but for one event or one message on demand, audited.
#include <algorithm>

#include "base/hex.h"
#include "processor/staging/event_filter.h"
#include "processor/staging/event_info.h"
#include "processor/staging/keys.h"
#include "processor/staging/message_trace.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

constexpr uint64_t kLookMaxCount = 100'000;
constexpr int kListMaxCount = 10'000;

v1::AuditRow content_row(const std::string& subject, const std::string& reason,
                         const base::Caller& caller) {
  v1::AuditRow row;
  row.set_action("content read");
  row.set_subject(subject);
  row.set_reason(reason);
  row.set_peer(caller.peer);
  row.set_user(caller.user);
  return row;
}

}  // namespace

std::map<uint64_t, v1::HoldFilter> Staging::hold_filters() const {
  base::MutexLock lock(mutex_);
  std::map<uint64_t, v1::HoldFilter> filters;
  for (const auto& [number, row] : holds_) {
    if (!row.is_released()) filters[number] = row.filter();
  }
  return filters;
}

namespace {

v1::EventInfo describe_found(const OpenedEvent& event, size_t size_bytes,
                             v1::EventInfo::Place place,
                             const std::map<uint64_t, v1::HoldFilter>& holds) {
  v1::EventInfo info = describe_event(event, size_bytes);
  info.set_place(place);
  for (const auto& [number, filter] : holds) {
    if (covers(filter, event.envelope)) info.add_holds(number);
  }
  return info;
}

}  // namespace

Result<v1::ListStagedResponse> Staging::list_staged(const v1::ListStagedRequest& request) const {
  RETURN_IF_ERROR(fatal());
  v1::StagedFilter filter = request.filter();
  filter.set_person(typed_address(filter.person()));
  filter.set_room(typed_room(filter.room()));
  if (filter.to_unix_ns() != 0 && filter.to_unix_ns() <= filter.from_unix_ns()) {
    return invalid_argument("the time ends before it begins");
  }
  const auto holds = hold_filters();
  const int max_count = std::clamp(request.max_count(), 0, kListMaxCount);
  v1::ListStagedResponse response;
  uint64_t looked_at = 0;
  Status parsed;
  RETURN_IF_ERROR(
      for_each_event(request.from_sequence(), filter.room(), [&](const FoundEvent& found) {
        if (looked_at++ == kLookMaxCount ||
            (max_count > 0 && response.events_size() == max_count)) {
          response.set_next_sequence(found.sequence);
          return false;
        }
        const auto event = open_event(found.stored_event);
        parsed = event.error();
        if (!parsed.ok()) return false;
        if (!matches(filter, event->envelope)) return true;
        v1::EventInfo info = describe_found(*event, found.stored_event.size(), found.place, holds);
        if (filter.is_held() && info.holds().empty()) return true;
        response.set_match_count(response.match_count() + 1);
        response.set_match_bytes(response.match_bytes() + info.bytes());
        if (max_count > 0) *response.add_events() = std::move(info);
        return true;
      }));
  RETURN_IF_ERROR(parsed);
  return response;
}

Result<v1::ShowEventResponse> Staging::show_event(const v1::ShowEventRequest& request,
                                                  const base::Caller& caller) {
  if (request.reason().empty()) return invalid_argument("reading content needs a reason");
  v1::ShowEventResponse response;
  Status parsed =
      not_found("the store has no such event sequence=" + std::to_string(request.sequence()));
  const auto holds = hold_filters();
  RETURN_IF_ERROR(for_each_event(request.sequence(), "", [&](const FoundEvent& found) {
    if (found.sequence != request.sequence()) return false;
    auto event = open_event(found.stored_event);
    parsed = event.error();
    if (!parsed.ok()) return false;
    *response.mutable_info() =
        describe_found(*event, found.stored_event.size(), found.place, holds);
    response.set_queue(event->stored.queue());
    response.set_lookup_id(event->stored.lookup_id());
    if (!response.mutable_event()->ParseFromString(event->stored.event())) {
      response.mutable_event()->Clear();
      response.mutable_event()->mutable_other()->set_name("undecodable");
      response.mutable_event()->set_raw(event->stored.event());
    }
    *response.mutable_envelope() = std::move(event->envelope);
    return false;
  }));
  RETURN_IF_ERROR(parsed);
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  RETURN_IF_ERROR(audit_first(
      content_row("event " + std::to_string(request.sequence()), request.reason(), caller)));
  return response;
}

Status Staging::for_each_opened(uint64_t from, const std::string& conversation,
                                const VisitOpened& visit) const {
  Status parsed;
  RETURN_IF_ERROR(for_each_event(from, conversation, [&](const FoundEvent& found) {
    const auto event = open_event(found.stored_event);
    parsed = event.error();
    if (parsed.ok()) visit(*event, found);
    return parsed.ok();
  }));
  return parsed;
}

// One pass over the whole store, which is why it must not be too large. A message and all that
// tells of it are in one conversation, so that its index serves for the rest.
Result<std::set<std::string>> Staging::conversations_of_message(const std::string& id) const {
  const StagingCounts all = counts();
  const uint64_t count =
      all.staged_count + all.kept_count + all.unrouted_count + all.quarantined_count;
  if (count > options_.trace_max_count) {
    return failed_precondition("the store has " + std::to_string(count) +
                               " events, and more than " +
                               std::to_string(options_.trace_max_count) +
                               " are not looked through for a message: name its room (--room)");
  }
  MessageTrace trace(id, "");
  trace.begin_pass();
  RETURN_IF_ERROR(
      for_each_opened(1, "", [&](const OpenedEvent& event, auto&) { trace.look_at(event); }));
  return trace.conversations();
}

Result<v1::TraceMessageResponse> Staging::trace_message(const v1::TraceMessageRequest& request,
                                                        const base::Caller& caller) {
  if (request.id().empty()) return invalid_argument("which message? its id is missing");
  if (request.with_content() && request.reason().empty()) {
    return invalid_argument("reading content needs a reason");
  }
  const auto holds = hold_filters();
  const std::string room = typed_room(request.conversation());
  std::set<std::string> conversations{room};
  if (room.empty()) {
    ASSIGN_OR_RETURN(conversations, conversations_of_message(request.id()));
  }
  MessageTrace trace(request.id(), room);
  while (!trace.is_settled()) {
    trace.begin_pass();
    for (const std::string& conversation : conversations) {
      RETURN_IF_ERROR(for_each_opened(
          1, conversation, [&](const OpenedEvent& event, auto&) { trace.look_at(event); }));
    }
  }
  if (trace.is_empty()) return not_found("the store has no event of this message");
  for (const std::string& conversation : conversations) {
    RETURN_IF_ERROR(for_each_opened(
        trace.first_sequence(), conversation, [&](const OpenedEvent& event, const auto& found) {
          // Copies come of all conversations.
          if (event.envelope.conversation_key() != conversation || !trace.has(event)) return;
          trace.take(event, describe_found(event, found.stored_event.size(), found.place, holds));
        }));
  }
  v1::TraceMessageResponse response = trace.finish(request.with_content());
  if (!request.with_content()) return response;
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  RETURN_IF_ERROR(audit_first(content_row("message " + request.id(), request.reason(), caller)));
  return response;
}

Result<v1::ListFilesResponse> Staging::list_files(const v1::ListFilesRequest& request) const {
  RETURN_IF_ERROR(fatal());
  const auto max_count = static_cast<size_t>(std::clamp(request.max_count(), 1, kListMaxCount));
  v1::ListFilesResponse response;
  std::map<std::string, v1::NamedFile> files;
  uint64_t looked_at = 0;
  Status parsed;
  RETURN_IF_ERROR(for_each_event(request.from_sequence(), "", [&](const FoundEvent& found) {
    if (looked_at++ == kLookMaxCount || files.size() >= max_count) {
      response.set_next_sequence(found.sequence);
      return false;
    }
    const auto event = open_event(found.stored_event);
    parsed = event.error();
    if (!parsed.ok()) return false;
    for (const std::string& digest : event->envelope.file_sha256()) {
      v1::NamedFile& file = files[digest];
      if (file.event_count() == 0) file.set_first_sequence(found.sequence);
      file.set_event_count(file.event_count() + 1);
      file.set_last_sequence(found.sequence);
    }
    return true;
  }));
  RETURN_IF_ERROR(parsed);
  for (auto& [digest, file] : files) {
    file.set_sha256(base::to_hex(digest));
    *response.add_files() = std::move(file);
  }
  return response;
}

Result<v1::ListAuditResponse> Staging::audit(const v1::ListAuditRequest& request) const {
  v1::ListAuditResponse response;
  Status parsed;
  std::vector<v1::AuditEntry> entries;
  const auto max_count = static_cast<size_t>(std::clamp(request.max_count(), 1, kListMaxCount));
  RETURN_IF_ERROR(store_->for_each_from_last(Family::kAudit, [&](auto key, auto value) {
    v1::AuditRow row;
    parsed = parse_row(value, "audit", row);
    if (!parsed.ok()) return false;
    v1::AuditEntry& entry = entries.emplace_back();
    entry.set_number(number_of(key));
    entry.set_unix_ns(row.unix_ns());
    entry.set_service("verbatim-processor");
    entry.set_peer(row.peer());
    entry.set_user(row.user());
    entry.set_action(row.action());
    entry.set_subject(row.subject().empty() ? row.adapter() : row.subject());
    entry.set_reason(row.reason());
    std::string detail = row.detail();
    const auto add = [&detail](const char* name, uint64_t value_of) {
      if (value_of == 0) return;
      detail += (detail.empty() ? "" : " ") + std::string(name) + "=" + std::to_string(value_of);
    };
    add("batch", row.batch());
    add("first", row.first_sequence());
    add("last", row.last_sequence());
    add("events", row.event_count());
    entry.set_detail(detail);
    return entries.size() < max_count;
  }));
  RETURN_IF_ERROR(parsed);
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    *response.add_entries() = std::move(*entry);
  }
  return response;
}

}  // namespace verbatim::processor
