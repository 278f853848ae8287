#include "adapters/xml/conversations_document.h"

#include <string>

#include "adapters/xml/legacy_time.h"

namespace verbatim::adapters {
namespace {

// Everything that one Message or FirstMessage shows.
struct Message {
  LegacyType type = LegacyType::kJoin;
  std::string content;
  int32_t id = 0;
  v1::Party sender;
  int64_t unix_ns = 0;
};

class Document {
 public:
  Document(const Batch& batch, const ConversationsOptions& options, base::XmlWriter& writer)
      : batch_(batch), options_(options), writer_(writer) {}

  Status write(const BatchPlan& plan) {
    writer_.start_element("Conversations");
    writer_.attribute("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance");
    writer_.attribute("xmlns:xsd", "http://www.w3.org/2001/XMLSchema");
    for (const PlannedConversation& conversation : plan.conversations) {
      RETURN_IF_ERROR(write(conversation));
    }
    writer_.end_element();
    return writer_.finish();
  }

 private:
  // The schema's order: Channel, FirstMessage, Messages, StartTimeUTC, EndTimeUTC.
  Status write(const PlannedConversation& conversation) {
    writer_.start_element("Conversation");
    write_channel(conversation);
    ASSIGN_OR_RETURN(const Message first, first_message(conversation));
    write("FirstMessage", first);
    writer_.start_element("Messages");
    for (const v1::Participation& present : present_at_start(conversation)) {
      write("Message", to_message(present));
    }
    for (const ShownEvent& shown : conversation.shown) {
      RETURN_IF_ERROR(writer_.status());
      ASSIGN_OR_RETURN(const Message message, to_message(shown));
      write("Message", message);
    }
    writer_.end_element();
    write_time("StartTimeUTC", conversation.start_unix_ns);
    write_time("EndTimeUTC", conversation.end_unix_ns);
    writer_.end_element();
    return writer_.status();
  }

  void write_channel(const PlannedConversation& conversation) {
    writer_.start_element("Channel");
    writer_.attribute("uri", legacy_channel_uri(conversation.kind, conversation.key));
    writer_.attribute("name",
                      legacy_channel_name(conversation.kind, conversation.key, conversation.name));
    if (options_.emit_islogged) writer_.attribute("islogged", "");
    writer_.end_element();
  }

  const google::protobuf::RepeatedPtrField<v1::Participation>& present_at_start(
      const PlannedConversation& conversation) const {
    static const google::protobuf::RepeatedPtrField<v1::Participation> kNobody;
    if (conversation.slice < 0 || conversation.kind != v1::CONVERSATION_KIND_ROOM) return kNobody;
    return batch_.header().slices(conversation.slice).present_at_start();
  }

  // A copy of the first Message, never an extra event.
  Result<Message> first_message(const PlannedConversation& conversation) {
    const auto& present = present_at_start(conversation);
    if (!present.empty()) return to_message(present[0]);
    return to_message(conversation.shown.front());
  }

  static Message to_message(const v1::Participation& present) {
    Message message;
    message.sender = present.party();
    message.unix_ns = present.joined_unix_ns();
    return message;
  }

  Result<Message> to_message(const ShownEvent& shown) {
    BatchEvent& event = event_;
    RETURN_IF_ERROR(batch_.read_event(shown.index, event));
    Message message;
    message.type = shown.type;
    message.content = legacy_content(shown.type, event.event);
    if (shown.type == LegacyType::kChat) message.id = legacy_message_id(event.stored.sequence());
    message.sender = legacy_sender(shown.type, event.envelope, event.event);
    message.unix_ns = legacy_time_unix_ns(event.event);
    return message;
  }

  void write(const char* element, const Message& message) {
    writer_.start_element(element);
    writer_.attribute("type", std::string(legacy_name(message.type)));
    writer_.attribute("content", message.content);
    writer_.attribute("id", std::to_string(message.id));
    write_sender(message.sender);
    write_time("DateTimeUTC", message.unix_ns);
    writer_.end_element();
  }

  void write_sender(const v1::Party& party) {
    writer_.start_element("Sender");
    writer_.attribute("UserName", legacy_user_name(party));
    writer_.attribute("id", std::to_string(legacy_sender_id(party)));
    writer_.attribute("email", party.email());
    // Not known is not false: then the attribute is left out, as the schema allows.
    if (party.affinity() != v1::AFFINITY_UNSPECIFIED) {
      writer_.attribute("internal", party.affinity() == v1::AFFINITY_INTERNAL ? "true" : "false");
    }
    writer_.attribute("uri", legacy_sender_uri(party));
    writer_.end_element();
  }

  void write_time(const char* element, int64_t unix_ns) {
    const TimeTriple time = to_time_triple(unix_ns);
    writer_.start_element(element);
    writer_.attribute("since1970", std::to_string(time.since1970));
    writer_.attribute("string", time.string);
    writer_.attribute("long", std::to_string(time.ticks));
    writer_.end_element();
  }

  const Batch& batch_;
  const ConversationsOptions& options_;
  base::XmlWriter& writer_;
  BatchEvent event_;  // the one read last
};

}  // namespace

Status write_conversations(const Batch& batch, const BatchPlan& plan,
                           const ConversationsOptions& options, base::XmlWriter& writer) {
  return Document(batch, options, writer).write(plan);
}

}  // namespace verbatim::adapters
