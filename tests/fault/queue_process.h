// QueueProcess: the built verbatim-queue as a child process.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace verbatim::testing {

// The service as a child process on an ipc endpoint, so that its address stays.
class QueueProcess {
 public:
  explicit QueueProcess(const TempDir& directory) : directory_(directory) {}
  ~QueueProcess() {
    if (pid_ > 0) kill(SIGKILL);
  }

  std::string address() const { return "ipc://" + directory_.file("queue.ipc"); }

  // `fault_point` as in base/fault_point.h, or empty.
  void start(const std::string& fault_point) {
    const std::string binary = std::string(std::getenv("VERBATIM_BIN_DIR")) + "/verbatim-queue";
    std::vector<std::string> arguments{binary,
                                       "--log-level=error",
                                       "--set=queue.data_dir=" + directory_.file("data"),
                                       "--set=queue.listen=" + address(),
                                       "--set=queue.admin_listen=127.0.0.1:0",
                                       "--set=queue.metrics_listen=",
                                       "--set=queue.probe_interval_ms=0",
                                       "--set=queue.segment_bytes=1048576",
                                       "--set=queue.message_max_bytes=32768",
                                       "--set=queue.free_disk_min_bytes=0"};
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::vector<std::string> variables;
    for (char** at = environ; *at != nullptr; ++at) variables.emplace_back(*at);
    variables.push_back("VERBATIM_FAULT_POINT=" + fault_point);
    // What the address sanitizer keeps back would look like growth.
    variables.emplace_back("ASAN_OPTIONS=quarantine_size_mb=4:malloc_context_size=4");
    std::vector<char*> envp;
    for (std::string& variable : variables) envp.push_back(variable.data());
    envp.push_back(nullptr);
    ASSERT_EQ(posix_spawn(&pid_, binary.c_str(), nullptr, nullptr, argv.data(), envp.data()), 0);
  }

  // How it ended: the signal, or 0 for an exit code.
  int wait_for_end(int* exit_code = nullptr) {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = 0;
    if (exit_code != nullptr) *exit_code = WEXITSTATUS(status);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }
  void kill(int signal) {
    ::kill(pid_, signal);
    wait_for_end();
  }
  pid_t pid() const { return pid_; }
  // Memory in use that is its own.
  size_t resident_bytes() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
    size_t total = 0;
    size_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  }
  int stop() {
    ::kill(pid_, SIGTERM);
    int exit_code = -1;
    EXPECT_EQ(wait_for_end(&exit_code), 0);
    return exit_code;
  }

 private:
  const TempDir& directory_;
  pid_t pid_ = 0;
};

}  // namespace verbatim::testing
