// RocksLog: what RocksDB warns of becomes lines of our log; the rest is dropped, and no file is
// written.
//
// By itself RocksDB keeps a file "LOG" beside its tables. Debian's build has assertions on, and one
// of them ends the process at the line after one for which the disk had no room (EnvLogger::Logv
// appends to a writer that has failed, RocksDB 7.8, logging/env_logger.h).
// Threads: any.
#pragma once

#include <rocksdb/env.h>

#include <cstdarg>

namespace verbatim::processor {

class RocksLog final : public rocksdb::Logger {
 public:
  RocksLog() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}

  using rocksdb::Logger::Logv;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;
  // The options, line by line.
  void LogHeader(const char* /*format*/, va_list /*arguments*/) override {}

 private:
  rocksdb::Status CloseImpl() override { return rocksdb::Status::OK(); }
};

}  // namespace verbatim::processor
