#include "base/caller.h"

#include <grpcpp/server_context.h>

#include <algorithm>

namespace verbatim::base {
namespace {

constexpr size_t kUserMaxBytes = 64;
constexpr const char* kUserKey = "verbatim-user";

}  // namespace

Caller caller_of(const grpc::ServerContext& context) {
  Caller caller;
  caller.peer = context.peer();
  const auto found = context.client_metadata().find(kUserKey);
  if (found == context.client_metadata().end()) return caller;
  caller.user.assign(found->second.data(), std::min(found->second.size(), kUserMaxBytes));
  for (char& c : caller.user) {
    if (c <= 0x20 || c >= 0x7f) c = '?';
  }
  return caller;
}

}  // namespace verbatim::base
