#include "collector/broker/completer.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "tests/support/fake_clock.h"

namespace verbatim::collector {
namespace {

v1::Event valid_post() {
  v1::Event event;
  event.mutable_source()->set_name("node");
  event.mutable_source_key()->mutable_numbered()->set_producer("node");
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  event.mutable_conversation()->set_address("Room@Conference.example");
  event.mutable_actor()->set_address("Alice@Example.com/phone");
  event.set_phase(v1::PHASE_CONFIRMED);
  event.mutable_original_text()->set_plain("text");
  event.mutable_message_posted();
  return event;
}

class CompleterTest : public ::testing::Test {
 protected:
  CompleteEvent complete(const std::function<void(v1::Event&)>& change = {}) {
    v1::Event event = valid_post();
    if (change) change(event);
    return completer().complete(event).value();
  }
  std::string error(const std::function<void(v1::Event&)>& change) {
    v1::Event event = valid_post();
    change(event);
    const auto result = completer().complete(event);
    return result.has_value() ? "OK" : result.error().message();
  }
  Completer completer() {
    CompleterOptions options;
    options.clock = &clock_;
    options.internal_domains = internal_domains_;
    options.message_max_bytes = 10'000;
    options.has_file = [this](std::string_view sha256) { return stored_files_.contains(sha256); };
    options.read_clock_state = [] {
      v1::ClockState state;
      state.set_offset_ns(-5);
      state.set_error_ns(7);
      state.set_synchronised(true);
      return state;
    };
    return Completer(Profile::create("all").value(), options);
  }

  testing::FakeClock clock_;
  std::vector<std::string> internal_domains_ = {"Example.COM"};
  std::set<std::string, std::less<>> stored_files_;
};

// One way to name a file for each body that has files of its own.
const std::vector<std::function<v1::FileReference&(v1::Event&)>> kFilesOfBodies = {
    [](v1::Event& event) -> v1::FileReference& {
      return *event.mutable_message_posted()->add_files();
    },
    [](v1::Event& event) -> v1::FileReference& {
      return *event.mutable_message_edited()->add_files();
    },
    [](v1::Event& event) -> v1::FileReference& {
      return *event.mutable_file_uploaded()->mutable_file();
    },
    [](v1::Event& event) -> v1::FileReference& {
      return *event.mutable_file_downloaded()->mutable_file();
    },
};

TEST_F(CompleterTest, AnEventThatNamesContentThatIsNotStoredIsRefused) {
  const std::string digest(32, '\x07');
  for (const auto& file_of : kFilesOfBodies) {
    const auto names = [&](v1::Event& event) { file_of(event).set_sha256(digest); };
    stored_files_.clear();
    EXPECT_EQ(error(names), "file.sha256: not stored; upload it first (Files.Upload)");
    stored_files_ = {digest};
    const CompleteEvent done = complete(names);
    ASSERT_EQ(done.envelope.file_sha256_size(), 1);
    EXPECT_EQ(done.envelope.file_sha256(0), digest);
  }
}

TEST_F(CompleterTest, ADigestHas32Bytes) {
  for (const auto& file_of : kFilesOfBodies) {
    EXPECT_EQ(error([&](v1::Event& event) { file_of(event).set_sha256("short"); }),
              "file.sha256: 5 bytes, not 32");
  }
}

TEST_F(CompleterTest, FilesWithoutADigestAndTransfersThatFailedNeedNoContent) {
  for (const auto& file_of : kFilesOfBodies) {
    const CompleteEvent done =
        complete([&](v1::Event& event) { file_of(event).set_url("https://files.example/x"); });
    EXPECT_EQ(done.envelope.file_sha256_size(), 0);
  }
  const CompleteEvent failed = complete([](v1::Event& event) {
    event.mutable_file_transfer_failed()->mutable_file()->set_sha256(std::string(32, 'x'));
  });
  EXPECT_EQ(failed.envelope.file_sha256_size(), 0);
}

TEST_F(CompleterTest, NamesTimesAndClockAreStamped) {
  const CompleteEvent done = complete();
  EXPECT_TRUE(base::is_uuid(done.event.id()));
  EXPECT_EQ(done.event.accept_time_unix_ns(), clock_.unix_now_ns());
  EXPECT_EQ(done.event.clock().offset_ns(), -5);
  EXPECT_TRUE(done.event.clock().synchronised());
  EXPECT_EQ(done.event.profile(), "all");
  EXPECT_EQ(done.envelope.accept_time_unix_ns(), done.event.accept_time_unix_ns());
}

TEST_F(CompleterTest, WhatAProducerMayNotSayIsOverwritten) {
  const CompleteEvent done = complete([](v1::Event& event) {
    event.set_id("mine");
    event.set_role(v1::ROLE_EVIDENCE);
    event.set_post_key("mine");
    event.set_accept_time_unix_ns(1);
    event.mutable_actor()->set_normalised("mallory@example.com");
    event.mutable_actor()->set_numeric_id(1);
    event.mutable_conversation()->set_key("another");
    event.add_verdicts()->set_policy("mine");
  });
  EXPECT_NE(done.event.id(), "mine");
  EXPECT_EQ(done.event.role(), v1::ROLE_RECORD);
  EXPECT_EQ(done.event.post_key(), "");
  EXPECT_EQ(done.event.actor().normalised(), "alice@example.com");
  EXPECT_EQ(done.order_key, "room@conference.example");
  EXPECT_EQ(done.event.verdicts_size(), 0);
}

TEST_F(CompleterTest, TheVerdictGivenIsTheOnlyOne) {
  v1::Event event = valid_post();
  event.add_verdicts()->set_policy("mine");
  v1::Verdict verdict;
  verdict.set_instance("collector");
  const CompleteEvent done = completer().complete(event, &verdict).value();
  v1::Event stored;
  ASSERT_TRUE(stored.ParseFromString(done.event_bytes));
  ASSERT_EQ(stored.verdicts_size(), 1);
  EXPECT_EQ(stored.verdicts(0).policy(), "");
  EXPECT_EQ(stored.verdicts(0).instance(), "collector");
}

TEST_F(CompleterTest, TheBytesAreTheEventAndTheEnvelopeHasNoText) {
  const CompleteEvent done = complete();
  v1::Event parsed;
  ASSERT_TRUE(parsed.ParseFromString(done.event_bytes));
  EXPECT_EQ(parsed.original_text().plain(), "text");
  EXPECT_EQ(done.envelope_bytes.find("text"), std::string::npos);
}

TEST_F(CompleterTest, UnknownFieldsAreCarriedThrough) {
  v1::Event event = valid_post();
  std::string bytes = event.SerializeAsString();
  bytes += std::string("\xc2\x3e\x03", 3) + "new";  // field 1000, a string
  ASSERT_TRUE(event.ParseFromString(bytes));
  const CompleteEvent done = completer().complete(event).value();
  EXPECT_NE(done.event_bytes.find(std::string("\xc2\x3e\x03", 3) + "new"), std::string::npos);
}

TEST_F(CompleterTest, EachConversationHasItsKey) {
  EXPECT_EQ(complete().event.conversation().key(), "room@conference.example");
  const auto direct = [](const char* from, const char* to) {
    return [from, to](v1::Event& event) {
      event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_DIRECT);
      event.mutable_actor()->set_address(from);
      event.add_others()->set_address(to);
    };
  };
  EXPECT_EQ(complete(direct("b@x/1", "A@x/2")).order_key, "a@x b@x");
  EXPECT_EQ(complete(direct("a@x", "b@x")).order_key, "a@x b@x");
  EXPECT_EQ(complete(direct("a@x", "a@x/2")).order_key, "a@x a@x");
  EXPECT_EQ(complete([](v1::Event& event) {
              event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_PERSON);
            }).order_key,
            "alice@example.com");
  EXPECT_EQ(complete([](v1::Event& event) {
              event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_SOURCE);
            }).order_key,
            "node");
}

