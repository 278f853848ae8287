#include "adapters/xml/xml_adapter.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <vector>

#include "adapters/xml/companion_document.h"
#include "adapters/xml/validate.h"
#include "base/hex.h"
#include "base/sha256.h"
#include "tests/support/batch_builder.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_seed.h"

namespace verbatim::adapters {
namespace {

using ::verbatim::testing::BatchBuilder;
using ::verbatim::testing::FaultFileSystem;
using ::verbatim::testing::IoKind;
using ::verbatim::testing::room_post;
using ::verbatim::testing::TempDir;

constexpr const char* kDir = "/archive/xml";
constexpr const char* kDocument = "/archive/xml/batch-000000000001.xml";
constexpr const char* kCompanion = "/archive/xml/batch-000000000001.companion.xml";
constexpr const char* kManifest = "/archive/xml/batch-000000000001.manifest.json";

Batch make_batch(BatchBuilder& builder, const std::string& text) {
  builder.add(room_post("a@x", text));
  builder.add(room_post("b@x", "answer to " + text));
  return builder.seal();
}

Outcome::Kind kind_of(const Result<Outcome>& outcome) {
  EXPECT_TRUE(outcome) << outcome.error().to_string();
  return outcome ? outcome->kind : Outcome::Kind::kReject;
}

class XmlAdapterTest : public ::testing::Test {
 protected:
  XmlAdapter make_adapter(const std::string& name = "xml") {
    return XmlAdapter(disk_, {name, kDir, {}});
  }
  std::vector<std::string> names() {
    auto all = disk_.list_directory(kDir);
    EXPECT_TRUE(all);
    std::erase(*all, ".lock");
    return *all;
  }
  void expect_valid(uint64_t count) {
    const auto report = validate_folder(disk_, kDir);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->problems, std::vector<std::string>());
    EXPECT_EQ(report->documents, count);
    EXPECT_EQ(report->companions, count);
  }

  FaultFileSystem disk_;
  BatchBuilder builder_{"xml"};
};

TEST_F(XmlAdapterTest, WritesTwoDocumentsAndAManifestPerBatch) {
  XmlAdapter adapter = make_adapter();
  ASSERT_TRUE(adapter.activate().ok());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(kind_of(adapter.translate(make_batch(builder_, "text"))), Outcome::Kind::kApplied);
  }
  EXPECT_EQ(names(), (std::vector<std::string>{
                         "batch-000000000001.companion.xml", "batch-000000000001.manifest.json",
                         "batch-000000000001.xml", "batch-000000000002.companion.xml",
                         "batch-000000000002.manifest.json", "batch-000000000002.xml",
                         "batch-000000000003.companion.xml", "batch-000000000003.manifest.json",
                         "batch-000000000003.xml"}));
  expect_valid(3);
}

TEST_F(XmlAdapterTest, WhatItAcknowledgedSurvivesAPowerCut) {
  const Batch batch = make_batch(builder_, "text");
  ASSERT_EQ(kind_of(make_adapter().translate(batch)), Outcome::Kind::kApplied);
  disk_.power_cut_dropping_all();
  expect_valid(1);
  EXPECT_EQ(make_adapter().last_applied()->digest, batch.digest());
}

TEST_F(XmlAdapterTest, ARepeatLeavesTheSameSingleFiles) {
  const Batch batch = make_batch(builder_, "text");
  XmlAdapter adapter = make_adapter();
  ASSERT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kApplied);
  const std::string document = disk_.contents(kDocument);
  const std::string companion = disk_.contents(kCompanion);
  adapter.deactivate();
  XmlAdapter restarted = make_adapter();
  EXPECT_EQ(kind_of(restarted.translate(batch)), Outcome::Kind::kApplied);
  EXPECT_EQ(disk_.contents(kDocument), document);
  EXPECT_EQ(disk_.contents(kCompanion), companion);
  EXPECT_EQ(names().size(), 3U);
}

TEST_F(XmlAdapterTest, KnowsItsStateFromTheNewestManifest) {
  XmlAdapter adapter = make_adapter();
  EXPECT_EQ(adapter.last_applied()->number, 0U);
  const Batch first = make_batch(builder_, "one");
  const Batch second = make_batch(builder_, "two");
  const Batch third = make_batch(builder_, "three");
  ASSERT_EQ(kind_of(adapter.translate(first)), Outcome::Kind::kApplied);
  ASSERT_EQ(kind_of(adapter.translate(second)), Outcome::Kind::kApplied);
  EXPECT_EQ(*adapter.last_applied(), (AppliedBatch{2, second.digest()}));
  EXPECT_EQ(*adapter.batch_state(1, first.digest()), BatchState::kApplied);
  EXPECT_EQ(*adapter.batch_state(1, second.digest()), BatchState::kOtherApplied);
  EXPECT_EQ(*adapter.batch_state(3, third.digest()), BatchState::kNotApplied);
}

