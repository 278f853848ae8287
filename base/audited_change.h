// What every change by an operator has in common: the audit entry first, durable, then the change,
// then how it ended. A refused one has both entries, too.
#pragma once

#include <grpcpp/server_context.h>

#include <cstdint>
#include <string>

#include "base/audit_log.h"
#include "base/status.h"

namespace verbatim::base {

struct ChangeRequest {
  std::string action;   // "queues purge"
  std::string subject;  // the queue
  std::string detail;
  std::string reason;
};

// One change on its way. Not durable by itself: begin() is.
class AuditedChange {
 public:
  // Writes the entry. Errors: those of AuditLog::append, and kInvalidArgument (no reason, or a text
  // that is too long); the change must then not be made.
  static Result<AuditedChange> begin(AuditLog& log, const grpc::ServerContext& context,
                                     ChangeRequest request);

  // Writes how it ended: "<action> ended" with these facts.
  void ended(const std::string& facts);
  // Writes "<action> refused" with the reason.
  void refused(const Status& status);

 private:
  AuditedChange(AuditLog& log, v1::AuditEntry entry, uint64_t number)
      : log_(&log), entry_(std::move(entry)), number_(number) {}
  void append(const std::string& how, const std::string& facts);

  AuditLog* log_;
  v1::AuditEntry entry_;
  uint64_t number_;
};

}  // namespace verbatim::base
