#include "base/status.h"

#include <gtest/gtest.h>

#include <memory>

namespace verbatim {
namespace {

Result<int> parse(bool is_good) {
  if (is_good) return 7;
  return invalid_argument("bad");
}

Status sum(bool first, bool second, int& out) {
  ASSIGN_OR_RETURN(const int a, parse(first));
  ASSIGN_OR_RETURN(const int b, parse(second));
  out = a + b;
  RETURN_IF_ERROR(Status::ok_status());
  return Status::ok_status();
}

TEST(StatusTest, DefaultIsOkWithoutAMessage) {
  EXPECT_TRUE(Status().ok());
  EXPECT_EQ(Status(StatusCode::kOk, "dropped").message(), "");
  EXPECT_EQ(Status().to_string(), "OK");
}

TEST(StatusTest, AnErrorShowsItsCodeAndMessage) {
  EXPECT_EQ(not_found("no such queue name=x").to_string(), "NOT_FOUND: no such queue name=x");
  EXPECT_EQ(unauthenticated("x").code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(static_cast<int>(data_loss("x").code()), 15);
  EXPECT_EQ(code_name(static_cast<StatusCode>(99)), "UNKNOWN");
}

TEST(StatusTest, OnlySomeErrorsAreWorthARetry) {
  EXPECT_TRUE(is_transient(StatusCode::kUnavailable));
  EXPECT_TRUE(is_transient(StatusCode::kResourceExhausted));
  EXPECT_FALSE(is_transient(StatusCode::kInvalidArgument));
  EXPECT_FALSE(is_transient(StatusCode::kDataLoss));
  EXPECT_FALSE(is_transient(StatusCode::kOk));
}

TEST(ResultTest, MacrosLeaveWithTheFirstError) {
  int out = 0;
  EXPECT_TRUE(sum(true, true, out).ok());
  EXPECT_EQ(out, 14);
  EXPECT_EQ(sum(true, false, out).code(), StatusCode::kInvalidArgument);
}

TEST(ResultTest, MoveOnlyValuesMoveOut) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(3);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result.error().ok());
  EXPECT_EQ(**result, 3);
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 3);
}

TEST(ResultDeathTest, MisuseEndsTheProcess) {
  EXPECT_DEATH((void)*parse(false), "holds an error");
  EXPECT_DEATH(ignore_error(Result<int>(Status()), "dies"), "invariant I2");
}

}  // namespace
}  // namespace verbatim
