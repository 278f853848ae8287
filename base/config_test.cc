#include "base/config.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/fault_file_system.h"
#include "verbatim/v1/policy_rules.pb.h"

namespace verbatim::base {
namespace {

std::string error_of(const std::string& toml) {
  return parse_config(toml, "v.toml").error().message();
}

TEST(ConfigTest, NoFileGivesTheDefaults) {
  const auto config = load_config("");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->queue().data_dir(), "var/queue");
  EXPECT_EQ(config->queue().segment_bytes(), 67108864);
  EXPECT_EQ(config->queue().queues(0), "events");
  EXPECT_TRUE(config->collector().grpc().enabled());
  EXPECT_EQ(config->collector().xcp_size(), 0);
  ASSERT_EQ(config->processor().queues_size(), 1);
  EXPECT_EQ(config->processor().queues(0).name(), "events");
  ASSERT_EQ(config->processor().adapters_size(), 1);
  EXPECT_EQ(config->processor().adapters(0).name(), "xml");
  EXPECT_TRUE(config->processor().adapters(0).required());
}

TEST(ConfigTest, AFileReplacesWhatItNames) {
  const auto config = parse_config(R"(
    [queue]
    data_dir = "/srv/queue"
    queues = ["a", "b"]
    listen = "ipc:///run/q"
    [collector.grpc]
    enabled = false
    [[processor.adapters]]
    name = "one"
    required = false
    [[processor.adapters]]
    name = "two"
    settings = { key = "value", other = "x" }
  )",
                                   "v.toml");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->queue().data_dir(), "/srv/queue");
  EXPECT_EQ(config->queue().queues_size(), 2);
  EXPECT_EQ(config->queue().admin_listen(), "127.0.0.1:7411");
  EXPECT_FALSE(config->collector().grpc().enabled());
  ASSERT_EQ(config->processor().adapters_size(), 2);
  EXPECT_FALSE(config->processor().adapters(0).required());
  EXPECT_TRUE(config->processor().adapters(1).required());
  EXPECT_EQ(config->processor().adapters(1).settings().at("key"), "value");
}

TEST(ConfigTest, MistakesAreNamedWithFileLineAndKey) {
  EXPECT_EQ(error_of("[queue]\ndata_dri = \"x\""), "v.toml:2: queue.data_dri: no such setting");
  EXPECT_EQ(error_of("[queues]"), "v.toml:1: queues: no such setting");
  EXPECT_EQ(error_of("[queue]\nsegment_bytes = \"big\""),
            "v.toml:2: queue.segment_bytes: expected an integer");
  EXPECT_EQ(error_of("[queue]\nsegment_bytes = 1.5"),
            "v.toml:2: queue.segment_bytes: expected an integer");
  EXPECT_EQ(error_of("\n\n[queue]\nsegment_bytes = 5"),
            "v.toml:4: queue.segment_bytes: expected 1048576 to 4294967296, not 5");
  EXPECT_EQ(error_of("queue = 3"), "v.toml:1: queue: expected a table");
  EXPECT_EQ(error_of("[queue]\nqueues = \"events\""), "v.toml:2: queue.queues: expected an array");
  EXPECT_EQ(error_of("[queue]\nqueues = [\"ok\",\n\"No\"]"),
            "v.toml:3: queue.queues.1: expected 1 to 64 of a-z 0-9 . _ -, the first a letter or "
            "digit, not \"No\"");
  EXPECT_EQ(error_of("[collector.grpc]\nenabled = 1"),
            "v.toml:2: collector.grpc.enabled: expected true or false");
  EXPECT_EQ(error_of("[processor]\nadapters = 1"),
            "v.toml:2: processor.adapters: expected an array of tables");
  EXPECT_EQ(error_of("[queue\n").substr(0, 17), "v.toml:1: not TOM");
  EXPECT_EQ(error_of("[log]\nlevel = \"loud\""),
            "v.toml:2: log.level: expected one of debug, info, warn, error, not \"loud\"");
}

TEST(ConfigTest, ListenersBeyondLoopbackAreRefused) {
  for (const char* text : {"tcp://0.0.0.0:1", "tcp://*:1", "tcp://10.0.0.1:1", "127.0.0.1:1"}) {
    EXPECT_FALSE(parse_config("[queue]\nlisten = \"" + std::string(text) + "\"", "v")) << text;
  }
  EXPECT_FALSE(parse_config("[queue]\nadmin_listen = \"0.0.0.0:1\"", "v"));
  EXPECT_FALSE(parse_config("[queue]\nadmin_listen = \"tcp://127.0.0.1:1\"", "v"));
  EXPECT_TRUE(parse_config("[queue]\nlisten = \"tcp://127.0.0.1:0\"", "v"));
  EXPECT_FALSE(parse_config("[queue]\nadmin_listen = \"\"", "v"));
  EXPECT_TRUE(parse_config("[queue]\nmetrics_listen = \"\"", "v"));
  EXPECT_FALSE(parse_config("[queue]\nmetrics_listen = \"0.0.0.0:1\"", "v"));
  EXPECT_TRUE(parse_config("[collector]\nqueue_address = \"@queue\"", "v"));
}

