// verbatim-staging-bench: the staging store with two adapters, one of which is down for the first
// half of the events; then everything is archived, and at last a steady state.
//
//   curve seconds=… …                            each second or each 2 % of the events
//   bar CASE measured=… bar=… ok|short
//
// Exit code 1 if a bar is missed. --no-bars (for tests): what is right is checked, nothing of time
// or space is judged.
#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdio>
#include <filesystem>

#include "base/check.h"
#include "base/log.h"
#include "tests/bench/staging/figures.h"
#include "tests/bench/staging/staging_run.h"

namespace verbatim::bench {
namespace {

using std::chrono::steady_clock;

constexpr double kMiB = 1024 * 1024;

struct Options {
  StagingRunOptions run;
  double events = 1e7;
  double steady_seconds = 600;
  double steady_rate = 20'000;
  double reclaim_seconds = 60;
  bool is_judged = true;
};

double seconds_since(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

// One line each interval, from a thread of its own.
class Curve {
 public:
  explicit Curve(const StagingRun& run, std::chrono::milliseconds interval)
      : run_(run), thread_([this, interval](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            std::this_thread::sleep_for(interval);
            print();
          }
        }) {}

 private:
  void print() {
    const ProcessFigures figures = process_figures();
    const double payload = static_cast<double>(run_.payload_bytes());
    const double seconds = seconds_since(begin_);
    const uint64_t staged = run_.staged();
    std::printf(
        "curve seconds=%.0f events=%" PRIu64 " events_per_s=%.0f acked_steady=%" PRIu64
        " acked_late=%" PRIu64 " staged_mib=%.0f disk_mib=%.0f resident_mib=%" PRIu64
        " written_per_payload=%.2f\n",
        seconds, staged, static_cast<double>(staged - last_staged_) / (seconds - last_seconds_),
        run_.acknowledged(0), run_.acknowledged(1), static_cast<double>(run_.staged_bytes()) / kMiB,
        static_cast<double>(disk_bytes(run_.folder())) / kMiB, figures.resident_mib,
        payload > 0 ? static_cast<double>(figures.given_bytes) / payload : 0);
    std::fflush(stdout);
    last_staged_ = staged;
    last_seconds_ = seconds;
  }

  const StagingRun& run_;
  const steady_clock::time_point begin_ = steady_clock::now();
  uint64_t last_staged_ = 0;
  double last_seconds_ = 0;
  std::jthread thread_;
};

// Bytes written between two moments, each divided by the payload between them.
class WrittenPerPayload {
 public:
  explicit WrittenPerPayload(const StagingRun& run) : run_(run), begin_(now()) {}

  double given() const { return ratio(&Moment::given); }
  void report(const char* what) const {
    std::printf(
        "report written_per_payload_%s given=%.2f log=%.2f flush=%.2f compaction=%.2f rest=%.3f "
        "kernel=%.2f\n",
        what, given(), ratio(&Moment::log), ratio(&Moment::flush), ratio(&Moment::compaction),
        ratio(&Moment::rest), ratio(&Moment::dirtied));
  }

 private:
  struct Moment {
    uint64_t payload, given, dirtied, log, flush, compaction, rest;
  };
  Moment now() const {
    const ProcessFigures figures = process_figures();
    const auto& counts = run_.counts();
    return {run_.payload_bytes(), figures.given_bytes, figures.dirtied_bytes,
            counts.log,           counts.flush,        counts.compaction,
            counts.rest};
  }
  double ratio(uint64_t Moment::*member) const {
    const Moment end = now();
    const double payload = static_cast<double>(end.payload - begin_.payload);
    return payload > 0 ? static_cast<double>(end.*member - begin_.*member) / payload : 0;
  }

