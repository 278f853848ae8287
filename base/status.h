// Status and Result<T>: how every function of ours says that something outside refused.
//
// The codes are gRPC's names and numbers, so mapping is a cast. Both types are [[nodiscard]]; to
// drop one on purpose, say why: ignore_error(file->sync(), "the file is removed next"). Wrong
// reasoning of our own is not a Status but a CHECK (base/check.h). A message says what failed, then
// key=value facts, then the cause; never the text of a chat message, a name or a secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace verbatim {

enum class StatusCode : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// The code's name as gRPC writes it, such as "NOT_FOUND".
std::string_view code_name(StatusCode code);

// True where the same request may succeed later without anyone's help: the one place that decides.
bool is_transient(StatusCode code);

// I1 An OK status has no message.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : code_(code), message_(code == StatusCode::kOk ? std::string() : std::move(message)) {}

  static Status ok_status() { return {}; }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  // "OK", or "NOT_FOUND: no such queue name=x".
  std::string to_string() const;

  bool operator==(const Status&) const = default;

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

Status cancelled(std::string message);
Status unknown_error(std::string message);
Status invalid_argument(std::string message);
Status deadline_exceeded(std::string message);
Status not_found(std::string message);
Status already_exists(std::string message);
Status permission_denied(std::string message);
Status resource_exhausted(std::string message);
Status failed_precondition(std::string message);
Status aborted(std::string message);
Status out_of_range(std::string message);
Status unimplemented(std::string message);
Status internal_error(std::string message);
Status unavailable(std::string message);
Status data_loss(std::string message);
Status unauthenticated(std::string message);

// A value, or the Status that says why there is none; the names are those of std::expected.
// I2 A Result made from a Status is never made from an OK one.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Status error) : state_(std::in_place_index<1>, std::move(error)) {  // NOLINT: implicit
    CHECK(!std::get<1>(state_).ok(), "invariant I2: a Result without a value needs an error");
  }

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return *checked(); }
  const T& value() const& { return *checked(); }
  T&& value() && { return std::move(*checked()); }
  T& operator*() & { return *checked(); }
  const T& operator*() const& { return *checked(); }
  T&& operator*() && { return std::move(*checked()); }
  T* operator->() { return checked(); }
  const T* operator->() const { return checked(); }

  // The error; OK where there is a value.
  Status error() const { return has_value() ? Status() : std::get<1>(state_); }

 private:
  T* checked() {
    CHECK(has_value(), "value() of a Result that holds an error");
    return std::get_if<0>(&state_);
  }
  const T* checked() const {
    CHECK(has_value(), "value() of a Result that holds an error");
    return std::get_if<0>(&state_);
  }

  std::variant<T, Status> state_;
};

// Drops an error on purpose; `why` is for the reader.
inline void ignore_error(const Status& status, std::string_view why) { (void)status, (void)why; }
template <class T>
void ignore_error(const Result<T>& result, std::string_view why) {
  (void)result, (void)why;
}

}  // namespace verbatim

#define VERBATIM_JOIN_(a, b) a##b
#define VERBATIM_JOIN(a, b) VERBATIM_JOIN_(a, b)

// Leaves the function with the error of `expression`, a Status, unless it is OK.
#define RETURN_IF_ERROR(expression)                                 \
  do {                                                              \
    if (::verbatim::Status status_ = (expression); !status_.ok()) { \
      return status_;                                               \
    }                                                               \
  } while (false)

// Declares or assigns `target` with the value of `expression`, a Result, or leaves with its error.
#define ASSIGN_OR_RETURN(target, ...) \
  VERBATIM_ASSIGN_OR_RETURN_(VERBATIM_JOIN(result_, __COUNTER__), target, (__VA_ARGS__))
#define VERBATIM_ASSIGN_OR_RETURN_(result, target, expression) \
  auto result = expression;                                    \
  if (!result.has_value()) return result.error();              \
  target = *std::move(result)