TEST_F(XmlAdapterTest, AnotherBatchUnderAPresentNumberIsRefusedAndNothingChanges) {
  XmlAdapter adapter = make_adapter();
  ASSERT_EQ(kind_of(adapter.translate(make_batch(builder_, "mine"))), Outcome::Kind::kApplied);
  const std::string document = disk_.contents(kDocument);
  BatchBuilder other("xml");
  EXPECT_EQ(kind_of(adapter.translate(make_batch(other, "theirs"))), Outcome::Kind::kReject);
  EXPECT_EQ(disk_.contents(kDocument), document);
  EXPECT_EQ(names().size(), 3U);
}

TEST_F(XmlAdapterTest, AForeignFileOfThatNumberIsRefusedAndKept) {
  ASSERT_TRUE(disk_.create_directories(kDir).ok());
  ASSERT_TRUE(base::write_file_atomically(disk_, kDocument, "<a/>").ok());
  XmlAdapter adapter = make_adapter();
  const Batch batch = make_batch(builder_, "text");
  EXPECT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kReject);
  EXPECT_EQ(*adapter.batch_state(1, batch.digest()), BatchState::kNotApplied);
  EXPECT_EQ(disk_.contents(kDocument), "<a/>");
  EXPECT_EQ(names(), std::vector<std::string>{"batch-000000000001.xml"});
}

TEST_F(XmlAdapterTest, AForeignCompanionOfThatNumberIsRefusedAndKept) {
  ASSERT_TRUE(disk_.create_directories(kDir).ok());
  ASSERT_TRUE(base::write_file_atomically(disk_, kCompanion, "<a/>").ok());
  XmlAdapter adapter = make_adapter();
  const Batch batch = make_batch(builder_, "text");
  EXPECT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kReject);
  EXPECT_EQ(*adapter.batch_state(1, batch.digest()), BatchState::kNotApplied);
  EXPECT_EQ(disk_.contents(kCompanion), "<a/>");
  EXPECT_EQ(names(), std::vector<std::string>{"batch-000000000001.companion.xml"});
}

TEST_F(XmlAdapterTest, AForeignManifestOfThatNumberIsRefusedAndKept) {
  ASSERT_TRUE(disk_.create_directories(kDir).ok());
  ASSERT_TRUE(base::write_file_atomically(disk_, kManifest, "{}").ok());
  XmlAdapter adapter = make_adapter();
  const Batch batch = make_batch(builder_, "text");
  EXPECT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kReject);
  EXPECT_EQ(*adapter.batch_state(1, batch.digest()), BatchState::kNotApplied);
  EXPECT_EQ(disk_.contents(kManifest), "{}");
  // Damaged metadata stops the next start; it never means "begin anew".
  EXPECT_EQ(make_adapter().last_applied().error().code(), StatusCode::kDataLoss);
}

TEST_F(XmlAdapterTest, ADocumentChangedSinceIsNotAcknowledgedAgain) {
  const Batch batch = make_batch(builder_, "text");
  XmlAdapter adapter = make_adapter();
  ASSERT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kApplied);
  disk_.flip_byte(kDocument, 100);
  EXPECT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kReject);
  const auto report = validate_folder(disk_, kDir);
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->problems.empty());
}

TEST_F(XmlAdapterTest, AFolderOfAnotherAdapterIsRefused) {
  ASSERT_EQ(kind_of(make_adapter().translate(make_batch(builder_, "text"))),
            Outcome::Kind::kApplied);
  EXPECT_EQ(make_adapter("other").last_applied().error().code(), StatusCode::kFailedPrecondition);
}

TEST_F(XmlAdapterTest, OnlyOneInstanceWritesAtATime) {
  XmlAdapter first = make_adapter();
  ASSERT_TRUE(first.activate().ok());
  XmlAdapter second = make_adapter();
  EXPECT_EQ(second.activate().code(), StatusCode::kUnavailable);
  first.deactivate();
  EXPECT_TRUE(second.activate().ok());
}

