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
      {"addresses", "Address"}, {"settings", "Setting"}, {"slices", "Slice"},
      {"groups", "Group"}};
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
  bool is_attribute;
  bool is_time;
  bool is_digest;
  std::string name;  // of the attribute or the child element
};

// By the fields' index, which is the order of their declaration.
const std::vector<FieldForm>& forms_of(const google::protobuf::Descriptor& type) {
  thread_local std::unordered_map<const google::protobuf::Descriptor*, std::vector<FieldForm>> all;
  const auto [place, is_new] = all.try_emplace(&type);
  for (int i = 0; is_new && i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    place->second.push_back({is_attribute(field), is_time(field), is_digest(field),
                             is_attribute(field) ? attribute_name(field) : element_name(field)});
  }
  return place->second;
}

using Fields = std::vector<const FieldDescriptor*>;

// Those that are set, in the order of their declaration.
Fields fields_of(const Message& message) {
  Fields fields;
  message.GetReflection()->ListFields(message, &fields);
  std::sort(fields.begin(), fields.end(),
            [](const auto* a, const auto* b) { return a->index() < b->index(); });
  return fields;
}

// Text of a field that is set: in `scratch`, or the message's own.
std::string_view attribute_text(const Message& message, const FieldDescriptor& field,
                                const FieldForm& form, std::string& scratch) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return scratch = std::to_string(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return scratch = std::to_string(reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return scratch = std::to_string(reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_INT64: {
      const int64_t value = reflection.GetInt64(message, &field);
      return scratch = form.is_time ? to_iso_time(value) : std::to_string(value);
    }
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return scratch = std::to_string(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return scratch = std::to_string(reflection.GetFloat(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return scratch = enum_text(*field.enum_type(), reflection.GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string& value = reflection.GetStringReference(message, &field, &scratch);
      if (field.type() != FieldDescriptor::TYPE_BYTES) return value;
      return scratch = base::to_hex(value);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return "";
}

void write_attributes(base::XmlWriter& writer, const Message& message, const Fields& fields) {
  const std::vector<FieldForm>& forms = forms_of(*message.GetDescriptor());
  std::string scratch;
  for (const FieldDescriptor* field : fields) {
    const FieldForm& form = forms[static_cast<size_t>(field->index())];
    if (!form.is_attribute) continue;
    writer.attribute(form.name, attribute_text(message, *field, form, scratch));
  }
}

void write_text_element(base::XmlWriter& writer, std::string_view name, std::string_view text) {
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
void write_child(base::XmlWriter& writer, const FieldDescriptor& field, const FieldForm& form,
                 const std::string& value) {
  if (field.type() != FieldDescriptor::TYPE_BYTES) {
    write_text_element(writer, form.name, value);
  } else {
    write_text_element(writer, form.name,
                       form.is_digest ? base::to_hex(value) : base::to_base64(value));
  }
}

// Of one side of a map's pair, which is written even where it is 0 or "".
std::string pair_text(const Message& pair, const FieldDescriptor& side) {
  std::string scratch;
  const FieldForm& form = forms_of(*pair.GetDescriptor())[static_cast<size_t>(side.index())];
  return std::string(attribute_text(pair, side, form, scratch));
}

// A map's order in memory is not stable: sorted by key.
void write_map(base::XmlWriter& writer, const Message& message, const FieldDescriptor& field,
               const FieldForm& form) {
  const Reflection& reflection = *message.GetReflection();
  std::map<std::string, std::string> sorted;
  const FieldDescriptor* key = field.message_type()->map_key();
  const FieldDescriptor* value = field.message_type()->map_value();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& pair = reflection.GetRepeatedMessage(message, &field, i);
    sorted[pair_text(pair, *key)] = pair_text(pair, *value);
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

// Of a field that is set.
void write_children_of(base::XmlWriter& writer, const Message& message,
                       const FieldDescriptor& field, const FieldForm& form) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_map()) return write_map(writer, message, field, form);
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  std::string scratch;
  if (!field.is_repeated()) {
    if (is_message) return write_proto(writer, form.name, reflection.GetMessage(message, &field));
    return write_child(writer, field, form,
                       reflection.GetStringReference(message, &field, &scratch));
  }
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    if (is_message) {
      write_proto(writer, form.name, reflection.GetRepeatedMessage(message, &field, i));
    } else {
      write_child(writer, field, form,
                  reflection.GetRepeatedStringReference(message, &field, i, &scratch));
    }
  }
}

// Of the texts that the document can only show with replacements.
void write_exact_texts(base::XmlWriter& writer, const Message& message, const Fields& fields) {
  const Reflection& reflection = *message.GetReflection();
  std::string scratch;
  for (const FieldDescriptor* field : fields) {
    if (field->type() != FieldDescriptor::TYPE_STRING) continue;
    if (!field->is_repeated()) {
      write_exact(writer, *field, reflection.GetStringReference(message, field, &scratch));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      write_exact(writer, *field,
                  reflection.GetRepeatedStringReference(message, field, i, &scratch));
    }
  }
}

void write_children(base::XmlWriter& writer, const Message& message, const Fields& fields) {
  const std::vector<FieldForm>& forms = forms_of(*message.GetDescriptor());
  for (const FieldDescriptor* field : fields) {
    const FieldForm& form = forms[static_cast<size_t>(field->index())];
    if (!form.is_attribute) write_children_of(writer, message, *field, form);
  }
  write_exact_texts(writer, message, fields);
  const auto& unknown = message.GetReflection()->GetUnknownFields(message);
  if (unknown.empty()) return;
  std::string bytes;
  if (unknown.SerializeToString(&bytes)) {
    write_text_element(writer, "Unknown", base::to_base64(bytes));
  }
}

}  // namespace

void write_proto_attributes(base::XmlWriter& writer, const Message& message) {
  write_attributes(writer, message, fields_of(message));
}

void write_proto_children(base::XmlWriter& writer, const Message& message) {
  write_children(writer, message, fields_of(message));
}

void write_proto(base::XmlWriter& writer, std::string_view name, const Message& message) {
  const Fields fields = fields_of(message);
  writer.start_element(name);
  write_attributes(writer, message, fields);
  write_children(writer, message, fields);
  writer.end_element();
}

}  // namespace verbatim::adapters
