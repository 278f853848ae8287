#include "admin/verify/manifest_reader.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "base/hex.h"
#include "base/sha256.h"
#include "verbatim/v1/adapter.pb.h"

namespace verbatim::admin {
namespace {

std::string good_manifest() {
  v1::BatchHeader header;
  header.set_adapter("xml");
  header.set_batch(7);
  header.set_previous_digest(std::string(32, 'p'));
  header.set_event_count(2);
  header.set_running_event_count(12);
  v1::BatchManifest manifest;
  manifest.set_format(1);
  manifest.set_adapter("xml");
  manifest.set_batch(7);
  manifest.set_header(header.SerializeAsString());
  const std::string body = base::sha256("body");
  manifest.set_body_digest(base::to_hex(body));
  manifest.set_digest(base::to_hex(base::sha256(manifest.header() + body)));
  manifest.set_previous_manifest_sha256(std::string(64, 'a'));
  v1::ManifestFile& file = *manifest.add_files();
  file.set_name("batch-000000000007.txt");
  file.set_size_bytes(3);
  file.set_sha256(std::string(64, 'b'));
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(manifest, &json, options).ok());
  return json;
}

Result<ManifestFacts> read(const std::string& text) {
  v1::BatchManifest manifest;
  return read_manifest(text, manifest);
}

std::string changed(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(ManifestReaderTest, GivesWhatTheChainNeeds) {
  const auto facts = read(good_manifest());
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(facts->adapter, "xml");
  EXPECT_EQ(facts->batch, 7U);
  EXPECT_EQ(facts->event_count, 2U);
  EXPECT_EQ(facts->running_event_count, 12U);
  EXPECT_EQ(facts->previous_digest, std::string(32, 'p'));
  EXPECT_EQ(facts->previous_sha256, std::string(32, '\xaa'));
  EXPECT_EQ(facts->sha256, base::sha256(good_manifest()));
}

TEST(ManifestReaderTest, EveryLengthCutIsNoManifest) {
  const std::string good = good_manifest();
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(read(good.substr(0, size))) << size;
}

// What still reads after a change does not have the same digest of its own.
TEST(ManifestReaderTest, EveryFlippedBitIsNoticedOrMakesAnotherManifest) {
  const std::string good = good_manifest();
  int refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      const auto facts = read(bad);
      refused += facts ? 0 : 1;
      EXPECT_TRUE(!facts || facts->sha256 != base::sha256(good)) << at << " " << bit;
    }
  }
  EXPECT_GT(refused, 2'000);
}

TEST(ManifestReaderTest, HeaderDigestsAndNamesMustFitEachOther) {
  const std::string good = good_manifest();
  const std::string name = "batch-000000000007.txt";
  EXPECT_FALSE(read(changed(good, "\"batch\":\"7\"", "\"batch\":\"8\"")));
  EXPECT_FALSE(read(changed(good, "\"adapter\":\"xml\"", "\"adapter\":\"csv\"")));
  for (const char* other : {"../batch-000000000007.txt", "batch-000000000008.txt", "/etc/passwd",
                            "batch-000000000007./../x", "batch-000000000007.manifest.json"}) {
    EXPECT_FALSE(read(changed(good, name, other))) << other;
  }
  // One spelling of a digest only.
  EXPECT_FALSE(read(changed(good, std::string(64, 'b'), std::string(64, 'B'))));
  EXPECT_TRUE(read(changed(good, std::string(64, 'a'), "")));
  const auto newer = read(changed(good, "\"format\":1", "\"format\":2,\"more\":3"));
  EXPECT_EQ(newer.error().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace verbatim::admin
