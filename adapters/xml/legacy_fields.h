// How one event becomes values of the Conversations document: its type, ids, addresses, texts.
// Pure functions; docs/formats/conversations-xml.md has the reasons.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "verbatim/v1/event.pb.h"

namespace verbatim::adapters {

// ComplianceMessageType, with the names that the document prints.
enum class LegacyType { kJoin, kPart, kChat, kBackchat, kFileUpload, kFileDownload };
std::string_view legacy_name(LegacyType type);

// What the event is shown as; nothing for what the legacy schema cannot say, for evidence of
// another event, and for what a policy stopped.
std::optional<LegacyType> legacy_type(const v1::Envelope& envelope, const v1::Event& event);

// True where the act must not happen: the last verdict decides, as an error before it may have been
// discarded.
bool is_stopped(const v1::Event& event);

// Message/@content. CHAT: the text as delivered. FILE*: "<event id>.<extension>".
std::string legacy_content(LegacyType type, const v1::Event& event);

// Message/@id of a CHAT: 1 to 2147483647 (the schema has xs:int), equal to the event's sequence as
// long as that fits, then starting again at 1. Two posts of one batch never share one.
int32_t legacy_message_id(uint64_t sequence);

// Sender/@id: the party's own number where it fits xs:int, else a number made from the normalised
// address; stable, > 0, and not promised to be unique: Sender/@uri is.
int32_t legacy_sender_id(const v1::Party& party);
// Sender/@UserName: the display name, else the address.
std::string legacy_user_name(const v1::Party& party);
// Sender/@uri: the normalised address as xs:anyURI.
std::string legacy_sender_uri(const v1::Party& party);

// Channel/@uri: "ma-chan://domain/id" of a room, its address where that is a URI already;
// "urn:x-verbatim:direct:a:b" of two people.
std::string legacy_channel_uri(v1::ConversationKind kind, const std::string& key);
// Channel/@name: the display name, else the key; "a, b" of two people.
std::string legacy_channel_name(v1::ConversationKind kind, const std::string& key,
                                const std::string& name);

// When the event happened, as the documents show it: the source's time, else that of acceptance.
int64_t legacy_time_unix_ns(const v1::Event& event);

// Whose act it is: for JOIN and PART the person whose participation changes.
const v1::Party& legacy_sender(LegacyType type, const v1::Envelope& envelope,
                               const v1::Event& event);

}  // namespace verbatim::adapters