TEST_F(XmlAdapterTest, AFullDiskMeansRetryAndLeavesNothing) {
  const Batch batch = make_batch(builder_, std::string(200'000, 'x'));
  disk_.set_capacity(100'000);
  XmlAdapter adapter = make_adapter();
  EXPECT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kRetry);
  EXPECT_EQ(names(), std::vector<std::string>());
  disk_.set_capacity(10'000'000);
  EXPECT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kApplied);
  expect_valid(1);
}

TEST_F(XmlAdapterTest, EventsThatDoNotParseAreNamed) {
  builder_.add(room_post("a@x", "good"));
  v1::Envelope envelope;
  v1::StoredEvent stored;
  stored.set_sequence(77);
  stored.set_event("\xFF\xFF");
  builder_.add_bytes(stored.SerializeAsString());
  const Result<Outcome> outcome = make_adapter().translate(builder_.seal());
  ASSERT_EQ(kind_of(outcome), Outcome::Kind::kReject);
  ASSERT_EQ(outcome->rejected.size(), 1U);
  EXPECT_EQ(outcome->rejected[0].sequence(), 77U);
  EXPECT_EQ(names(), std::vector<std::string>());
}

TEST_F(XmlAdapterTest, SettingsOfTheHubAreChecked) {
  XmlAdapter adapter = make_adapter();
  EXPECT_TRUE(adapter.configure({{"emit_islogged", "true"}}).ok());
  EXPECT_EQ(adapter.configure({{"emit_islogged", "maybe"}}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(adapter.configure({{"unknown", "true"}}).code(), StatusCode::kInvalidArgument);
}

// Another instance may have written the batch before this one.
TEST_F(XmlAdapterTest, EachManifestNamesTheOneBeforeItWhoeverWroteIt) {
  XmlAdapter one = make_adapter();
  XmlAdapter other = make_adapter();
  std::string before(64, '0');
  for (XmlAdapter* adapter : {&one, &other, &one, &one}) {
    const Batch batch = make_batch(builder_, "text");
    ASSERT_EQ(kind_of(adapter->translate(batch)), Outcome::Kind::kApplied);
    adapter->deactivate();
    const std::string text =
        disk_.contents(std::string(kDir) + "/" + base::manifest_name(batch.number()));
    EXPECT_NE(text.find("\"previous_manifest_sha256\": \"" + before + "\""), std::string::npos)
        << batch.number() << text;
    before = base::to_hex(base::sha256(text));
  }
}

// What a crash between the renames leaves: the hub must not replace it, but send it again.
TEST_F(XmlAdapterTest, DocumentsWithoutManifestHaveNoStateUntilTheirBatchComesAgain) {
  const Batch batch = make_batch(builder_, "text");
  ASSERT_EQ(kind_of(make_adapter().translate(batch)), Outcome::Kind::kApplied);
  ASSERT_TRUE(disk_.remove(kManifest).ok());
  XmlAdapter adapter = make_adapter();
  EXPECT_EQ(adapter.batch_state(1, batch.digest()).error().code(), StatusCode::kUnavailable);
  ASSERT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kApplied);
  EXPECT_EQ(*adapter.batch_state(1, batch.digest()), BatchState::kApplied);
}

// A crash between the renames, and then a setting is changed: the document may have been read, and
// were it refused its events would be archived twice.
TEST_F(XmlAdapterTest, WhatAnInterruptedAttemptLeftWithOtherSettingsIsKept) {
  const Batch batch = make_batch(builder_, "text");
  ASSERT_EQ(kind_of(make_adapter().translate(batch)), Outcome::Kind::kApplied);
  ASSERT_TRUE(disk_.remove(kManifest).ok());
  const std::string document = disk_.contents(kDocument);
  XmlAdapter adapter = make_adapter();
  ASSERT_TRUE(adapter.configure({{"emit_islogged", "true"}}).ok());
  ASSERT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kApplied);
  EXPECT_EQ(disk_.contents(kDocument), document);
  EXPECT_EQ(*adapter.batch_state(1, batch.digest()), BatchState::kApplied);
  ASSERT_TRUE(adapter.configure({}).ok());
  ASSERT_EQ(kind_of(adapter.translate(make_batch(builder_, "more"))), Outcome::Kind::kApplied);
  disk_.power_cut_dropping_all();
  expect_valid(2);
  EXPECT_EQ(names().size(), 6U);
}

TEST_F(XmlAdapterTest, ACompanionLeftAloneWithOtherSettingsIsWrittenAgain) {
  const Batch batch = make_batch(builder_, "text");
  {
    XmlAdapter adapter = make_adapter();
    ASSERT_TRUE(adapter.configure({{"emit_islogged", "true"}}).ok());
    ASSERT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kApplied);
  }
  ASSERT_TRUE(disk_.remove(kManifest).ok());
  ASSERT_TRUE(disk_.remove(kDocument).ok());
  ASSERT_EQ(kind_of(make_adapter().translate(batch)), Outcome::Kind::kApplied);
  expect_valid(1);
}

