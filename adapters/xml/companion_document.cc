#include "adapters/xml/companion_document.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <vector>

#include "adapters/xml/proto_xml.h"
#include "base/hex.h"

namespace verbatim::adapters {
namespace {

std::string serialise(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream out(&bytes);
    google::protobuf::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

// "message_posted" of EVENT_KIND_MESSAGE_POSTED.
std::string kind_name(v1::EventKind kind) {
  std::string name = v1::EventKind_Name(kind);
  if (name.empty()) return std::to_string(static_cast<int>(kind));
  name.erase(0, std::string_view("EVENT_KIND_").size());
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return name;
}

std::vector<std::string> addresses_of(const v1::Event& event) {
  std::vector<std::string> addresses;
  if (event.has_actor()) addresses.push_back(event.actor().normalised());
  for (const v1::Party& other : event.others()) addresses.push_back(other.normalised());
  return addresses;
}

// Leaves in an envelope what it says and its event does not.
void keep_beyond(v1::Envelope& rest, const v1::Event& event) {
  rest.clear_kind();  // an attribute of the Event
  if (rest.schema_revision() == event.schema_revision()) rest.clear_schema_revision();
  if (rest.event_id() == event.id()) rest.clear_event_id();
  if (rest.phase() == event.phase()) rest.clear_phase();
  if (rest.role() == event.role()) rest.clear_role();
  if (rest.conversation_kind() == event.conversation().kind()) rest.clear_conversation_kind();
  if (rest.conversation_key() == event.conversation().key()) rest.clear_conversation_key();
  if (rest.conversation_name() == event.conversation().name()) rest.clear_conversation_name();
  if (rest.source() == event.source().name()) rest.clear_source();
  if (rest.source_key() == serialise(event.source_key())) rest.clear_source_key();
  if (rest.source_time_unix_ns() == event.source_time_unix_ns()) rest.clear_source_time_unix_ns();
  if (rest.accept_time_unix_ns() == event.accept_time_unix_ns()) rest.clear_accept_time_unix_ns();
  if (rest.actor().SerializeAsString() == event.actor().SerializeAsString()) rest.clear_actor();
  const std::vector<std::string> addresses(rest.addresses().begin(), rest.addresses().end());
  if (addresses == addresses_of(event)) rest.clear_addresses();
  if (rest.post_key() == event.post_key()) rest.clear_post_key();
}

// Takes the event's stored bytes away: they are written as what they hold.
void write_event(BatchEvent& given, std::optional<LegacyType> shown_as, base::XmlWriter& writer) {
  v1::StoredEvent& stored = given.stored;
  stored.clear_envelope();
  stored.clear_event();
  writer.start_element("Event");
  write_proto_attributes(writer, stored);
  write_proto_attributes(writer, given.event);
  writer.attribute("kind", kind_name(given.envelope.kind()));
  if (shown_as) writer.attribute("shownAs", std::string(legacy_name(*shown_as)));
  if (shown_as == LegacyType::kChat) {
    writer.attribute("shownId", std::to_string(legacy_message_id(stored.sequence())));
  }
  write_proto_children(writer, given.event);
  keep_beyond(given.envelope, given.event);
  if (given.envelope.ByteSizeLong() > 0) write_proto(writer, "Envelope", given.envelope);
  // Unknown fields of the stored event itself.
  write_proto_children(writer, stored);
  writer.end_element();
}

void write_root_attributes(const Batch& batch, const CompanionLinks& links,
                           base::XmlWriter& writer) {
  writer.attribute("xmlns", std::string(kCompanionNamespace));
  writer.attribute("format", std::string(kCompanionFormat));
  writer.attribute("adapter", batch.header().adapter());
  writer.attribute("number", std::to_string(batch.number()));
  writer.attribute("digest", base::to_hex(batch.digest()));
  writer.attribute("previousDigest", base::to_hex(batch.previous_digest()));
  writer.attribute("document", links.document);
  writer.attribute("documentSha256", base::to_hex(links.document_sha256));
}

}  // namespace

Status write_companion(const Batch& batch, const BatchPlan& plan, const CompanionLinks& links,
                       base::XmlWriter& writer) {
  writer.start_element("Batch");
  write_root_attributes(batch, links, writer);
  write_proto(writer, "Header", batch.header());
  writer.start_element("Events");
  BatchEvent event;
  for (size_t i = 0; i < batch.event_count(); ++i) {
    RETURN_IF_ERROR(writer.status());
    RETURN_IF_ERROR(batch.read_event(i, event));
    write_event(event, plan.shown_as[i], writer);
  }
  writer.end_element();
  writer.end_element();
  return writer.finish();
}

}  // namespace verbatim::adapters
