// verbatim-bare-rocks FOLDER SECONDS: how many rows of 1 KiB RocksDB itself takes in synced write
// batches of 256, with nothing around it; the measure of tests/bench/run pipeline. The values
// repeat nothing, as the events' texts do not (tests/tools/load_text.h): a value that is always the
// same would be flushed as a few bytes.
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/endian.h"
#include "tests/tools/load_text.h"

namespace {

constexpr size_t kValueSize = 1'024;

}  // namespace

int main(int argc, char** argv) {
  using std::chrono::steady_clock;
  if (argc != 3) return 2;
  rocksdb::Options options;
  options.create_if_missing = true;
  options.error_if_exists = true;
  options.write_buffer_size = size_t{64} << 20;
  rocksdb::DB* opened = nullptr;
  CHECK(rocksdb::DB::Open(options, argv[1], &opened).ok(), "the folder takes a store");
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const auto begin = steady_clock::now();
  const std::chrono::duration<double> time(std::strtod(argv[2], nullptr));
  uint64_t count = 0;
  while (steady_clock::now() - begin < time) {
    rocksdb::WriteBatch batch;
    for (int i = 0; i < 256; ++i) {
      std::string key;
      verbatim::base::put_be64(key, ++count);
      const std::string_view value = verbatim::tools::load_text(count, kValueSize);
      CHECK(batch.Put(key, rocksdb::Slice(value.data(), value.size())).ok(),
            "a batch in memory takes a row");
    }
    CHECK(db->Write(synced, &batch).ok(), "the disk works");
  }
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  std::printf("rate=%.0f\n", static_cast<double>(count) / took.count());
  return 0;
}
