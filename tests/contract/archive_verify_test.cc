// The XML adapter's real output, and everything that somebody may do to it behind its back.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "adapters/xml/xml_adapter.h"
#include "admin/verify/chain_verifier.h"
#include "admin/verify/known_batch.h"
#include "base/hex.h"
#include "base/sha256.h"
#include "tests/support/batch_builder.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/test_seed.h"

namespace verbatim {
namespace {

using adapters::Batch;
using adapters::XmlAdapter;
using testing::BatchBuilder;
using testing::FaultFileSystem;
using testing::room_post;
using Strings = std::vector<std::string>;

constexpr const char* kDir = "/archive/xml";

class ArchiveVerifyTest : public ::testing::Test {
 protected:
  // Batches of two posts.
  Batch write(BatchBuilder& builder, FaultFileSystem& disk) {
    builder.add(room_post("a@x", "text " + std::to_string(++texts_)));
    builder.add(room_post("b@x", "answer " + std::to_string(texts_)));
    Batch batch = builder.seal();
    XmlAdapter adapter(disk, {"xml", kDir, {}});
    const auto outcome = adapter.translate(batch);
    EXPECT_TRUE(outcome && outcome->kind == adapters::Outcome::Kind::kApplied);
    return batch;
  }
  void write(int count) {
    for (int i = 0; i < count; ++i) batches_.push_back(write(builder_, disk_));
  }

  v1::VerifyReport verify(const admin::VerifyOptions& options = {}) {
    const auto report = admin::verify_folder(disk_, kDir, options, {});
    EXPECT_TRUE(report) << report.error().message();
    if (!report) return {};
    EXPECT_EQ(report->is_good(), report->problems().empty());
    for (const auto& problem : report->problems()) {
      EXPECT_NE(problem.what(), "");
      EXPECT_NE(problem.remedy(), "");
    }
    return *report;
  }
  // "removed 5 batch-000000000005.xml", one a problem.
  Strings problems(const admin::VerifyOptions& options = {}) {
    Strings lines;
    const v1::VerifyReport report = verify(options);
    for (const auto& problem : report.problems()) {
      std::string kind = v1::VerifyProblem::Kind_Name(problem.kind()).substr(5);
      for (char& c : kind) c = static_cast<char>(std::tolower(c));
      lines.push_back(kind + " " + std::to_string(problem.batch()) + " " + problem.file());
    }
    return lines;
  }

  static std::string name(int batch, const std::string& suffix) {
    return base::batch_prefix(static_cast<uint64_t>(batch)) + suffix;
  }
  static std::string path(const std::string& name) { return base::join_path(kDir, name); }
  void store(const std::string& name, const std::string& text) {
    ASSERT_TRUE(base::write_file_atomically(disk_, path(name), text).ok());
  }
  void remove(const std::string& name) { ASSERT_TRUE(disk_.remove(path(name)).ok()); }
  void remove_batch(int batch) {
    for (const char* suffix : {"xml", "companion.xml", "manifest.json"})
      remove(name(batch, suffix));
  }
  void exchange(const std::string& one, const std::string& other) {
    const std::string text = disk_.contents(path(one));
    store(one, disk_.contents(path(other)));
    store(other, text);
  }