TEST_F(XmlAdapterTest, AnInterruptedAttemptAtAnotherBatchIsForeign) {
  BatchBuilder other("xml");
  ASSERT_EQ(kind_of(make_adapter().translate(make_batch(other, "theirs"))),
            Outcome::Kind::kApplied);
  ASSERT_TRUE(disk_.remove(kManifest).ok());
  const std::string document = disk_.contents(kDocument);
  const Batch batch = make_batch(builder_, "text");
  XmlAdapter adapter = make_adapter();
  EXPECT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kReject);
  EXPECT_EQ(*adapter.batch_state(1, batch.digest()), BatchState::kNotApplied);
  EXPECT_EQ(disk_.contents(kDocument), document);
  EXPECT_EQ(names().size(), 2U);
}

TEST_F(XmlAdapterTest, ALeftDocumentThatWasChangedIsForeign) {
  const Batch batch = make_batch(builder_, "text");
  ASSERT_EQ(kind_of(make_adapter().translate(batch)), Outcome::Kind::kApplied);
  ASSERT_TRUE(disk_.remove(kManifest).ok());
  disk_.flip_byte(kDocument, 100);
  EXPECT_EQ(kind_of(make_adapter().translate(batch)), Outcome::Kind::kReject);
  EXPECT_EQ(names().size(), 2U);
}

// The first rename of publish() is the companion's: it tells whose document follows. A kill keeps
// what was renamed, and the setting is changed before the repeat.
TEST_F(XmlAdapterTest, AKillAtEveryOperationAndOtherSettingsThenIsHealedByTheRepeat) {
  bool has_failed = true;
  for (uint64_t nth = 1; has_failed; ++nth) {
    FaultFileSystem disk;
    BatchBuilder builder("xml");
    const Batch batch = make_batch(builder, "text");
    {
      XmlAdapter adapter(disk, {"xml", kDir, {}});
      ASSERT_TRUE(adapter.configure({{"emit_islogged", "true"}}).ok());
      disk.fail({.nth = nth, .is_sticky = true});
      ignore_error(adapter.translate(batch).error(), "the repeat counts");
      has_failed = disk.has_failed();
    }
    disk.clear_faults();
    XmlAdapter adapter(disk, {"xml", kDir, {}});
    EXPECT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kApplied) << nth;
    auto names = disk.list_directory(kDir);
    ASSERT_TRUE(names);
    std::erase(*names, ".lock");
    EXPECT_EQ(names->size(), 3U) << nth;
  }
}

// As below, of the attempt that keeps what is there.
TEST_F(XmlAdapterTest, EveryFailingOperationWhileLeftDocumentsAreKeptMeansRetry) {
  bool has_failed = true;
  for (uint64_t nth = 1; has_failed; ++nth) {
    FaultFileSystem disk;
    BatchBuilder builder("xml");
    const Batch batch = make_batch(builder, "text");
    ASSERT_EQ(kind_of(XmlAdapter(disk, {"xml", kDir, {}}).translate(batch)),
              Outcome::Kind::kApplied);
    ASSERT_TRUE(disk.remove(kManifest).ok());
    const std::string document = disk.contents(kDocument);
    XmlAdapter adapter(disk, {"xml", kDir, {}});
    ASSERT_TRUE(adapter.configure({{"emit_islogged", "true"}}).ok());
    disk.fail({.nth = nth});
    const Outcome::Kind kind = kind_of(adapter.translate(batch));
    has_failed = disk.has_failed();
    disk.clear_faults();
    EXPECT_NE(kind, Outcome::Kind::kReject) << nth;
    EXPECT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kApplied) << nth;
    disk.power_cut_dropping_all();
    EXPECT_EQ(disk.contents(kDocument), document) << nth;
    const auto report = validate_folder(disk, kDir);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->problems, std::vector<std::string>()) << nth;
  }
}

