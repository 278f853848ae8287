// The bare loop: the same bytes on a pre-written file, one write and one sync a time. No sockets.
#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/bench/load/load.h"
#include "tests/bench/load/put_frame.h"

namespace verbatim::bench {
namespace {

constexpr uint64_t kFileBytes = uint64_t{128} * 1024 * 1024;

// Written in full by the first run, found as it is by the others.
int open_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  CHECK(file >= 0, "the bare loop's file opens");
  if (::lseek(file, 0, SEEK_END) >= static_cast<off_t>(kFileBytes)) return file;
  const std::string chunk(size_t{1024} * 1024, '\0');
  for (uint64_t at = 0; at < kFileBytes; at += chunk.size()) {
    CHECK(::pwrite(file, chunk.data(), chunk.size(), static_cast<off_t>(at)) > 0, "the disk works");
  }
  CHECK(::fsync(file) == 0, "the disk works");
  return file;
}

}  // namespace

LoadResult run_bare(const LoadOptions& options) {
  using std::chrono::steady_clock;
  const std::string block = make_body(options.body_bytes);
  const int file = open_file(options.address);
  LoadResult result;
  const Measurement measurement(options);
  uint64_t offset = 0;
  while (steady_clock::now() < measurement.deadline()) {
    const auto begin = steady_clock::now();
    if (offset + block.size() > kFileBytes) offset = 0;
    const ssize_t count = ::pwrite(file, block.data(), block.size(), static_cast<off_t>(offset));
    CHECK(count == static_cast<ssize_t>(block.size()) && ::fdatasync(file) == 0, "the disk works");
    offset += block.size();
    result.latencies_us.push_back(microseconds_between(begin, steady_clock::now()));
    result.messages += static_cast<uint64_t>(options.batch);
  }
  measurement.end(result);
  ::close(file);
  return result;
}

}  // namespace verbatim::bench
