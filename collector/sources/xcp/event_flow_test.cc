#include "collector/sources/xcp/event_flow.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/hex.h"
#include "collector/sources/xcp/codec/test_xml.h"
#include "collector/sources/xcp/codec/verbatim_codec.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

using std::chrono::seconds;

// Keeps what is submitted until the test answers.
class FakeBroker final : public Broker {
 public:
  explicit FakeBroker(const std::string& profile)
      : profile_(*Profile::create(profile)), roster_(*Roster::open(disk_, "/roster")) {}

  void submit(PendingEvent pending) override { pending_.push_back(std::move(pending)); }
  void submit_gap(const GapReport& report) override { gaps_.push_back(report); }
  void submit_outcome(const v1::Event&, const std::string& event_id,
                      v1::VerdictOutcome::Outcome outcome, const std::string&) override {
    outcomes_.emplace_back(event_id, outcome);
  }
  const Profile& profile() const override { return profile_; }
  Roster& roster() override { return *roster_; }
  std::chrono::nanoseconds default_deadline() const override {
    return clock_.monotonic() + seconds(20);
  }
  const base::Clock& clock() const override { return clock_; }
  const std::string& collector_name() const override { return name_; }

  void accept(size_t index, const std::string& event_id = "e", bool is_repeat = false) {
    Answer answer;
    answer.kind = Answer::Kind::kAccepted;
    answer.is_repeat = is_repeat;
    answer.verdict.set_decision(v1::DECISION_PASS);
    answer.event_id = event_id;
    pending_.at(index).done(answer);
  }
  void refuse(size_t index, Answer::Kind kind) {
    Answer answer;
    answer.kind = kind;
    pending_.at(index).done(answer);
  }

  testing::FakeClock clock_;
  testing::FaultFileSystem disk_;
  Profile profile_;
  std::unique_ptr<Roster> roster_;
  const std::string name_ = "collector";
  std::vector<PendingEvent> pending_;
  std::vector<GapReport> gaps_;
  std::vector<std::pair<std::string, v1::VerdictOutcome::Outcome>> outcomes_;
};

struct FlowTest : ::testing::Test {
  FlowTest() { start("all"); }
  void start(const std::string& profile) {
    flow.reset();
    broker = std::make_unique<FakeBroker>(profile);
    flow = std::make_unique<EventFlow>(
        EventFlowOptions{.source_name = "chat"}, *broker, codec,
        [this](uint64_t link, const Xdb& xdb, const Reply& reply) {
          if (link == dead_link) return false;
          const char* const words[] = {"pass", "changed", "handle", "error"};
          sent.push_back(std::to_string(link) + ":" + xdb.id + ":" +
                         words[static_cast<size_t>(reply.kind)]);
          return true;
        },
        [this] { ++wakes; });
  }
  void take(const std::string& id, const std::string& attributes, const std::string& stanza = "",
            uint64_t link = 1, const std::string& type = "get") {
    const std::string raw = "<xdb id='" + id + "' type='" + type +
                            "' from='jsm-1.n' to='op' ns='urn:x-verbatim:xcp-event:1'>"
                            "<event xmlns='urn:x-verbatim:xcp-event:1' " +
                            attributes + ">" + stanza + "</event></xdb>";
    flow->take(link, parse_xml(raw), raw);
  }
  void send_post(const std::string& id, const std::string& room, uint64_t link = 1) {
    take(id, "name='onBeforeSend' actor='a@x/r' room='" + room + "'",
         "<message xmlns='jabber:client' type='groupchat' id='" + id + "'><body>x</body></message>",
         link);
  }
  std::vector<std::string> answers() {
    flow->run_completions();
    return std::exchange(sent, {});
  }
  using Words = std::vector<std::string>;

  VerbatimCodec codec;
  std::unique_ptr<FakeBroker> broker;
  std::unique_ptr<EventFlow> flow;
  std::vector<std::string> sent;
  uint64_t dead_link = 0;
  int wakes = 0;
};

