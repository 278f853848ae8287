// The road of an event that policies are asked about, from submit() to the queue and the answer.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "collector/broker/first_verdict.h"
#include "collector/broker/queue_broker.h"
#include "queue/client/memory_queue_client.h"
#include "tests/support/answer_box.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/policy_fixture.h"
#include "verbatim/v1/first_verdict.pb.h"

namespace verbatim::collector {
namespace {

using queue::MemoryQueue;
using testing::eventually;
using namespace std::chrono_literals;

v1::Event post(const std::string& room, const std::string& text,
               const std::string& name = "onBeforeSend") {
  v1::Event event;
  event.mutable_source()->set_name("node");
  event.mutable_source()->set_protocol("xcp");
  event.mutable_source()->set_raw_event(name);
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  event.mutable_conversation()->set_address(room);
  event.mutable_actor()->set_address("Alice@Example.com/phone");
  event.set_phase(v1::PHASE_ATTEMPT);
  event.mutable_original_text()->set_plain(text);
  event.mutable_message_posted();
  event.mutable_source_key()->mutable_link()->set_id(text);
  event.set_raw("<xdb>" + text + "</xdb>");
  return event;
}

class PolicyRoadTest : public ::testing::Test {
 protected:
  PolicyRoadTest() {
    for (const char* const event : {"onBeforeSend", "onBeforeJoin", "es_END"}) {
      compliance_.add_event("p", event);
    }
    compliance_.add_event("forget", "es_OUT", "message").set_fire_and_forget(true);
    compliance_.add_event("forget", "onBeforeJoin").set_fire_and_forget(true);
    compliance_.assign("wall", "p");
    compliance_.assign("wall", "forget");
    compliance_.publish();
    PolicyChainOptions options;
    options.clock = &clock_;
    options.waiting_max_bytes = 100'000;
    chain_ = std::make_unique<PolicyChain>(options, compliance_);
    client_ = queue::create_memory_queue_client(queue_, {});
    QueueBrokerOptions broker_options;
    broker_options.profile = Profile::create("all").value();
    broker_options.data_dir = "/data";
    broker_options.completer.clock = &clock_;
    broker_options.policies = chain_.get();
    broker_ = QueueBroker::create(disk_, *client_, std::move(broker_options)).value();
    broker_->start();
    wall_ = std::make_unique<testing::HandPlugin>(*chain_);
    EXPECT_TRUE(wall_->attach("wall").ok());
  }
  void TearDown() override {
    chain_->stop();
    client_->stop();
    broker_->stop();
  }

  void submit(v1::Event event) {
    PendingEvent pending;
    pending.event = std::move(event);
    pending.deadline = broker_->default_deadline();
    pending.apply_change = [](const v1::Event& before,
                              const std::string& changed) -> Result<v1::Event> {
      v1::Event after = before;
      after.mutable_final_text()->set_plain(changed);
      return after;
    };
    pending.done = [this](const Answer& answer) { answers_.add(answer); };
    broker_->submit(std::move(pending));
  }
  v1::PolicyVerdict verdict(v1::Decision decision, const std::string& changed = {}) {
    v1::PolicyVerdict verdict;
    verdict.set_question(wall_->question().question());
    verdict.set_decision(decision);
    verdict.set_changed_raw(changed);
    return verdict;
  }
  std::vector<v1::Event> stored() {
    std::vector<v1::Event> events;
    for (const auto& message : queue_.messages()) {
      EXPECT_TRUE(events.emplace_back().ParseFromString(message.body()));
    }
    return events;
  }

  testing::FakeClock clock_;
  testing::FaultFileSystem disk_;
  MemoryQueue queue_{clock_};
  testing::FixedCompliance compliance_;
  testing::AnswerBox<Answer> answers_;
  std::unique_ptr<PolicyChain> chain_;
  std::unique_ptr<queue::QueueClient> client_;
  std::unique_ptr<QueueBroker> broker_;
  std::unique_ptr<testing::HandPlugin> wall_;
};

TEST_F(PolicyRoadTest, TheNodeHearsNothingBeforeEventAndVerdictsAreDurable_C043_C093) {
  queue_.set_state(MemoryQueue::State::kSilent);
  submit(post("r@c", "a"));
  EXPECT_EQ(queue_.depth(), 0u);
  wall_->answer(verdict(v1::DECISION_PASS));
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 1; }));
  EXPECT_EQ(answers_.count(), 0u);
  queue_.set_state(MemoryQueue::State::kUp);
  EXPECT_EQ(answers_.wait(1)[0].verdict.decision(), v1::DECISION_PASS);
  const v1::Event event = stored().at(0);
  ASSERT_EQ(event.verdicts_size(), 1);
  EXPECT_EQ(event.verdicts(0).policy(), "wall");
  EXPECT_EQ(event.verdicts(0).instance(), "one");
}

