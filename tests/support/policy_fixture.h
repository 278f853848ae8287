// For tests of the chain of policies: a routing table that a test changes, and a plugin without a
// stream, driven by hand.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "collector/compliance/routing_table.h"
#include "collector/policy/policy_chain.h"

namespace verbatim::testing {

// One profile after another, each with its servers; the events of a profile are awaited and bounced
// unless changed.
class FixedCompliance final : public collector::ComplianceSource {
 public:
  FixedCompliance() { publish(); }

  v1::ComplianceProfile::EventEntry& add_event(const std::string& profile, const std::string& event,
                                               const std::string& packet_type = {}) {
    v1::ComplianceProfile::EventEntry& entry = *profile_of(profile).add_events();
    entry.set_event(event);
    entry.set_packet_type(packet_type);
    entry.set_handling(v1::ComplianceProfile::HANDLING_BOUNCE);
    return entry;
  }
  // Registers the server where it is not yet.
  void assign(const std::string& server, const std::string& profile) {
    add_server(server);
    v1::ComplianceAssignment& assignment = *state_.add_assignments();
    assignment.set_server(server);
    assignment.set_profile(profile);
    assignment.set_component("op-" + server);
  }
  void add_server(const std::string& name) {
    for (const auto& server : state_.servers()) {
      if (server.name() == name) return;
    }
    v1::ComplianceServer& server = *state_.add_servers();
    server.set_name(name);
    server.set_kind(v1::ComplianceServer::KIND_PLUGIN);
  }
  v1::ComplianceState& state() { return state_; }
  // Puts the state in force.
  void publish() {
    auto table = collector::RoutingTable::create(state_).value();
    base::MutexLock lock(mutex_);
    table_ = std::move(table);
  }

  std::shared_ptr<const collector::RoutingTable> routing() const override {
    base::MutexLock lock(mutex_);
    return table_;
  }

 private:
  v1::ComplianceProfile& profile_of(const std::string& name) {
    for (v1::ComplianceProfile& profile : *state_.mutable_profiles()) {
      if (profile.name() == name) return profile;
    }
    v1::ComplianceProfile& profile = *state_.add_profiles();
    profile.set_name(name);
    return profile;
  }

  v1::ComplianceState state_;
  mutable base::Mutex mutex_;
  std::shared_ptr<const collector::RoutingTable> table_ GUARDED_BY(mutex_);
};

class HandPlugin {
 public:
  explicit HandPlugin(collector::PolicyChain& chain) : chain_(chain) {}

  struct Options {
    std::string instance = "one";
    bool is_order_free = false;
    int credit = 1'000;
    std::string rule_set_sha256 = {};
  };
  Status attach(const std::string& policy, const Options& options) {
    v1::PolicyHello hello;
    hello.set_policy(policy);
    hello.set_instance(options.instance);
    hello.set_is_order_free(options.is_order_free);
    hello.set_rule_set_sha256(options.rule_set_sha256);
    session_ = std::make_shared<collector::PolicySession>(hello);
    RETURN_IF_ERROR(chain_.attach(session_));
    if (options.credit != 1) give_credit(options.credit);
    return {};
  }
  Status attach(const std::string& policy) { return attach(policy, {}); }
  void detach(bool is_graceful) { chain_.detach(session_, is_graceful); }
  void give_credit(int questions) {
    v1::FromPolicy message;
    message.mutable_credit()->set_questions(questions);
    chain_.receive(session_, message);
  }
  void beat() {
    v1::FromPolicy message;
    message.mutable_heartbeat();
    chain_.receive(session_, message);
  }

  // What has come since the last call.
  std::vector<v1::PolicyQuestion> questions() {
    read();
    return std::exchange(questions_, {});
  }
  std::vector<v1::PolicyNotice> notices() {
    read();
    return std::exchange(notices_, {});
  }
  // The one question that has come.
  v1::PolicyQuestion question() {
    auto all = questions();
    return all.size() == 1 ? all.front() : v1::PolicyQuestion();
  }
  bool is_active() {
    read();
    return is_active_;
  }
  const v1::PolicyWelcome& welcome() {
    read();
    return welcome_;
  }
  collector::PolicySession& session() { return *session_; }

  void answer(v1::PolicyVerdict verdict) {
    v1::FromPolicy message;
    *message.mutable_verdict() = std::move(verdict);
    chain_.receive(session_, message);
  }
  void answer(uint64_t question, v1::Decision decision) {
    v1::PolicyVerdict verdict;
    verdict.set_question(question);
    verdict.set_decision(decision);
    answer(std::move(verdict));
  }
  // Passes everything that waits; gives how many.
  size_t pass_all() {
    size_t count = 0;
    for (auto all = questions(); !all.empty(); all = questions()) {
      for (const auto& question : all) answer(question.question(), v1::DECISION_PASS);
      count += all.size();
    }
    return count;
  }

 private:
  void read() {
    for (auto& outgoing : session_->try_next()) {
      v1::ToPolicy message = outgoing.take();
      if (message.has_question()) questions_.push_back(message.question());
      if (message.has_notice()) notices_.push_back(message.notice());
      if (message.has_activity()) is_active_ = message.activity().is_active();
      if (message.has_welcome()) welcome_ = message.welcome();
    }
  }

  collector::PolicyChain& chain_;
  std::shared_ptr<collector::PolicySession> session_;
  std::vector<v1::PolicyQuestion> questions_;
  std::vector<v1::PolicyNotice> notices_;
  v1::PolicyWelcome welcome_;
  bool is_active_ = false;
};

}  // namespace verbatim::testing
