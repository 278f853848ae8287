#include "base/file_system.h"

#include <gtest/gtest.h>

#include "tests/support/file_system_contract.h"
#include "tests/support/temp_dir.h"

namespace verbatim::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(
    Posix, FileSystemContract,
    ::testing::Values(FileSystemUnderTest{
        .name = "posix",
        .set_up = [] { return std::shared_ptr<void>(std::make_shared<TempDir>()); },
        .file_system = [](void*) -> base::FileSystem& { return base::posix_file_system(); },
        .directory = [](void* holder) { return static_cast<TempDir*>(holder)->path(); }}),
    [](const auto& suite) { return suite.param.name; });

TEST(PathTest, ParentsAndJoins) {
  EXPECT_EQ(base::parent_directory("a/b/c"), "a/b");
  EXPECT_EQ(base::parent_directory("a/b/"), "a");
  EXPECT_EQ(base::parent_directory("c"), ".");
  EXPECT_EQ(base::parent_directory("/c"), "/");
  EXPECT_EQ(base::join_path("a", "b"), "a/b");
  EXPECT_EQ(base::join_path("a/", "/b"), "a/b");
  EXPECT_EQ(base::join_path("/", "b"), "/b");
}

}  // namespace
}  // namespace verbatim::testing
