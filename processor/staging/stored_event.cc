#include "processor/staging/stored_event.h"

#include "base/clock.h"
#include "base/uuid.h"

namespace verbatim::processor {
namespace {

const char* why_undecodable(const v1::QueueMessage& message, v1::Envelope& envelope) {
  if (!envelope.ParseFromString(message.envelope())) return "the envelope does not parse";
  if (envelope.kind() == v1::EVENT_KIND_UNSPECIFIED) return "the envelope has no kind";
  if (envelope.conversation_key().empty()) return "the envelope has no conversation";
  return nullptr;
}

Intake raw_event(const std::string& queue, const v1::QueueMessage& message, const char* reason,
                 int64_t now_unix_ns) {
  v1::Event event;
  event.set_id(base::make_uuid_v7(base::system_clock()));
  event.set_schema_revision(v1::SCHEMA_REVISION_CURRENT);
  event.mutable_source()->set_name(message.source());
  event.set_accept_time_unix_ns(message.put_unix_ns() != 0 ? message.put_unix_ns() : now_unix_ns);
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_SOURCE);
  event.mutable_conversation()->set_key(message.source().empty() ? queue : message.source());
  event.set_phase(v1::PHASE_NOTICE);
  event.set_role(v1::ROLE_RECORD);
  event.set_raw(message.SerializeAsString());
  event.set_raw_media_type(kRawMediaType);
  event.mutable_other()->set_name("undecodable");
  event.mutable_other()->set_reason(reason);

  Intake intake;
  intake.is_undecodable = true;
  v1::Envelope& envelope = intake.envelope;
  envelope.set_schema_revision(v1::SCHEMA_REVISION_CURRENT);
  envelope.set_event_id(event.id());
  envelope.set_kind(v1::EVENT_KIND_OTHER);
  envelope.set_phase(event.phase());
  envelope.set_role(event.role());
  envelope.set_conversation_kind(event.conversation().kind());
  envelope.set_conversation_key(event.conversation().key());
  envelope.set_source(message.source());
  envelope.set_source_key(message.source_key());
  envelope.set_accept_time_unix_ns(event.accept_time_unix_ns());
  intake.envelope_bytes = envelope.SerializeAsString();
  intake.event_bytes = event.SerializeAsString();
  return intake;
}

}  // namespace

Intake read_message(const std::string& queue, v1::QueueMessage& message, int64_t now_unix_ns) {
  Intake intake;
  if (const char* reason = why_undecodable(message, intake.envelope); reason != nullptr) {
    return raw_event(queue, message, reason, now_unix_ns);
  }
  intake.envelope_bytes = std::move(*message.mutable_envelope());
  intake.event_bytes = std::move(*message.mutable_body());
  return intake;
}

}  // namespace verbatim::processor
