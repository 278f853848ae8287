#include "adapters/contentfilter/content_filter.h"

#include <utility>

#include "adapters/contentfilter/examination.h"
#include "base/log.h"

namespace verbatim::content {

ContentFilter::ContentFilter(base::FileSystem& file_system, const ContentFilterOptions& options)
    : options_(options),
      disclaimers_(file_system, options.data_dir),
      file_(file_system, options.rules_path,
            [this](const std::string& text, const std::string& sha256) -> Status {
              ASSIGN_OR_RETURN(auto content, CompiledContent::create(text, options_.rules_path));
              LOG_INFO("content filter rules={} disclaimers={}", content->rules().size(),
                       content->disclaimers().size());
              base::MutexLock lock(mutex_);
              rule_set_ = {std::move(content), sha256};
              return {};
            }) {}

ContentFilter::RuleSet ContentFilter::rule_set() const {
  base::MutexLock lock(mutex_);
  return rule_set_;
}

std::string ContentFilter::rule_set_sha256() const { return rule_set().sha256; }

Result<adapters::PolicyAnswer> ContentFilter::evaluate(const adapters::PolicyQuestion& question) {
  const RuleSet rules = rule_set();
  if (rules.content == nullptr) return failed_precondition("no rules are loaded");
  const v1::Event& event = question.event;
  // A dry run shows nothing, and so remembers nothing; neither does what cannot be changed.
  const bool can_show = !options_.is_dry_run && question.is_allowed(v1::DECISION_PASS_CHANGED);
  Examination examination(*rules.content, question, [&](const DisclaimerRule& disclaimer) {
    return can_show && disclaimers_.show(disclaimer.name, event.conversation().key(), event.id(),
                                         rules.content->day_of(event.accept_time_unix_ns()));
  });
  adapters::PolicyAnswer answer = examination.answer();
  answer.rule_set_sha256 = rules.sha256;
  if (options_.is_dry_run) return std::move(answer).as_dry_run();
  return answer;
}

}  // namespace verbatim::content
