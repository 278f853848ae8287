#include "processor/staging/message_trace.h"

#include <algorithm>
#include <map>

namespace verbatim::processor {
namespace {

bool is_version_kind(v1::EventKind kind) {
  return kind == v1::EVENT_KIND_MESSAGE_POSTED || kind == v1::EVENT_KIND_MESSAGE_EDITED;
}

// Which kinds tell of a message; the rest is not parsed.
bool is_of_interest(v1::EventKind kind) {
  switch (kind) {
    case v1::EVENT_KIND_MESSAGE_POSTED:
    case v1::EVENT_KIND_MESSAGE_EDITED:
    case v1::EVENT_KIND_MESSAGE_DELETED:
    case v1::EVENT_KIND_MESSAGE_DELIVERED:
    case v1::EVENT_KIND_VERDICT_OUTCOME:
      return true;
    default:
      return false;
  }
}

std::string id_key(const std::string& conversation, const std::string& sender,
                   const std::string& id) {
  return conversation + '\n' + sender + '\n' + id;
}

bool is_purge(const v1::Event& event) {
  return event.has_message_deleted() && event.references().target_message_id().empty();
}

bool is_refused(const v1::Event& event) {
  return std::any_of(event.verdicts().begin(), event.verdicts().end(), [](const auto& verdict) {
    return verdict.decision() == v1::DECISION_HANDLE || verdict.decision() == v1::DECISION_ERROR;
  });
}

int64_t time_of(const v1::Event& event) {
  return event.source_time_unix_ns() != 0 ? event.source_time_unix_ns()
                                          : event.accept_time_unix_ns();
}

bool covers_time(const v1::HistoryRead& read, int64_t time) {
  return (read.from_unix_ns() == 0 || time >= read.from_unix_ns()) &&
         (read.to_unix_ns() == 0 || time <= read.to_unix_ns());
}

}  // namespace

void MessageTrace::begin_pass() {
  ++pass_count_;
  has_grown_ = false;
}

void MessageTrace::look_at(const OpenedEvent& opened) {
  const v1::Envelope& envelope = opened.envelope;
  if (!is_of_interest(envelope.kind())) return;
  if (!conversation_.empty() && envelope.conversation_key() != conversation_) return;
  if (sequences_.contains(opened.stored.sequence())) return;
  v1::Event event;
  // What cannot be read links to nothing.
  if (!event.ParseFromString(opened.stored.event())) return;
  if (!is_of_message(envelope, event)) return;
  sequences_.insert(opened.stored.sequence());
  has_grown_ = true;
  learn(envelope, event);
}

bool MessageTrace::names(const std::string& conversation, const std::string& sender,
                         const std::string& id) const {
  return !id.empty() && (ids_.contains(id_key(conversation, sender, id)) ||
                         ids_.contains(id_key(conversation, "", id)));
}

bool MessageTrace::is_of_message(const v1::Envelope& envelope, const v1::Event& event) const {
  const v1::References& references = event.references();
  const std::string& conversation = envelope.conversation_key();
  const std::string& sender = event.actor().normalised();
  const bool is_asked_for = references.message_id() == id_ || references.stanza_id() == id_ ||
                            references.target_message_id() == id_ || event.id() == id_;
  if (is_asked_for) return true;
  if (event_ids_.contains(event.id()) || event_ids_.contains(references.event_id())) return true;
  if (names(conversation, sender, references.message_id())) return true;
  if (names(conversation, "", references.stanza_id())) return true;
  const std::string& target = references.target_message_id();
  if (names(conversation, sender, target)) return true;
  // By somebody else: a moderator, or a forgery. It links to the author's own id.
  return !target.empty() && !author_.empty() && names(conversation, author_, target);
}

void MessageTrace::learn(const v1::Envelope& envelope, const v1::Event& event) {
  const v1::References& references = event.references();
  const std::string& conversation = envelope.conversation_key();
  const std::string& sender = event.actor().normalised();
  conversations_.insert(conversation);
  if (author_.empty() && is_version_kind(envelope.kind())) author_ = sender;
  const bool is_own = is_version_kind(envelope.kind()) && sender == author_;
  if (!event.id().empty()) event_ids_.insert(event.id());
  if (!references.event_id().empty()) event_ids_.insert(references.event_id());
  if (!is_own) return;
  if (!references.message_id().empty()) {
    ids_.insert(id_key(conversation, sender, references.message_id()));
  }
  if (!references.stanza_id().empty())
    ids_.insert(id_key(conversation, "", references.stanza_id()));
  if (!references.target_message_id().empty()) {
    ids_.insert(id_key(conversation, sender, references.target_message_id()));
  }
}

bool MessageTrace::has(const OpenedEvent& event) const {
  if (sequences_.contains(event.stored.sequence())) return true;
  const v1::EventKind kind = event.envelope.kind();
  return (kind == v1::EVENT_KIND_HISTORY_READ || kind == v1::EVENT_KIND_MESSAGE_DELETED ||
          kind == v1::EVENT_KIND_ROOM_DESTROYED) &&
         conversations_.contains(event.envelope.conversation_key());
}

void MessageTrace::take(const OpenedEvent& opened, v1::EventInfo info) {
  Found found;
  if (!found.event.ParseFromString(opened.stored.event())) return;
  const bool is_its_own = sequences_.contains(opened.stored.sequence());
  if (!is_its_own && found.event.has_message_deleted() && !is_purge(found.event)) return;
  // Captures of one act have one key.
  found.group = opened.envelope.post_key().empty() ? std::to_string(opened.stored.sequence())
                                                   : opened.envelope.post_key();
  *found.traced.mutable_references() = found.event.references();
  *found.traced.mutable_info() = std::move(info);
  found_.push_back(std::move(found));
}

// One version for each act; the record stands for its captures.
void MessageTrace::number_versions() {
  std::map<std::string, Found*> chosen;
  std::vector<std::string> order;
  for (Found& found : found_) {
    const v1::EventInfo& info = found.traced.info();
    if (!is_version_kind(info.kind())) continue;
    found.traced.set_is_by_other(found.event.actor().normalised() != author_);
    if (found.traced.is_by_other() || is_refused(found.event)) continue;
    Found*& best = chosen[found.group];
    if (best == nullptr) order.push_back(found.group);
    const bool is_better = best == nullptr || (info.role() == v1::ROLE_RECORD &&
                                               best->traced.info().role() != v1::ROLE_RECORD);
    if (is_better) best = &found;
  }
  int version = 0;
  for (const std::string& group : order) chosen[group]->traced.set_version(++version);
}

void MessageTrace::link(Found& found) {
  const v1::EventKind kind = found.traced.info().kind();
  if (is_refused(found.event)) found.traced.set_link("refused");
  if (kind == v1::EVENT_KIND_MESSAGE_EDITED && found.traced.is_by_other()) {
    found.traced.set_link("names another's message");
  }
  if (kind == v1::EVENT_KIND_HISTORY_READ) found.traced.set_link("covered by the read");
  if (kind == v1::EVENT_KIND_ROOM_DESTROYED) found.traced.set_link("the room's end");
  if (kind != v1::EVENT_KIND_MESSAGE_DELETED) return;
  found.traced.set_is_by_other(found.event.actor().normalised() != author_);
  found.traced.set_link(is_purge(found.event)                          ? "purge"
                        : found.event.message_deleted().by_moderator() ? "by a moderator"
                                                                       : "");
}

v1::TraceMessageResponse MessageTrace::finish(bool with_content) {
  std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
    return a.traced.info().sequence() < b.traced.info().sequence();
  });
  number_versions();
  v1::TraceMessageResponse response;
  std::map<std::string, int> version_of_event;
  std::map<std::string, int> version_of_group;
  for (const Found& found : found_) {
    if (found.traced.version() == 0) continue;
    version_of_group[found.group] = found.traced.version();
    version_of_event[found.event.id()] = found.traced.version();
  }
  int last_version = 0;
  int64_t posted_time = 0;
  for (Found& found : found_) {
    v1::TracedEvent& traced = found.traced;
    link(found);
    const bool is_capture =
        is_version_kind(traced.info().kind()) && version_of_group.contains(found.group);
    if (traced.version() > 0) {
      traced.set_of_version(traced.version() - 1);
      if (posted_time == 0) posted_time = time_of(found.event);
      last_version = traced.version();
    } else if (is_capture) {
      traced.set_of_version(version_of_group[found.group]);
    } else {
      const auto named = version_of_event.find(found.event.references().event_id());
      traced.set_of_version(named == version_of_event.end() ? last_version : named->second);
    }
    const bool is_read = found.event.has_history_read();
    if (is_read && (last_version == 0 || !covers_time(found.event.history_read(), posted_time))) {
      continue;
    }
    if (with_content && found.event.has_original_text()) {
      *traced.mutable_text() = found.event.original_text();
    }
    if (with_content && found.event.has_final_text()) {
      *traced.mutable_final_text() = found.event.final_text();
    }
    *response.add_events() = std::move(traced);
  }
  return response;
}

}  // namespace verbatim::processor
