#include "adapters/ethicalwall/ethical_wall.h"

#include <utility>

#include "base/log.h"

namespace verbatim::wall {
namespace {

std::string reason_of(const WallDecision& decision) {
  std::string reason;
  if (decision.is_blocked) reason = "blocked kind=" + std::string(kind_name(decision.kind));
  if (decision.is_by_unknown_groups) reason += " groups=unknown";
  for (size_t i = 0; i < decision.notified.size(); ++i) {
    reason += (i == 0 ? (reason.empty() ? "notify=" : " notify=") : ",") + decision.notified[i];
  }
  return reason;
}

}  // namespace

EthicalWall::EthicalWall(base::FileSystem& file_system, const std::string& rules_path,
                         bool is_dry_run)
    : is_dry_run_(is_dry_run),
      file_(file_system, rules_path,
            [this, rules_path](const std::string& text, const std::string& sha256) -> Status {
              ASSIGN_OR_RETURN(auto wall, CompiledWall::create(text, rules_path));
              LOG_INFO("ethical wall rules={}", wall->rule_count());
              base::MutexLock lock(mutex_);
              rule_set_ = {std::move(wall), sha256};
              return {};
            }) {}

EthicalWall::RuleSet EthicalWall::rule_set() const {
  base::MutexLock lock(mutex_);
  return rule_set_;
}

std::string EthicalWall::rule_set_sha256() const { return rule_set().sha256; }

Result<adapters::PolicyAnswer> EthicalWall::evaluate(const adapters::PolicyQuestion& question) {
  const RuleSet rules = rule_set();
  if (rules.wall == nullptr) return failed_precondition("no rules are loaded");
  const WallDecision decision = rules.wall->decide(read_event(question.event));
  adapters::PolicyAnswer answer = decision.is_blocked
                                      ? adapters::PolicyAnswer::handle(decision.explanation)
                                      : adapters::PolicyAnswer::pass();
  answer.rule = decision.rule;
  if (answer.rule.empty() && !decision.notified.empty()) answer.rule = decision.notified.front();
  answer.reason = reason_of(decision);
  answer.is_flagged = !decision.notified.empty();
  answer.rule_set_sha256 = rules.sha256;
  if (is_dry_run_) return std::move(answer).as_dry_run();
  return answer;
}

}  // namespace verbatim::wall