TEST_F(PolicyRoadTest, APolicySeesTheEventAsItWillBeArchived) {
  submit(post("R@C", "a"));
  const auto question = wall_->question();
  EXPECT_EQ(question.event().conversation().key(), "r@c");
  EXPECT_EQ(question.event().actor().normalised(), "alice@example.com");
  EXPECT_EQ(question.event().role(), v1::ROLE_EVIDENCE);
  wall_->answer([&] {
    v1::PolicyVerdict pass;
    pass.set_question(question.question());
    pass.set_decision(v1::DECISION_PASS);
    return pass;
  }());
  answers_.wait(1);
  EXPECT_EQ(stored().at(0).id(), question.event().id());
}

TEST_F(PolicyRoadTest, BothTextsAreInTheRecordAndTheNodeGetsTheChangedStanza_C037) {
  submit(post("r@c", "rude"));
  wall_->answer(verdict(v1::DECISION_PASS_CHANGED, "polite"));
  const Answer answer = answers_.wait(1).at(0);
  EXPECT_EQ(answer.kind, Answer::Kind::kAccepted);
  EXPECT_EQ(answer.verdict.decision(), v1::DECISION_PASS_CHANGED);
  EXPECT_EQ(answer.changed_raw, "polite");
  const v1::Event event = stored().at(0);
  EXPECT_EQ(event.original_text().plain(), "rude");
  EXPECT_EQ(event.final_text().plain(), "polite");
  EXPECT_EQ(event.raw(), "<xdb>rude</xdb>");
}

TEST_F(PolicyRoadTest, WhatIsRefusedIsARecordToo) {
  submit(post("r@c", "a"));
  v1::PolicyVerdict refusal = verdict(v1::DECISION_ERROR);
  refusal.set_text_for_sender("not allowed");
  wall_->answer(refusal);
  const Answer answer = answers_.wait(1).at(0);
  EXPECT_EQ(answer.verdict.decision(), v1::DECISION_ERROR);
  EXPECT_EQ(answer.text_for_sender, "not allowed");
  EXPECT_EQ(stored().at(0).verdicts(0).decision(), v1::DECISION_ERROR);
}

TEST_F(PolicyRoadTest, ARepeatGetsTheFirstVerdictWhateverThePoliciesSayNow_C096) {
  submit(post("r@c", "a"));
  v1::PolicyVerdict refusal = verdict(v1::DECISION_HANDLE);
  refusal.set_text_for_sender("no");
  wall_->answer(refusal);
  answers_.wait(1);
  submit(post("r@c", "a"));
  wall_->answer(verdict(v1::DECISION_PASS));
  const Answer again = answers_.wait(2).at(1);
  EXPECT_TRUE(again.is_repeat);
  EXPECT_EQ(again.verdict.decision(), v1::DECISION_HANDLE);
  EXPECT_EQ(again.text_for_sender, "no");
  EXPECT_EQ(queue_.depth(), 1u);
}

TEST_F(PolicyRoadTest, ARepeatGetsTheFirstChangedStanza_C096) {
  submit(post("r@c", "a"));
  wall_->answer(verdict(v1::DECISION_PASS_CHANGED, "first"));
  submit(post("r@c", "a"));
  wall_->answer(verdict(v1::DECISION_PASS_CHANGED, "second"));
  EXPECT_EQ(answers_.wait(2).at(1).changed_raw, "first");
}

