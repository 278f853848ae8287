#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <vector>

namespace verbatim {
namespace {

// Never destroyed: threads may log until the process ends.
std::atomic<spdlog::logger*> current_logger = nullptr;

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::logger* make_logger(const std::string& service_name, spdlog::level::level_enum level) {
  // The system's pipes and files may refuse a line; logging never ends a service for that.
  auto* logger =
      new spdlog::logger(service_name, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_error_handler([](const std::string&) {});
  logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "%Y-%m-%dT%H:%M:%S.%fZ %^%l%$ %n[%P:%t] %v", spdlog::pattern_time_type::utc));
  logger->set_level(level);
  logger->flush_on(spdlog::level::trace);
  return logger;
}

spdlog::logger& logger() {
  spdlog::logger* present = current_logger.load(std::memory_order_acquire);
  if (present != nullptr) return *present;
  static spdlog::logger* const fallback = make_logger("verbatim", spdlog::level::info);
  return *fallback;
}

}  // namespace

Status init_log(const std::string& service_name, std::string_view level) {
  LogLevel parsed = LogLevel::kInfo;
  if (level == "debug") {
    parsed = LogLevel::kDebug;
  } else if (level == "warn") {
    parsed = LogLevel::kWarn;
  } else if (level == "error") {
    parsed = LogLevel::kError;
  } else if (level != "info") {
    return invalid_argument("no such log level level=" + std::string(level) +
                            " known=debug,info,warn,error");
  }
  // The one before is kept alive on purpose, see current_logger.
  static auto* const all = new std::vector<spdlog::logger*>();
  all->push_back(make_logger(service_name, to_spdlog(parsed)));
  current_logger.store(all->back(), std::memory_order_release);
  return Status::ok_status();
}

bool is_logged(LogLevel level) { return logger().should_log(to_spdlog(level)); }

void write_log(LogLevel level, std::string_view line) {
  logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace verbatim
