// What the schema of the configuration says about one setting: its default, its type, its limits.
// The settings stand as the option (verbatim.v1.setting) on the fields of verbatim.v1.Config. Used
// by base/config.cc and base/config_check.cc only.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/status.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::base {

using SettingValue = std::variant<bool, int64_t, double, std::string>;

const v1::Setting& setting_of(const google::protobuf::FieldDescriptor& field);

// Sets every field of `message`, and of the messages in it, to its default.
void apply_defaults(google::protobuf::Message& message);

// Reads a text as the field's type. Errors: kInvalidArgument with the reason alone.
Result<SettingValue> parse_setting(const google::protobuf::FieldDescriptor& field,
                                   std::string_view text);

// Sets the field, or adds to it where it is repeated, if the value has its type and keeps to its
// limits. Errors: kInvalidArgument with the reason alone; a secret's value is never in it.
Status store_setting(google::protobuf::Message& message,
                     const google::protobuf::FieldDescriptor& field, const SettingValue& value);

// The limits of all fields, in all messages below; `key` is the way here, such as "queue".
// Errors: kInvalidArgument "key: reason".
Status check_settings(const google::protobuf::Message& message, const std::string& key);

}  // namespace verbatim::base
