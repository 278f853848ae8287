#include "base/errno_status.h"

#include <cerrno>
#include <system_error>

namespace verbatim::base {
namespace {

StatusCode code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
      return StatusCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EFBIG:
      return StatusCode::kResourceExhausted;
    case EISDIR:
    case ENOTDIR:
    case EWOULDBLOCK:
    case EBUSY:
    case EXDEV:
      return StatusCode::kFailedPrecondition;
    case EINVAL:
    case ENAMETOOLONG:
      return StatusCode::kInvalidArgument;
    default:
      return StatusCode::kUnavailable;
  }
}

}  // namespace

Status errno_status(int error_number, std::string_view operation, const std::string& path) {
  return {code_of(error_number), "file operation failed operation=" + std::string(operation) +
                                     " path=" + path + " errno=" + std::to_string(error_number) +
                                     ": " + std::generic_category().message(error_number)};
}

}  // namespace verbatim::base
