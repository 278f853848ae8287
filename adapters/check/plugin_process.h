// PluginProcess: the plugin under check as a child process, in a process group of its own, so that
// a kill also reaches what it has started.
//
// Threads: one at a time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace verbatim::adapters::check {

class PluginProcess {
 public:
  // `log_path`: what its standard output and error are appended to; empty: our standard error.
  PluginProcess(std::vector<std::string> command, std::string log_path)
      : command_(std::move(command)), log_path_(std::move(log_path)) {}
  ~PluginProcess() { kill(); }
  PluginProcess(const PluginProcess&) = delete;
  PluginProcess& operator=(const PluginProcess&) = delete;

  // Errors: kUnavailable when no process could be made. A program that is not there ends at once
  // with exit code 127.
  Status start();
  // SIGKILL, to all of its group; returns when it is gone. Safe at any time.
  void kill();
  // SIGTERM, then SIGKILL after the time.
  void stop(std::chrono::milliseconds patience);
  bool is_running();
  // How it ended last, for people.
  const std::string& end() const { return end_; }

 private:
  bool reap(int flags);

  const std::vector<std::string> command_;
  const std::string log_path_;
  pid_t pid_ = 0;
  std::string end_ = "it was not started";
};

// Runs a command by /bin/sh and gives its standard output. Errors: kUnavailable where it ends with
// anything but 0.
Result<std::string> run_shell(const std::string& command);

}  // namespace verbatim::adapters::check
