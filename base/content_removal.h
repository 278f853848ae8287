// ContentRemoval: how the processor takes files out of the folder of a content store while the
// collector goes on writing there.
//
//   <directory>/released/…    "<digest>": a claim that the collector has given up, until the
//                             processor has seen it
//   <directory>/condemned/…   "<digest>": content out of its place while its claims are looked at
//
// Why nothing is lost (docs/adr/0027): the collector makes a claim and looks whether the content is
// in its place then; remove() takes the content out of its place and looks for a claim then. One of
// the two sees the other, whatever the order: the content goes back, or is uploaded again. A claim
// that came and went meanwhile has left its name in released/, which only take_release() removes.
//
// I1 remove() unlinks only what had neither claim nor released claim after it was out of its place.
// I2 What is in condemned/ for any other reason (a process was killed, the disk failed) goes back
//    with the next restore().
// Threads: one. Errors: those of the disk; nothing is lost by them.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "base/status.h"

namespace verbatim::base {

class ContentRemoval {
 public:
  // `file_system` outlives it.
  ContentRemoval(FileSystem& file_system, std::string directory)
      : file_system_(file_system), directory_(std::move(directory)) {}

  // Digests, 32 raw bytes each.
  struct Listing {
    std::set<std::string> stored;
    std::set<std::string> claimed;
    std::set<std::string> released;
  };
  // A claim that is released meanwhile is in one of its two sets at least.
  Result<Listing> list() const;

  // Forgets that a claim was released. What the queues hold afterwards has to be waited for.
  Status take_release(std::string_view sha256);

  enum class Outcome { kRemoved, kStays };
  struct Removed {
    Outcome outcome = Outcome::kStays;
    uint64_t bytes = 0;
  };
  // Removes content that nothing names, unless it has been claimed since. Not durable: a power cut
  // may bring it back.
  Result<Removed> remove(std::string_view sha256);

  // Puts back what was left out of its place.
  Status restore();

 private:
  std::string place_of(std::string_view name) const;
  Result<std::set<std::string>> digests_in(const std::string& folder) const;
  Result<bool> is_wanted(const std::string& name) const;
  Status put_back(const std::string& name);

  FileSystem& file_system_;
  const std::string directory_;
};

}  // namespace verbatim::base
