// verbatim-disk-witness FILE [--rate R] [--seconds S] [--bytes B]: what a bare synced write takes,
// beside or before what is measured.
//
// Writes B bytes R times a second into a pre-written file, each followed by fdatasync, due at its
// time whether the one before is done or not: a stall of the disk counts for all that wait for it,
// as in the loads. Prints `count=… p50_us=… p99_us=… max_us=… stalled=…`; stalled: the part above
// 10 ms.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"

namespace {

using std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

constexpr size_t kBlocks = 1'000;  // written in turn
constexpr double kStallUs = 10'000;

void write_block(int file, const std::string& block, size_t place) {
  const auto offset = static_cast<off_t>((place % kBlocks) * block.size());
  CHECK(::pwrite(file, block.data(), block.size(), offset) == static_cast<ssize_t>(block.size()),
        "the witness writes to the disk");
}

int open_written(const std::string& path, const std::string& block) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  CHECK(file >= 0, "the witness's file opens");
  for (size_t i = 0; i < kBlocks; ++i) write_block(file, block, i);
  CHECK(::fsync(file) == 0, "the witness's file is synced");
  return file;
}

std::vector<double> measure(int file, const std::string& block, double rate, double seconds) {
  std::vector<double> times_us;
  const auto begin = steady_clock::now();
  const auto count = static_cast<size_t>(std::max(1.0, rate * seconds));
  for (size_t i = 0; i < count; ++i) {
    const auto due = begin + std::chrono::duration_cast<steady_clock::duration>(
                                 std::chrono::duration<double>(static_cast<double>(i) / rate));
    std::this_thread::sleep_until(due);
    write_block(file, block, i);
    CHECK(::fdatasync(file) == 0, "the witness syncs");
    times_us.push_back(Microseconds(steady_clock::now() - due).count());
  }
  return times_us;
}

double at(const std::vector<double>& sorted, double part) {
  return sorted[std::min(sorted.size() - 1,
                         static_cast<size_t>(part * static_cast<double>(sorted.size())))];
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Bare synced writes at a steady rate, and what they take.");
  std::string path;
  double rate = 100;
  double seconds = 10;
  size_t bytes = 2'048;
  app.add_option("file", path)->required();
  app.add_option("--rate", rate, "writes a second")->check(CLI::PositiveNumber);
  app.add_option("--seconds", seconds)->check(CLI::PositiveNumber);
  app.add_option("--bytes", bytes, "of a write")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const std::string block(bytes, 'x');
  const int file = open_written(path, block);
  std::vector<double> times = measure(file, block, rate, seconds);
  ::close(file);
  std::sort(times.begin(), times.end());
  const auto stalled = times.end() - std::lower_bound(times.begin(), times.end(), kStallUs);
  std::printf("count=%zu p50_us=%.0f p99_us=%.0f max_us=%.0f stalled=%.4f\n", times.size(),
              at(times, 0.5), at(times, 0.99), times.back(),
              static_cast<double>(stalled) / static_cast<double>(times.size()));
  return 0;
}
