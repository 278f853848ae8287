#include "tests/bench/staging/figures.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "processor/staging/keys.h"
#include "processor/staging/rocks_store.h"
#include "verbatim/v1/staging.pb.h"

namespace verbatim::bench {
namespace {

// The number behind a label of a file in /proc; 0 if there is none.
uint64_t number_in(const char* path, const std::string& label) {
  std::ifstream file(path);
  std::string word;
  uint64_t number = 0;
  while (file >> word) {
    if (word == label && file >> number) return number;
  }
  return 0;
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

ProcessFigures process_figures() {
  ProcessFigures figures;
  figures.given_bytes = number_in("/proc/self/io", "wchar:");
  figures.dirtied_bytes = number_in("/proc/self/io", "write_bytes:");
  figures.resident_mib = number_in("/proc/self/status", "VmRSS:") / 1024;
  figures.resident_max_mib = number_in("/proc/self/status", "VmHWM:") / 1024;
  rusage usage{};
  CHECK(::getrusage(RUSAGE_SELF, &usage) == 0, "a process knows its own use");
  figures.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  return figures;
}

uint64_t disk_bytes(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(folder, error)) {
    struct stat found {};
    // A file that is removed meanwhile takes nothing.
    if (::stat(file.path().c_str(), &found) == 0) {
      bytes += 512 * static_cast<uint64_t>(found.st_blocks);
    }
  }
  return bytes;
}

LiveBytes live_bytes(const std::string& folder) {
  using processor::Family;
  auto opened = processor::RocksStore::open(folder, nullptr);
  CHECK(opened.has_value(), "the store opens again");
  const processor::RocksStore& store = **opened;
  v1::StoreState state;
  CHECK(store.load(Family::kMeta, "state", state).has_value(), "the store has its state");
  LiveBytes live;
  for (size_t i = 0; i < processor::kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    const bool is_ranged = family == Family::kEvents || family == Family::kIndex;
    const std::string from = is_ranged ? processor::number_key(state.deleted_through() + 1) : "";
    const Status status = store.for_each(family, from, [&](auto key, auto value) {
      live.all += key.size() + value.size();
      if (family == Family::kEvents) live.events += value.size();
      return true;
    });
    CHECK(status.ok(), "the store is sound");
  }
  return live;
}

}  // namespace verbatim::bench
