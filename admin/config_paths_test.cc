#include "admin/config_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace verbatim::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class ConfigPaths : public testing::Test {
 protected:
  ConfigPaths() {
    std::filesystem::create_directories(folder_);
    for (std::string* path : {config_.mutable_queue()->mutable_data_dir(),
                              config_.mutable_collector()->mutable_data_dir(),
                              config_.mutable_processor()->mutable_data_dir(),
                              config_.mutable_adapter_xml()->mutable_output_dir(),
                              config_.mutable_adapter_count()->mutable_data_dir(),
                              config_.mutable_files()->mutable_data_dir(),
                              config_.mutable_policy_ethicalwall()->mutable_data_dir(),
                              config_.mutable_policy_contentfilter()->mutable_data_dir()}) {
      *path = folder_ + "/deep/down";
    }
  }
  ~ConfigPaths() override { std::filesystem::remove_all(folder_); }

  std::string folder_ = testing::TempDir() + "config_paths_" + std::to_string(::getpid());
  v1::Config config_;
  base::ConfigOrigin origin_{"v.toml"};
};

TEST_F(ConfigPaths, AFolderThatCanBeMadeIsGoodAndIsNotMade) {
  EXPECT_THAT(unusable_paths(config_, origin_), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/deep"));
}

TEST_F(ConfigPaths, AFileInTheWayIsNamedWithItsKey) {
  std::ofstream(folder_ + "/file") << "x";
  config_.mutable_queue()->set_data_dir(folder_ + "/file/below");
  origin_.note_line("queue.data_dir", 7);
  EXPECT_THAT(
      unusable_paths(config_, origin_),
      ElementsAre(testing::AllOf(StartsWith("v.toml:7: queue.data_dir: "), HasSubstr("/file"))));
}

TEST_F(ConfigPaths, AnEmptyPathIsRefused) {
  config_.mutable_adapter_xml()->clear_output_dir();
  EXPECT_THAT(unusable_paths(config_, origin_), ElementsAre(HasSubstr("adapter_xml.output_dir")));
}

}  // namespace
}  // namespace verbatim::admin
