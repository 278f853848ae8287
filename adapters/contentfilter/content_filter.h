// ContentFilter: a policy that looks into what is said (content_rules.h).
//
// I1 What a block rule matches does not pass; what a redact rule matches does not pass unredacted:
//    where it cannot be redacted (a file, no readable stanza, too large) it is blocked.
// I2 Where the body of a message changes, its XHTML-IM goes: it would say what the body no longer
//    says, or lack what was put below it.
// I3 What was changed is looked at again; a text in which a redact rule still matches becomes the
//    replacement alone.
//
// What is blocked is answered with HANDLE: an error could be discarded by the profile, and the
// message delivered.
//
// Threads: as Policy has it; load() before anything else.
#pragma once

#include <memory>
#include <string>

#include "adapters/contentfilter/content_rules.h"
#include "adapters/contentfilter/disclaimer_log.h"
#include "adapters/rules/rule_file.h"
#include "adapters/sdk/policy.h"
#include "base/file_system.h"
#include "base/mutex.h"

namespace verbatim::content {

struct ContentFilterOptions {
  std::string rules_path;
  std::string data_dir;  // of what disclaimers were shown
  bool is_dry_run = false;
};

class ContentFilter final : public adapters::Policy {
 public:
  ContentFilter(base::FileSystem& file_system, const ContentFilterOptions& options);

  // Puts the file's rules in force. Errors: kNotFound; kInvalidArgument "file:line: key: reason".
  Status load() { return file_.load(); }

  Result<adapters::PolicyAnswer> evaluate(const adapters::PolicyQuestion& question) override;
  std::string rule_set_sha256() const override;
  void maintain(bool is_reload_asked) override { file_.check(is_reload_asked); }

 private:
  // What is in force, whole.
  struct RuleSet {
    std::shared_ptr<const CompiledContent> content;
    std::string sha256;
  };
  RuleSet rule_set() const;

  const ContentFilterOptions options_;
  DisclaimerLog disclaimers_;
  mutable base::Mutex mutex_;
  RuleSet rule_set_ GUARDED_BY(mutex_);
  rules::RuleFile file_;
};

}  // namespace verbatim::content