// Fail the Nth operation of the disk, N = 1, 2, … until none is hit. Each time the batch is
// acknowledged, and then durable, or refused for now; the next attempts bring it in, once.
TEST_F(XmlAdapterTest, EveryFailingOperationMeansRetryAndNothingPartial) {
  bool has_failed = true;
  int failures = 0;
  for (uint64_t nth = 1; has_failed; ++nth) {
    FaultFileSystem disk;
    BatchBuilder builder("xml");
    const Batch first = make_batch(builder, "one");
    const Batch second = make_batch(builder, "two");
    XmlAdapter adapter(disk, {"xml", kDir, {}});
    ASSERT_EQ(kind_of(adapter.translate(first)), Outcome::Kind::kApplied);
    disk.fail({.nth = nth});
    const Outcome::Kind kind = kind_of(adapter.translate(second));
    has_failed = disk.has_failed();
    disk.clear_faults();
    if (!has_failed) {
      EXPECT_EQ(kind, Outcome::Kind::kApplied);
      break;
    }
    ++failures;
    // A refused clean-up does not undo a batch; everything else must be told.
    if (kind == Outcome::Kind::kApplied) disk.power_cut_dropping_all();
    ASSERT_NE(kind, Outcome::Kind::kReject) << nth;
    ASSERT_EQ(kind_of(adapter.translate(second)), Outcome::Kind::kApplied) << nth;
    disk.power_cut_dropping_all();
    const auto report = validate_folder(disk, kDir);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->problems, std::vector<std::string>()) << nth;
    EXPECT_EQ(report->companions, 2U) << nth;
    EXPECT_EQ(report->documents, 2U) << nth;
  }
  EXPECT_GT(failures, 10);
}

// The power fails at each operation, and keeps any subset of what was not synced. The restarted
// adapter is given the batch again and ends with the same three files.
TEST_F(XmlAdapterTest, APowerCutAtEveryOperationIsHealedByTheRepeat) {
  const uint64_t seed = ::verbatim::testing::test_seed();
  bool has_failed = true;
  for (uint64_t nth = 1; has_failed; ++nth) {
    FaultFileSystem disk;
    BatchBuilder builder("xml");
    const Batch batch = make_batch(builder, "text");
    {
      XmlAdapter adapter(disk, {"xml", kDir, {}});
      disk.fail({.nth = nth, .is_sticky = true});
      const Outcome::Kind kind = kind_of(adapter.translate(batch));
      has_failed = disk.has_failed();
      EXPECT_EQ(kind == Outcome::Kind::kApplied, !has_failed) << nth;
    }
    disk.clear_faults();
    disk.power_cut(seed + nth);
    XmlAdapter adapter(disk, {"xml", kDir, {}});
    ASSERT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kApplied) << nth << " " << seed;
    disk.power_cut_dropping_all();
    auto names = disk.list_directory(kDir);
    ASSERT_TRUE(names);
    std::erase(*names, ".lock");
    EXPECT_EQ(names->size(), 3U) << nth << " " << seed;
    const auto report = validate_folder(disk, kDir);
    EXPECT_EQ(report->problems, std::vector<std::string>()) << nth << " " << seed;
  }
}

// A canary for the two tests above: an adapter that does not sync its files would be caught.
TEST_F(XmlAdapterTest, AnUnsyncedFileWouldBeCaught) {
  ASSERT_TRUE(disk_.create_directories(kDir).ok());
  {
    auto file = disk_.open(std::string(kDocument) + ".tmp", base::OpenMode::kCreateExclusive);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->append("<Conversations/>").ok());
  }
  ASSERT_TRUE(disk_.rename(std::string(kDocument) + ".tmp", kDocument).ok());
  ASSERT_TRUE(disk_.sync_directory(kDir).ok());
  disk_.power_cut_dropping_all();
  const auto report = validate_folder(disk_, kDir);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->problems.size(), 1U);
}

#if defined(VERBATIM_FAULT_POINTS)
// A process of its own is killed at the named place; then another one is given the batch again.
class XmlAdapterCrash : public ::testing::TestWithParam<const char*> {};

