// What the two documents of a batch say.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "adapters/xml/batch_plan.h"
#include "adapters/xml/companion_document.h"
#include "adapters/xml/conversations_document.h"
#include "adapters/xml/schemas.h"
#include "base/base64.h"
#include "base/xml_schema.h"
#include "tests/support/batch_builder.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/filled_message.h"

namespace verbatim::adapters {
namespace {

using ::verbatim::testing::BatchBuilder;
using ::verbatim::testing::fill_every_field;
using ::verbatim::testing::kBatchTime;
using ::verbatim::testing::room_event;
using ::verbatim::testing::room_post;

constexpr int64_t kSecond = 1'000'000'000;
constexpr const char* kShalom = "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D";

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string conversations(const Batch& batch, const ConversationsOptions& options = {}) {
  std::string out;
  base::XmlWriter writer([&out](std::string_view bytes) {
    out.append(bytes);
    return Status();
  });
  EXPECT_EQ(write_conversations(batch, plan_batch(batch), options, writer), Status());
  return out;
}

std::string companion(const Batch& batch) {
  std::string out;
  base::XmlWriter writer([&out](std::string_view bytes) {
    out.append(bytes);
    return Status();
  });
  const CompanionLinks links{"batch-000000000001.xml", std::string(32, '\x11')};
  EXPECT_EQ(write_companion(batch, plan_batch(batch), links, writer), Status());
  return out;
}

Status validate(std::string_view xsd, const std::string& document) {
  ::verbatim::testing::FaultFileSystem disk;
  Result<base::XmlSchema> schema = base::XmlSchema::parse(xsd, "schema");
  if (!schema) return schema.error();
  RETURN_IF_ERROR(base::write_file_atomically(disk, "/d.xml", document));
  return schema->validate(disk, "/d.xml");
}

v1::Party party(const std::string& address, const std::string& name, int64_t id) {
  v1::Party result;
  result.set_address(address);
  result.set_normalised(address);
  result.set_display_name(name);
  result.set_email(address);
  result.set_affinity(v1::AFFINITY_INTERNAL);
  result.set_numeric_id(id);
  return result;
}

// A room with everything that the legacy document can say and some things that it cannot; a direct
// conversation; a login; a capture gap.
Batch golden_batch() {
  BatchBuilder builder("xml");
  const auto time = [](int64_t second) { return kBatchTime + second * kSecond; };
  const v1::Party ayu = party("ayu@example.test", "Ayu Mori", 41);
  v1::Event event = room_event("ben@partner.test", time(2));
  event.mutable_actor()->set_affinity(v1::AFFINITY_FEDERATED);
  event.mutable_joined()->set_role("participant");
  builder.add(event);
  v1::ConversationSlice& slice = *builder.header().mutable_slices(0);
  v1::Participation& present = *slice.add_present_at_start();
  *present.mutable_party() = ayu;
  present.set_joined_unix_ns(kBatchTime - 3'600 * kSecond);
  present.set_joined_sequence(0);

  event = room_event("ayu@example.test", time(3));
  *event.mutable_actor() = ayu;
  event.mutable_history_read()->set_requested_count(30);
  builder.add(event);

  event = room_post("ayu@example.test", "5y at 3.14 <firm> & \"now\"\r\n\tnext", time(70));
  *event.mutable_actor() = ayu;
  event.mutable_references()->set_message_id("m1");
  event.mutable_references()->set_stanza_id("s1");
  event.set_post_key("desk@rooms.example.test s1");
  event.set_raw("<message id='m1'/>");
  event.set_raw_media_type("application/xml");
  builder.add(event);
  v1::Event evidence = event;
  evidence.clear_id();
  evidence.set_role(v1::ROLE_EVIDENCE);
  builder.add(evidence);

  event = room_post("ben@partner.test", std::string(kShalom) + " ]]> \xF0\x9F\x98\x80", time(71));
  builder.add(event);

  event = room_post("ben@partner.test", "my secret", time(72));
  v1::Verdict& verdict = *event.add_verdicts();
  verdict.set_policy("ethicalwall");
  verdict.set_decision(v1::DECISION_HANDLE);
  verdict.set_rule_set_sha256(std::string(32, '\xAB'));
  builder.add(event);

  event = room_event("ayu@example.test", time(80));
  *event.mutable_actor() = ayu;
  event.mutable_message_edited();
  event.mutable_original_text()->set_plain("5y at 3.15");
  event.mutable_references()->set_target_message_id("m1");
  builder.add(event);

  event = room_event("ayu@example.test", time(90));
  *event.mutable_actor() = ayu;
  v1::FileReference& file = *event.mutable_file_uploaded()->mutable_file();
  file.set_name("Rates.pdf");
  file.set_url("https://upload.example.test/1/Rates.pdf");
  file.set_size_bytes(12'345);
  builder.add(event);

  event = room_event("ben@partner.test", time(100));
  event.mutable_left();
  builder.add(event);

  event = room_post("ayu@example.test", "hello", time(101));
  *event.mutable_actor() = ayu;
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_DIRECT);
  event.mutable_conversation()->set_key("ayu@example.test ben@partner.test");
  event.mutable_conversation()->clear_name();
  event.mutable_conversation()->clear_address();
  *event.add_others() = party("ben@partner.test", "", 0);
  builder.add(event);

  event = room_event("ayu@example.test", time(102));
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_PERSON);
  event.mutable_conversation()->set_key("ayu@example.test");
  event.mutable_login()->set_client("Gajim");
  builder.add(event);

  event = room_event("", time(103));
  event.clear_actor();
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_SOURCE);
  event.mutable_conversation()->set_key("chat");
  event.mutable_capture_gap()->set_reason(v1::CaptureGap::REASON_LINK_DOWN);
  event.mutable_capture_gap()->set_start_unix_ns(time(50));
  event.mutable_capture_gap()->set_end_unix_ns(time(60));
  event.mutable_capture_gap()->set_missing_count(-1);
  builder.add(event);
  return builder.seal();
}

// GOLDEN_UPDATE=1 in the environment writes the files anew.
void compare_with_golden(const std::string& name, const std::string& document) {
  const char* source = std::getenv("VERBATIM_SOURCE_DIR");
  const std::string path = std::string(source == nullptr ? "." : source) + "/tests/golden/" + name;
  if (std::getenv("GOLDEN_UPDATE") != nullptr) std::ofstream(path) << document;
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(document, golden.str()) << path;
}

TEST(ConversationsDocument, IsByteForByteTheGoldenOne) {
  const std::string document = conversations(golden_batch());
  compare_with_golden("xml_batch.xml", document);
  EXPECT_EQ(validate(kConversationsXsd, document), Status());
}

TEST(CompanionDocument, IsByteForByteTheGoldenOne) {
  const std::string document = companion(golden_batch());
  compare_with_golden("xml_batch.companion.xml", document);
  EXPECT_EQ(validate(kCompanionXsd, document).to_string(), Status().to_string());
}

TEST(ConversationsDocument, TheSameBatchGivesTheSameBytes) {
  EXPECT_EQ(conversations(golden_batch()), conversations(golden_batch()));
  EXPECT_EQ(companion(golden_batch()), companion(golden_batch()));
}

TEST(ConversationsDocument, APostInARoomWithFiveOccupantsAppearsOnce) {
  BatchBuilder builder("xml");
  v1::Event post = room_post("a@x", "only once");
  post.mutable_source()->set_raw_event("onBeforeSend");
  post.set_role(v1::ROLE_EVIDENCE);
  builder.add(post);
  post.set_role(v1::ROLE_RECORD);
  post.mutable_source()->set_raw_event("onBeforeBroadcast");
  builder.add(post);
  for (int i = 0; i < 5; ++i) {
    post.set_role(v1::ROLE_EVIDENCE);
    post.mutable_source()->set_raw_event("es_IN");
    builder.add(post);
  }
  const Batch batch = builder.seal();
  const std::string document = conversations(batch);
  // Once as the Message, once as the copy that FirstMessage is.
  EXPECT_EQ(count_of(document, "only once"), 2U);
  EXPECT_EQ(count_of(document, "<Message "), 1U);
  EXPECT_EQ(count_of(companion(batch), "only once"), 7U);
}

TEST(ConversationsDocument, ThoseWhoArePresentStandBeforeTheFirstMessage) {
  BatchBuilder builder("xml");
  builder.add(room_post("b@x", "text"));
  for (const char* name : {"a@x", "b@x"}) {
    v1::Participation& present = *builder.header().mutable_slices(0)->add_present_at_start();
    *present.mutable_party() = party(name, name, 1);
    present.set_joined_unix_ns(kBatchTime - kSecond);
  }
  const std::string document = conversations(builder.seal());
  EXPECT_EQ(count_of(document, "<Message type=\"JOIN\""), 2U);
  EXPECT_LT(document.rfind("JOIN"), document.find("CHAT"));
  EXPECT_NE(document.find("<FirstMessage type=\"JOIN\""), std::string::npos);
  // Their true time of joining, which lies before the slice.
  EXPECT_EQ(count_of(document, "since1970=\"1768467599123\""), 3U);
  EXPECT_NE(document.find("<StartTimeUTC since1970=\"1768467600123\""), std::string::npos);
}

TEST(ConversationsDocument, ABatchOfWhichNothingIsShownIsStillADocument) {
  BatchBuilder builder("xml");
  v1::Event event = room_event("a@x");
  event.mutable_subject_changed();
  builder.add(event);
  const Batch batch = builder.seal();
  EXPECT_EQ(count_of(conversations(batch), "<Conversation>"), 0U);
  EXPECT_EQ(validate(kConversationsXsd, conversations(batch)), Status());
  EXPECT_EQ(count_of(companion(batch), "<SubjectChanged/>"), 1U);
}

TEST(ConversationsDocument, EmitsIsloggedOnlyWhereAskedForAsTheSchemaLacksIt) {
  const Batch batch = golden_batch();
  EXPECT_EQ(count_of(conversations(batch), "islogged"), 0U);
  const std::string document = conversations(batch, {true});
  EXPECT_EQ(count_of(document, "islogged=\"\""), 2U);
  EXPECT_FALSE(validate(kConversationsXsd, document).ok());
}

TEST(ConversationsDocument, HoldsEveryTextAsItWasAndStaysValid) {
  for (const std::string& text :
       {std::string("]]>"), std::string("<&\"'>"), std::string("a\r\nb\tc\n"), std::string(kShalom),
        std::string("\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80"), std::string(50 * 1024, '<'),
        std::string(), std::string(" lead and trail ")}) {
    BatchBuilder builder("xml");
    builder.add(room_post("a@x", text));
    const Batch batch = builder.seal();
    EXPECT_EQ(validate(kConversationsXsd, conversations(batch)), Status());
    EXPECT_EQ(validate(kCompanionXsd, companion(batch)), Status());
  }
}

TEST(ConversationsDocument, TextThatXmlCannotCarryIsShownWithAReplacementAndKeptExactly) {
  const std::string text("bell \x07 nul \0 \xEF\xBF\xBF end", 21);
  BatchBuilder builder("xml");
  v1::Event post = room_post("a@x", text);
  post.mutable_actor()->set_display_name("A\x01");
  builder.add(post);
  const Batch batch = builder.seal();
  EXPECT_EQ(validate(kConversationsXsd, conversations(batch)), Status());
  EXPECT_NE(conversations(batch).find("bell \xEF\xBF\xBD nul"), std::string::npos);
  const std::string document = companion(batch);
  EXPECT_EQ(validate(kCompanionXsd, document).to_string(), Status().to_string());
  EXPECT_EQ(count_of(document, "<Exact field=\"plain\">" + base::to_base64(text) + "</Exact>"), 1U);
  EXPECT_EQ(count_of(document, "<Exact field=\"displayName\">"), 1U);
}

TEST(ConversationsSchema, RefusesTheKnownTraps) {
  const std::string good = conversations(golden_batch());
  ASSERT_EQ(validate(kConversationsXsd, good), Status());
  const auto replaced = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  EXPECT_FALSE(validate(kConversationsXsd, replaced("\"CHAT\"", "\"DELETE\"")).ok());
  EXPECT_FALSE(validate(kConversationsXsd, replaced("id=\"3\"", "id=\"3000000000\"")).ok());
  EXPECT_FALSE(validate(kConversationsXsd, replaced("UserName=", "userName=")).ok());
  // The order of the children is fixed: Messages after EndTimeUTC is refused.
  EXPECT_FALSE(validate(kConversationsXsd, replaced("<EndTimeUTC", "<Messages/><EndTimeUTC")).ok());
}

// Every field of every message, so that nothing is left out silently and a new field needs a line
// in the schema.
TEST(CompanionDocument, SaysEveryFieldAndItsSchemaKnowsIt) {
  const auto* bodies = v1::Event::descriptor()->FindOneofByName("body");
  const auto* forms = v1::SourceKey::descriptor()->FindOneofByName("form");
  BatchBuilder builder("xml");
  std::vector<std::string> marks;
  for (int i = 0; i < bodies->field_count(); ++i) {
    v1::Event event;
    v1::Envelope envelope;
    fill_every_field(event, bodies->field(i), &marks);
    // The first form of the source key is not the one that stays.
    for (std::string& mark : marks) {
      if (mark.ends_with(".producer.") && !event.source_key().numbered().producer().compare(mark)) {
        mark = "<Batch";
      }
    }
    const auto* form = forms->field(i % forms->field_count());
    event.clear_source_key();
    fill_every_field(*event.mutable_source_key()->GetReflection()->MutableMessage(
                         event.mutable_source_key(), form),
                     nullptr, &marks);
    fill_every_field(envelope, nullptr, &marks);
    envelope.set_kind(static_cast<v1::EventKind>(bodies->field(i)->number()));
    builder.add(envelope, event);
  }
  fill_every_field(*builder.header().add_slices(), nullptr, &marks);
  builder.header().set_replay_of(7);
  builder.header().set_interval_start_unix_ns(1);
  builder.header().set_interval_end_unix_ns(2);
  const std::string document = companion(builder.seal());
  EXPECT_EQ(validate(kCompanionXsd, document).to_string(), Status().to_string());
  for (const std::string& mark : marks) {
    EXPECT_NE(document.find(mark), std::string::npos) << mark;
  }
  EXPECT_GT(marks.size(), 500U);
}

TEST(CompanionDocument, KeepsFieldsThatItDoesNotKnow) {
  v1::Event event = room_post("a@x", "text");
  event.GetReflection()->MutableUnknownFields(&event)->AddVarint(4'000, 7);
  BatchBuilder builder("xml");
  builder.add(event);
  const std::string document = companion(builder.seal());
  EXPECT_EQ(validate(kCompanionXsd, document).to_string(), Status().to_string());
  EXPECT_EQ(count_of(document, "<Unknown>"), 1U);
}

TEST(BatchPlan, NamesEventsThatDoNotParse) {
  BatchBuilder builder("xml");
  builder.add(room_post("a@x", "good"));
  builder.add(room_post("a@x", "bad"));
  Batch batch = builder.seal();
  v1::StoredEvent stored;
  ASSERT_TRUE(stored.ParseFromString(batch.event_bytes(1)));
  stored.set_event("\xFF\xFF");
  builder.add_bytes(stored.SerializeAsString());
  const BatchPlan plan = plan_batch(builder.seal());
  ASSERT_EQ(plan.broken.size(), 1U);
  EXPECT_EQ(plan.broken[0].sequence(), 2U);
}

}  // namespace
}  // namespace verbatim::adapters
