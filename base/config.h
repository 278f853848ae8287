// The configuration: one TOML file, whose schema is the message verbatim.v1.Config.
//
// Tables are messages, arrays of tables are repeated messages, keys are field names; defaults and
// limits stand in the schema as the option (verbatim.v1.setting), see
// proto/verbatim/v1/config.proto and docs/adr/0001. A wrong configuration never starts a service:
// unknown keys, wrong types, values out of range and listeners beyond loopback are refused as
// "file:line: key: reason".
#pragma once

#include <string>
#include <string_view>

#include "base/config_origin.h"
#include "base/file_system.h"
#include "base/status.h"
#include "verbatim/v1/config.pb.h"

namespace google::protobuf {
class Message;
}

namespace verbatim::base {

// Gives the file's settings over the defaults; the defaults alone for an empty path.
// `origin`, where given, then says where each setting was written.
// Errors: kNotFound (no such file), kInvalidArgument (the first thing wrong with it).
Result<v1::Config> load_config(const std::string& path, ConfigOrigin* origin = nullptr);

// The same from text; `name` stands for the file in messages.
Result<v1::Config> parse_config(std::string_view toml, const std::string& name,
                                ConfigOrigin* origin = nullptr);

// The same for any message of ours whose fields have the option (verbatim.v1.setting): replaces
// what `message` holds by its defaults and the text over them, and checks the limits of every
// setting. Errors: kInvalidArgument "name:line: key: reason".
Status read_toml(std::string_view toml, const std::string& name, google::protobuf::Message& message,
                 ConfigOrigin& origin);

// Sets one key: "queue.data_dir=/tmp/x". The value is read as the field's type; a repeated scalar
// takes a comma-separated list, which replaces what was there. Errors: kInvalidArgument.
Status apply_override(v1::Config& config, std::string_view assignment,
                      ConfigOrigin* origin = nullptr);

// Checks the limits of every setting again, for configurations that a program has changed, and what
// contradicts each other: sizes, two listeners on one address, queues that nobody makes. Errors:
// kInvalidArgument "file:line: key: reason".
Status check_config(const v1::Config& config, const ConfigOrigin& origin = ConfigOrigin());

// The limits of every setting of any such message, as read_toml() checks them.
Status check_limits(const google::protobuf::Message& message, const ConfigOrigin& origin);

// Tries the folders of one table, such as "queue", with check_data_dir; nothing to try where there
// is no such table. Errors: kInvalidArgument "file:line: key: reason".
Status check_own_folders(FileSystem& file_system, const v1::Config& config,
                         const std::string& table, const ConfigOrigin& origin);

// Creates `directory` if needed and proves that it can be written to, with a file that it removes;
// a full disk is no reason to refuse it.
// Errors: kFailedPrecondition with path and reason.
Status check_data_dir(FileSystem& file_system, const std::string& directory);

}  // namespace verbatim::base
