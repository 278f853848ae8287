// What this process and its store's folder take.
#pragma once

#include <cstdint>
#include <string>

namespace verbatim::bench {

struct ProcessFigures {
  // /proc/self/io: bytes given to the kernel's writes, and what the kernel says it dirtied (whole
  // folios, tests/bench/README.md).
  uint64_t given_bytes = 0;
  uint64_t dirtied_bytes = 0;
  uint64_t resident_mib = 0;
  uint64_t resident_max_mib = 0;
  double cpu_seconds = 0;
};
ProcessFigures process_figures();

// Of the files in the folder, as allocated on the disk.
uint64_t disk_bytes(const std::string& folder);

struct LiveBytes {
  uint64_t events = 0;  // event bytes above the deleted ones
  uint64_t all = 0;     // all rows of all families that are not deleted, keys and values
};
// Reads a store that no one has open.
LiveBytes live_bytes(const std::string& folder);

}  // namespace verbatim::bench
