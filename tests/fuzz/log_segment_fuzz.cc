// recover_log over any bytes as one or two segments: it ends, names only places in them, and says
// the same when asked again.
//
// Input: a byte of flags (1: checksums are made right where records seem to stand, so that what is
// behind them is reached), the count of blocks of the first segment, then the segments from their
// first group on.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/endian.h"
#include "queue/log/log_recovery.h"
#include "queue/log/log_verifier.h"

using namespace verbatim;         // NOLINT: a program of one file
using namespace verbatim::queue;  // NOLINT: the same

namespace {

constexpr uint64_t kLogId = 0x0123456789abcdef;
constexpr uint64_t kSegmentBytes = 32 * 1024;

// Read-only bytes.
class Bytes final : public base::File {
 public:
  explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}
  Status write_at(uint64_t, std::string_view) override { return unimplemented("read-only"); }
  Status append(std::string_view) override { return unimplemented("read-only"); }
  Result<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    if (offset >= bytes_.size()) return size_t{0};
    return bytes_.copy(buffer.data(), buffer.size(), offset);
  }
  Status sync_data() override { return {}; }
  Status sync() override { return {}; }
  Result<uint64_t> size() override { return uint64_t{bytes_.size()}; }
  Status truncate(uint64_t) override { return unimplemented("read-only"); }
  const std::string& path() const override { return path_; }

 private:
  std::string bytes_;
  std::string path_ = "memory";
};

// Rows of records from each block's start get the generation and checksums they claim to have.
void repair(std::string& bytes, uint64_t generation) {
  const RecordEncoder encoder(kLogId, generation);
  for (uint64_t block = kLogHeaderSize; block < bytes.size(); block += kBlockSize) {
    for (uint64_t at = block; at + kRecordHeaderSize <= bytes.size();) {
      const uint64_t length = base::get_le32(bytes.data() + at + 4);
      if (bytes[at + 16] == 0 || at + record_size(length) > bytes.size()) break;
      encoder.finish(bytes.data() + at, length, static_cast<RecordType>(bytes[at + 16]));
      at += record_size(length);
      if (at / kBlockSize != block / kBlockSize) break;
    }
  }
}

Segment make_segment(std::string_view content, uint64_t generation, bool is_repaired) {
  std::string bytes(kLogHeaderSize, '\0');
  bytes.append(content.substr(0, kSegmentBytes - kLogHeaderSize));
  bytes.resize(kSegmentBytes, '\0');
  if (is_repaired) repair(bytes, generation);
  return {.file = std::make_shared<Bytes>(std::move(bytes)),
          .header = {.log_id = kLogId, .generation = generation, .segment_size = kSegmentBytes}};
}

struct Outcome {
  Status status;
  uint64_t record_count = 0;
  LogPosition kept_end;
  bool operator==(const Outcome&) const = default;
};

Outcome recover(const std::map<uint64_t, Segment>& segments) {
  Outcome outcome;
  bool was_above_mark = false;
  const auto visit = [&](const RecoveredRecord& record) -> Status {
    CHECK(segments.contains(record.position.generation) && record.position.offset < kSegmentBytes,
          "a record lies in a segment");
    CHECK(!was_above_mark || record.is_above_mark, "records above the mark come last");
    CHECK(record.type != RecordType::kGroup || record.is_digest, "groups are not shown");
    was_above_mark = record.is_above_mark;
    ++outcome.record_count;
    return {};
  };
  auto log = recover_log(segments, {}, visit);
  outcome.status = log.error();
  if (!log) return outcome;
  outcome.kept_end = log->kept_end;
  CHECK(log->synced_end <= log->kept_end, "what is synced is kept");
  LogVerifier verifier;
  verifier.set_ends(log->summarised_ends);
  for (int step = 0;; ++step) {
    CHECK(step < 100, "the verifier ends");
    const auto has_more = verifier.step(segments);
    if (has_more && !*has_more) break;
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const bool is_repaired = (input[0] & 1) != 0;
  const size_t first_size =
      std::min<size_t>(static_cast<unsigned char>(input[1]) % 8 * kBlockSize, size - 2);
  input.remove_prefix(2);
  std::map<uint64_t, Segment> segments;
  segments[1] = make_segment(input.substr(0, first_size), 1, is_repaired);
  segments[2] = make_segment(input.substr(first_size), 2, is_repaired);
  CHECK(recover(segments) == recover(segments), "recovery changes nothing");
  return 0;
}
