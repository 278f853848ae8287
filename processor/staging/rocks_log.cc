#include "processor/staging/rocks_log.h"

#include <array>
#include <cstdio>

#include "base/log.h"

namespace verbatim::processor {

void RocksLog::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  if (level < GetInfoLogLevel()) return;
  std::array<char, 1024> line;  // a longer one is cut
  std::vsnprintf(line.data(), line.size(), format, arguments);
  LOG_WARN("the staging store says: {}", line.data());
}

}  // namespace verbatim::processor
