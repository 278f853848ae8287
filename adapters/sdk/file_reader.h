// FileReader: reads the content of files that events name (FileReference.sha256) from the hub.
//
//   FileReader files([] { return Result<std::string>("127.0.0.1:7430"); });
//   const auto size = files.read(file.sha256(), {}, [&](std::string_view bytes) {
//     return output->append(bytes);
//   });
//
// The content of a digest never changes, so a read that was cut off may go on at its offset.
// Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::adapters {

struct FileRange {
  uint64_t offset = 0;
  // Bytes wanted; 0: up to the end.
  uint64_t length = 0;
};

class FileReader {
 public:
  // `address` is asked before each read, as in HubClientOptions. A read that takes longer than
  // `deadline` fails.
  explicit FileReader(std::function<Result<std::string>()> address,
                      std::chrono::milliseconds deadline = std::chrono::minutes(10));

  // Hands the range to `take`, at most 1 MiB at a time, and gives the size of the whole file. OK
  // says that the range came in full; where it is the whole file, also that its SHA-256 is right:
  // what was taken counts only then. Errors: what `take` gives; kNotFound (no such content),
  // kInvalidArgument (digest, or a range outside of the file), kDataLoss (other content), else
  // is_transient().
  Result<uint64_t> read(std::string_view sha256, const FileRange& range,
                        const std::function<Status(std::string_view bytes)>& take) const;

 private:
  const std::function<Result<std::string>()> address_;
  const std::chrono::milliseconds deadline_;
};

}  // namespace verbatim::adapters
