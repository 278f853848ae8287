// EthicalWall: a policy that lets people communicate, or not, by rules (wall_rules.h).
//
// What is blocked is answered with HANDLE: an error could be discarded by the profile, and the
// message delivered.
//
// Threads: as Policy has it; load() before anything else.
#pragma once

#include <memory>
#include <string>

#include "adapters/ethicalwall/wall_rules.h"
#include "adapters/rules/rule_file.h"
#include "adapters/sdk/policy.h"
#include "base/file_system.h"
#include "base/mutex.h"

namespace verbatim::wall {

class EthicalWall final : public adapters::Policy {
 public:
  EthicalWall(base::FileSystem& file_system, const std::string& rules_path, bool is_dry_run);

  // Puts the file's rules in force. Errors: kNotFound; kInvalidArgument "file:line: key: reason".
  Status load() { return file_.load(); }

  Result<adapters::PolicyAnswer> evaluate(const adapters::PolicyQuestion& question) override;
  std::string rule_set_sha256() const override;
  void maintain(bool is_reload_asked) override { file_.check(is_reload_asked); }

 private:
  // What is in force, whole.
  struct RuleSet {
    std::shared_ptr<const CompiledWall> wall;
    std::string sha256;
  };
  RuleSet rule_set() const;

  const bool is_dry_run_;
  mutable base::Mutex mutex_;
  RuleSet rule_set_ GUARDED_BY(mutex_);
  rules::RuleFile file_;
};

}  // namespace verbatim::wall
