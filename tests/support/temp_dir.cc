#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/check.h"

namespace verbatim::testing {

TempDir::TempDir() {
  path_ = (std::filesystem::temp_directory_path() / "verbatim-test-XXXXXX").string();
  CHECK(::mkdtemp(path_.data()) != nullptr, "cannot make a temporary folder");
}

TempDir::~TempDir() {
  std::error_code ignored;  // a folder left over in /tmp fails no test
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace verbatim::testing
