#include "base/config.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#define TOML_HEADER_ONLY 0
#define TOML_SHARED_LIB 1
#include <toml++/toml.h>

#include <charconv>

#include "base/config_schema.h"

namespace verbatim::base {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// --- TOML to message ---

class Reader {
 public:
  Reader(const std::string& name, ConfigOrigin& origin) : name_(name), origin_(origin) {}

  Status read_table(const toml::table& table, Message& message, const std::string& key) const;

 private:
  Status refuse(const toml::node& node, const std::string& key, const std::string& reason) const {
    return invalid_argument(name_ + ":" + std::to_string(node.source().begin.line) + ": " + key +
                            ": " + reason);
  }

  Status read_field(const toml::node& node, Message& message, const FieldDescriptor& field,
                    const std::string& key) const;
  Status read_map(const toml::node& node, Message& message, const FieldDescriptor& field,
                  const std::string& key) const;
  Status read_tables(const toml::node& node, Message& message, const FieldDescriptor& field,
                     const std::string& key) const;
  Status read_list(const toml::node& node, Message& message, const FieldDescriptor& field,
                   const std::string& key) const;
  Status read_value(const toml::node& node, Message& message, const FieldDescriptor& field,
                    const std::string& key) const;

  const std::string& name_;
  ConfigOrigin& origin_;
};

Status Reader::read_table(const toml::table& table, Message& message,
                          const std::string& key) const {
  for (const auto& [name, node] : table) {
    const std::string path =
        key.empty() ? std::string(name.str()) : key + "." + std::string(name.str());
    const FieldDescriptor* field =
        message.GetDescriptor()->FindFieldByName(std::string(name.str()));
    if (field == nullptr) return refuse(node, path, "no such setting");
    origin_.note_line(path, node.source().begin.line);
    RETURN_IF_ERROR(read_field(node, message, *field, path));
  }
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (setting_of(field).required() && !table.contains(field.name())) {
      return refuse(table, key + "." + field.name(), "must be given");
    }
  }
  return Status::ok_status();
}

Status Reader::read_field(const toml::node& node, Message& message, const FieldDescriptor& field,
                          const std::string& key) const {
  if (field.is_map()) return read_map(node, message, field, key);
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return field.is_repeated() ? read_list(node, message, field, key)
                               : read_value(node, message, field, key);
  }
  if (field.is_repeated()) return read_tables(node, message, field, key);
  if (!node.is_table()) return refuse(node, key, "expected a table");
  return read_table(*node.as_table(), *message.GetReflection()->MutableMessage(&message, &field),
                    key);
}

Status Reader::read_map(const toml::node& node, Message& message, const FieldDescriptor& field,
                        const std::string& key) const {
  if (!node.is_table()) return refuse(node, key, "expected a table");
  for (const auto& [name, value] : *node.as_table()) {
    const auto text = value.value_exact<std::string>();
    if (!text) return refuse(value, key + "." + std::string(name.str()), "expected a string");
    Message& pair = *message.GetReflection()->AddMessage(&message, &field);
    pair.GetReflection()->SetString(&pair, field.message_type()->map_key(),
                                    std::string(name.str()));
    pair.GetReflection()->SetString(&pair, field.message_type()->map_value(), *text);
  }
  return Status::ok_status();
}

Status Reader::read_tables(const toml::node& node, Message& message, const FieldDescriptor& field,
                           const std::string& key) const {
  if (!node.is_array()) return refuse(node, key, "expected an array of tables");
  size_t index = 0;
  for (const toml::node& element : *node.as_array()) {
    const std::string path = key + "." + std::to_string(index++);
    if (!element.is_table()) return refuse(element, path, "expected a table");
    origin_.note_line(path, element.source().begin.line);
    Message& added = *message.GetReflection()->AddMessage(&message, &field);
    apply_defaults(added);
    RETURN_IF_ERROR(read_table(*element.as_table(), added, path));
  }
  return Status::ok_status();
}

Status Reader::read_list(const toml::node& node, Message& message, const FieldDescriptor& field,
                         const std::string& key) const {
  if (!node.is_array()) return refuse(node, key, "expected an array");
  message.GetReflection()->ClearField(&message, &field);  // takes the default's place
  size_t index = 0;
  for (const toml::node& element : *node.as_array()) {
    const std::string path = key + "." + std::to_string(index++);
    origin_.note_line(path, element.source().begin.line);
    RETURN_IF_ERROR(read_value(element, message, field, path));
  }
  return Status::ok_status();
}

Status Reader::read_value(const toml::node& node, Message& message, const FieldDescriptor& field,
                          const std::string& key) const {
  std::optional<SettingValue> value;
  if (const auto* text = node.as_string()) value = text->get();
  if (const auto* number = node.as_integer()) value = number->get();
  if (const auto* number = node.as_floating_point()) value = number->get();
  if (const auto* flag = node.as_boolean()) value = flag->get();
  if (!value) return refuse(node, key, "expected a string, a number, or true or false");
  const Status status = store_setting(message, field, *value);
  return status.ok() ? status : refuse(node, key, status.message());
}

// --- overrides ---

// The message that holds the last part of the key, and that part.
struct Place {
  Message* message;
  std::string_view name;
};

