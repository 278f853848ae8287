#include "tests/bench/load/load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace verbatim::bench {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

double percentile(const std::vector<float>& sorted, double part) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<size_t>(part * static_cast<double>(sorted.size()));
  return static_cast<double>(sorted[std::min(sorted.size() - 1, at)]);
}

double own_cpu_seconds() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

}  // namespace

// proc(5): the first number of a thread's schedstat is the nanoseconds it ran; stat knows only
// ticks.
ServerUse use_of(pid_t process) {
  ServerUse use;
  if (process == 0) return use;
  const std::string folder = "/proc/" + std::to_string(process);
  for (const auto& thread : std::filesystem::directory_iterator(folder + "/task")) {
    std::istringstream fields(text_of(thread.path() / "schedstat"));
    double nanoseconds = 0;
    fields >> nanoseconds;
    use.cpu_seconds += nanoseconds * 1e-9;
  }
  const std::string io = text_of(folder + "/io");
  const std::string name = "\nwrite_bytes: ";
  if (const size_t at = io.find(name); at != std::string::npos) {
    use.written_bytes = std::stoull(io.substr(at + name.size()));
  }
  std::istringstream pages(text_of(folder + "/statm"));
  uint64_t total = 0;
  uint64_t resident = 0;
  pages >> total >> resident;
  use.resident_bytes = resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return use;
}

void LoadResult::add(const LoadResult& other) {
  messages += other.messages;
  latencies_us.insert(latencies_us.end(), other.latencies_us.begin(), other.latencies_us.end());
}

Measurement::Measurement(const LoadOptions& options)
    : server_(options.server),
      before_(use_of(options.server)),
      own_before_(own_cpu_seconds()),
      begin_(steady_clock::now()),
      deadline_(begin_ + std::chrono::duration_cast<steady_clock::duration>(
                             duration<double>(options.seconds))) {}

void Measurement::end(LoadResult& result) const {
  result.seconds = seconds_since(begin_);
  result.own_cpu_seconds = own_cpu_seconds() - own_before_;
  const ServerUse after = use_of(server_);
  result.used = {.cpu_seconds = after.cpu_seconds - before_.cpu_seconds,
                 .written_bytes = after.written_bytes - before_.written_bytes,
                 .resident_bytes = after.resident_bytes};
}

float microseconds_between(SteadyTime begin, SteadyTime end) {
  return duration<float, std::micro>(end - begin).count();
}

double seconds_since(SteadyTime begin) {
  return duration<double>(steady_clock::now() - begin).count();
}

std::string to_line(LoadResult result, size_t body_bytes) {
  auto& sorted = result.latencies_us;
  std::sort(sorted.begin(), sorted.end());
  const auto messages = static_cast<double>(result.messages);
  const double at_least_one = std::max(messages, 1.0);
  std::ostringstream line;
  line << std::fixed;
  line.precision(3);
  line << "messages=" << result.messages << " seconds=" << result.seconds
       << " rate=" << (result.seconds > 0 ? messages / result.seconds : 0)
       << " p50_us=" << percentile(sorted, 0.5) << " p99_us=" << percentile(sorted, 0.99)
       << " max_us=" << percentile(sorted, 1)
       << " cpu_us_per_message=" << result.used.cpu_seconds * 1e6 / at_least_one
       << " own_cpu_us_per_message=" << result.own_cpu_seconds * 1e6 / at_least_one
       << " written_per_payload="
       << static_cast<double>(result.used.written_bytes) /
              (at_least_one * static_cast<double>(body_bytes))
       << " resident_mib=" << static_cast<double>(result.used.resident_bytes) / (1024.0 * 1024.0);
  return line.str();
}

}  // namespace verbatim::bench
