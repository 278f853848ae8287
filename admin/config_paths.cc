#include "admin/config_paths.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace verbatim::admin {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Empty when the folder exists and can be written to, or can be made in the nearest one that
// exists.
std::string reason_against(const std::string& folder) {
  if (folder.empty()) return "is empty";
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(folder, error);
  if (error) return error.message();
  while (!std::filesystem::exists(path, error) && path.has_relative_path()) {
    if (error) return path.string() + ": " + error.message();
    path = path.parent_path();
  }
  if (!std::filesystem::is_directory(path, error)) return path.string() + " is not a folder";
  if (::access(path.c_str(), W_OK | X_OK) != 0) {
    return path.string() + ": " + std::generic_category().message(errno);
  }
  return {};
}

void check_message(const Message& message, const std::string& key, const base::ConfigOrigin& origin,
                   std::vector<std::string>& problems) {
  const auto* reflection = message.GetReflection();
  const auto* descriptor = message.GetDescriptor();
  for (int index = 0; index < descriptor->field_count(); ++index) {
    const FieldDescriptor* field = descriptor->field(index);
    const std::string name = key.empty() ? field->name() : key + "." + field->name();
    if (field->is_repeated()) continue;  // no folder stands in a list
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      check_message(reflection->GetMessage(message, field), name, origin, problems);
    } else if (field->options().GetExtension(v1::setting).kind() == v1::Setting::KIND_DIRECTORY) {
      const std::string folder = reflection->GetString(message, field);
      const std::string reason = reason_against(folder);
      if (!reason.empty()) {
        problems.push_back(
            origin.refuse(name, "unusable path " + folder + ": " + reason).message());
      }
    }
  }
}

}  // namespace

std::vector<std::string> unusable_paths(const v1::Config& config,
                                        const base::ConfigOrigin& origin) {
  std::vector<std::string> problems;
  check_message(config, "", origin, problems);
  return problems;
}

}  // namespace verbatim::admin
