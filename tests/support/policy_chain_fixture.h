// The fixture of the chain's own tests: a chain on a fake clock, events as a source gives them, and
// what became of them.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/policy_fixture.h"

namespace verbatim::testing {

using namespace std::chrono_literals;

class PolicyChainTest : public ::testing::Test {
 protected:
  using Event = v1::Event;
  using Outcome = collector::PolicyOutcome;

  // Call once profiles and servers stand.
  void start() {
    compliance_.publish();
    options_.clock = &clock_;
    chain_ = std::make_unique<collector::PolicyChain>(options_, compliance_);
    chain_->set_on_late([this](const collector::LateReply& late) { lates_.push_back(late); });
  }
  // Two profiles with onBeforeSend, "first" before "second", a server each.
  void start_two() {
    compliance_.add_event("first", "onBeforeSend");
    compliance_.add_event("second", "onBeforeSend");
    compliance_.assign("wall", "first");
    compliance_.assign("dlp", "second");
    start();
  }
  // One profile with these events, on these servers.
  void start_one(const std::vector<std::string>& events, const std::vector<std::string>& servers) {
    for (const std::string& event : events) {
      const bool is_jsm = event.starts_with("e");
      const bool has_stanza = event == "es_OUT" || event == "es_IN";
      auto& entry = compliance_.add_event("p", event, is_jsm && has_stanza ? "all" : "");
      entry.set_handling(v1::ComplianceProfile::HANDLING_BOUNCE);
    }
    for (const std::string& server : servers) compliance_.assign(server, "p");
    start();
  }
  std::unique_ptr<HandPlugin> plugin(const std::string& server,
                                     const HandPlugin::Options& options = {}) {
    auto made = std::make_unique<HandPlugin>(*chain_);
    EXPECT_TRUE(made->attach(server, options).ok());
    return made;
  }

  static Event post(const std::string& room, const std::string& text,
                    const std::string& name = "onBeforeSend") {
    Event event = base_event(name, room, v1::CONVERSATION_KIND_ROOM);
    event.set_id(text);
    event.mutable_message_posted();
    event.mutable_original_text()->set_plain(text);
    event.set_raw("<xdb>" + text + "</xdb>");
    return event;
  }
  static Event base_event(const std::string& name, const std::string& key,
                          v1::ConversationKind kind = v1::CONVERSATION_KIND_PERSON) {
    Event event;
    event.set_id(name);
    event.mutable_source()->set_name("chat");
    event.mutable_source()->set_node("node1");
    event.mutable_source()->set_raw_event(name);
    event.mutable_conversation()->set_kind(kind);
    event.mutable_conversation()->set_key(key);
    event.set_phase(v1::PHASE_ATTEMPT);
    return event;
  }

  collector::PolicyRequest request(Event event) {
    collector::PolicyRequest request;
    const std::string id = event.id();
    request.event = std::move(event);
    request.deadline = clock_.monotonic() + options_.times.event_deadline;
    request.apply_change = [](const Event& before, const std::string& changed) -> Result<Event> {
      if (changed.starts_with("bad")) return invalid_argument("another stanza");
      Event after = before;
      after.mutable_final_text()->set_plain(changed);
      return after;
    };
    request.done = [this, id](Outcome outcome) {
      order_.push_back(id);
      outcomes_.insert_or_assign(id, std::move(outcome));
    };
    return request;
  }
  void submit(Event event) { chain_->submit(request(std::move(event))); }
  void submit_pass_only(Event event) {
    auto one = request(std::move(event));
    one.is_pass_only = true;
    one.apply_change = nullptr;
    chain_->submit(std::move(one));
  }

  bool is_done(const std::string& id) const { return outcomes_.contains(id); }
  v1::Decision decision(const std::string& id) const {
    return is_done(id) ? outcomes_.at(id).verdict.decision() : v1::DECISION_UNSPECIFIED;
  }
  // "wall=PASS dlp=ERROR/TIMEOUT =PASS": policy, decision, cause but for CAUSE_ANSWERED.
  std::string verdicts(const std::string& id) const {
    std::string text;
    if (!is_done(id)) return "undecided";
    for (const v1::Verdict& verdict : outcomes_.at(id).event.verdicts()) {
      text += (text.empty() ? "" : " ") + verdict.policy() + "=" +
              v1::Decision_Name(verdict.decision()).substr(9);
      if (verdict.cause() > v1::Verdict::CAUSE_ANSWERED) {
        text += "/" + v1::Verdict::Cause_Name(verdict.cause()).substr(6);
      }
    }
    return text;
  }
  // Moves time on in steps as the keeper would; plugins that beat stay alive.
  void advance(std::chrono::nanoseconds by, const std::vector<HandPlugin*>& beating = {}) {
    const auto step = std::min<std::chrono::nanoseconds>(1s, by);
    for (auto passed = 0ns; passed < by; passed += step) {
      clock_.advance(step);
      for (HandPlugin* one : beating) one->beat();
      chain_->tick();
    }
  }
  v1::ServerInfo info(const std::string& server) const {
    for (const auto& row : chain_->servers()) {
      if (row.server() == server) return row;
    }
    return {};
  }

  FakeClock clock_;
  FixedCompliance compliance_;
  collector::PolicyChainOptions options_;
  std::map<std::string, Outcome> outcomes_;
  std::vector<std::string> order_;
  std::vector<collector::LateReply> lates_;
  std::unique_ptr<collector::PolicyChain> chain_;  // its end answers into the above
};

}  // namespace verbatim::testing
