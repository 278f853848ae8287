// verbatim-bare-rocks FOLDER SECONDS: how many rows of 1 KiB RocksDB itself takes in synced write
// batches of 256, with nothing around it; the measure of tests/bench/run pipeline.
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "base/check.h"
#include "base/endian.h"

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
  std::string value(1024, ' ');
  std::mt19937_64 random(1);
  for (char& letter : value) letter = static_cast<char>('a' + random() % 26);
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
      CHECK(batch.Put(key, value).ok(), "a batch in memory takes a row");
    }
    CHECK(db->Write(synced, &batch).ok(), "the disk works");
  }
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  std::printf("rate=%.0f\n", static_cast<double>(count) / took.count());
  return 0;
}
