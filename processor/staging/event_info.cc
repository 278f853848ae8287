#include "processor/staging/event_info.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "processor/staging/rocks_store.h"

namespace verbatim::processor {

Result<OpenedEvent> open_event(std::string_view bytes) {
  OpenedEvent event;
  RETURN_IF_ERROR(parse_row(bytes, "events", event.stored));
  RETURN_IF_ERROR(parse_row(event.stored.envelope(), "events (envelope)", event.envelope));
  return event;
}

Result<uint64_t> read_envelope(std::string_view bytes, v1::Envelope& envelope) {
  using google::protobuf::internal::WireFormatLite;
  using Fields = v1::StoredEvent;
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()),
                                               static_cast<int>(bytes.size()));
  uint64_t sequence = 0;
  std::string_view envelope_bytes;
  bool is_whole = true;
  while (const uint32_t tag = is_whole ? input.ReadTag() : 0) {
    const int field = WireFormatLite::GetTagFieldNumber(tag);
    if (field == Fields::kSequenceFieldNumber) {
      is_whole = input.ReadVarint64(&sequence);
    } else if (field == Fields::kEnvelopeFieldNumber) {
      uint32_t size = 0;
      is_whole = input.ReadVarint32(&size);
      const auto at = static_cast<size_t>(input.CurrentPosition());
      is_whole = is_whole && input.Skip(static_cast<int>(size));
      if (is_whole) envelope_bytes = bytes.substr(at, size);
    } else {
      is_whole = WireFormatLite::SkipField(&input, tag);
    }
  }
  if (!is_whole || !input.ConsumedEntireMessage()) {
    return data_loss("staging: a row does not parse family=events size_bytes=" +
                     std::to_string(bytes.size()));
  }
  RETURN_IF_ERROR(parse_row(envelope_bytes, "events (envelope)", envelope));
  return sequence;
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
