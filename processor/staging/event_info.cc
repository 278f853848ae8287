#include "processor/staging/event_info.h"

#include "processor/staging/rocks_store.h"

namespace verbatim::processor {

Result<OpenedEvent> open_event(std::string_view bytes) {
  OpenedEvent event;
  RETURN_IF_ERROR(parse_row(bytes, "events", event.stored));
  RETURN_IF_ERROR(parse_row(event.stored.envelope(), "events (envelope)", event.envelope));
  return event;
}

v1::EventInfo describe_event(const OpenedEvent& event, size_t size_bytes) {
  const v1::Envelope& envelope = event.envelope;
  v1::EventInfo info;
  info.set_sequence(event.stored.sequence());
  info.set_event_id(envelope.event_id());
  info.set_kind(envelope.kind());
  info.set_phase(envelope.phase());
  info.set_role(envelope.role());
  info.set_source(envelope.source());
  info.set_conversation_kind(envelope.conversation_kind());
  info.set_conversation_key(envelope.conversation_key());
  info.set_actor(envelope.actor().normalised());
  info.set_accept_time_unix_ns(envelope.accept_time_unix_ns());
  info.set_staged_unix_ns(event.stored.staged_unix_ns());
  info.set_bytes(static_cast<int64_t>(size_bytes));
  info.set_is_late(event.stored.is_late());
  return info;
}

Result<v1::EventInfo> describe_event(std::string_view bytes) {
  ASSIGN_OR_RETURN(const OpenedEvent event, open_event(bytes));
  return describe_event(event, bytes.size());
}

}  // namespace verbatim::processor
