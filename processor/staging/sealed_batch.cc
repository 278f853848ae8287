#include "processor/staging/sealed_batch.h"

#include "base/endian.h"

namespace verbatim::processor {

void BodyDigest::add(std::string_view event) {
  char size[4];
  base::put_le32(size, static_cast<uint32_t>(event.size()));
  digest_.update({size, sizeof(size)});
  digest_.update(event);
}

std::string body_digest(const std::vector<std::string>& events) {
  BodyDigest body;
  for (const std::string& event : events) body.add(event);
  return body.finish();
}

std::string batch_digest(const std::string& header, const std::string& body_digest) {
  base::Sha256 digest;
  digest.update(header);
  digest.update(body_digest);
  return digest.finish();
}

std::vector<uint64_t> to_ranges(const std::vector<uint64_t>& sequences) {
  std::vector<uint64_t> ranges;
  for (const uint64_t sequence : sequences) {
    if (!ranges.empty() && ranges.back() + 1 == sequence) {
      ranges.back() = sequence;
    } else {
      ranges.insert(ranges.end(), {sequence, sequence});
    }
  }
  return ranges;
}

bool is_member(const v1::SealRow& row, uint64_t sequence) {
  for (int i = 0; i + 1 < row.member_ranges_size(); i += 2) {
    if (sequence >= row.member_ranges(i) && sequence <= row.member_ranges(i + 1)) return true;
  }
  return false;
}

std::vector<uint64_t> members_of(const v1::SealRow& row) {
  std::vector<uint64_t> members;
  for (int i = 0; i + 1 < row.member_ranges_size(); i += 2) {
    for (uint64_t one = row.member_ranges(i); one <= row.member_ranges(i + 1); ++one) {
      members.push_back(one);
    }
  }
  return members;
}

const std::string& no_digest() {
  static const std::string zeros(base::kSha256Size, '\0');
  return zeros;
}

}  // namespace verbatim::processor
