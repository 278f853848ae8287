// Protobuf messages as XML, by reflection: whatever a message holds is written, also fields that
// did not exist when this was written. The rules stand in docs/formats/companion-xml.md:
//
//   field accept_time_unix_ns      attribute acceptTime, xs:dateTime with nanoseconds
//   other numbers, booleans, text  attribute in lower camel case
//   enumerations                   attribute; DECISION_PASS_CHANGED is "pass_changed"
//   digests (…sha256, …digest)     attribute, hexadecimal
//   other bytes                    child element, base64
//   plain (what people wrote)      child element <Plain> with the text
//   messages, repeated fields      child elements in the order of the fields' declaration
//   text that XML cannot carry     shown with U+FFFD, and <Exact field="…"> with base64
//   fields not known here          <Unknown> with base64 of their protobuf form
//
// A field that is not set is left out: 0, false and "" in proto3.
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

#include "base/xml_writer.h"

namespace verbatim::adapters {

// <name>…</name>.
void write_proto(base::XmlWriter& writer, std::string_view name,
                 const google::protobuf::Message& message);

// The two halves, for an element that joins several messages: all attributes first.
void write_proto_attributes(base::XmlWriter& writer, const google::protobuf::Message& message);
void write_proto_children(base::XmlWriter& writer, const google::protobuf::Message& message);

}  // namespace verbatim::adapters
