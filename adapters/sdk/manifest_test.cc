#include "adapters/sdk/manifest.h"

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/support/batch_builder.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::adapters {
namespace {

using ::verbatim::testing::BatchBuilder;
using ::verbatim::testing::FaultFileSystem;
using ::verbatim::testing::room_post;

class ManifestTest : public ::testing::Test {
 protected:
  ManifestTest() { EXPECT_TRUE(disk_.create_directories("/out").ok()); }
  Batch next() {
    builder_.add(room_post("a@x", "text"));
    return builder_.seal();
  }
  void store(uint64_t batch, const std::string& text) {
    ASSERT_TRUE(
        base::write_file_atomically(disk_, "/out/" + base::manifest_name(batch), text).ok());
  }

  FaultFileSystem disk_;
  BatchBuilder builder_{"xml"};
};

TEST_F(ManifestTest, IsReadAsItWasWrittenAndKnowsItsOwnDigest) {
  const Batch batch = next();
  const std::vector<OutputFile> files = {{"batch-000000000001.txt", 5, std::string(32, 'a')}};
  const std::string text = make_manifest(batch, files, std::string(32, '\0'));
  EXPECT_EQ(text, make_manifest(batch, files, std::string(32, '\0')));
  store(1, text);
  const auto manifest = load_manifest(disk_, "/out", 1);
  ASSERT_TRUE(manifest) << manifest.error().message();
  EXPECT_EQ(manifest->adapter, "xml");
  EXPECT_EQ(manifest->batch, (AppliedBatch{1, batch.digest()}));
  ASSERT_EQ(manifest->files.size(), 1U);
  EXPECT_EQ(manifest->files[0].name, files[0].name);
  EXPECT_EQ(manifest->files[0].size_bytes, 5U);
  EXPECT_EQ(manifest->files[0].sha256, files[0].sha256);
  EXPECT_EQ(manifest->sha256, base::sha256(text));
}

TEST_F(ManifestTest, TheNewestIsFoundByItsNumber) {
  EXPECT_FALSE(*load_newest_manifest(disk_, "/nowhere"));
  EXPECT_FALSE(*load_newest_manifest(disk_, "/out"));
  const Batch first = next();
  const Batch second = next();
  store(1, make_manifest(first, {}, std::string(32, '\0')));
  store(2, make_manifest(second, {}, std::string(32, 'x')));
  EXPECT_EQ((*load_newest_manifest(disk_, "/out"))->batch.number, 2U);
}

TEST_F(ManifestTest, NamesTheManifestBeforeOnlyWhereItIsThatOfTheBatchBefore) {
  const Batch first = next();
  EXPECT_EQ(previous_manifest_sha256(first, std::nullopt), std::string(32, '\0'));
  const Batch second = next();
  EXPECT_EQ(previous_manifest_sha256(second, std::nullopt), "");
  Manifest newest;
  newest.batch = {1, first.digest()};
  newest.sha256 = std::string(32, 'm');
  EXPECT_EQ(previous_manifest_sha256(second, newest), newest.sha256);
  EXPECT_EQ(previous_manifest_sha256(next(), newest), "");
}

TEST_F(ManifestTest, WhatIsNoManifestIsDamageAndANewerOneIsRefused) {
  EXPECT_EQ(load_manifest(disk_, "/out", 1).error().code(), StatusCode::kNotFound);
  const std::string good =
      make_manifest(next(), {{"batch-000000000001.txt", 5, std::string(32, 'a')}}, {});
  const auto code_of = [this](const std::string& text) {
    store(1, text);
    return load_manifest(disk_, "/out", 1).error().code();
  };
  const auto changed = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  EXPECT_EQ(code_of(good), StatusCode::kOk);
  for (size_t size = 0; size < good.find_last_of('}'); ++size) {
    EXPECT_EQ(code_of(good.substr(0, size)), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(code_of(changed("\"batch\": \"1\"", "\"batch\": \"2\"")), StatusCode::kDataLoss);
  EXPECT_EQ(code_of(changed("batch-000000000001.txt", "../etc/passwd")), StatusCode::kDataLoss);
  EXPECT_EQ(code_of(changed("batch-000000000001.txt", "batch-000000000001./../x")),
            StatusCode::kDataLoss);
  EXPECT_EQ(code_of(changed("\"format\": 1", "\"format\": 2, \"new\": 1")),
            StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace verbatim::adapters
