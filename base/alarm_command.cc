#include "base/alarm_command.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/errno_status.h"
#include "base/log.h"

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 does not say so itself
}

namespace verbatim::base {
namespace {

constexpr size_t kOutputMaxBytes = 4 * 1024;
constexpr std::chrono::milliseconds kLookInterval{100};

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close_now(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  void close_now() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

std::string to_json(const v1::Alarm& alarm) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Only text that is not UTF-8 cannot be printed; names and texts are our own.
  if (!google::protobuf::util::MessageToJsonString(alarm, &json, options).ok()) json = "{}";
  return json + "\n";
}

// The program's output in one line of the log.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = ' ';
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// A file in memory rather than a pipe: a program that reads nothing cannot block or signal us.
Result<int> file_with(const std::string& bytes) {
  const int file = ::memfd_create("alarm", MFD_CLOEXEC);
  if (file < 0) return errno_status(errno, "memfd_create", "alarm");
  const bool is_written =
      ::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
      ::lseek(file, 0, SEEK_SET) == 0;
  if (is_written) return file;
  const int error = errno;
  ::close(file);
  return errno_status(error, "write", "alarm");
}

// In a process group of its own, with our signals' defaults and none of our files.
Result<pid_t> start_program(const std::string& program, int input, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  std::string name = program;
  std::array<char*, 2> arguments{name.data(), nullptr};
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return errno_status(error, "start", program);
  return pid;
}

void read_output(Descriptor& output, std::string& text) {
  std::array<char, 1024> part{};
  const ssize_t count = ::read(output.number(), part.data(), part.size());
  if (count > 0) {
    text.append(part.data(), std::min(static_cast<size_t>(count), kOutputMaxBytes - text.size()));
  } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
    output.close_now();
  }
}

}  // namespace

AlarmCommand::AlarmCommand(AlarmCommandOptions options) : options_(std::move(options)) {
  if (!options_.program.empty()) thread_ = std::thread([this] { run(); });
}

AlarmCommand::~AlarmCommand() { stop(); }

void AlarmCommand::stop() {
  {
    MutexLock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void AlarmCommand::tell(const v1::Alarm& alarm) {
  if (options_.program.empty()) return;
  MutexLock lock(mutex_);
  if (waiting_.size() >= options_.waiting_max_count) {
    ++failure_count_;
    LOG_ERROR("alarm command: too many wait, this one is dropped name={} subject={}", alarm.name(),
              alarm.subject());
    return;
  }
  waiting_.push_back(alarm);
  changed_.notify_all();
}

int64_t AlarmCommand::run_count() const {
  MutexLock lock(mutex_);
  return run_count_;
}

int64_t AlarmCommand::failure_count() const {
  MutexLock lock(mutex_);
  return failure_count_;
}

std::string AlarmCommand::last_error() const {
  MutexLock lock(mutex_);
  return last_error_;
}

bool AlarmCommand::is_stopping() const {
  MutexLock lock(mutex_);
  return is_stopping_;
}

void AlarmCommand::run() {
  while (true) {
    v1::Alarm alarm;
    {
      MutexLock lock(mutex_);
      changed_.wait(mutex_,
                    [this]() REQUIRES(mutex_) { return is_stopping_ || !waiting_.empty(); });
      if (is_stopping_) return;
      alarm = std::move(waiting_.front());
      waiting_.pop_front();
    }
    const Status status = run_program(alarm);
    if (!status.ok()) LOG_ERROR("alarm command: {}", status.message());
    MutexLock lock(mutex_);
    status.ok() ? ++run_count_ : ++failure_count_;
    last_error_ = status.message();
  }
}

Status AlarmCommand::run_program(const v1::Alarm& alarm) {
  ASSIGN_OR_RETURN(const int input_number, file_with(to_json(alarm)));
  const Descriptor input(input_number);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return errno_status(errno, "pipe", options_.program);
  }
  Descriptor output(ends[0]);
  Descriptor child_output(ends[1]);
  ASSIGN_OR_RETURN(const pid_t pid,
                   start_program(options_.program, input.number(), child_output.number()));
  child_output.close_now();
  const Descriptor child(::pidfd_open(pid, 0));
  const auto until = std::chrono::steady_clock::now() + options_.time_max;
  std::string text;
  bool has_ended = !child.is_open();
  while (!has_ended && std::chrono::steady_clock::now() < until && !is_stopping()) {
    std::array<pollfd, 2> items{{{child.number(), POLLIN, 0}, {output.number(), POLLIN, 0}}};
    const auto count = static_cast<nfds_t>(output.is_open() ? 2 : 1);
    if (::poll(items.data(), count, static_cast<int>(kLookInterval.count())) <= 0) continue;
    if (count == 2 && items[1].revents != 0) read_output(output, text);
    has_ended = items[0].revents != 0;
  }
  ::kill(-pid, SIGKILL);  // with whatever it has started
  int result = 0;
  while (::waitpid(pid, &result, 0) < 0 && errno == EINTR) {
  }
  if (output.is_open()) read_output(output, text);
  LOG_INFO("alarm command: told of name={} subject={} output=\"{}\"", alarm.name(), alarm.subject(),
           one_line(text));
  if (!has_ended) return deadline_exceeded("it was killed program=" + options_.program);
  if (WIFEXITED(result) && WEXITSTATUS(result) == 0) return {};
  return aborted("it failed program=" + options_.program + " status=" + std::to_string(result));
}

}  // namespace verbatim::base
