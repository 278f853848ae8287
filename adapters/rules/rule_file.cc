#include "adapters/rules/rule_file.h"

#include "base/hex.h"
#include "base/log.h"
#include "base/sha256.h"

namespace verbatim::rules {

Status RuleFile::load() {
  const std::optional<Stamp> before = look();
  ASSIGN_OR_RETURN(const std::string text, file_system_.read_file(path_));
  read_ = before;
  const std::string digest = base::sha256(text);
  if (digest == sha256_) return {};
  RETURN_IF_ERROR(take_(text, digest));
  sha256_ = digest;
  LOG_INFO("rules in force path={} sha256={}", path_, base::to_hex(digest));
  return {};
}

void RuleFile::check(bool is_asked) {
  const std::optional<Stamp> now = look();
  const bool is_still = now == seen_;
  seen_ = now;
  if (is_asked || (now != read_ && is_still)) reload();
}

void RuleFile::reload() {
  const Status status = load();
  if (status.ok()) return;
  read_ = seen_;  // once a change, not once a check
  LOG_ERROR("the rules in force stay, the file cannot be used path={}: {}", path_,
            status.message());
}

std::optional<RuleFile::Stamp> RuleFile::look() {
  const Result<int64_t> modified = file_system_.modified_unix_ns(path_);
  const Result<uint64_t> size = file_system_.file_size(path_);
  if (!modified || !size) return std::nullopt;
  return Stamp{*modified, *size};
}

}  // namespace verbatim::rules
