#include "tests/layers/layers.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace verbatim::layers {
namespace {

std::string join(const Findings& findings) {
  std::string text;
  for (const std::string& finding : findings) text += finding + "\n";
  return text;
}

// --- the scanner itself ---

TEST(IncludeScannerTest, AForbiddenIncludeIsReportedWithFileAndLine) {
  EXPECT_EQ(
      check_includes("collector/a.cc", "#include \"base/x.h\"\n\n#include \"queue/log/y.h\"\n"),
      Findings{"collector/a.cc:3: collector may not include queue"});
  EXPECT_EQ(check_includes("base/a.h", "  #  include \"queue/client/y.h\""),
            Findings{"base/a.h:1: base may not include queue/client"});
  EXPECT_EQ(check_includes("queue/client/a.cc", "#include \"queue/log/y.h\""),
            Findings{"queue/client/a.cc:1: queue/client may not include queue"});
  EXPECT_EQ(check_includes("adapters/sdk/a.cc", "#include \"adapters/xml/y.h\""),
            Findings{"adapters/sdk/a.cc:1: adapters/sdk may not include adapters"});
  EXPECT_EQ(check_includes("admin/a.cc", "#include \"queue/client/y.h\""),
            Findings{"admin/a.cc:1: admin may not include queue/client"});
}

TEST(IncludeScannerTest, AllowedIncludesPass) {
  EXPECT_EQ(join(check_includes("collector/a.cc",
                                "#include \"queue/client/c.h\"\n#include \"verbatim/v1/e.pb.h\"\n"
                                "#include <vector>\n#include <grpcpp/grpcpp.h>\n")),
            "");
  EXPECT_EQ(join(check_includes("queue/log/a.cc", "#include \"queue/client/frame.h\"")), "");
  EXPECT_EQ(join(check_includes("tests/model/a.cc", "#include \"processor/staging/s.h\"")), "");
}

TEST(IncludeScannerTest, OnlyTestsSeeTheFakes) {
  EXPECT_EQ(check_includes("queue/a.cc", "#include \"tests/support/fake_clock.h\""),
            Findings{"queue/a.cc:1: queue may not include tests/support"});
  EXPECT_EQ(join(check_includes("queue/a_test.cc", "#include \"tests/support/fake_clock.h\"")), "");
}

TEST(IncludeScannerTest, ForeignLibrariesHaveOwners) {
  EXPECT_EQ(check_includes("processor/hub/a.cc", "#include <rocksdb/db.h>"),
            Findings{"processor/hub/a.cc:1: processor may not include <rocksdb/db.h>"});
  EXPECT_EQ(check_includes("queue/a.cc", "#include <zmq.hpp>"),
            Findings{"queue/a.cc:1: queue may not include <zmq.hpp>"});
  EXPECT_EQ(join(check_includes("processor/staging/a.cc", "#include <rocksdb/db.h>")), "");
  EXPECT_EQ(join(check_includes("base/zmq_socket.cc", "#include <zmq.hpp>")), "");
  EXPECT_EQ(check_includes("base/a.cc", "#include <gtest/gtest.h>").size(), 1U);
  EXPECT_EQ(join(check_includes("base/a_test.cc", "#include <gtest/gtest.h>")), "");
}

TEST(IncludeScannerTest, IncludesAreWrittenFromTheRoot) {
  EXPECT_EQ(check_includes("queue/log/a.cc", "#include \"segment.h\"").size(), 1U);
  EXPECT_EQ(check_includes("queue/log/a.cc", "#include \"../a.h\"").size(), 1U);
}

TEST(TestScannerTest, ATestOutsideEveryTargetIsReported) {
  EXPECT_EQ(check_test_is_built("base/b_test.cc", {"SOURCES a_b_test.cc\n"}),
            Findings{"base/b_test.cc: no CMakeLists.txt names this test"});
  EXPECT_EQ(join(check_test_is_built("base/b_test.cc", {"", "SOURCES a_test.cc b_test.cc\n"})), "");
  EXPECT_EQ(join(check_test_is_built("queue/log/b_test.cc", {"log/b_test.cc"})), "");
}

TEST(TestScannerTest, ATestThatIsOffNeedsAnIssue) {
  const std::string off = std::string("TEST(A, DISA") + "BLED_B) {}";
  EXPECT_EQ(check_no_test_is_off("a_test.cc", "\n" + off),
            Findings{"a_test.cc:2: a test is off without an issue number"});
  EXPECT_EQ(join(check_no_test_is_off("a_test.cc", off + "  // #12")), "");
}

// --- the tree ---

const std::string& root() {
  static const std::string path = [] {
    const char* variable = std::getenv("VERBATIM_SOURCE_DIR");
    return std::string(variable == nullptr ? "." : variable);
  }();
  return path;
}

std::vector<std::string> cmake_texts_above(std::string path) {
  std::vector<std::string> texts;
  for (size_t slash = path.rfind('/'); slash != std::string::npos; slash = path.rfind('/')) {
    path.resize(slash);
    const std::string folder = root() + "/" + path;
    texts.push_back(read_text(folder + "/CMakeLists.txt"));
    // Folders that many pieces share have a file of targets for each piece.
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      if (file.path().extension() == ".cmake") texts.push_back(read_text(file.path().string()));
    }
  }
  return texts;
}

TEST(TreeTest, SourcesAreFound) { EXPECT_GT(list_sources(root()).size(), 30U); }

TEST(TreeTest, NobodyIncludesWhatIsNotBelow) {
  for (const std::string& path : list_sources(root())) {
    if (path.ends_with(".proto")) continue;
    EXPECT_EQ(join(check_includes(path, read_text(root() + "/" + path))), "");
  }
}

TEST(TreeTest, EveryTestIsInATargetAndOn) {
  for (const std::string& path : list_sources(root())) {
    if (!path.ends_with("_test.cc")) continue;
    EXPECT_EQ(join(check_test_is_built(path, cmake_texts_above(path))), "");
    if (path == "tests/layers/layers_test.cc") continue;
    EXPECT_EQ(join(check_no_test_is_off(path, read_text(root() + "/" + path))), "");
  }
}

}  // namespace
}  // namespace verbatim::layers