TEST_P(XmlAdapterCrash, IsHealedByTheRepeat) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  TempDir dir;
  const char* const inherited = std::getenv("VERBATIM_XML_TEST_DIR");
  const std::string path = inherited == nullptr ? dir.path() : inherited;
  ASSERT_EQ(setenv("VERBATIM_XML_TEST_DIR", path.c_str(), 1), 0);
  ASSERT_EQ(setenv("VERBATIM_FAULT_POINT", GetParam(), 1), 0);
  BatchBuilder builder("xml");
  const Batch batch = make_batch(builder, "text");
  EXPECT_EXIT(
      {
        XmlAdapter adapter(base::posix_file_system(), {"xml", path, {}});
        (void)adapter.translate(batch).has_value();
        std::_Exit(0);
      },
      ::testing::KilledBySignal(SIGKILL), "");
  unsetenv("VERBATIM_FAULT_POINT");
  unsetenv("VERBATIM_XML_TEST_DIR");
  base::FileSystem& files = base::posix_file_system();
  XmlAdapter adapter(files, {"xml", path, {}});
  EXPECT_EQ(adapter.last_applied()->number, 0U);
  ASSERT_EQ(kind_of(adapter.translate(batch)), Outcome::Kind::kApplied);
  auto names = files.list_directory(path);
  ASSERT_TRUE(names);
  EXPECT_EQ(*names, (std::vector<std::string>{".lock", "batch-000000000001.companion.xml",
                                              "batch-000000000001.manifest.json",
                                              "batch-000000000001.xml"}));
  const auto report = validate_folder(files, path);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->problems, std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(Places, XmlAdapterCrash,
                         ::testing::Values("xml.tmp_before_rename", "xml.between_renames"));
#endif

class ValidateTest : public XmlAdapterTest {
 protected:
  std::vector<std::string> problems() {
    const auto report = validate_folder(disk_, kDir);
    EXPECT_TRUE(report);
    return report ? report->problems : std::vector<std::string>();
  }
  void write_two() {
    XmlAdapter adapter = make_adapter();
    ASSERT_EQ(kind_of(adapter.translate(make_batch(builder_, "one"))), Outcome::Kind::kApplied);
    ASSERT_EQ(kind_of(adapter.translate(make_batch(builder_, "two"))), Outcome::Kind::kApplied);
  }
};

TEST_F(ValidateTest, NamesFileAndLineOfAnInvalidDocument) {
  write_two();
  std::string text = disk_.contents(kDocument);
  text.replace(text.find("CHAT"), 4, "TALK");
  ASSERT_TRUE(base::write_file_atomically(disk_, kDocument, text).ok());
  const auto found = problems();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NE(found[0].find("does not fit the digest"), std::string::npos) << found[0];
  EXPECT_EQ(found[1].find(std::string(kDocument) + ":5: "), 0U) << found[1];
}

TEST_F(ValidateTest, FindsAMissingLinkOfTheChain) {
  write_two();
  XmlAdapter adapter = make_adapter();
  ASSERT_EQ(kind_of(adapter.translate(make_batch(builder_, "three"))), Outcome::Kind::kApplied);
  ASSERT_TRUE(disk_.remove(std::string(kDir) + "/batch-000000000002.xml").ok());
  ASSERT_TRUE(disk_.remove(std::string(kDir) + "/batch-000000000002.companion.xml").ok());
  const auto found = problems();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].find("does not follow batch-000000000001"), std::string::npos) << found[0];
}

TEST_F(ValidateTest, FindsAMissingDocument) {
  write_two();
  ASSERT_TRUE(disk_.remove(kDocument).ok());
  EXPECT_EQ(problems().size(), 1U);
}

TEST_F(ValidateTest, FindsAMissingCompanion) {
  write_two();
  ASSERT_TRUE(disk_.remove(kCompanion).ok());
  EXPECT_EQ(problems().size(), 1U);
}

TEST_F(ValidateTest, EveryByteFlippedInACompanionsHeadIsNoticedOrHarmless) {
  write_two();
  const std::string good = disk_.contents(kCompanion);
  const size_t head = good.find("<Events>");
  ASSERT_NE(head, std::string::npos);
  int noticed = 0;
  for (size_t i = 0; i < head; ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x15);
    ASSERT_TRUE(base::write_file_atomically(disk_, kCompanion, bad).ok());
    // No crash; what it tells of itself is right or refused.
    const auto facts = load_companion_facts(disk_, kCompanion);
    if (!facts) ++noticed;
  }
  EXPECT_GT(noticed, 200);
}

TEST_F(ValidateTest, AFolderThatIsNotThereIsAnError) {
  EXPECT_FALSE(validate_folder(disk_, "/nowhere"));
}

}  // namespace
}  // namespace verbatim::adapters
