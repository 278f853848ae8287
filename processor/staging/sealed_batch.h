// A sealed batch and its digest. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "verbatim/v1/adapter.pb.h"
#include "verbatim/v1/staging.pb.h"

namespace verbatim::processor {

// What staging keeps of a sealed batch.
struct SealedBatch {
  uint64_t batch = 0;
  v1::SealRow row;
};

// The same with its body: serialised StoredEvents in order.
struct LoadedBatch {
  SealedBatch seal;
  std::vector<std::string> events;
};

// BatchEnd.digest of adapter.proto: SHA-256 over the header's bytes and the digest of the body,
// which is SHA-256 over each event's size and bytes.
class BodyDigest {
 public:
  void add(std::string_view event);
  std::string finish() { return digest_.finish(); }

 private:
  base::Sha256 digest_;
};
std::string body_digest(const std::vector<std::string>& events);
std::string batch_digest(const std::string& header, const std::string& body_digest);

// Turns ascending sequences into pairs first, last.
std::vector<uint64_t> to_ranges(const std::vector<uint64_t>& sequences);

inline uint64_t first_of(const v1::SealRow& row) { return row.member_ranges(0); }
inline uint64_t last_of(const v1::SealRow& row) {
  return row.member_ranges(row.member_ranges_size() - 1);
}
bool is_member(const v1::SealRow& row, uint64_t sequence);
// Of events that the adapter's cursor has passed already: released, replayed, or owed.
inline bool is_behind_cursor(const v1::SealRow& row) {
  return row.is_release() || row.is_replay() || row.is_owed();
}
// The members, ascending.
std::vector<uint64_t> members_of(const v1::SealRow& row);

// Where run intervals go on after this batch; see next_interval_start().
inline int64_t interval_floor(const v1::SealRow& last_acked) {
  return last_acked.is_interval_complete() ? last_acked.interval_end_unix_ns()
                                           : last_acked.interval_start_unix_ns();
}

// 32 zero bytes: the digest before the first batch.
const std::string& no_digest();

}  // namespace verbatim::processor