TEST(ConfigTest, RequiredSettingsMustBeGivenInEachTable) {
  EXPECT_EQ(error_of("[[collector.xcp]]\nname = \"cup\"\nsecret = \"s\""),
            "v.toml:1: collector.xcp.0.component: must be given");
  EXPECT_EQ(error_of("[[processor.adapters]]\n"),
            "v.toml:1: processor.adapters.0.name: must be given");
  EXPECT_EQ(error_of("[[processor.adapters]]\nname = \"x\"\n[[processor.adapters]]\nname = \"x\""),
            "v.toml:4: processor.adapters.1.name: the name \"x\" is there twice");
}

TEST(ConfigTest, ASecretIsInNoError) {
  const std::string error = error_of("[[collector.xcp]]\nsecret = \"canary\"\nname = \"BAD\"");
  EXPECT_EQ(error.find("canary"), std::string::npos);
}

TEST(ConfigTest, SettingsThatContradictEachOtherAreRefused) {
  EXPECT_EQ(
      error_of("[processor]\nstaging_low_bytes = 2000000\nstaging_high_bytes = 1900000"),
      "v.toml:2: processor.staging_low_bytes: processor.staging_low_bytes=2000000 must be at most "
      "processor.staging_high_bytes=1900000");
  // The one that was written is named.
  EXPECT_EQ(
      error_of("[queue]\nsegment_bytes = 1048576"),
      "v.toml:2: queue.segment_bytes: queue.message_max_bytes=4194304 must be at most 1/16 of "
      "queue.segment_bytes=1048576");
  EXPECT_EQ(error_of("[queue]\nsource_key_window_ms = 30000"),
            "v.toml:2: queue.source_key_window_ms: collector.event_deadline_ms=20000 must be at "
            "most 1/2 of queue.source_key_window_ms=30000");
  EXPECT_EQ(error_of("[queue]\nqueues = [\"events\", \"verbatim.x\"]"),
            "v.toml:2: queue.queues.1: names that begin with 'verbatim.' are the service's own");
  EXPECT_EQ(error_of("[collector]\nqueue = \"other\""),
            "v.toml:2: collector.queue: collector.queue=\"other\" is not in queue.queues");
  EXPECT_TRUE(
      parse_config("[collector]\nqueue = \"other\"\nqueue_address = \"tcp://127.0.0.1:1\"", "v"));
  EXPECT_FALSE(parse_config("[queue]\nadmin_listen = \"localhost:7410\"", "v"));
  EXPECT_TRUE(
      parse_config("[queue]\nadmin_listen = \"127.0.0.1:0\"\nlisten = \"tcp://127.0.0.1:0\"", "v"));
}

TEST(ConfigTest, AnOverrideIsNamedAsThePlace) {
  ConfigOrigin origin;
  v1::Config config = *load_config("", &origin);
  ASSERT_TRUE(apply_override(config, "queue.segment_bytes=1048576", &origin).ok());
  EXPECT_TRUE(check_config(config, origin).message().starts_with("--set: queue.segment_bytes: "));
}

TEST(ConfigTest, OverridesReachEverySetting) {
  v1::Config config = *load_config("");
  EXPECT_TRUE(apply_override(config, "queue.data_dir=/tmp/a=b").ok());
  EXPECT_TRUE(apply_override(config, "queue.queues=events,b,c").ok());
  EXPECT_TRUE(apply_override(config, "collector.grpc.enabled=false").ok());
  EXPECT_TRUE(apply_override(config, "processor.adapters.0.batch_max_events=10").ok());
  EXPECT_TRUE(apply_override(config, "processor.adapters.1.name=count").ok());
  EXPECT_TRUE(apply_override(config, "processor.adapters.1.settings.a.b=c").ok());
  EXPECT_TRUE(apply_override(config, "processor.adapters.1.settings.a.b=d").ok());
  EXPECT_TRUE(apply_override(config, "collector.internal_domains=").ok());
  EXPECT_EQ(config.queue().data_dir(), "/tmp/a=b");
  EXPECT_EQ(config.queue().queues_size(), 3);
  EXPECT_FALSE(config.collector().grpc().enabled());
  EXPECT_EQ(config.processor().adapters(0).batch_max_events(), 10);
  EXPECT_EQ(config.processor().adapters(1).interval_ms(), 5000);
  EXPECT_EQ(config.processor().adapters(1).settings().at("a.b"), "d");
  EXPECT_TRUE(check_config(config).ok());
}