  FaultFileSystem disk_;
  BatchBuilder builder_{"xml"};
  std::vector<Batch> batches_;
  int texts_ = 0;
};

TEST_F(ArchiveVerifyTest, AnUntouchedArchiveHasNoProblem) {
  write(5);
  const v1::VerifyReport report = verify();
  EXPECT_EQ(problems(), Strings());
  EXPECT_TRUE(report.notices().empty());
  EXPECT_EQ(report.adapter(), "xml");
  EXPECT_EQ(report.batch_count(), 5U);
  EXPECT_EQ(report.file_count(), 10U);
  EXPECT_EQ(report.event_count(), 10U);
  EXPECT_EQ(report.running_event_count(), 10U);
  EXPECT_EQ(report.first_batch(), 1U);
  EXPECT_EQ(report.last_batch(), 5U);
  EXPECT_EQ(report.replaced_count(), 0U);
  EXPECT_EQ(report.last_digest(), base::to_hex(batches_.back().digest()));
  EXPECT_EQ(report.last_manifest_sha256(),
            base::to_hex(base::sha256(disk_.contents(path(name(5, "manifest.json"))))));
}

TEST_F(ArchiveVerifyTest, AnEmptyFolderProvesNothingUnlessTheProcessorKnowsOfNoBatch) {
  ASSERT_TRUE(disk_.create_directories(kDir).ok());
  EXPECT_EQ(problems(), Strings{"truncated 0 "});
  admin::VerifyOptions asked;
  asked.adapter = "xml";
  EXPECT_EQ(problems(asked), Strings());
  EXPECT_EQ(verify(asked).notices_size(), 1);
  EXPECT_FALSE(admin::verify_folder(disk_, "/nowhere", {}, {}));
}

// docs/adr/0005: a replacement takes the next number and follows the last batch that was applied.
TEST_F(ArchiveVerifyTest, ReplacedNumbersAreNoProblem) {
  write(2);
  builder_.header().set_batch(3);  // 3 was rejected, 4 and 5 are its halves
  builder_.header().set_replaces(3);
  write(2);
  builder_.header().set_replaces(0);
  builder_.header().set_batch(7);  // all events of 6 and 7 were quarantined
  write(1);
  EXPECT_EQ(problems(), Strings());
  EXPECT_EQ(verify().last_batch(), 8U);
  EXPECT_EQ(verify().replaced_count(), 3U);
  // What is missing beside them is still found.
  remove_batch(4);
  EXPECT_EQ(problems(), Strings{"removed 4 " + name(4, "manifest.json")});
  EXPECT_NE(verify().problems(0).what().find("batch 4 with 2 events missing"), std::string::npos);
}

// --- 1. change

TEST_F(ArchiveVerifyTest, EveryChangedByteOfAnyFileIsFoundAndNamed) {
  write(3);
  std::mt19937_64 random(testing::test_seed());
  for (const char* suffix : {"xml", "companion.xml", "manifest.json"}) {
    const std::string file = name(2, suffix);
    const std::string good = disk_.contents(path(file));
    for (int i = 0; i < 60; ++i) {
      std::string bad = good;
      const size_t at = random() % bad.size();
      bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8)));
      store(file, bad);
      const Strings found = problems();
      ASSERT_FALSE(found.empty()) << file << " " << at << " " << testing::test_seed();
      EXPECT_NE(found[0].find(" 2 "), std::string::npos) << found[0];
      EXPECT_NE(found[0].find(file), std::string::npos) << found[0];
      if (*suffix != 'm') {
        EXPECT_EQ(found, Strings{"changed 2 " + file});
      }
    }
    store(file, good);
  }
  EXPECT_EQ(problems(), Strings());
}

TEST_F(ArchiveVerifyTest, AFileThatWasMadeShorterOrLongerIsFound) {
  write(2);
  const std::string file = name(1, "xml");
  const std::string good = disk_.contents(path(file));
  for (const std::string& bad : {std::string(), good.substr(0, good.size() / 2), good + "\n"}) {
    store(file, bad);
    EXPECT_EQ(problems(), Strings{"changed 1 " + file});
  }
}

// Somebody who knows the format makes document and manifest fit each other.
TEST_F(ArchiveVerifyTest, AManifestThatWasMadeToFitIsFoundByTheNextOne) {
  write(3);
  const std::string document = name(2, "xml");
  const std::string manifest = name(2, "manifest.json");
  const std::string before = disk_.contents(path(document));
  std::string text = disk_.contents(path(manifest));
  const std::string changed = before + " ";
  store(document, changed);
  const std::string old_sha = base::to_hex(base::sha256(before));
  text.replace(text.find(old_sha), 64, base::to_hex(base::sha256(changed)));
  store(manifest, text);
  EXPECT_EQ(problems(), Strings{"changed 2 " + manifest});
}

