#include "base/curve_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file_system.h"
#include "tests/support/temp_dir.h"

namespace verbatim::base {
namespace {

class CurveKeysTest : public ::testing::Test {
 protected:
  std::string path() const { return directory_.file("queue.key"); }
  static bool says(const Status& status, std::string_view words) {
    return status.message().find(words) != std::string::npos;
  }

  const testing::TempDir directory_;
  const CurveKeys keys_ = generate_curve_keys().value();
};

TEST_F(CurveKeysTest, APairBelongsTogetherAndIsNeverTheSame) {
  EXPECT_TRUE(check_curve_key(keys_.public_key).ok());
  EXPECT_EQ(public_curve_key_of(keys_.secret_key).value(), keys_.public_key);
  EXPECT_NE(generate_curve_keys()->secret_key, keys_.secret_key);
}

TEST_F(CurveKeysTest, WhatIsNoKeyIsRefusedWithoutBeingShown) {
  const std::string longer = keys_.secret_key + "x";
  for (const std::string& text : {std::string(), longer, keys_.secret_key.substr(1),
                                  std::string(40, ' '), std::string(40, '"')}) {
    const Status status = public_curve_key_of(text).error();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_FALSE(!text.empty() && says(status, text));
  }
}

TEST_F(CurveKeysTest, TheSecretIsReadBackAndIsItsOwnersAlone) {
  ASSERT_TRUE(write_curve_keys(path(), keys_).ok());
  EXPECT_EQ(read_curve_secret(path()).value(), keys_.secret_key);
  struct stat state {};
  ASSERT_EQ(::stat(path().c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777U, 0600U);
  const std::string public_file = posix_file_system().read_file(path() + ".pub").value();
  EXPECT_NE(public_file.find(keys_.public_key), std::string::npos);
  EXPECT_EQ(public_file.find(keys_.secret_key), std::string::npos);
}

TEST_F(CurveKeysTest, NothingIsOverwritten) {
  ASSERT_TRUE(write_curve_keys(path(), keys_).ok());
  const CurveKeys others = generate_curve_keys().value();
  EXPECT_EQ(write_curve_keys(path(), others).code(), StatusCode::kAlreadyExists);
  ASSERT_TRUE(posix_file_system().remove(path()).ok());
  EXPECT_EQ(write_curve_keys(path(), others).code(), StatusCode::kAlreadyExists);
  EXPECT_FALSE(posix_file_system().exists(path()));
}

TEST_F(CurveKeysTest, AFileThatOthersMayReadIsRefused) {
  ASSERT_TRUE(write_curve_keys(path(), keys_).ok());
  for (const mode_t mode : {0640U, 0604U, 0620U}) {
    ASSERT_EQ(::chmod(path().c_str(), mode), 0);
    const Status status = read_curve_secret(path()).error();
    EXPECT_EQ(status.code(), StatusCode::kPermissionDenied);
    EXPECT_TRUE(says(status, path()) && says(status, "chmod 600")) << status.to_string();
  }
}

TEST_F(CurveKeysTest, WhatIsMissingOrNoKeyIsNamedWithTheWayOut) {
  const Status missing = read_curve_secret(path()).error();
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_TRUE(says(missing, path()) && says(missing, "verbatimctl keys generate"));
  for (const std::string& text : {std::string(), std::string("# only words\n"),
                                  keys_.secret_key.substr(1) + "\n", std::string(5000, 'x')}) {
    ASSERT_TRUE(write_file_atomically(posix_file_system(), path(), text).ok());
    ASSERT_EQ(::chmod(path().c_str(), 0600), 0);
    const Status status = read_curve_secret(path()).error();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_TRUE(says(status, path()));
  }
}

}  // namespace
}  // namespace verbatim::base