TEST(ConfigTest, WrongOverridesChangeNothing) {
  const v1::Config before = *load_config("");
  for (const char* text :
       {"queue.data_dir", "queue=x", "queue.nothing=1", "queue.data_dir.x=1", "queue.queues=a,B",
        "queue.segment_bytes=1", "queue.segment_bytes=x", "processor.adapters=1",
        "processor.adapters.7.name=x", "processor.adapters.1=x", "processor.adapters.1.nothing=x",
        "processor.adapters.0.settings=x", "collector.grpc.enabled=yes", "=", ""}) {
    v1::Config config = before;
    EXPECT_FALSE(apply_override(config, text).ok()) << text;
    EXPECT_EQ(config.SerializeAsString(), before.SerializeAsString()) << text;
  }
}

TEST(ConfigTest, EveryCutOfAFileIsReadOrRefused) {
  const std::string whole =
      "[queue]\nqueues = [\"a\"]\n[[collector.xcp]]\nname = \"n\"\ncomponent = \"c\"\nsecret = "
      "\"s\"\n";
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    const auto config = parse_config(whole.substr(0, cut), "v.toml");
    EXPECT_TRUE(config || config.error().message().starts_with("v.toml:")) << cut;
  }
}

TEST(ConfigTest, AMissingFileIsAnError) {
  EXPECT_EQ(load_config("/nonexistent/v.toml").error().code(), StatusCode::kNotFound);
}

TEST(CheckDataDirTest, AFolderOfAFileIsNamedWithItsLine) {
  testing::FaultFileSystem disk;
  ConfigOrigin origin;
  const auto config = parse_config("[queue]\ndata_dir = \"/q\"", "v.toml", &origin);
  ASSERT_TRUE(config);
  EXPECT_TRUE(check_own_folders(disk, *config, "queue", origin).ok());
  EXPECT_TRUE(check_own_folders(disk, *config, "no_such_table", origin).ok());
  disk.fail({.nth = 1, .error_number = EACCES, .is_sticky = true, .kinds = {}});
  EXPECT_TRUE(check_own_folders(disk, *config, "queue", origin)
                  .message()
                  .starts_with("v.toml:2: queue.data_dir: "));
}

TEST(CheckDataDirTest, AFolderMustTakeAFile) {
  testing::FaultFileSystem disk;
  EXPECT_TRUE(check_data_dir(disk, "/a/b").ok());
  EXPECT_TRUE(disk.list_directory("/a/b")->empty());
  disk.fail({.nth = 1, .error_number = EACCES, .is_sticky = true, .kinds = {}});
  const Status status = check_data_dir(disk, "/a/b");
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("path=/a/b"), std::string::npos);
}

TEST(CheckDataDirTest, AFullDiskIsNoWrongFolder) {
  testing::FaultFileSystem disk;
  disk.fail(
      {.nth = 1, .error_number = ENOSPC, .is_sticky = true, .kinds = {testing::IoKind::kWrite}});
  EXPECT_TRUE(check_data_dir(disk, "/a/b").ok());
  EXPECT_TRUE(disk.list_directory("/a/b")->empty());
}

TEST(ConfigTest, AnyMessageWithSettingsCanBeReadFromToml) {
  v1::WallRules rules;
  ConfigOrigin origin;
  ASSERT_TRUE(
      read_toml("[[rules]]\nname = \"wall\"\naction = \"block\"\na = { groups = [\"g\"] }\n",
                "wall.toml", rules, origin)
          .ok());
  EXPECT_EQ(rules.precedence(), "deny");
  EXPECT_EQ(rules.rules(0).direction(), "both");
  EXPECT_EQ(rules.rules(0).a().groups(0), "g");
  EXPECT_EQ(origin.place_of("rules.0.a"), "wall.toml:4");
  EXPECT_EQ(read_toml("[[rules]]\nname = \"wall\"\naction = \"blok\"\n", "wall.toml", rules, origin)
                .message(),
            "wall.toml:3: rules.0.action: expected one of block, allow, notify, not \"blok\"");
  const std::string twice = "[[rules]]\nname = \"w\"\naction = \"block\"\n";
  EXPECT_EQ(read_toml(twice + twice, "wall.toml", rules, origin).message(),
            "wall.toml:5: rules.1.name: the name \"w\" is there twice");
}

}  // namespace
}  // namespace verbatim::base
