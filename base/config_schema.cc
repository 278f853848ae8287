#include "base/config_schema.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/net_address.h"

namespace verbatim::base {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

template <class T>
Result<T> parse_number(std::string_view text, const char* kind) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return invalid_argument(std::string("expected ") + kind);
  }
  return value;
}

Status check_name(const std::string& text) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  const bool is_good = !text.empty() && text.size() <= 64 && is_alphanumeric(text[0]) &&
                       std::all_of(text.begin(), text.end(), [&](char c) {
                         return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
                       });
  if (is_good) return Status::ok_status();
  return invalid_argument("expected 1 to 64 of a-z 0-9 . _ -, the first a letter or digit, not \"" +
                          text + "\"");
}

Status check_listen(const std::string& text, bool is_zmq, bool is_anywhere = false) {
  const bool has_zmq_scheme = text.starts_with("tcp://") || text.starts_with("ipc://");
  if (is_zmq != has_zmq_scheme) {
    return invalid_argument(is_zmq ? "expected tcp://host:port or ipc:///path, not \"" + text + "\""
                                   : "expected host:port or unix:/path, not \"" + text + "\"");
  }
  ASSIGN_OR_RETURN(const NetAddress address, parse_net_address(text));
  if (is_anywhere || is_loopback(address)) return Status::ok_status();
  return invalid_argument("nothing listens beyond loopback without keys, not \"" + text + "\"");
}

Status check_choice(const v1::Setting& setting, const std::string& text) {
  std::string known;
  for (const std::string& choice : setting.choices()) {
    if (choice == text) return Status::ok_status();
    known += (known.empty() ? "" : ", ") + choice;
  }
  return invalid_argument("expected one of " + known + ", not \"" + text + "\"");
}

Status check_text(const v1::Setting& setting, const std::string& text) {
  if (setting.required() && text.empty()) return invalid_argument("must not be empty");
  if (setting.may_be_empty() && text.empty()) return Status::ok_status();
  switch (setting.kind()) {
    case v1::Setting::KIND_DIRECTORY:
      return text.empty() ? invalid_argument("must not be empty") : Status::ok_status();
    case v1::Setting::KIND_GRPC_LISTEN:
      return check_listen(text, false);
    case v1::Setting::KIND_ZMQ_LISTEN:
      return check_listen(text, true);
    case v1::Setting::KIND_ZMQ_CURVE_LISTEN:  // the rest: config_security.cc
      return check_listen(text, true, true);
    case v1::Setting::KIND_ADDRESS:
      if (text.starts_with('@') && text.size() > 1) return Status::ok_status();
      return parse_net_address(text).error();
    case v1::Setting::KIND_NAME:
      return check_name(text);
    case v1::Setting::KIND_CHOICE:
      return check_choice(setting, text);
    default:
      return Status::ok_status();
  }
}

template <class Number>
Status check_range(const v1::Setting& setting, Number value) {
  if (setting.min() == 0 && setting.max() == 0) return Status::ok_status();
  const bool is_inside =
      value >= static_cast<Number>(setting.min()) && value <= static_cast<Number>(setting.max());
  if (is_inside) return Status::ok_status();
  return out_of_range("expected " + std::to_string(setting.min()) + " to " +
                      std::to_string(setting.max()) + ", not " + std::to_string(value));
}

Status check_value(const FieldDescriptor& field, const SettingValue& value) {
  const v1::Setting& setting = setting_of(field);
  if (const auto* text = std::get_if<std::string>(&value)) return check_text(setting, *text);
  if (const auto* number = std::get_if<int64_t>(&value)) return check_range(setting, *number);
  if (const auto* number = std::get_if<double>(&value)) return check_range(setting, *number);
  return Status::ok_status();
}

const char* type_name(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_INT64:
      return "an integer";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number";
    case FieldDescriptor::CPPTYPE_STRING:
      return "a string";
    default:
      CHECK(false, "the configuration's schema uses a type that config_schema.cc does not know");
      return "";  // for g++ under the thread sanitizer, which does not see that CHECK ends
  }
}

// The value in the field's own type; integers serve as doubles.
Result<SettingValue> convert(const FieldDescriptor& field, const SettingValue& value) {
  const auto wanted = field.cpp_type();
  if (wanted == FieldDescriptor::CPPTYPE_DOUBLE && std::holds_alternative<int64_t>(value)) {
    return SettingValue(static_cast<double>(std::get<int64_t>(value)));
  }
  const bool is_match =
      (wanted == FieldDescriptor::CPPTYPE_BOOL && std::holds_alternative<bool>(value)) ||
      (wanted == FieldDescriptor::CPPTYPE_INT64 && std::holds_alternative<int64_t>(value)) ||
      (wanted == FieldDescriptor::CPPTYPE_DOUBLE && std::holds_alternative<double>(value)) ||
      (wanted == FieldDescriptor::CPPTYPE_STRING && std::holds_alternative<std::string>(value));
  if (is_match) return value;
  return invalid_argument(std::string("expected ") + type_name(field));
}

