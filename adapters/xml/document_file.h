// DocumentFile: one file on its way to its final name.
//
// It is written under "<name>.tmp", hashed on the way and synced; only then renamed. Memory: one
// buffer. What a crash leaves is a ".tmp" that nobody reads and the next start removes.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "base/sha256.h"
#include "base/status.h"

namespace verbatim::adapters {

inline constexpr std::string_view kTemporarySuffix = ".tmp";

class DocumentFile {
 public:
  // Replaces a temporary file that an earlier attempt has left.
  static Result<DocumentFile> create(base::FileSystem& file_system, const std::string& path);
  // Removes the temporary file unless it was renamed.
  ~DocumentFile();
  DocumentFile(DocumentFile&&) noexcept = default;
  DocumentFile& operator=(DocumentFile&&) = delete;

  Status append(std::string_view bytes);
  // Appends what stands under the final name.
  Status append_present();
  // Durable: the bytes, still under the temporary name. Gives their SHA-256.
  Result<std::string> sync();
  uint64_t size() const { return size_; }
  // To the final name, replacing what is there. Not durable before a directory sync.
  Status rename();

 private:
  DocumentFile(base::FileSystem& file_system, const std::string& path,
               std::unique_ptr<base::File> file);
  Status flush();

  base::FileSystem* file_system_;
  std::string path_;
  std::unique_ptr<base::File> file_;  // null once renamed
  base::Sha256 sha_;
  uint64_t size_ = 0;
  std::string buffer_;
};

// SHA-256 of a file, read in pieces.
Result<std::string> file_sha256(base::FileSystem& file_system, const std::string& path);

}  // namespace verbatim::adapters
