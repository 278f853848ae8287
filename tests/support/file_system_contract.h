// The contract of base/file_system.h as a test that every FileSystem passes. A new implementation
// adds one INSTANTIATE_TEST_SUITE_P in its own test; the cases are in file_system_contract.cc.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "base/file_system.h"

namespace verbatim::testing {

// A file system and an empty folder in it that the test may use.
struct FileSystemUnderTest {
  std::string name;
  std::function<std::shared_ptr<void>()> set_up;  // kept alive for the test
  std::function<base::FileSystem&(void*)> file_system;
  std::function<std::string(void*)> directory;
};

class FileSystemContract : public ::testing::TestWithParam<FileSystemUnderTest> {
 protected:
  void SetUp() override;

  base::FileSystem& fs() { return *file_system_; }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  // Creates a file with contents.
  void write(const std::string& name, std::string_view bytes);

  std::shared_ptr<void> holder_;
  base::FileSystem* file_system_ = nullptr;
  std::string directory_;
};

}  // namespace verbatim::testing