  const StagingRun& run_;
  const Moment begin_;
};

bool print_bar(const char* name, double measured, double bar) {
  const bool is_ok = measured <= bar;
  std::printf("bar %s measured=%.2f bar=%.2f %s\n", name, measured, bar, is_ok ? "ok" : "short");
  std::fflush(stdout);
  return is_ok;
}

// The store is given time and no work: nobody tells it that the last acknowledgement has come.
void wait_reclaimed(const std::string& folder, double seconds) {
  const auto begin = steady_clock::now();
  while (static_cast<double>(disk_bytes(folder)) > 256 * kMiB && seconds_since(begin) < seconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  std::printf("report idle seconds=%.1f\n", seconds_since(begin));
}

void print_rate(const char* what, uint64_t events, steady_clock::time_point begin, double cpu) {
  const double seconds = seconds_since(begin);
  std::printf("report %s events=%" PRIu64 " seconds=%.1f events_per_s=%.0f cpu_us_per_event=%.1f\n",
              what, events, seconds, static_cast<double>(events) / seconds,
              1e6 * (process_figures().cpu_seconds - cpu) / static_cast<double>(events));
  std::fflush(stdout);
}

// The second adapter comes at half time; returns when all is archived.
void run_life(StagingRun& run, uint64_t events) {
  const WrittenPerPayload written(run);
  auto begin = steady_clock::now();
  double cpu = process_figures().cpu_seconds;
  run.start_adapter(0);
  run.take_in(events / 2);
  print_rate("one_down", events / 2, begin, cpu);
  begin = steady_clock::now();
  cpu = process_figures().cpu_seconds;
  run.start_adapter(1);
  run.take_in(events);
  run.wait_acknowledged();
  print_rate("catching_up", events - events / 2, begin, cpu);
  written.report("life");
}

double run_steady(StagingRun& run, const Options& options) {
  const WrittenPerPayload written(run);
  const auto begin = steady_clock::now();
  const double cpu = process_figures().cpu_seconds;
  const uint64_t before = run.staged();
  run.take_in(std::numeric_limits<uint64_t>::max(), options.steady_rate,
              begin + std::chrono::duration_cast<steady_clock::duration>(
                          std::chrono::duration<double>(options.steady_seconds)));
  print_rate("steady", run.staged() - before, begin, cpu);
  written.report("steady");
  run.wait_acknowledged();
  return written.given();
}

int run_bench(const Options& options) {
  const auto events = static_cast<uint64_t>(options.events);
  const std::string& folder = options.run.folder;
  StagingRun run(options.run);
  double written = 0;
  double seek_us = 0;
  std::vector<std::string> differences;
  {
    const Curve curve(run, std::chrono::seconds(events >= 5'000'000 ? 10 : 1));
    run_life(run, events);
    if (options.steady_seconds > 0) written = run_steady(run, options);
    const auto begin = steady_clock::now();
    seek_us = run.first_seek_us();
    differences = run.recount();
    std::printf("report recount seconds=%.2f\n", seconds_since(begin));
    wait_reclaimed(folder, options.is_judged ? options.reclaim_seconds : 0);
  }
  const double disk_mib = static_cast<double>(disk_bytes(folder)) / kMiB;
  const uint64_t total = run.staged();
  run.close();
  const LiveBytes live = live_bytes(folder);
  const ProcessFigures figures = process_figures();
  std::printf("report end events=%" PRIu64 " resident_max_mib=%" PRIu64 " live_mib=%.1f\n", total,
              figures.resident_max_mib, static_cast<double>(live.all) / kMiB);
  for (const auto& one : differences) std::printf("difference %s\n", one.c_str());
  std::printf("staging events=%" PRIu64 " acked_steady=%" PRIu64 " acked_late=%" PRIu64
              " difference=%zu\n",
              total, run.acknowledged(0), run.acknowledged(1), differences.size());
  const bool is_complete = run.acknowledged(0) == total && run.acknowledged(1) == total;
  if (!is_complete || !differences.empty() || live.events != 0) return 2;
  if (!options.is_judged) return 0;
  bool is_ok = options.steady_seconds <= 0 || print_bar("written_per_payload", written, 2.5);
  is_ok &= print_bar("disk_mib", disk_mib, 1.2 * static_cast<double>(live.all) / kMiB + 256);
  is_ok &= print_bar("first_seek_us", seek_us, 1'000);
  return is_ok ? 0 : 1;
}

}  // namespace
}  // namespace verbatim::bench

int main(int argc, char** argv) {
  verbatim::bench::Options options;
  bool has_no_bars = false;
  CLI::App app("the staging store with two adapters, one of them down for the first half");
  app.add_option("--folder", options.run.folder, "for the store; must not exist")->required();
  app.add_option("--events", options.events)->check(CLI::Range(1e3, 1e10));
  app.add_option("--steady-seconds", options.steady_seconds, "of the steady state behind it");
  app.add_option("--steady-rate", options.steady_rate, "events a second then");
  app.add_option("--body-bytes", options.run.body_bytes)->check(CLI::Range(32, 1 << 20));
  app.add_option("--batch", options.run.batch)->check(CLI::PositiveNumber);
  app.add_option("--batch-max", options.run.batch_max)->check(CLI::PositiveNumber);
  app.add_flag("--no-bars", has_no_bars, "only check that all is right");
  CLI11_PARSE(app, argc, argv);
  options.is_judged = !has_no_bars;
  if (std::filesystem::exists(options.run.folder)) {
    std::fprintf(stderr, "the folder exists: %s\n", options.run.folder.c_str());
    return 2;
  }
  verbatim::ignore_error(verbatim::init_log("staging-bench", "warn"), "the default does too");
  return verbatim::bench::run_bench(options);
}