TEST_F(FlowTest, PassLeavesOnlyOnceTheEventIsDurable) {
  send_post("1", "r@m");
  EXPECT_TRUE(answers().empty());
  ASSERT_EQ(broker->pending_.size(), 1u);
  EXPECT_TRUE(broker->pending_[0].is_awaited);
  EXPECT_TRUE(broker->pending_[0].deadline.has_value());
  EXPECT_EQ(broker->pending_[0].event.source().name(), "chat");
  broker->accept(0);
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(answers(), Words{"1:1:pass"});
  EXPECT_EQ(flow->in_flight_count(), 0u);
}

TEST_F(FlowTest, PoliciesCannotUndoWhatTheNodeOnlyTells) {
  take("1", "name='onClose' actor='a@x/r' room='r@m'");
  take("2", "name='onClose' told='1' actor='a@x/r' room='r@m'");
  take("3", "name='onAfterJoin' actor='a@x/r' room='r@m'");
  take("4", "name='onHistory' actor='a@x/r' room='r@m'");
  ASSERT_EQ(broker->pending_.size(), 4u);
  const std::vector<bool> expected{false, true, true, false};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(broker->pending_[i].has_happened, expected[i]) << i;
}

TEST_F(FlowTest, WhatCouldNotBeMadeDurableIsAnErrorInEveryClass) {
  send_post("1", "r@m");
  take("2", "name='onLeave' actor='a@x/r' room='q@m'");
  broker->refuse(0, Answer::Kind::kError);
  broker->refuse(1, Answer::Kind::kRefused);
  EXPECT_EQ(answers(), (Words{"1:1:error", "1:2:error"}));
  EXPECT_EQ(flow->counters().errors, 1);
  EXPECT_EQ(flow->counters().refused, 1);
}

TEST_F(FlowTest, EventsOutsideTheProfilePassAtOnce) {
  start("system-default");
  take("1", "name='onHistory' actor='a@x/r' room='r@m'");
  EXPECT_EQ(answers(), Words{"1:1:pass"});
  EXPECT_TRUE(broker->pending_.empty());
  EXPECT_EQ(flow->counters().filtered, 1);
  take("2", "name='onSomethingNew'");  // unknown: kept raw in every profile
  EXPECT_EQ(broker->pending_.size(), 1u);
}

// conformance: 40 47
TEST_F(FlowTest, NotificationsAreNeverAnswered) {
  take("1", "name='onServiceReconfig'", "", 1, "set");
  take("2", "name='onServiceReconfig'", "", 1, "get");
  take("3", "name='es_END' actor='a@x/r'", "", 1, "set");
  ASSERT_EQ(broker->pending_.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(broker->pending_[i].is_awaited);
    EXPECT_EQ(broker->pending_[i].event.phase(), v1::PHASE_NOTICE);
    broker->accept(i);
  }
  EXPECT_EQ(flow->in_flight_count(), 3u);
  EXPECT_TRUE(answers().empty());
  EXPECT_EQ(flow->in_flight_count(), 0u);
}

TEST_F(FlowTest, AnActThatHasHappenedAndIsRefusedIsACaptureGap) {
  take("1", "name='es_END' actor='a@x/r'", "", 1, "set");
  take("2", "name='es_END' actor='a@x/r'", "", 1, "set");
  broker->refuse(0, Answer::Kind::kError);  // the broker itself reports its outages
  answers();
  EXPECT_TRUE(broker->gaps_.empty());
  broker->refuse(1, Answer::Kind::kRefused);
  answers();
  EXPECT_EQ(flow->counters().refused, 1);
  ASSERT_EQ(broker->gaps_.size(), 1u);
  const GapReport& report = broker->gaps_[0];
  EXPECT_EQ(report.source_name, "chat");
  EXPECT_EQ(report.gap.missing_count(), 1);
  EXPECT_EQ(report.gap.node(), "n");
  EXPECT_GT(report.gap.start_unix_ns(), 0);
  const std::string digest =
      base::to_hex(broker->pending_[1].event.source_key().link().payload_sha256());
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_NE(report.gap.detail().find(digest), std::string::npos) << report.gap.detail();
}

TEST_F(FlowTest, AnAttemptThatIsRefusedDoesNotHappenAndLeavesNoGap) {
  send_post("1", "r@m");
  broker->refuse(0, Answer::Kind::kRefused);
  EXPECT_EQ(answers(), Words{"1:1:error"});
  EXPECT_TRUE(broker->gaps_.empty());
}