TEST_F(CompleterTest, WhatIsMissingIsNamed) {
  EXPECT_EQ(error([](v1::Event& e) { e.clear_message_posted(); }), "body: not set");
  EXPECT_EQ(error([](v1::Event& e) { e.clear_phase(); }), "phase: not set");
  EXPECT_EQ(error([](v1::Event& e) { e.clear_source_key(); }), "source_key: not set");
  EXPECT_EQ(error([](v1::Event& e) { e.clear_conversation(); }), "conversation.kind: not set");
  EXPECT_EQ(error([](v1::Event& e) { e.mutable_conversation()->clear_address(); }),
            "conversation.address: not set for a room");
  EXPECT_EQ(
      error([](v1::Event& e) { e.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_DIRECT); }),
      "others: empty for a direct conversation");
  EXPECT_EQ(error([](v1::Event& e) {
              e.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_PERSON);
              e.clear_actor();
            }),
            "actor.address: not set for a person");
  EXPECT_EQ(error([](v1::Event& e) { e.mutable_source()->set_name(std::string(129, 'n')); }),
            "source.name: must have 1 to 128 bytes");
  EXPECT_EQ(error([](v1::Event& e) { e.mutable_actor()->set_address(std::string(4'000, 'a')); }),
            "actor.address: too long");
  EXPECT_EQ(error([](v1::Event& e) { e.set_source_time_unix_ns(-1); }),
            "source_time_unix_ns: before 1970");
}

TEST_F(CompleterTest, ErrorsNeverCarryTextOrNames) {
  const std::string canary = "CANARY-7f3a";
  const auto check = [&](const std::function<void(v1::Event&)>& change) {
    const std::string message = error([&](v1::Event& event) {
      event.mutable_original_text()->set_plain(canary);
      event.mutable_actor()->set_address(canary + "@example.com");
      event.mutable_conversation()->set_address(canary + "@conference");
      change(event);
    });
    EXPECT_NE(message, "OK");
    EXPECT_EQ(message.find(canary), std::string::npos) << message;
  };
  check([](v1::Event& e) { e.clear_message_posted(); });
  check([](v1::Event& e) { e.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_DIRECT); });
  check([&](v1::Event& e) { e.set_raw(std::string(20'000, 'x')); });
}

TEST_F(CompleterTest, AnEventBeyondTheQueuesLimitIsTooLarge) {
  v1::Event event = valid_post();
  event.set_raw(std::string(10'000, 'x'));
  EXPECT_EQ(completer().complete(event).error().code(), StatusCode::kResourceExhausted);
}

TEST_F(CompleterTest, PeopleAreClassifiedOnlyWhereInternalDomainsAreKnown) {
  EXPECT_EQ(complete().event.actor().affinity(), v1::AFFINITY_INTERNAL);
  EXPECT_EQ(complete([](v1::Event& e) { e.mutable_actor()->set_address("x@other.example"); })
                .event.actor()
                .affinity(),
            v1::AFFINITY_FEDERATED);
  internal_domains_.clear();
  EXPECT_EQ(complete().event.actor().affinity(), v1::AFFINITY_UNSPECIFIED);
}

TEST_F(CompleterTest, AnOccupantsAddressKeepsItsNickname) {
  const CompleteEvent done = complete(
      [](v1::Event& e) { e.mutable_actor()->set_address("room@conference.example/Nick"); });
  EXPECT_EQ(done.event.actor().normalised(), "room@conference.example/Nick");
  EXPECT_EQ(done.event.actor().nickname(), "Nick");
  EXPECT_EQ(done.event.actor().session(), "");
}

TEST_F(CompleterTest, PostsAreKeyedBySenderAndMessageOrElseByTheRoomsId) {
  const auto with_ids = [](const char* stanza_id, const char* message_id) {
    return [stanza_id, message_id](v1::Event& event) {
      event.mutable_references()->set_stanza_id(stanza_id);
      event.mutable_references()->set_message_id(message_id);
    };
  };
  EXPECT_EQ(complete(with_ids("s1", "")).event.post_key(), "room@conference.example stanza=s1");
  EXPECT_EQ(complete(with_ids("", "m1")).event.post_key(),
            "room@conference.example from=alice@example.com id=m1");
  // A copy delivered after the room has given its id belongs to the post that was asked about
  // before.
  EXPECT_EQ(complete(with_ids("s1", "m1")).event.post_key(),
            complete(with_ids("", "m1")).event.post_key());
  EXPECT_EQ(complete(with_ids("", "")).event.post_key(), "");
  // Only a room gives ids.
  EXPECT_EQ(complete([&](v1::Event& event) {
              with_ids("s1", "m1")(event);
              event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_DIRECT);
              event.add_others()->set_address("bob@example.com");
            }).event.post_key(),
            "alice@example.com bob@example.com from=alice@example.com id=m1");
}

TEST_F(CompleterTest, ParticipationMovesOnlyForRecords) {
  const auto join = [](const char* raw_event) {
    return [raw_event](v1::Event& event) {
      event.mutable_joined();
      event.mutable_source()->set_raw_event(raw_event);
    };
  };
  EXPECT_FALSE(complete(join("onAfterJoin")).envelope.is_participation_neutral());
  EXPECT_TRUE(complete(join("onBeforeJoin")).envelope.is_participation_neutral());
  EXPECT_EQ(complete(join("onAfterJoin")).envelope.session(), "phone");
}

TEST_F(CompleterTest, WhoWasRemovedByAnotherIsTheOneWhoLeft) {
  const CompleteEvent done = complete([](v1::Event& event) {
    event.mutable_left()->set_reason("kicked");
    event.add_others()->set_address("bob@example.com/desk");
  });
  EXPECT_EQ(done.envelope.actor().normalised(), "bob@example.com");
  EXPECT_EQ(done.envelope.session(), "desk");
  EXPECT_EQ(done.envelope.addresses_size(), 2);
  EXPECT_EQ(done.envelope.addresses(0), "alice@example.com");
}

TEST(SourceKeyBytes, AreDeterministicAndBounded) {
  v1::SourceKey key;
  key.mutable_link()->set_id("1");
  EXPECT_EQ(serialise_source_key(key), serialise_source_key(key));
  v1::SourceKey other = key;
  other.mutable_link()->set_id("2");
  EXPECT_NE(serialise_source_key(key), serialise_source_key(other));
  key.mutable_link()->set_id(std::string(10'000, 'i'));
  EXPECT_LE(serialise_source_key(key).size(), 512u);
  other.mutable_link()->set_id(std::string(10'001, 'i'));
  EXPECT_NE(serialise_source_key(key), serialise_source_key(other));
}

TEST(NumericId, IsStableAndPositive) {
  EXPECT_EQ(numeric_id_of(""), 0);
  EXPECT_EQ(numeric_id_of("alice@example.com"), numeric_id_of("alice@example.com"));
  EXPECT_NE(numeric_id_of("alice@example.com"), numeric_id_of("bob@example.com"));
  for (int i = 0; i < 1'000; ++i) {
    const int64_t id = numeric_id_of(std::to_string(i));
    EXPECT_GT(id, 0);
    EXPECT_LE(id, INT32_MAX);
  }
}

}  // namespace
}  // namespace verbatim::collector
