#include "adapters/xml/legacy_fields.h"

#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <string>

#include "adapters/xml/legacy_time.h"
#include "tests/support/batch_builder.h"

namespace verbatim::adapters {
namespace {

using ::verbatim::testing::room_event;
using ::verbatim::testing::room_post;

constexpr int64_t kSecond = 1'000'000'000;
// 2026-01-15T09:00:00Z.
constexpr int64_t kNine = 1'768'467'600 * kSecond;

TEST(LegacyTime, GivesTheThreeFormsOfTheVendorsSample) {
  const TimeTriple time = to_time_triple(kNine + 123'456'700);
  EXPECT_EQ(time.since1970, 1'768'467'600'123);
  EXPECT_EQ(time.string, "2026-01-15T09:00:00.1234567Z");
  EXPECT_EQ(time.ticks, 639'040'644'001'234'567);
}

TEST(LegacyTime, TrimsTrailingZerosOfTheFraction) {
  EXPECT_EQ(to_time_triple(kNine + 2'500'000'000).string, "2026-01-15T09:00:02.5Z");
  EXPECT_EQ(to_time_triple(kNine + 70'000'025'000).string, "2026-01-15T09:01:10.000025Z");
  EXPECT_EQ(to_time_triple(kNine).string, "2026-01-15T09:00:00Z");
  // What is below 100 ns has no place in any of the three.
  EXPECT_EQ(to_time_triple(kNine + 99).string, "2026-01-15T09:00:00Z");
  EXPECT_EQ(to_time_triple(kNine + 522'264'000).string, "2026-01-15T09:00:00.522264Z");
  EXPECT_EQ(to_time_triple(kNine + 522'264'000).ticks % 10'000, 2'640);
}

TEST(LegacyTime, MillisecondsAndTicksAgreeForEveryTime) {
  for (const int64_t time :
       {int64_t{0}, int64_t{1}, int64_t{-1}, kNine, kNine + 999'999'999, -kNine,
        std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    const TimeTriple triple = to_time_triple(time);
    const int64_t below = triple.ticks - triple.since1970 * 10'000 - 621'355'968'000'000'000;
    EXPECT_GE(below, 0) << time;
    EXPECT_LT(below, 10'000) << time;
  }
  EXPECT_EQ(to_time_triple(-1).since1970, -1);
  EXPECT_EQ(to_time_triple(-1).string, "1969-12-31T23:59:59.9999999Z");
}

TEST(LegacyTime, KeepsNanosecondsWhereThereIsRoom) {
  EXPECT_EQ(to_iso_time(kNine + 123'456'789), "2026-01-15T09:00:00.123456789Z");
  EXPECT_EQ(to_iso_time(951'782'400 * kSecond), "2000-02-29T00:00:00Z");
}

TEST(LegacyFields, MessageIdsArePositiveStableAndFit32Bits) {
  constexpr uint64_t kMax = 2'147'483'647;
  EXPECT_EQ(legacy_message_id(1), 1);
  EXPECT_EQ(legacy_message_id(1'207), 1'207);
  EXPECT_EQ(legacy_message_id(kMax), 2'147'483'647);
  EXPECT_EQ(legacy_message_id(kMax + 1), 1);
  EXPECT_EQ(legacy_message_id(3'000'000'000), 3'000'000'000 - 2'147'483'647);
  EXPECT_GT(legacy_message_id(std::numeric_limits<uint64_t>::max()), 0);
}

TEST(LegacyFields, SenderIdsArePositiveAndFit32Bits) {
  v1::Party party;
  party.set_normalised("a@x");
  const int32_t made = legacy_sender_id(party);
  EXPECT_GT(made, 0);
  EXPECT_EQ(legacy_sender_id(party), made);
  party.set_numeric_id(41);
  EXPECT_EQ(legacy_sender_id(party), 41);
  party.set_numeric_id(3'000'000'000);
  EXPECT_EQ(legacy_sender_id(party), made);
}

TEST(LegacyFields, AddressesBecomeUris) {
  v1::Party party;
  party.set_normalised("ayu@example.test");
  EXPECT_EQ(legacy_sender_uri(party), "ayu@example.test");
  party.set_normalised("a b%c:d#e\"<@x");
  EXPECT_EQ(legacy_sender_uri(party), "a%20b%25c%3Ad%23e%22%3C@x");
  EXPECT_EQ(legacy_channel_uri(v1::CONVERSATION_KIND_ROOM, "desk@rooms.example.test"),
            "ma-chan://rooms.example.test/desk");
  EXPECT_EQ(legacy_channel_uri(v1::CONVERSATION_KIND_ROOM, "ma-chan://example.test/47 11/a"),
            "ma-chan://example.test/47%2011%2Fa");
  EXPECT_EQ(legacy_channel_uri(v1::CONVERSATION_KIND_DIRECT, "a@x b@y"),
            "urn:x-verbatim:direct:a@x:b@y");
  EXPECT_EQ(legacy_channel_name(v1::CONVERSATION_KIND_DIRECT, "a@x b@y", ""), "a@x, b@y");
  EXPECT_EQ(legacy_channel_name(v1::CONVERSATION_KIND_ROOM, "r@x", "Desk"), "Desk");
}

TEST(LegacyFields, WhatTheCollectorTookFromALinkIsNobodysDownload) {
  v1::Event event = room_event("a@x");
  event.mutable_file_downloaded()->mutable_file()->set_name("a.pdf");
  EXPECT_EQ(legacy_type(v1::Envelope(), event), LegacyType::kFileDownload);
  event.mutable_file_downloaded()->set_by_collector(true);
  EXPECT_EQ(legacy_type(v1::Envelope(), event), std::nullopt);
}

TEST(LegacyFields, FilesAreNamedByTheEventsIdAndTheirExtension) {
  v1::Event event = room_event("a@x");
  event.set_id("0190b9a4-0000-7000-8000-000000000001");
  v1::FileReference& file = *event.mutable_file_uploaded()->mutable_file();
  const struct {
    const char *name, *url, *extension;
  } cases[] = {{"Rates.pdf", "", "pdf"},
               {"", "https://up.test/a/b.tar.gz?x=1.exe#y.z", "gz"},
               {"", "https://up.test/a.b/c", "bin"},
               {"no", "", "bin"},
               {"odd.p f", "", "bin"},
               {"odd.\xD7\xA9", "", "bin"},
               {"long.abcdefghijklmnopq", "", "bin"}};
  for (const auto& c : cases) {
    file.set_name(c.name);
    file.set_url(c.url);
    EXPECT_EQ(legacy_content(LegacyType::kFileUpload, event),
              "0190b9a4-0000-7000-8000-000000000001." + std::string(c.extension));
  }
}

class LegacyTypeTest : public ::testing::Test {
 protected:
  std::optional<LegacyType> type_of(const v1::Event& event) {
    envelope_.set_role(event.role());
    return legacy_type(envelope_, event);
  }
  v1::Envelope envelope_;
  v1::Event event_ = room_event("a@x");
};

TEST_F(LegacyTypeTest, KnowsTheSixTypesAndNoOther) {
  const auto* oneof = v1::Event::descriptor()->FindOneofByName("body");
  int shown = 0;
  for (int i = 0; i < oneof->field_count(); ++i) {
    event_.GetReflection()->MutableMessage(&event_, oneof->field(i));
    if (type_of(event_)) ++shown;
  }
  EXPECT_EQ(shown, 6);
  EXPECT_EQ(oneof->field_count(), 24);
}

TEST_F(LegacyTypeTest, TheFallbackTextOfARetractionIsShown) {
  event_.mutable_message_deleted();
  EXPECT_EQ(type_of(event_), std::nullopt);
  event_.mutable_original_text()->set_plain("secret");
  EXPECT_EQ(type_of(event_), LegacyType::kChat);
  EXPECT_EQ(legacy_content(LegacyType::kChat, event_), "secret");
}

TEST_F(LegacyTypeTest, EvidenceIsNotShownASecondTime) {
  event_.mutable_message_posted();
  EXPECT_EQ(type_of(event_), LegacyType::kChat);
  event_.set_role(v1::ROLE_EVIDENCE);
  EXPECT_EQ(type_of(event_), std::nullopt);
}

TEST_F(LegacyTypeTest, WhatAPolicyStoppedWasNotSaid) {
  event_.mutable_message_posted();
  event_.add_verdicts()->set_decision(v1::DECISION_PASS);
  EXPECT_EQ(type_of(event_), LegacyType::kChat);
  event_.mutable_verdicts(0)->set_decision(v1::DECISION_PASS_CHANGED);
  EXPECT_EQ(type_of(event_), LegacyType::kChat);
  for (const v1::Decision decision : {v1::DECISION_HANDLE, v1::DECISION_ERROR}) {
    event_.mutable_verdicts(0)->set_decision(decision);
    EXPECT_EQ(type_of(event_), std::nullopt);
  }
}

TEST_F(LegacyTypeTest, AChangedTextIsShownAsDelivered) {
  event_ = room_post("a@x", "the number is 123");
  EXPECT_EQ(legacy_content(LegacyType::kChat, event_), "the number is 123");
  event_.mutable_final_text()->set_plain("the number is ***");
  EXPECT_EQ(legacy_content(LegacyType::kChat, event_), "the number is ***");
}

TEST_F(LegacyTypeTest, AJoinThatOnlyCorroboratesIsNotShown) {
  event_.mutable_joined();
  EXPECT_EQ(type_of(event_), LegacyType::kJoin);
  envelope_.set_is_participation_neutral(true);
  EXPECT_EQ(type_of(event_), std::nullopt);
}

TEST_F(LegacyTypeTest, AJoinIsOfThePersonWhoseParticipationChanges) {
  event_.mutable_left()->set_reason("kicked");
  envelope_.mutable_actor()->set_normalised("kicked@x");
  EXPECT_EQ(legacy_sender(LegacyType::kPart, envelope_, event_).normalised(), "kicked@x");
  EXPECT_EQ(legacy_sender(LegacyType::kChat, envelope_, event_).normalised(), "a@x");
}

}  // namespace
}  // namespace verbatim::adapters