struct Setter {
  Message& message;
  const FieldDescriptor* field;
  const Reflection& reflection;

  void operator()(bool value) const {
    field->is_repeated() ? reflection.AddBool(&message, field, value)
                         : reflection.SetBool(&message, field, value);
  }
  void operator()(int64_t value) const {
    field->is_repeated() ? reflection.AddInt64(&message, field, value)
                         : reflection.SetInt64(&message, field, value);
  }
  void operator()(double value) const {
    field->is_repeated() ? reflection.AddDouble(&message, field, value)
                         : reflection.SetDouble(&message, field, value);
  }
  void operator()(const std::string& value) const {
    field->is_repeated() ? reflection.AddString(&message, field, value)
                         : reflection.SetString(&message, field, value);
  }
};

// The value of a field that is not repeated, or its element at `index`.
SettingValue get_value(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool is_repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return is_repeated ? reflection.GetRepeatedBool(message, &field, index)
                         : reflection.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return is_repeated ? reflection.GetRepeatedInt64(message, &field, index)
                         : reflection.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return is_repeated ? reflection.GetRepeatedDouble(message, &field, index)
                         : reflection.GetDouble(message, &field);
    default:
      return is_repeated ? reflection.GetRepeatedString(message, &field, index)
                         : reflection.GetString(message, &field);
  }
}

// Elements of a list of tables are told apart by their name.
Status check_unique_names(const Message& message, const FieldDescriptor& field,
                          const std::string& key) {
  const FieldDescriptor* name_field = field.message_type()->FindFieldByName("name");
  if (name_field == nullptr) return Status::ok_status();
  const Reflection& reflection = *message.GetReflection();
  std::set<std::string> names;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& element = reflection.GetRepeatedMessage(message, &field, i);
    const std::string name = element.GetReflection()->GetString(element, name_field);
    if (!names.insert(name).second) {
      return invalid_argument(key + "." + std::to_string(i) + ".name: the name \"" + name +
                              "\" is there twice");
    }
  }
  return Status::ok_status();
}

Status check_field(const Message& message, const FieldDescriptor& field, const std::string& key) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_map()) return Status::ok_status();
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (is_message && !field.is_repeated()) {
    return check_settings(reflection.GetMessage(message, &field), key);
  }
  if (is_message) RETURN_IF_ERROR(check_unique_names(message, field, key));
  const int count = field.is_repeated() ? reflection.FieldSize(message, &field) : 1;
  for (int i = 0; i < count; ++i) {
    const std::string element_key = field.is_repeated() ? key + "." + std::to_string(i) : key;
    if (is_message) {
      RETURN_IF_ERROR(
          check_settings(reflection.GetRepeatedMessage(message, &field, i), element_key));
      continue;
    }
    const Status status = check_value(field, get_value(message, field, i));
    if (!status.ok()) return invalid_argument(element_key + ": " + status.message());
  }
  return Status::ok_status();
}

}  // namespace

const v1::Setting& setting_of(const FieldDescriptor& field) {
  return field.options().GetExtension(v1::setting);
}

void apply_defaults(Message& message) {
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field.is_repeated()) apply_defaults(*reflection.MutableMessage(&message, &field));
      continue;
    }
    const std::string& text = setting_of(field).default_value();
    if (text.empty()) continue;
    const Result<SettingValue> value = parse_setting(field, text);
    CHECK(value.has_value(), "a default in config.proto does not have its field's type");
    const Status status = store_setting(message, field, *value);
    CHECK(status.ok(), "a default in config.proto is outside its own limits: " + status.message());
  }
}

Result<SettingValue> parse_setting(const FieldDescriptor& field, std::string_view text) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return invalid_argument("expected true or false");
      return SettingValue(text == "true");
    case FieldDescriptor::CPPTYPE_INT64: {
      ASSIGN_OR_RETURN(const int64_t value, parse_number<int64_t>(text, "an integer"));
      return SettingValue(value);
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      ASSIGN_OR_RETURN(const double value, parse_number<double>(text, "a number"));
      return SettingValue(value);
    }
    case FieldDescriptor::CPPTYPE_STRING:
      return SettingValue(std::string(text));
    default:
      return invalid_argument("is a table, not a value");
  }
}

Status store_setting(Message& message, const FieldDescriptor& field, const SettingValue& value) {
  ASSIGN_OR_RETURN(const SettingValue converted, convert(field, value));
  RETURN_IF_ERROR(check_value(field, converted));
  std::visit(Setter{message, &field, *message.GetReflection()}, converted);
  return Status::ok_status();
}

Status check_settings(const Message& message, const std::string& key) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    RETURN_IF_ERROR(
        check_field(message, field, key.empty() ? field.name() : key + "." + field.name()));
  }
  return Status::ok_status();
}

}  // namespace verbatim::base
