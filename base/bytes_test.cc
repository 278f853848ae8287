// Checksums, digests, hexadecimal, integers as bytes, names.
#include <gtest/gtest.h>

#include <set>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/hex.h"
#include "base/manifest_name.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "tests/support/fake_clock.h"

namespace verbatim::base {
namespace {

TEST(Crc32cTest, GivesTheStandardCheckValue) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
  // RFC 3720, appendix B.4: 32 bytes of zeros.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
}

TEST(Crc32cTest, PartsGiveTheSameAsTheWhole) {
  const std::string bytes = "what was said, word for word";
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    EXPECT_EQ(crc32c_extend(crc32c(bytes.substr(0, cut)), bytes.substr(cut)), crc32c(bytes));
  }
}

TEST(Sha256Test, GivesThePublishedDigests) {
  // FIPS 180-4 examples.
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256Test, PartsGiveTheSameAndFinishStartsAnew) {
  Sha256 digest;
  for (int i = 0; i < 2; ++i) {
    digest.update("a");
    digest.update("bc");
    EXPECT_EQ(digest.finish(), sha256("abc"));
  }
}

TEST(HexTest, EveryByteComesBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  EXPECT_EQ(*from_hex(to_hex(bytes)), bytes);
  EXPECT_EQ(*from_hex("Ff"), "\xFF");
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(EndianTest, BytesStandWhereTheFormatSays) {
  std::string bytes;
  put_le32(bytes, 0x01020304U);
  put_be32(bytes, 0x01020304U);
  put_le64(bytes, 0x0102030405060708U);
  put_be64(bytes, 0xF102030405060708U);
  EXPECT_EQ(to_hex(bytes),
            "04030201"
            "01020304"
            "0807060504030201"
            "f102030405060708");
  EXPECT_EQ(get_le32(bytes.data()), 0x01020304U);
  EXPECT_EQ(get_be32(bytes.data() + 4), 0x01020304U);
  EXPECT_EQ(get_le64(bytes.data() + 8), 0x0102030405060708U);
  EXPECT_EQ(get_be64(bytes.data() + 16), 0xF102030405060708U);
}

TEST(UuidTest, Version7CarriesTheTimeAndNeverRepeats) {
  // RFC 9562, appendix A.6: 2022-02-22T19:22:22Z is 017F22E279B0.
  const testing::FakeClock clock(1'645'557'742'000'000'000);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string uuid = make_uuid_v7(clock);
    EXPECT_TRUE(is_uuid(uuid)) << uuid;
    EXPECT_EQ(uuid.substr(0, 15), "017f22e2-79b0-7") << uuid;
    EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos) << uuid;
    seen.insert(uuid);
  }
  EXPECT_EQ(seen.size(), 1000U);
}

TEST(UuidTest, OtherTextIsNoUuid) {
  EXPECT_FALSE(is_uuid(""));
  EXPECT_FALSE(is_uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398"));
  EXPECT_FALSE(is_uuid("017f22e2+79b0-7cc3-98c4-dc0c0c07398f"));
  EXPECT_FALSE(is_uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398g"));
}

TEST(ClockTest, TheFakeClockMovesWhenTold) {
  testing::FakeClock clock(1000);
  const auto before = clock.monotonic();
  clock.advance(std::chrono::nanoseconds(5));
  EXPECT_EQ(clock.unix_now_ns(), 1005);
  clock.set_unix_now_ns(1);
  EXPECT_EQ(clock.unix_now_ns(), 1);
  EXPECT_EQ((clock.monotonic() - before).count(), 5);
  EXPECT_GT(system_clock().unix_now_ns(), 1'700'000'000'000'000'000);
  const auto first = system_clock().monotonic();
  EXPECT_LE(first, system_clock().monotonic());
}

TEST(ManifestNameTest, NumbersAreReadAsTheyAreWrittenAndNothingElseIs) {
  EXPECT_EQ(manifest_name(12), "batch-000000000012.manifest.json");
  for (const uint64_t number : {uint64_t{1}, uint64_t{999'999'999'999}, UINT64_MAX}) {
    EXPECT_EQ(batch_of_manifest_name(manifest_name(number)), number);
    EXPECT_EQ(batch_of_name(batch_prefix(number) + "xml"), number);
    EXPECT_EQ(batch_of_manifest_name(batch_prefix(number) + "xml"), 0U);
  }
  for (const char* name :
       {"", "batch-", "batch-1.manifest.json", "batch-000000000000.xml", "batch-0000000000x1.xml",
        "batch-000000000001", "a-000000000001.xml", "batch-99999999999999999999999.xml"}) {
    EXPECT_EQ(batch_of_name(name), 0U) << name;
  }
  EXPECT_EQ(batch_of_manifest_name("batch-000000000001.manifest.json.tmp"), 0U);
}

}  // namespace
}  // namespace verbatim::base