// An index of a list of tables; one past the end adds a table of defaults.
Result<Message*> element_at(Message& message, const FieldDescriptor& field, std::string_view text) {
  const int count = message.GetReflection()->FieldSize(message, &field);
  int index = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size() || index < 0 || index > count) {
    return invalid_argument("expected an index from 0 to " + std::to_string(count));
  }
  if (index < count)
    return message.GetReflection()->MutableRepeatedMessage(&message, &field, index);
  Message* added = message.GetReflection()->AddMessage(&message, &field);
  apply_defaults(*added);
  return added;
}

Result<Place> find_place(Message& root, std::string_view key) {
  Message* message = &root;
  const auto take_part = [&key] {
    const size_t dot = key.find('.');
    const std::string_view part = key.substr(0, dot);
    key = dot == std::string_view::npos ? std::string_view() : key.substr(dot + 1);
    return part;
  };
  for (;;) {
    const std::string_view whole = key;
    const std::string_view part = take_part();
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(std::string(part));
    if (field == nullptr) return invalid_argument("no such setting");
    if (key.empty() || field->is_map()) return Place{message, whole};
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      return invalid_argument("no such setting");
    }
    if (field->is_repeated()) {
      ASSIGN_OR_RETURN(message, element_at(*message, *field, take_part()));
    } else {
      message = message->GetReflection()->MutableMessage(message, field);
    }
    if (key.empty()) return invalid_argument("is a table, not a value");
  }
}

void set_map_value(Message& message, const FieldDescriptor& field, const std::string& key,
                   const std::string& value) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* key_field = field.message_type()->map_key();
  const FieldDescriptor* value_field = field.message_type()->map_value();
  Message* pair = nullptr;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    Message* present = reflection.MutableRepeatedMessage(&message, &field, i);
    if (present->GetReflection()->GetString(*present, key_field) == key) pair = present;
  }
  if (pair == nullptr) pair = reflection.AddMessage(&message, &field);
  pair->GetReflection()->SetString(pair, key_field, key);
  pair->GetReflection()->SetString(pair, value_field, value);
}

Status set_list(Message& message, const FieldDescriptor& field, std::string_view text) {
  message.GetReflection()->ClearField(&message, &field);
  while (!text.empty()) {
    const size_t comma = text.find(',');
    ASSIGN_OR_RETURN(const SettingValue value, parse_setting(field, text.substr(0, comma)));
    RETURN_IF_ERROR(store_setting(message, field, value));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return Status::ok_status();
}

Status assign(Message& root, std::string_view key, std::string_view text) {
  ASSIGN_OR_RETURN(const Place place, find_place(root, key));
  const std::string_view name = place.name.substr(0, place.name.find('.'));
  const FieldDescriptor& field =
      *place.message->GetDescriptor()->FindFieldByName(std::string(name));
  if (field.is_map()) {
    if (name.size() + 1 >= place.name.size()) return invalid_argument("is a table, not a value");
    set_map_value(*place.message, field, std::string(place.name.substr(name.size() + 1)),
                  std::string(text));
    return Status::ok_status();
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return invalid_argument("is a table, not a value");
  }
  if (field.is_repeated()) return set_list(*place.message, field, text);
  ASSIGN_OR_RETURN(const SettingValue value, parse_setting(field, text));
  return store_setting(*place.message, field, value);
}

// Lists of tables that are never empty: one queue feeds the processor, one adapter takes from it.
void fill_empty_lists(v1::Config& config) {
  v1::Processor& processor = *config.mutable_processor();
  if (processor.queues().empty()) apply_defaults(*processor.add_queues());
  if (processor.adapters().empty()) {
    apply_defaults(*processor.add_adapters());
    processor.mutable_adapters(0)->set_name("xml");
  }
}

}  // namespace

Status read_toml(std::string_view text, const std::string& name, Message& message,
                 ConfigOrigin& origin) {
  origin = ConfigOrigin(name);
  message.Clear();
  apply_defaults(message);
  try {
    const toml::table table = toml::parse(text, name);
    RETURN_IF_ERROR(Reader(name, origin).read_table(table, message, ""));
  } catch (const toml::parse_error& error) {
    return invalid_argument(name + ":" + std::to_string(error.source().begin.line) +
                            ": not TOML: " + std::string(error.description()));
  }
  return check_limits(message, origin);
}

Result<v1::Config> parse_config(std::string_view text, const std::string& name,
                                ConfigOrigin* origin) {
  ConfigOrigin own;
  ConfigOrigin& places = origin == nullptr ? own : *origin;
  v1::Config config;
  RETURN_IF_ERROR(read_toml(text, name, config, places));
  fill_empty_lists(config);
  RETURN_IF_ERROR(check_config(config, places));
  return config;
}

Result<v1::Config> load_config(const std::string& path, ConfigOrigin* origin) {
  if (path.empty()) return parse_config("", "built-in defaults", origin);
  ASSIGN_OR_RETURN(const std::string text, posix_file_system().read_file(path));
  return parse_config(text, path, origin);
}

Status apply_override(v1::Config& config, std::string_view assignment, ConfigOrigin* origin) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) {
    return invalid_argument("expected key=value, not \"" + std::string(assignment) + "\"");
  }
  const std::string key(assignment.substr(0, equals));
  // Only a whole change: a list is not left half set, a table not half added.
  v1::Config changed = config;
  const Status status = assign(changed, key, assignment.substr(equals + 1));
  if (!status.ok()) return invalid_argument(key + ": " + status.message());
  config = std::move(changed);
  if (origin != nullptr) origin->note_override(key);
  return Status::ok_status();
}

}  // namespace verbatim::base