TEST_F(FlowTest, AnswersKeepTheOrderOfTheConversation) {
  send_post("1", "r@m");
  send_post("2", "R@m");  // the same room
  send_post("3", "q@m");
  broker->accept(2);
  broker->accept(1);
  EXPECT_EQ(answers(), Words{"1:3:pass"});
  broker->accept(0);
  EXPECT_EQ(answers(), (Words{"1:1:pass", "1:2:pass"}));
}

TEST_F(FlowTest, AResentRequestSharesTheFirstAnswerOnItsNewLink) {
  send_post("1", "r@m", 1);
  dead_link = 1;
  flow->on_link_closed(1);
  send_post("1", "r@m", 2);
  EXPECT_EQ(broker->pending_.size(), 1u);
  broker->accept(0);
  EXPECT_EQ(answers(), Words{"2:1:pass"});
  EXPECT_EQ(flow->counters().repeats, 1);
  flow->tick(broker->clock_.monotonic() + seconds(100));
  EXPECT_TRUE(broker->outcomes_.empty());
}

// conformance: 96
TEST_F(FlowTest, ARepeatAfterTheAnswerAsksTheQueueAgain) {
  send_post("1", "r@m");
  broker->accept(0);
  EXPECT_EQ(answers(), Words{"1:1:pass"});
  send_post("1", "r@m", 2);
  ASSERT_EQ(broker->pending_.size(), 2u);
  EXPECT_EQ(broker->pending_[0].event.source_key().SerializeAsString(),
            broker->pending_[1].event.source_key().SerializeAsString());
  broker->accept(1, "", true);
  EXPECT_EQ(answers(), Words{"2:1:pass"});
  EXPECT_EQ(flow->counters().repeats, 1);
}

TEST_F(FlowTest, TheSameIdWithAnotherPayloadIsAnotherRequest) {
  send_post("1", "r@m");
  send_post("1", "q@m");
  EXPECT_EQ(broker->pending_.size(), 2u);
}

TEST_F(FlowTest, AnAnswerThatNobodyTakesIsRecordedAfterAWhile) {
  send_post("1", "r@m");
  dead_link = 1;
  broker->accept(0, "event-1");
  EXPECT_TRUE(answers().empty());
  flow->tick(broker->clock_.monotonic() + seconds(30));
  EXPECT_TRUE(broker->outcomes_.empty());
  flow->tick(broker->clock_.monotonic() + seconds(61));
  ASSERT_EQ(broker->outcomes_.size(), 1u);
  EXPECT_EQ(broker->outcomes_[0].first, "event-1");
  EXPECT_EQ(broker->outcomes_[0].second, v1::VerdictOutcome::OUTCOME_NOT_ANSWERED);
}

// conformance: 36 44
TEST_F(FlowTest, HandleIsOnlySaidWhereTheClassAllowsIt) {
  for (const char* event : {"onBeforeSend", "onLeave"}) {
    take(event, "name='" + std::string(event) + "' actor='a@x/r' room='r@m'",
         "<message xmlns='jabber:client' type='groupchat'><body>x</body></message>");
    Answer answer;
    answer.kind = Answer::Kind::kAccepted;
    answer.verdict.set_decision(v1::DECISION_HANDLE);
    broker->pending_.back().done(answer);
  }
  EXPECT_EQ(answers(), (Words{"1:onBeforeSend:handle", "1:onLeave:pass"}));
}

TEST_F(FlowTest, AJumpInTheNumberingIsACaptureGap) {
  take("1", "name='es_END' actor='a@x/r' boot='7' seq='1'");
  take("2", "name='es_END' actor='a@x/r' boot='7' seq='4'");
  flow->tick(broker->clock_.monotonic());
  EXPECT_TRUE(broker->gaps_.empty());
  broker->clock_.advance(seconds(11));
  flow->tick(broker->clock_.monotonic());
  ASSERT_EQ(broker->gaps_.size(), 1u);
  EXPECT_EQ(broker->gaps_[0].gap.reason(), v1::CaptureGap::REASON_SOURCE_GAP);
  EXPECT_EQ(broker->gaps_[0].gap.missing_count(), 2);
  EXPECT_EQ(broker->gaps_[0].gap.node(), "n");
}