// The same at the newest end is only found from outside.
TEST_F(ArchiveVerifyTest, ANewestBatchThatWasMadeAnewIsFoundByWhatIsKnownFromOutside) {
  write(2);
  admin::VerifyOptions known;
  known.last_batch = 2;
  known.last_known_by = "--last says";
  known.last_digest = batches_[1].digest();
  EXPECT_EQ(problems(known), Strings());
  known.last_digest = base::sha256(disk_.contents(path(name(2, "manifest.json"))));
  EXPECT_EQ(problems(known), Strings());
  std::string text = disk_.contents(path(name(2, "manifest.json")));
  store(name(2, "manifest.json"), text + "\n");
  EXPECT_EQ(problems(known), Strings{"changed 2 " + name(2, "manifest.json")});
  known.last_digest = batches_[1].digest();
  EXPECT_EQ(problems(known), Strings());
}

// --- 2. removal

TEST_F(ArchiveVerifyTest, ARemovedBatchIsFoundWithWhatIsMissing) {
  write(5);
  remove_batch(3);
  EXPECT_EQ(problems(), Strings{"removed 3 " + name(3, "manifest.json")});
  EXPECT_NE(verify().problems(0).what().find("2 events missing"), std::string::npos);
}

TEST_F(ArchiveVerifyTest, ARemovedDocumentIsFoundWithTheDigestToLookFor) {
  write(3);
  const std::string sha = base::to_hex(base::sha256(disk_.contents(path(name(2, "xml")))));
  remove(name(2, "xml"));
  EXPECT_EQ(problems(), Strings{"removed 2 " + name(2, "xml")});
  EXPECT_NE(verify().problems(0).remedy().find(sha), std::string::npos);
}

TEST_F(ArchiveVerifyTest, ARemovedManifestIsFoundWithItsDocuments) {
  write(3);
  remove(name(2, "manifest.json"));
  EXPECT_EQ(problems(),
            (Strings{"removed 2 " + name(2, "manifest.json"),
                     "removed 2 " + name(2, "companion.xml"), "removed 2 " + name(2, "xml")}));
}

// --- 3. insertion

TEST_F(ArchiveVerifyTest, AFileThatWasPutInIsFound) {
  write(2);
  store("batch-000000000001.note.xml", "<a/>");
  store("holiday.jpg", "x");
  EXPECT_EQ(problems(),
            (Strings{"inserted 0 holiday.jpg", "inserted 1 batch-000000000001.note.xml"}));
}

// A whole batch with a good manifest, under a number that was replaced, chained to the one before.
TEST_F(ArchiveVerifyTest, ABatchThatWasPutInIsFoundThoughItFitsTheOneBefore) {
  write(2);
  BatchBuilder forger = builder_;
  builder_.header().set_batch(3);
  write(2);
  write(forger, disk_);
  EXPECT_EQ(problems(), Strings{"inserted 3 " + name(3, "manifest.json")});
}

TEST_F(ArchiveVerifyTest, ABatchOfAnotherAdapterIsFound) {
  write(1);
  BatchBuilder other("other");
  other.header().set_batch(1);
  write(other, disk_);
  EXPECT_EQ(problems(), Strings{"inserted 2 " + name(2, "manifest.json")});
  admin::VerifyOptions options;
  options.adapter = "other";
  EXPECT_EQ(problems(options)[0], "inserted 1 " + name(1, "manifest.json"));
}

// --- 4. re-ordering

TEST_F(ArchiveVerifyTest, ExchangedBatchesAreFound) {
  write(4);
  for (const char* suffix : {"xml", "companion.xml", "manifest.json"}) {
    exchange(name(2, suffix), name(3, suffix));
  }
  EXPECT_EQ(problems(), (Strings{"reordered 2 " + name(2, "manifest.json"),
                                 "reordered 3 " + name(3, "manifest.json")}));
}

TEST_F(ArchiveVerifyTest, ExchangedDocumentsAreFound) {
  write(4);
  exchange(name(2, "xml"), name(3, "xml"));
  EXPECT_EQ(problems(),
            (Strings{"reordered 2 " + name(2, "xml"), "reordered 3 " + name(3, "xml")}));
}

TEST_F(ArchiveVerifyTest, ABatchThatWasMovedToTheEndIsFound) {
  write(4);
  for (const char* suffix : {"xml", "companion.xml", "manifest.json"}) {
    ASSERT_TRUE(disk_.rename(path(name(2, suffix)), path(name(5, suffix))).ok());
  }
  EXPECT_EQ(problems(), Strings{"reordered 5 " + name(5, "manifest.json")});
}

