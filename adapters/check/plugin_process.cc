#include "adapters/check/plugin_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <thread>

namespace verbatim::adapters::check {
namespace {

constexpr int kNoSuchProgram = 127;

std::string describe(int status) {
  if (WIFSIGNALED(status)) return "it was ended by signal " + std::to_string(WTERMSIG(status));
  return "it ended with exit code " + std::to_string(WEXITSTATUS(status));
}

// In the child: only what is safe between fork and exec.
[[noreturn]] void become(char* const* arguments, int log) {
  ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execvp(arguments[0], arguments);
  ::_exit(kNoSuchProgram);
}

}  // namespace

Status PluginProcess::start() {
  int log = STDERR_FILENO;
  if (!log_path_.empty()) {
    log = ::open(log_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) return unavailable("the log cannot be written path=" + log_path_);
  }
  std::vector<std::string> copy = command_;
  std::vector<char*> arguments;
  for (std::string& argument : copy) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) become(arguments.data(), log);
  if (log != STDERR_FILENO) ::close(log);
  if (pid < 0) return unavailable("no process could be made");
  ::setpgid(pid, pid);  // whichever of the two is first
  pid_ = pid;
  return {};
}

bool PluginProcess::reap(int flags) {
  int status = 0;
  pid_t reaped = 0;
  do reaped = ::waitpid(pid_, &status, flags);
  while (reaped < 0 && errno == EINTR);
  if (reaped == 0) return false;
  end_ = describe(status);
  pid_ = 0;
  return true;
}

void PluginProcess::kill() {
  if (pid_ == 0) return;
  ::kill(-pid_, SIGKILL);
  reap(0);
}

void PluginProcess::stop(std::chrono::milliseconds patience) {
  if (pid_ == 0) return;
  ::kill(-pid_, SIGTERM);
  const auto end = std::chrono::steady_clock::now() + patience;
  while (is_running() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill();
}

bool PluginProcess::is_running() { return pid_ != 0 && !reap(WNOHANG); }

Result<std::string> run_shell(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "re");
  if (pipe == nullptr) return unavailable("no shell could be started");
  std::string output;
  char buffer[4096];
  for (size_t count = 0; (count = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    output.append(buffer, count);
  }
  if (const int status = ::pclose(pipe); status != 0) {
    return unavailable("a command of yours failed, " + describe(status) + ": " + command);
  }
  return output;
}

}  // namespace verbatim::adapters::check
