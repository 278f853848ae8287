// The enforced rules that are plain scans of the text: who may include whom, which folder owns
// which foreign library, and that every test is in a target. The tables are in layers.cc and follow
// the design: a service never includes another service.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace verbatim::layers {

// "collector/a.cc:12: collector may not include queue". One line a finding.
using Findings = std::vector<std::string>;

// The layer of a path from the root, such as "queue/client" for "queue/client/frame.h"; empty where
// the path belongs to no layer.
std::string layer_of(std::string_view path);

// Checks the includes of one source file, given its path from the root.
Findings check_includes(std::string_view path, std::string_view text);

// Checks that `test_name`, such as "a_test.cc", is named in the text of one CMakeLists.txt of its
// folder or of a folder above.
Findings check_test_is_built(std::string_view path, const std::vector<std::string>& cmake_texts);

// Finds tests that are switched off (DISABLED_, GTEST_SKIP) without an issue number (#123) beside.
Findings check_no_test_is_off(std::string_view path, std::string_view text);

// All .h, .cc and .proto files of the tree below `root`, as sorted paths from the root.
std::vector<std::string> list_sources(const std::string& root);

std::string read_text(const std::string& path);

}  // namespace verbatim::layers
