#include "base/audited_change.h"

#include <utility>

#include "base/caller.h"
#include "base/log.h"

namespace verbatim::base {
namespace {

constexpr size_t kSubjectMaxBytes = 256;
constexpr size_t kReasonMaxBytes = 1'024;
constexpr size_t kDetailMaxBytes = 8 * 1'024;

}  // namespace

Result<AuditedChange> AuditedChange::begin(AuditLog& log, const grpc::ServerContext& context,
                                           ChangeRequest request) {
  if (request.subject.size() > kSubjectMaxBytes || request.reason.size() > kReasonMaxBytes ||
      request.detail.size() > kDetailMaxBytes) {
    return invalid_argument("a name takes at most 256 bytes, a reason 1,024, a filter 8,192");
  }
  v1::AuditEntry entry;
  Caller caller = caller_of(context);
  entry.set_peer(std::move(caller.peer));
  entry.set_user(std::move(caller.user));
  entry.set_action(std::move(request.action));
  entry.set_subject(std::move(request.subject));
  entry.set_detail(std::move(request.detail));
  entry.set_reason(std::move(request.reason));
  ASSIGN_OR_RETURN(const uint64_t number, log.append(entry));
  AuditedChange change(log, std::move(entry), number);
  if (!change.entry_.reason().empty()) return change;
  const Status status = invalid_argument("a change needs a reason");
  change.refused(status);
  return status;
}

void AuditedChange::ended(const std::string& facts) { append("ended", facts); }
void AuditedChange::refused(const Status& status) { append("refused", status.to_string()); }

void AuditedChange::append(const std::string& how, const std::string& facts) {
  v1::AuditEntry entry = entry_;
  entry.set_action(entry.action() + " " + how);
  entry.set_detail("number=" + std::to_string(number_) + ": " + facts);
  const Status status = log_->append(std::move(entry)).error();
  if (!status.ok()) {
    LOG_ERROR("audit: how a change ended is not in the audit log number={}: {}: {}", number_, facts,
              status.to_string());
  }
}

}  // namespace verbatim::base
