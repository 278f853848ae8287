// Our Status as gRPC's, and back. The codes are the same numbers.
#pragma once

#include <grpcpp/support/status.h>

#include "base/status.h"

namespace verbatim::base {

grpc::Status to_grpc(const Status& status);
Status from_grpc(const grpc::Status& status);

}  // namespace verbatim::base
