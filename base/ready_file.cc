#include "base/ready_file.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace verbatim::base {
namespace {

// On a full disk: over what an earlier start has left behind, which takes no room. The first line
// is the pid, so a reader of half of it sees at most a file of somebody else.
Status write_in_place(FileSystem& file_system, const std::string& path, const std::string& text) {
  ASSIGN_OR_RETURN(const auto file, file_system.open(path, OpenMode::kReadWrite));
  RETURN_IF_ERROR(file->write_at(0, text));
  RETURN_IF_ERROR(file->truncate(text.size()));
  return file->sync();
}

}  // namespace

Result<ReadyFile> ReadyFile::write(FileSystem& file_system, const std::string& data_dir,
                                   const std::string& name,
                                   const std::map<std::string, std::string>& endpoints) {
  std::string text = "pid=" + std::to_string(::getpid()) + "\n";
  for (const auto& [key, endpoint] : endpoints) text.append(key + "=" + endpoint + "\n");
  std::string path = ready_file_path(data_dir, name);
  Status status = write_file_atomically(file_system, path, text);
  if (status.code() == StatusCode::kResourceExhausted && file_system.exists(path)) {
    status = write_in_place(file_system, path, text);
  }
  RETURN_IF_ERROR(status);
  return ReadyFile(file_system, std::move(path));
}

ReadyFile::ReadyFile(FileSystem& file_system, std::string path)
    : file_system_(&file_system), path_(std::move(path)) {}

ReadyFile::~ReadyFile() { remove(); }

ReadyFile::ReadyFile(ReadyFile&& other) noexcept
    : file_system_(other.file_system_), path_(std::exchange(other.path_, {})) {}

ReadyFile& ReadyFile::operator=(ReadyFile&& other) noexcept {
  if (this != &other) {
    remove();
    file_system_ = other.file_system_;
    path_ = std::exchange(other.path_, {});
  }
  return *this;
}

void ReadyFile::remove() {
  if (path_.empty()) return;
  ignore_error(file_system_->remove(path_),
               "readers compare the pid, a stale file misleads no one");
  path_.clear();
}

std::string ready_file_path(const std::string& data_dir, const std::string& name) {
  return join_path(data_dir, name + ".ready");
}

Result<std::map<std::string, std::string>> read_ready_file(FileSystem& file_system,
                                                           const std::string& data_dir,
                                                           const std::string& name) {
  const std::string path = ready_file_path(data_dir, name);
  ASSIGN_OR_RETURN(const std::string text, file_system.read_file(path));
  std::map<std::string, std::string> values;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    const size_t equals = line.find('=');
    if (equals == std::string::npos) {
      return invalid_argument("not a ready file: a line without '=' path=" + path);
    }
    values[line.substr(0, equals)] = line.substr(equals + 1);
    begin = end + 1;
  }
  return values;
}

Result<std::string> resolve_address(FileSystem& file_system, const v1::Config& config,
                                    const std::string& address, const std::string& key) {
  if (!address.starts_with('@')) return address;
  const std::string name = address.substr(1);
  std::string data_dir;
  if (name == "queue") {
    data_dir = config.queue().data_dir();
  } else if (name == "collector") {
    data_dir = config.collector().data_dir();
  } else if (name == "processor") {
    data_dir = config.processor().data_dir();
  } else {
    return invalid_argument("no such service known=@queue,@collector,@processor address=" +
                            address);
  }
  ASSIGN_OR_RETURN(const auto values, read_ready_file(file_system, data_dir, name));
  const auto found = values.find(key);
  if (found == values.end()) {
    return not_found("the ready file has no such key key=" + key +
                     " path=" + ready_file_path(data_dir, name));
  }
  return found->second;
}

}  // namespace verbatim::base
