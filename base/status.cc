#include "base/status.h"

#include <array>

namespace verbatim {
namespace {

constexpr std::array<std::string_view, 17> kNames = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

}  // namespace

std::string_view code_name(StatusCode code) {
  const auto index = static_cast<size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

bool is_transient(StatusCode code) {
  switch (code) {
    case StatusCode::kUnavailable:
    case StatusCode::kResourceExhausted:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kAborted:
    case StatusCode::kCancelled:
      return true;
    default:
      return false;
  }
}

std::string Status::to_string() const {
  if (ok()) return "OK";
  return std::string(code_name(code_)) + ": " + message_;
}

#define VERBATIM_DEFINE_MAKER(name, code) \
  Status name(std::string message) { return {StatusCode::code, std::move(message)}; }

VERBATIM_DEFINE_MAKER(cancelled, kCancelled)
VERBATIM_DEFINE_MAKER(unknown_error, kUnknown)
VERBATIM_DEFINE_MAKER(invalid_argument, kInvalidArgument)
VERBATIM_DEFINE_MAKER(deadline_exceeded, kDeadlineExceeded)
VERBATIM_DEFINE_MAKER(not_found, kNotFound)
VERBATIM_DEFINE_MAKER(already_exists, kAlreadyExists)
VERBATIM_DEFINE_MAKER(permission_denied, kPermissionDenied)
VERBATIM_DEFINE_MAKER(resource_exhausted, kResourceExhausted)
VERBATIM_DEFINE_MAKER(failed_precondition, kFailedPrecondition)
VERBATIM_DEFINE_MAKER(aborted, kAborted)
VERBATIM_DEFINE_MAKER(out_of_range, kOutOfRange)
VERBATIM_DEFINE_MAKER(unimplemented, kUnimplemented)
VERBATIM_DEFINE_MAKER(internal_error, kInternal)
VERBATIM_DEFINE_MAKER(unavailable, kUnavailable)
VERBATIM_DEFINE_MAKER(data_loss, kDataLoss)
VERBATIM_DEFINE_MAKER(unauthenticated, kUnauthenticated)

#undef VERBATIM_DEFINE_MAKER

}  // namespace verbatim
