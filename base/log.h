// Logging: LOG_INFO("segment closed segment={} size_bytes={}", number, size). One line an entry, to
// standard error, ISO-8601 UTC time first. Never the text of a chat message, a name or a secret.
// WARN: handled, nothing lost. ERROR: possible loss, or a person is needed.
// Threads: any. Before init_log the defaults are service "verbatim" and level info.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// `level`: debug, info, warn or error. Errors: kInvalidArgument for any other word.
Status init_log(const std::string& service_name, std::string_view level);

bool is_logged(LogLevel level);
void write_log(LogLevel level, std::string_view line);

}  // namespace verbatim

#define VERBATIM_LOG(level, ...)                                \
  do {                                                          \
    if (::verbatim::is_logged(level)) {                         \
      ::verbatim::write_log(level, ::fmt::format(__VA_ARGS__)); \
    }                                                           \
  } while (false)

#define LOG_DEBUG(...) VERBATIM_LOG(::verbatim::LogLevel::kDebug, __VA_ARGS__)
#define LOG_INFO(...) VERBATIM_LOG(::verbatim::LogLevel::kInfo, __VA_ARGS__)
#define LOG_WARN(...) VERBATIM_LOG(::verbatim::LogLevel::kWarn, __VA_ARGS__)
#define LOG_ERROR(...) VERBATIM_LOG(::verbatim::LogLevel::kError, __VA_ARGS__)