TEST_F(PolicyRoadTest, AStanzaTooLargeToKeepHasToComeOutTheSameAgain_C096) {
  const std::string large(10'000, 'x');
  submit(post("r@c", "a"));
  wall_->answer(verdict(v1::DECISION_PASS_CHANGED, large));
  submit(post("r@c", "a"));
  wall_->answer(verdict(v1::DECISION_PASS_CHANGED, large));
  EXPECT_EQ(answers_.wait(2).at(1).changed_raw, large);
  submit(post("r@c", "a"));
  wall_->answer(verdict(v1::DECISION_PASS_CHANGED, large + "y"));
  const Answer other = answers_.wait(3).at(2);
  EXPECT_EQ(other.verdict.decision(), v1::DECISION_ERROR);
  EXPECT_EQ(other.changed_raw, "");
}

TEST_F(PolicyRoadTest, WhatNoPolicyIsAskedAboutKeepsItsPlaceInTheConversation) {
  submit(post("r@c", "asked"));
  submit(post("r@c", "not asked", "onLeave"));
  submit(post("other@c", "elsewhere", "onLeave"));
  answers_.wait(1);
  EXPECT_EQ(broker_->in_flight_count(), 2);
  wall_->answer(verdict(v1::DECISION_PASS));
  answers_.wait(3);
  ASSERT_EQ(stored().size(), 3u);
  EXPECT_EQ(stored()[0].original_text().plain(), "elsewhere");
  EXPECT_EQ(stored()[1].original_text().plain(), "asked");
  EXPECT_EQ(stored()[2].original_text().plain(), "not asked");
}

TEST_F(PolicyRoadTest, AnEventWithoutARouteIsAnsweredAsEver) {
  submit(post("r@c", "a", "onLeave"));
  const Answer answer = answers_.wait(1).at(0);
  EXPECT_EQ(answer.verdict.decision(), v1::DECISION_PASS);
  EXPECT_EQ(stored().at(0).verdicts(0).reason(), "no policy is assigned");
}

TEST_F(PolicyRoadTest, AJoinThatAPolicyStopsMovesNobody) {
  v1::Event join = post("r@c", "join", "onBeforeJoin");
  join.clear_original_text();
  join.mutable_joined();
  submit(join);
  wall_->answer(verdict(v1::DECISION_HANDLE));
  answers_.wait(1);
  v1::Conversation room;
  room.set_kind(v1::CONVERSATION_KIND_ROOM);
  room.set_address("r@c");
  EXPECT_TRUE(broker_->roster().diff_room("node", room, {}, "snapshot").empty());
}

// A node that does what bounce and fire-and-forget say notifies, and throws the event away.
TEST_F(PolicyRoadTest, WhatItsNodeDiscardedIsRecordedSoAndMovesNobody_C041) {
  v1::Event join = post("r@c", "join", "onBeforeJoin");
  join.clear_original_text();
  join.mutable_joined();
  for (v1::Event event : {post("r@c", "a", "es_OUT"), join}) {
    PendingEvent pending;
    event.set_phase(v1::PHASE_NOTICE);
    pending.event = std::move(event);
    pending.packet_type = "message";
    pending.is_awaited = false;
    pending.done = [this](const Answer& answer) { answers_.add(answer); };
    broker_->submit(std::move(pending));
  }
  answers_.wait(2);
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 2; }));
  for (const v1::Event& event : stored()) {
    ASSERT_EQ(event.verdicts_size(), 1);
    EXPECT_EQ(event.verdicts(0).decision(), v1::DECISION_HANDLE);
    EXPECT_EQ(event.verdicts(0).policy(), "");
  }
  EXPECT_EQ(wall_->notices().size(), 3u);  // the join through both profiles
  v1::Conversation room;
  room.set_kind(v1::CONVERSATION_KIND_ROOM);
  room.set_address("r@c");
  EXPECT_TRUE(broker_->roster().diff_room("node", room, {}, "snapshot").empty());
}

TEST_F(PolicyRoadTest, ALogoutMovesWhateverAPolicySays) {
  v1::Event login = post("r@c", "in", "e_SESSION");
  login.clear_original_text();
  login.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_PERSON);
  login.mutable_conversation()->set_address("alice@example.com");
  v1::Event logout = login;
  login.mutable_login();
  submit(login);
  logout.mutable_logout();
  logout.set_phase(v1::PHASE_CONFIRMED);
  logout.mutable_source()->set_raw_event("es_END");
  logout.mutable_source_key()->mutable_link()->set_id("out");
  submit(logout);
  wall_->answer(verdict(v1::DECISION_HANDLE));
  EXPECT_EQ(answers_.wait(2)[1].verdict.decision(), v1::DECISION_PASS);
  EXPECT_TRUE(broker_->roster().diff_sessions("node", {}, "snapshot").empty());
}

