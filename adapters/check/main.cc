// verbatim-adapter-check: does a plugin keep the contract of adapter.proto? Plays the hub against
// it, in whatever language it is written.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "adapters/check/bench.h"
#include "adapters/check/checks.h"
#include "base/log.h"
#include "base/service.h"

namespace verbatim::adapters::check {
namespace {

constexpr const char* kName = "verbatim-adapter-check";
constexpr const char* kFooter = R"(
The plugin is started as a child; {hub} in its arguments becomes the address to attach to (also in $VERBATIM_HUB). Its
target must be empty and its own. What it has done is known in two ways: by its own word (hello, BatchState), and, with
--count-effects, by a command of yours that prints how many events stand in the target. Without that command a plugin
that lies, or does a thing twice and does not know it, passes.

Examples:
  verbatim-adapter-check --count-effects 'cat out/*.jsonl | wc -l' -- python3 my_adapter.py {hub} out
  verbatim-adapter-check --count-effects 'cat out/*.jsonl | wc -l' --target-down 'mv out away && touch out' \
      --target-up 'rm out && mv away out' -- python3 my_adapter.py {hub} out
  verbatim-adapter-check --listen 127.0.0.1:7430      waits for a plugin that you start yourself (no kills)

Exit codes: 0 all checks passed (or were skipped for want of an option), 1 one failed, 2 wrong usage.
docs/write-an-adapter.md explains each check.)";

struct Options {
  std::string listen = "127.0.0.1:0";
  std::vector<std::string> command;
  std::vector<std::string> settings;
  std::vector<std::string> only;
  std::string log_path;
  int patience_s = 20;
  int heartbeat_ms = 1'000;
  bool is_list = false;
  BenchOptions bench;
};

void add_options(CLI::App& app, Options& options) {
  app.footer(kFooter);
  app.set_version_flag("--version", std::string(kName) + " " + std::string(base::version()));
  app.add_option("command", options.command, "The plugin and its arguments, behind --");
  app.add_option("--count-effects", options.bench.count_command,
                 "Prints how many events are in the target")
      ->type_name("COMMAND");
  CLI::Option* down = app.add_option("--target-down", options.bench.down_command,
                                     "Makes the target refuse (for the check `retry`)")
                          ->type_name("COMMAND");
  CLI::Option* up = app.add_option("--target-up", options.bench.up_command, "Ends that")
                        ->type_name("COMMAND")
                        ->needs(down);
  down->needs(up);
  app.add_option("--setting", options.settings, "A setting for the plugin's welcome, repeatable")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  app.add_option("--only", options.only, "Only these checks (hello always runs)")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--listen", options.listen, "Where the hub listens")->capture_default_str();
  app.add_option("--log", options.log_path, "Where the plugin's output goes (default: here)")
      ->type_name("FILE");
  app.add_option("--patience", options.patience_s, "Seconds to wait for anything")
      ->check(CLI::Range(1, 3'600))
      ->capture_default_str();
  app.add_option("--heartbeat-ms", options.heartbeat_ms, "The welcome's heartbeat_ms")
      ->check(CLI::Range(100, 60'000))
      ->capture_default_str();
  app.add_flag("--list", options.is_list, "Say what the checks are, and end");
}

int list_checks() {
  for (const Check& check : all_checks()) {
    std::printf("%-10s %s\n", std::string(check.name).c_str(), std::string(check.purpose).c_str());
  }
  return 0;
}

// Empty where all is well.
std::string complete(Options& options, const std::string& hub) {
  for (std::string& argument : options.command) {
    for (size_t at = 0; (at = argument.find("{hub}", at)) != std::string::npos; at += hub.size()) {
      argument.replace(at, 5, hub);
    }
  }
  for (const std::string& setting : options.settings) {
    const size_t mark = setting.find('=');
    if (mark == std::string::npos) return "--setting needs KEY=VALUE";
    options.bench.settings[setting.substr(0, mark)] = setting.substr(mark + 1);
  }
  for (const std::string& name : options.only) {
    const auto checks = all_checks();
    if (std::none_of(checks.begin(), checks.end(),
                     [&](const Check& check) { return check.name == name; })) {
      return "--only: there is no check " + name + "; --list shows them";
    }
  }
  ::setenv("VERBATIM_HUB", hub.c_str(), 1);
  options.bench.command = options.command;
  options.bench.log_path = options.log_path;
  options.bench.patience = std::chrono::seconds(options.patience_s);
  options.bench.heartbeat = milliseconds(options.heartbeat_ms);
  return "";
}

void print_line(const char* word, const Check& check, const std::string& text) {
  std::printf("%-8s%-11s%s\n", word, std::string(check.name).c_str(), text.c_str());
  std::fflush(stdout);
}

struct Tally {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
};

void run_one(const Check& check, Bench& bench, Tally& tally) {
  bench.forget_broken();
  const Status ready = check.name == "hello" ? Status() : bench.be_ready();
  const Result<Finding> finding = ready.ok() ? check.run(bench) : Result<Finding>(ready);
  if (finding) {
    ++(finding->is_skipped ? tally.skipped : tally.passed);
    return print_line(finding->is_skipped ? "skipped" : "ok", check, finding->what);
  }
  ++tally.failed;
  print_line("FAILED", check, finding.error().message());
  if (!bench.broken_sentence().empty()) {
    std::printf("        contract:  \"%s\"\n", bench.broken_sentence().c_str());
  }
}

int run_checks(const Options& options, CheckHub& hub) {
  const std::set<std::string_view> only(options.only.begin(), options.only.end());
  Bench bench(hub, options.bench);
  Tally tally;
  for (const Check& check : all_checks()) {
    if (!only.empty() && check.name != "hello" && !only.contains(check.name)) continue;
    const int failed = tally.failed;
    run_one(check, bench, tally);
    if (tally.failed == failed) continue;
    if (check.name == "hello") break;
    if (const Status status = bench.recover(); !status.ok()) {
      std::printf("        it does not come back after that: %s\n", status.message().c_str());
      break;
    }
  }
  bench.stop();
  std::printf("%s: ok=%d failed=%d skipped=%d\n", kName, tally.passed, tally.failed, tally.skipped);
  return tally.failed == 0 ? 0 : 1;
}

int usage_error(const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", kName, what.c_str());
  return 2;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app{"Does a plugin keep the contract between Verbatim and its adapters?", kName};
  add_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.is_list) return list_checks();
  const auto hub = CheckHub::start(options.listen);
  if (!hub) return usage_error("the hub cannot listen: " + hub.error().message());
  if (const std::string wrong = complete(options, (*hub)->address()); !wrong.empty()) {
    return usage_error(wrong);
  }
  if (options.command.empty()) {
    std::printf("waiting for a plugin to attach to %s\n", (*hub)->address().c_str());
    std::fflush(stdout);
  }
  return run_checks(options, **hub);
}

}  // namespace
}  // namespace verbatim::adapters::check

int main(int argc, char** argv) { return verbatim::adapters::check::run(argc, argv); }
