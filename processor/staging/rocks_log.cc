#include "processor/staging/rocks_log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

#include "base/log.h"

namespace verbatim::processor {

void RocksLog::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  if (level < GetInfoLogLevel()) return;
  std::array<char, 1024> line;  // a longer one is cut
  std::vsnprintf(line.data(), line.size(), format, arguments);
  std::string text(line.data());
  if (text.ends_with('\n')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  LOG_WARN("the staging store says: {}", text);
}

}  // namespace verbatim::processor
