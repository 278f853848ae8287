#include "base/file_system.h"

#include <algorithm>

namespace verbatim::base {
namespace {

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Status File::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  return write_at(offset, as_text(bytes));
}

Status File::append(std::span<const std::byte> bytes) { return append(as_text(bytes)); }

Result<size_t> File::read_at(uint64_t offset, std::span<std::byte> buffer) {
  return read_at(offset, std::span<char>(reinterpret_cast<char*>(buffer.data()), buffer.size()));
}

Status File::write_durable(uint64_t offset, std::string_view bytes) {
  RETURN_IF_ERROR(write_at(offset, bytes));
  return sync_data();
}

void File::advise(uint64_t /*offset*/, uint64_t /*size*/, Use /*use*/) {}

Status File::preallocate(uint64_t size) {
  constexpr uint64_t kPart = 1024 * 1024;
  ASSIGN_OR_RETURN(uint64_t present, this->size());
  if (present >= size) return Status::ok_status();
  const std::string zeros(std::min(kPart, size - present), '\0');
  while (present < size) {
    const uint64_t part = std::min<uint64_t>(zeros.size(), size - present);
    RETURN_IF_ERROR(write_at(present, std::string_view(zeros).substr(0, part)));
    present += part;
  }
  return Status::ok_status();
}

Result<std::string> FileSystem::read_file(const std::string& path) {
  ASSIGN_OR_RETURN(const auto file, open(path, OpenMode::kRead));
  ASSIGN_OR_RETURN(const uint64_t size, file->size());
  std::string bytes(size, '\0');
  ASSIGN_OR_RETURN(const size_t count, file->read_at(0, std::span<char>(bytes)));
  bytes.resize(count);
  return bytes;
}

Status write_file_atomically(FileSystem& file_system, const std::string& path,
                             std::string_view bytes) {
  const std::string temporary = path + ".new";
  // What a crash has left of an earlier attempt.
  if (file_system.exists(temporary)) RETURN_IF_ERROR(file_system.remove(temporary));
  {
    ASSIGN_OR_RETURN(const auto file, file_system.open(temporary, OpenMode::kCreateExclusive));
    RETURN_IF_ERROR(file->write_at(0, bytes));
    RETURN_IF_ERROR(file->sync());
  }
  RETURN_IF_ERROR(file_system.rename(temporary, path));
  return file_system.sync_directory(parent_directory(path));
}

std::string parent_directory(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  if (slash == 0) return "/";
  return std::string(path.substr(0, slash));
}

std::string join_path(std::string_view directory, std::string_view name) {
  std::string path(directory);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  while (name.starts_with('/')) name.remove_prefix(1);
  if (!path.empty() && !path.ends_with('/')) path.push_back('/');
  return path.append(name);
}

}  // namespace verbatim::base
