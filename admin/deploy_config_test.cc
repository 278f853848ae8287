// deploy/verbatim.toml is the document of the configuration: it must be complete and say the truth.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "base/config.h"

namespace verbatim::admin {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

std::string file_path() {
  const char* source_dir = std::getenv("VERBATIM_SOURCE_DIR");
  return std::string(source_dir == nullptr ? "." : source_dir) + "/deploy/verbatim.toml";
}

// The file with its examples ("#name = ...") made real; "# prose" stays as it is.
std::string with_examples() {
  std::ifstream file(file_path());
  std::string text;
  for (std::string line; std::getline(file, line);) {
    const bool is_example = line.size() > 1 && line[0] == '#' && line[1] != ' ' && line[1] != '#';
    text += (is_example ? line.substr(1) : line) + "\n";
  }
  return text;
}

// "queue.data_dir" for every line `data_dir = ...` under [queue] or [[queue]].
std::set<std::string> keys_in(const std::string& text) {
  std::set<std::string> keys;
  std::string table;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find(" = ");
    if (line.starts_with('[')) {
      table = line.substr(line.find_first_not_of('['));
      table.resize(table.find(']'));
      keys.insert(table);
    } else if (!line.starts_with('#') && equals != std::string::npos) {
      keys.insert(table + "." + line.substr(0, equals));
    }
  }
  return keys;
}

void expect_keys(const Descriptor& message, const std::string& path,
                 const std::set<std::string>& keys) {
  for (int index = 0; index < message.field_count(); ++index) {
    const FieldDescriptor& field = *message.field(index);
    const std::string key = path.empty() ? field.name() : path + "." + field.name();
    EXPECT_TRUE(keys.contains(key)) << key << " is not in deploy/verbatim.toml";
    const bool is_table = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field.is_map();
    if (is_table) expect_keys(*field.message_type(), key, keys);
  }
}

TEST(DeployConfig, ShowsTheDefaultsAsTheyAre) {
  const auto file = base::load_config(file_path());
  ASSERT_TRUE(file.has_value()) << file.error().message();
  const auto defaults = base::load_config("");
  ASSERT_TRUE(defaults.has_value()) << defaults.error().message();
  google::protobuf::util::MessageDifferencer differencer;
  std::string differences;
  differencer.ReportDifferencesToString(&differences);
  EXPECT_TRUE(differencer.Compare(*defaults, *file)) << differences;
}

TEST(DeployConfig, NamesEveryKeyThatThereIs) {
  expect_keys(*v1::Config::descriptor(), "", keys_in(with_examples()));
}

TEST(DeployConfig, ItsExamplesAreGoodToo) {
  const auto config = base::parse_config(with_examples(), "examples");
  ASSERT_TRUE(config.has_value()) << config.error().message();
  EXPECT_EQ(config->collector().xcp_size(), 1);
}

TEST(DeployConfig, ACheckThatCannotFailWouldBeNone) {
  EXPECT_FALSE(keys_in("[queue]\n# data_dir = 1\n").contains("queue.data_dir"));
  EXPECT_TRUE(keys_in("[queue]\ndata_dir = 1\n").contains("queue.data_dir"));
}

}  // namespace
}  // namespace verbatim::admin