TEST_F(PolicyRoadTest, ALateAnswerBecomesAnOutcomeThatNamesTheEvent_C102) {
  submit(post("r@c", "a"));
  const uint64_t question = wall_->question().question();
  // The broker's keeper ticks by itself.
  for (int i = 0; i < 18; ++i) {
    wall_->beat();
    clock_.advance(1s);
  }
  answers_.wait(1);
  wall_->answer(question, v1::DECISION_PASS);
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 2; }));
  const auto events = stored();
  EXPECT_EQ(events[0].verdicts(0).cause(), v1::Verdict::CAUSE_TIMEOUT);
  EXPECT_EQ(events[1].verdict_outcome().outcome(), v1::VerdictOutcome::OUTCOME_POLICY_LATE);
  EXPECT_EQ(events[1].references().event_id(), events[0].id());
  EXPECT_EQ(events[1].conversation().key(), "r@c");
}

TEST_F(PolicyRoadTest, WhereTooMuchWaitsTheAnswerIsAnErrorAndTheTimeAGap) {
  for (int i = 0; i < 20; ++i) {
    v1::Event event = post("r" + std::to_string(i) + "@c", std::to_string(i));
    event.set_raw(std::string(10'000, 'x'));
    submit(std::move(event));
  }
  const auto refused = answers_.wait(10);
  EXPECT_EQ(refused.at(0).kind, Answer::Kind::kError);
  EXPECT_EQ(refused.at(0).cause, Answer::Cause::kFull);
  wall_->pass_all();
  EXPECT_EQ(answers_.wait(20).size(), 20u);
  ASSERT_TRUE(eventually([this] {
    for (const auto& event : stored()) {
      if (event.has_capture_gap() && event.capture_gap().missing_count() > 0) return true;
    }
    return false;
  }));
}

TEST_F(PolicyRoadTest, AGapDoesNotWaitForPolicies) {
  submit(post("r@c", "a"));
  GapReport report{"node", "xcp", {}};
  report.gap.set_reason(v1::CaptureGap::REASON_LINK_DOWN);
  broker_->submit_gap(report);
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 1; }));
  EXPECT_TRUE(stored()[0].has_capture_gap());
}

TEST_F(PolicyRoadTest, AnEventLargerThanAMessageIsRefusedUnasked) {
  v1::Event event = post("r@c", "a");
  event.set_raw(std::string(5 * 1024 * 1024, 'x'));
  submit(std::move(event));
  EXPECT_EQ(answers_.wait(1).at(0).kind, Answer::Kind::kRefused);
  EXPECT_TRUE(wall_->questions().empty());
}

TEST(FirstVerdict, WhatTheQueueKeepsFitsAndStillParsesAsAVerdict) {
  v1::Verdict verdict;
  verdict.set_decision(v1::DECISION_PASS_CHANGED);
  verdict.set_rule(std::string(256, 'r'));
  verdict.set_reason(std::string(1'024, 'r'));
  for (const size_t size : {1u, 1'000u, 2'500u, 100'000u}) {
    const std::string stanza(size, 's');
    const std::string bytes = first_verdict_bytes(verdict, stanza, std::string(1'024, 't'));
    EXPECT_LE(bytes.size(), 4'096u);
    v1::FirstVerdict first;
    ASSERT_TRUE(first.ParseFromString(bytes));
    EXPECT_EQ(first.changed_sha256(), base::sha256(stanza));
    Answer answer;
    answer.changed_raw = stanza;
    answer_as_first(bytes, answer);
    EXPECT_EQ(answer.verdict.rule(), verdict.rule());
    EXPECT_EQ(answer.changed_raw, stanza);
  }
}

TEST(FirstVerdict, BytesThatDoNotParseAreAnError) {
  Answer answer;
  answer_as_first("\x08", answer);
  EXPECT_EQ(answer.verdict.decision(), v1::DECISION_ERROR);
}

}  // namespace
}  // namespace verbatim::collector
