#include "adapters/xml/document_file.h"

#include <utility>

namespace verbatim::adapters {
namespace {

constexpr size_t kBufferSize = size_t{256} * 1024;

template <class Take>
Status read_pieces(base::FileSystem& file_system, const std::string& path, const Take& take) {
  ASSIGN_OR_RETURN(auto file, file_system.open(path, base::OpenMode::kRead));
  std::string buffer(kBufferSize, '\0');
  for (uint64_t offset = 0;;) {
    ASSIGN_OR_RETURN(const size_t count, file->read_at(offset, std::span<char>(buffer)));
    RETURN_IF_ERROR(take(std::string_view(buffer.data(), count)));
    offset += count;
    if (count < buffer.size()) return {};
  }
}

}  // namespace

DocumentFile::DocumentFile(base::FileSystem& file_system, const std::string& path,
                           std::unique_ptr<base::File> file)
    : file_system_(&file_system), path_(path), file_(std::move(file)) {
  buffer_.reserve(kBufferSize);
}

Result<DocumentFile> DocumentFile::create(base::FileSystem& file_system, const std::string& path) {
  const std::string temporary = path + std::string(kTemporarySuffix);
  if (file_system.exists(temporary)) RETURN_IF_ERROR(file_system.remove(temporary));
  ASSIGN_OR_RETURN(auto file, file_system.open(temporary, base::OpenMode::kCreateExclusive));
  return DocumentFile(file_system, path, std::move(file));
}

DocumentFile::~DocumentFile() {
  if (file_ == nullptr) return;
  file_.reset();
  ignore_error(file_system_->remove(path_ + std::string(kTemporarySuffix)),
               "the next attempt or start removes it");
}

Status DocumentFile::append(std::string_view bytes) {
  sha_.update(bytes);
  size_ += bytes.size();
  buffer_.append(bytes);
  return buffer_.size() < kBufferSize ? Status() : flush();
}

Status DocumentFile::append_present() {
  return read_pieces(*file_system_, path_,
                     [this](std::string_view piece) { return append(piece); });
}

Status DocumentFile::flush() {
  const Status status = file_->append(buffer_);
  buffer_.clear();
  return status;
}

Result<std::string> DocumentFile::sync() {
  RETURN_IF_ERROR(flush());
  RETURN_IF_ERROR(file_->sync());
  return sha_.finish();
}

Status DocumentFile::rename() {
  RETURN_IF_ERROR(file_system_->rename(path_ + std::string(kTemporarySuffix), path_));
  file_.reset();
  return {};
}

Result<std::string> file_sha256(base::FileSystem& file_system, const std::string& path) {
  base::Sha256 sha;
  RETURN_IF_ERROR(read_pieces(file_system, path, [&sha](std::string_view piece) {
    sha.update(piece);
    return Status();
  }));
  return sha.finish();
}

}  // namespace verbatim::adapters