TEST_F(FlowTest, ASnapshotBecomesSyntheticEventsAndPassesOnceTheyAreDurable) {
  const std::string ns = "xmlns='urn:x-verbatim:xcp-event:1'";
  take("1", "name='x-snapshot'",
       "<room " + ns +
           " jid='r@m' name='R'><occupant jid='a@x/r' nick='A' role='participant'/>"
           "<occupant jid='b@x/r' nick='B'/></room>");
  ASSERT_EQ(broker->pending_.size(), 2u);
  EXPECT_EQ(broker->pending_[0].event.joined().synthetic().reason(), "snapshot");
  EXPECT_EQ(broker->pending_[0].event.source().name(), "chat");
  EXPECT_FALSE(broker->pending_[0].is_awaited);
  broker->accept(0);
  EXPECT_TRUE(answers().empty());
  broker->accept(1);
  EXPECT_EQ(answers(), Words{"1:1:pass"});
  // The roster learns from durable events, which the real broker tells it.
  for (PendingEvent& pending : broker->pending_) {
    v1::Event event = pending.event;
    event.set_role(v1::ROLE_RECORD);
    event.mutable_conversation()->set_key("r@m");
    event.mutable_actor()->set_normalised(
        event.actor().address().substr(0, event.actor().address().find('/')));
    broker->roster().apply(event);
  }
  broker->pending_.clear();
  take("2", "name='x-snapshot'",
       "<room " + ns + " jid='r@m'><occupant jid='a@x/r' nick='A'/></room>");
  ASSERT_EQ(broker->pending_.size(), 1u);
  EXPECT_TRUE(broker->pending_[0].event.has_left());
  broker->accept(0);
  EXPECT_EQ(answers(), Words{"1:2:pass"});
}

TEST_F(FlowTest, WhatASnapshotAfterARestartOfTheNodeFindsIsFlaggedAsRestart) {
  const auto snapshot = [this](const std::string& key, const std::string& boot,
                               const std::string& occupant) {
    const std::string ns = "xmlns='urn:x-verbatim:xcp-event:1'";
    const std::string name = "name='x-snapshot' boot='" + boot + "'";
    broker->pending_.clear();
    take(key + "1", name,
         "<room " + ns + " jid='r@m'><occupant jid='" + occupant + "' nick='A'/></room>");
    std::vector<std::string> reasons;
    for (size_t i = 0; i < broker->pending_.size(); ++i) {
      reasons.push_back(broker->pending_[i].event.joined().synthetic().reason());
      broker->accept(i);
    }
    answers();
    take(key + "2", name, "<end " + ns + " rooms='1' sessions='0'/>");
    return reasons;
  };
  EXPECT_EQ(snapshot("a", "7", "a@x/r"), Words{"snapshot"}) << "what was before is not known";
  EXPECT_EQ(snapshot("b", "7", "b@x/r"), Words{"snapshot"}) << "a reconnect";
  EXPECT_EQ(snapshot("c", "8", "c@x/r"), Words{"restart"});
  EXPECT_EQ(snapshot("d", "8", "d@x/r"), Words{"snapshot"}) << "a reconnect after it";
}

TEST_F(FlowTest, AnEmptySnapshotPassesAtOnce) {
  const std::string ns = "xmlns='urn:x-verbatim:xcp-event:1'";
  take("1", "name='x-snapshot'", "<sessions " + ns + "/>");
  take("2", "name='x-snapshot'", "<end " + ns + " rooms='0' sessions='0'/>");
  EXPECT_EQ(answers(), (Words{"1:1:pass", "1:2:pass"}));
}

TEST_F(FlowTest, ABrokerThatAnswersAfterTheEndTouchesNothing) {
  send_post("1", "r@m");
  std::vector<PendingEvent> pending = std::move(broker->pending_);
  flow.reset();
  Answer answer;
  pending[0].done(answer);
  EXPECT_EQ(wakes, 0);
}

}  // namespace
}  // namespace verbatim::collector