// --- 5. truncation

TEST_F(ArchiveVerifyTest, ACutOffNewestEndIsFoundByWhatIsKnownFromOutside) {
  write(4);
  admin::VerifyOptions known;
  known.last_batch = 4;
  known.last_known_by = "--last says";
  EXPECT_EQ(problems(known), Strings());
  remove_batch(4);
  EXPECT_EQ(problems(), Strings());  // no folder can tell
  EXPECT_EQ(problems(known), Strings{"truncated 3 " + name(3, "manifest.json")});
  for (const int batch : {3, 2, 1}) remove_batch(batch);
  EXPECT_EQ(problems(known), Strings{"truncated 0 "});
}

TEST_F(ArchiveVerifyTest, ACutOffOldestEndIsFoundUnlessItIsKnown) {
  write(4);
  remove_batch(1);
  remove_batch(2);
  EXPECT_EQ(problems(), Strings{"truncated 3 " + name(3, "manifest.json")});
  EXPECT_NE(verify().problems(0).what().find("4 events"), std::string::npos);
  admin::VerifyOptions known;
  known.first_batch = 3;
  EXPECT_EQ(problems(known), Strings());
  known.first_batch = 2;
  EXPECT_EQ(problems(known).size(), 1U);
}

// --- an archive in use

// Another instance of the folder grows while it is looked at; what a crash leaves is no problem.
TEST_F(ArchiveVerifyTest, WhatABatchOnItsWayLeavesIsOnlyMentioned) {
  write(2);
  store(name(3, "xml"), "<a/>");
  store(name(4, "companion.xml.tmp"), "<a");
  store("adapter-xml.ready", "pid=1\n");
  EXPECT_EQ(problems(), Strings());
  ASSERT_EQ(verify().notices_size(), 1);
  EXPECT_NE(verify().notices(0).find("batch 3"), std::string::npos);
}

TEST_F(ArchiveVerifyTest, BatchesThatFollowTheKnownOneAreOnlyMentioned) {
  write(3);
  admin::VerifyOptions known;
  known.last_batch = 2;
  known.last_digest = batches_[1].digest();
  known.last_known_by = "the processor says";
  EXPECT_EQ(problems(known), Strings());
  EXPECT_EQ(verify(known).notices_size(), 1);
}

// Whatever is done to one file of many, the report is not clean; nothing crashes.
TEST_F(ArchiveVerifyTest, AnyStormOfRemovalsAndExchangesIsNoticed) {
  const uint64_t seed = testing::test_seed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 40; ++round) {
    disk_ = FaultFileSystem();
    builder_ = BatchBuilder("xml");
    batches_.clear();
    write(8);
    admin::VerifyOptions known;
    known.last_batch = 8;
    known.last_digest = batches_[7].digest();
    known.last_known_by = "--last says";
    const auto names = *disk_.list_directory(kDir);
    const auto pick = [&] {
      std::string one;
      do one = names[random() % names.size()];
      while (one == ".lock");
      return one;
    };
    const std::string one = pick();
    std::string other = pick();
    while (other == one) other = pick();
    switch (random() % 3) {
      case 0:
        remove(one);
        break;
      case 1:
        exchange(one, other);
        break;
      default:
        store(other, disk_.contents(path(one)));
        break;
    }
    EXPECT_FALSE(problems(known).empty()) << round << " " << seed << " " << one << " " << other;
  }
}

TEST(KnownBatchTest, IsReadWithAndWithoutADigest) {
  EXPECT_EQ(admin::parse_known_batch("12")->batch, 12U);
  const auto full = admin::parse_known_batch("12:" + std::string(64, 'a'));
  ASSERT_TRUE(full);
  EXPECT_EQ(full->digest, std::string(32, '\xaa'));
  for (const char* wrong : {"", "0", "x", "12:", "12:abcd", "12 ", "-1", "12;aa"}) {
    EXPECT_FALSE(admin::parse_known_batch(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace verbatim
