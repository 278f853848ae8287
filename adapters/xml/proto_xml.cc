#include "adapters/xml/proto_xml.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <vector>

#include "adapters/xml/legacy_time.h"
#include "base/base64.h"
#include "base/hex.h"
#include "base/xml_text.h"

namespace verbatim::adapters {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr std::string_view kTimeSuffix = "_unix_ns";

std::string camel(std::string_view name, bool is_upper) {
  std::string result;
  for (const char c : name) {
    if (c == '_') {
      is_upper = true;
      continue;
    }
    result.push_back(is_upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c);
    is_upper = false;
  }
  return result;
}

bool is_time(const FieldDescriptor& field) {
  return std::string_view(field.name()).ends_with(kTimeSuffix);
}

bool is_digest(const FieldDescriptor& field) {
  const std::string_view name = field.name();
  return name.ends_with("sha256") || name.ends_with("digest");
}

std::string attribute_name(const FieldDescriptor& field) {
  std::string_view name = field.name();
  if (is_time(field)) name.remove_suffix(kTimeSuffix.size());
  return camel(name, false);
}

// Repeated fields are named in the plural; one element is one thing.
std::string element_name(const FieldDescriptor& field) {
  static const std::map<std::string_view, std::string_view> kOneOf = {
      {"others", "OtherParty"}, {"verdicts", "Verdict"}, {"files", "File"},
      {"addresses", "Address"}, {"settings", "Setting"}, {"slices", "Slice"}};
  const auto found = kOneOf.find(field.name());
  return found == kOneOf.end() ? camel(field.name(), true) : std::string(found->second);
}

// "DECISION_PASS_CHANGED" of Decision is "pass_changed".
std::string enum_text(const EnumDescriptor& type, int number) {
  const auto* value = type.FindValueByNumber(number);
  if (value == nullptr) return std::to_string(number);
  std::string prefix;
  for (const char c : type.name()) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0 && !prefix.empty()) prefix.push_back('_');
    prefix.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  std::string name = value->name();
  if (name.starts_with(prefix + "_")) name.erase(0, prefix.size() + 1);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

bool is_attribute(const FieldDescriptor& field) {
  if (field.is_repeated()) return false;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return false;
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_BYTES ? is_digest(field)
                                                         : field.name() != "plain";
    default:
      return true;
  }
}

std::string attribute_text(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_INT64: {
      const int64_t value = reflection.GetInt64(message, &field);
      return is_time(field) ? to_iso_time(value) : std::to_string(value);
    }
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return std::to_string(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return std::to_string(reflection.GetFloat(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return enum_text(*field.enum_type(), reflection.GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string value = reflection.GetString(message, &field);
      return field.type() == FieldDescriptor::TYPE_BYTES ? base::to_hex(value) : value;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return "";
}

void write_text_element(base::XmlWriter& writer, const std::string& name, const std::string& text) {
  writer.start_element(name);
  writer.text(text);
  writer.end_element();
}

// The exact bytes of a text that the document can only show with replacements.
void write_exact(base::XmlWriter& writer, const FieldDescriptor& field, const std::string& value) {
  if (base::is_xml_text(value)) return;
  writer.start_element("Exact");
  writer.attribute("field", camel(field.name(), false));
  writer.text(base::to_base64(value));
  writer.end_element();
}

// One value of a field that is no attribute.
void write_child(base::XmlWriter& writer, const FieldDescriptor& field, const std::string& value) {
  if (field.type() != FieldDescriptor::TYPE_BYTES) {
    write_text_element(writer, element_name(field), value);
  } else {
    write_text_element(writer, element_name(field),
                       is_digest(field) ? base::to_hex(value) : base::to_base64(value));
  }
}

// A map's order in memory is not stable: sorted by key.
void write_map(base::XmlWriter& writer, const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  std::map<std::string, std::string> sorted;
  const FieldDescriptor* key = field.message_type()->map_key();
  const FieldDescriptor* value = field.message_type()->map_value();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& pair = reflection.GetRepeatedMessage(message, &field, i);
    sorted[attribute_text(pair, *key)] = attribute_text(pair, *value);
  }
  for (const auto& [name, text] : sorted) {
    writer.start_element(element_name(field));
    writer.attribute("name", name);
    writer.attribute("value", text);
    write_exact(writer, *key, name);
    write_exact(writer, *value, text);
    writer.end_element();
  }
}

void write_children_of(base::XmlWriter& writer, const Message& message,
                       const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_map()) return write_map(writer, message, field);
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (!field.is_repeated()) {
    if (!reflection.HasField(message, &field)) return;
    if (is_message) {
      return write_proto(writer, element_name(field), reflection.GetMessage(message, &field));
    }
    return write_child(writer, field, reflection.GetString(message, &field));
  }
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    if (is_message) {
      write_proto(writer, element_name(field), reflection.GetRepeatedMessage(message, &field, i));
    } else {
      write_child(writer, field, reflection.GetRepeatedString(message, &field, i));
    }
  }
}

}  // namespace

void write_proto_attributes(base::XmlWriter& writer, const Message& message) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (!is_attribute(field) || !message.GetReflection()->HasField(message, &field)) continue;
    writer.attribute(attribute_name(field), attribute_text(message, field));
  }
}

void write_proto_children(base::XmlWriter& writer, const Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const auto* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    if (!is_attribute(*type->field(i))) write_children_of(writer, message, *type->field(i));
  }
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor& field = *type->field(i);
    if (field.type() != FieldDescriptor::TYPE_STRING) continue;
    if (field.is_repeated()) {
      for (int k = 0; k < reflection.FieldSize(message, &field); ++k) {
        write_exact(writer, field, reflection.GetRepeatedString(message, &field, k));
      }
    } else {
      write_exact(writer, field, reflection.GetString(message, &field));
    }
  }
  const auto& unknown = reflection.GetUnknownFields(message);
  if (unknown.empty()) return;
  std::string bytes;
  if (unknown.SerializeToString(&bytes)) {
    write_text_element(writer, "Unknown", base::to_base64(bytes));
  }
}

void write_proto(base::XmlWriter& writer, std::string_view name, const Message& message) {
  writer.start_element(name);
  write_proto_attributes(writer, message);
  write_proto_children(writer, message);
  writer.end_element();
}

}  // namespace verbatim::adapters
