#include "base/grpc_status.h"

namespace verbatim::base {

grpc::Status to_grpc(const Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), status.message()};
}

Status from_grpc(const grpc::Status& status) {
  const int code = status.error_code();
  // A foreign peer may send a number that no one has defined.
  if (code < 0 || code > 16) return unknown_error(status.error_message());
  return {static_cast<StatusCode>(code), status.error_message()};
}

}  // namespace verbatim::base
