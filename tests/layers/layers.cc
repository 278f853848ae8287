#include "tests/layers/layers.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <regex>

namespace verbatim::layers {
namespace {

struct Layer {
  std::string_view folder;
  std::vector<std::string_view> may_include;  // besides itself and the standard library
};

// Longer folders first: the first that matches is the layer.
const std::vector<Layer>& layers() {
  static const std::vector<Layer> table = {
      {"proto", {}},
      {"base", {"proto"}},
      {"queue/client", {"base", "proto"}},
      {"queue", {"base", "proto", "queue/client"}},
      {"collector", {"base", "proto", "queue/client"}},
      {"processor", {"base", "proto", "queue/client"}},
      {"adapters/sdk", {"base", "proto"}},
      {"adapters", {"base", "proto", "adapters/sdk"}},
      {"admin", {"base", "proto"}},
      {"cmake", {"cmake"}},
      {"tests/support",
       {"base", "proto", "queue", "queue/client", "collector", "processor", "adapters/sdk"}},
      {"tests", {"*"}},
  };
  return table;
}

// A foreign library and the files that may see it, by how the path begins. Tests may see what the
// code beside them sees.
struct Owner {
  std::string_view header;
  std::vector<std::string_view> owners;
};

const std::vector<Owner>& foreign_owners() {
  static const std::vector<Owner> table = {
      {"rocksdb/", {"processor/staging/", "tests/"}},
      {"zmq", {"base/zmq_", "base/curve_keys", "tests/"}},
      {"amqp", {"queue/client/", "tests/"}},
      {"libxml/", {"base/xml_", "tests/"}},
      {"curl/", {"collector/fetch/"}},
      {"ldap.h", {"collector/directory/"}},
      {"libxslt/", {"base/xml_", "tests/"}},
      {"toml++/", {"base/config", "tests/"}},
      {"CLI/", {"base/service", "admin/", "tests/", "adapters/"}},
      {"re2/", {"adapters/ethicalwall/", "adapters/contentfilter/"}},
      {"unicode/", {"adapters/rules/", "adapters/contentfilter/"}},
      {"absl/time/", {"adapters/rules/"}},
      {"spdlog/", {"base/log"}},
      {"isa-l", {"base/crc32c"}},
      {"prometheus/",
       {"base/metric", "queue/ops/metrics", "processor/ops/metrics", "collector/ops/metrics"}},
      {"openssl/", {"base/", "collector/sources/xcp/", "tests/"}},
      {"stringprep.h", {"collector/"}},
      {"idna.h", {"collector/"}},
      {"gtest/", {"*_test", "tests/", "cmake/pch/"}},
      {"gmock/", {"*_test", "tests/", "cmake/pch/"}},
      {"rapidcheck", {"*_test", "tests/"}},
  };
  return table;
}

bool is_test(std::string_view path) { return path.ends_with("_test.cc"); }

bool contains(const std::vector<std::string_view>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool is_owner(std::string_view path, const std::vector<std::string_view>& owners) {
  return std::any_of(owners.begin(), owners.end(), [path](std::string_view owner) {
    return owner == "*_test" ? is_test(path) : path.starts_with(owner);
  });
}

std::string at(std::string_view path, size_t line) {
  return std::string(path) + ":" + std::to_string(line) + ": ";
}

const Layer* find_layer(std::string_view path) {
  for (const Layer& layer : layers()) {
    if (path.starts_with(layer.folder) && path.size() > layer.folder.size() &&
        path[layer.folder.size()] == '/') {
      return &layer;
    }
  }
  return nullptr;
}

// The layer of an include: generated code belongs to proto.
std::string included_layer(std::string_view header) {
  return header.starts_with("verbatim/v1/") ? "proto" : layer_of(header);
}

// Empty where the include is allowed.
std::string judge_own(std::string_view path, std::string_view header) {
  const Layer* from = find_layer(path);
  const std::string to = included_layer(header);
  if (to.empty()) return "\"" + std::string(header) + "\" is not written from the root";
  if (from == nullptr || from->folder == to || contains(from->may_include, "*")) return "";
  if (contains(from->may_include, to)) return "";
  if (to == "tests/support" && is_test(path)) return "";
  return std::string(from->folder) + " may not include " + to;
}

std::string judge_foreign(std::string_view path, std::string_view header) {
  for (const Owner& owner : foreign_owners()) {
    if (header.starts_with(owner.header) && !is_owner(path, owner.owners)) {
      const Layer* from = find_layer(path);
      return std::string(from == nullptr ? path : from->folder) + " may not include <" +
             std::string(header) + ">";
    }
  }
  return "";
}

template <class Visitor>
void for_each_line(std::string_view text, Visitor visit) {
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    visit(++number, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

std::string layer_of(std::string_view path) {
  const Layer* layer = find_layer(path);
  return layer == nullptr ? "" : std::string(layer->folder);
}

Findings check_includes(std::string_view path, std::string_view text) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*(["<])([^">]+)[">])");
  Findings findings;
  for_each_line(text, [&](size_t number, std::string_view line) {
    std::cmatch match;
    if (!std::regex_search(line.data(), line.data() + line.size(), match, kInclude)) return;
    const std::string header = match[2];
    const bool is_own = match[1] == "\"" || header.starts_with("verbatim/v1/");
    const std::string reason = is_own ? judge_own(path, header) : judge_foreign(path, header);
    if (!reason.empty()) findings.push_back(at(path, number) + reason);
  });
  return findings;
}

Findings check_test_is_built(std::string_view path, const std::vector<std::string>& cmake_texts) {
  const std::string name(path.substr(path.rfind('/') + 1));
  for (const std::string& text : cmake_texts) {
    for (size_t found = text.find(name); found != std::string::npos;
         found = text.find(name, found + 1)) {
      // "b_test.cc" must not be taken for found in "a_b_test.cc".
      const char before = found == 0 ? ' ' : text[found - 1];
      if (before == ' ' || before == '\n' || before == '/' || before == '\t') return {};
    }
  }
  return {std::string(path) + ": no CMakeLists.txt names this test"};
}

Findings check_no_test_is_off(std::string_view path, std::string_view text) {
  static const std::regex kOff(R"(\bDISABLED_|\bGTEST_SKIP\b)");
  static const std::regex kIssue(R"(#[0-9]+)");
  Findings findings;
  for_each_line(text, [&](size_t number, std::string_view line) {
    const char* const end = line.data() + line.size();
    if (std::regex_search(line.data(), end, kOff) && !std::regex_search(line.data(), end, kIssue)) {
      findings.push_back(at(path, number) + "a test is off without an issue number");
    }
  });
  return findings;
}

std::vector<std::string> list_sources(const std::string& root) {
  constexpr std::array<std::string_view, 9> kFolders = {
      "proto", "base", "queue", "collector", "processor", "adapters", "admin", "tests", "cmake"};
  std::vector<std::string> paths;
  for (const std::string_view folder : kFolders) {
    const std::filesystem::path start = std::filesystem::path(root) / folder;
    if (!std::filesystem::exists(start)) continue;
    for (const auto& found : std::filesystem::recursive_directory_iterator(start)) {
      const std::string extension = found.path().extension();
      if (extension != ".h" && extension != ".cc" && extension != ".proto") continue;
      paths.push_back(std::filesystem::relative(found.path(), root));
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string read_text(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace verbatim::layers
