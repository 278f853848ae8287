#include "processor/hub/file_reads.h"

#include <algorithm>

#include "base/log.h"

namespace verbatim::processor {
namespace {

constexpr uint64_t kChunkMaxBytes = 1024 * 1024;

}  // namespace

Status read_file(const base::ContentStore& store, const v1::ReadFileRequest& request,
                 const std::function<bool(const v1::FileChunk&)>& write) {
  ASSIGN_OR_RETURN(const auto file, store.open_file(request.sha256()));
  ASSIGN_OR_RETURN(const uint64_t size, file->size());
  if (request.offset() < 0 || request.length() < 0 ||
      static_cast<uint64_t>(request.offset()) > size ||
      static_cast<uint64_t>(request.length()) > size - static_cast<uint64_t>(request.offset())) {
    return invalid_argument(fmt::format("offset={} length={} lie outside of size_bytes={}",
                                        request.offset(), request.length(), size));
  }
  auto at = static_cast<uint64_t>(request.offset());
  const uint64_t end = request.length() == 0 ? size : at + static_cast<uint64_t>(request.length());
  v1::FileChunk chunk;
  chunk.set_size_bytes(static_cast<int64_t>(size));
  do {
    std::string& bytes = *chunk.mutable_bytes();
    bytes.resize(std::min(kChunkMaxBytes, end - at));
    ASSIGN_OR_RETURN(const size_t count, file->read_at(at, std::span<char>(bytes)));
    if (count < bytes.size()) return data_loss("a stored file is shorter than it was");
    if (!write(chunk)) return cancelled("the adapter takes no more");
    at += count;
  } while (at < end);
  return {};
}

}  // namespace verbatim::processor
