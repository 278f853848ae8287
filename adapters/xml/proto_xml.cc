#include "adapters/xml/proto_xml.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <unordered_map>
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
std::string make_enum_text(const EnumDescriptor& type,
                           const google::protobuf::EnumValueDescriptor& value) {
  std::string prefix;
  for (const char c : type.name()) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0 && !prefix.empty()) prefix.push_back('_');
    prefix.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  std::string name = value.name();
  if (name.starts_with(prefix + "_")) name.erase(0, prefix.size() + 1);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

std::string enum_text(const EnumDescriptor& type, int number) {
  thread_local std::map<const google::protobuf::EnumValueDescriptor*, std::string> all;
  const auto* value = type.FindValueByNumber(number);
  if (value == nullptr) return std::to_string(number);
  const auto [place, is_new] = all.try_emplace(value);
  if (is_new) place->second = make_enum_text(type, *value);
  return place->second;
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

// How one field is written; made once per message type.
struct FieldForm {
  const FieldDescriptor* field;
  bool is_attribute;
  std::string name;  // of the attribute or the child element
};

const std::vector<FieldForm>& forms_of(const google::protobuf::Descriptor& type) {
  thread_local std::unordered_map<const google::protobuf::Descriptor*, std::vector<FieldForm>> all;
  const auto [place, is_new] = all.try_emplace(&type);
  for (int i = 0; is_new && i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    place->second.push_back({&field, is_attribute(field),
                             is_attribute(field) ? attribute_name(field) : element_name(field)});
  }
  return place->second;
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
void write_child(base::XmlWriter& writer, const FieldForm& form, const std::string& value) {
  if (form.field->type() != FieldDescriptor::TYPE_BYTES) {
    write_text_element(writer, form.name, value);
  } else {
    write_text_element(writer, form.name,
                       is_digest(*form.field) ? base::to_hex(value) : base::to_base64(value));
  }
}

// A map's order in memory is not stable: sorted by key.
void write_map(base::XmlWriter& writer, const Message& message, const FieldForm& form) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor& field = *form.field;
  std::map<std::string, std::string> sorted;
  const FieldDescriptor* key = field.message_type()->map_key();
  const FieldDescriptor* value = field.message_type()->map_value();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& pair = reflection.GetRepeatedMessage(message, &field, i);
    sorted[attribute_text(pair, *key)] = attribute_text(pair, *value);
  }
  for (const auto& [name, text] : sorted) {
    writer.start_element(form.name);
    writer.attribute("name", name);
    writer.attribute("value", text);
    write_exact(writer, *key, name);
    write_exact(writer, *value, text);
    writer.end_element();
  }
}

void write_children_of(base::XmlWriter& writer, const Message& message, const FieldForm& form) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor& field = *form.field;
  if (field.is_map()) return write_map(writer, message, form);
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (!field.is_repeated()) {
    if (!reflection.HasField(message, &field)) return;
    if (is_message) return write_proto(writer, form.name, reflection.GetMessage(message, &field));
    return write_child(writer, form, reflection.GetString(message, &field));
  }
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    if (is_message) {
      write_proto(writer, form.name, reflection.GetRepeatedMessage(message, &field, i));
    } else {
      write_child(writer, form, reflection.GetRepeatedString(message, &field, i));
    }
  }
}

}  // namespace

void write_proto_attributes(base::XmlWriter& writer, const Message& message) {
  for (const FieldForm& form : forms_of(*message.GetDescriptor())) {
    if (!form.is_attribute || !message.GetReflection()->HasField(message, form.field)) continue;
    writer.attribute(form.name, attribute_text(message, *form.field));
  }
}

void write_proto_children(base::XmlWriter& writer, const Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const std::vector<FieldForm>& forms = forms_of(*message.GetDescriptor());
  for (const FieldForm& form : forms) {
    if (!form.is_attribute) write_children_of(writer, message, form);
  }
  std::string scratch;
  for (const FieldForm& form : forms) {
    if (form.field->type() != FieldDescriptor::TYPE_STRING) continue;
    if (!form.field->is_repeated()) {
      write_exact(writer, *form.field,
                  reflection.GetStringReference(message, form.field, &scratch));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, form.field); ++i) {
      write_exact(writer, *form.field,
                  reflection.GetRepeatedStringReference(message, form.field, i, &scratch));
    }
  }
  const auto& unknown = reflection.GetUnknownFields(message);
  if (unknown.empty()) return;
  std::string bytes;
  if (unknown.SerializeToString(&bytes)) {
    write_text_element(writer, "Unknown", base::to_base64(bytes));
  }
}

void write_proto(base::XmlWriter& writer, const std::string& name, const Message& message) {
  writer.start_element(name);
  write_proto_attributes(writer, message);
  write_proto_children(writer, message);
  writer.end_element();
}

}  // namespace verbatim::adapters
