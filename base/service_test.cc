#include "base/service.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "base/fault_point.h"
#include "base/log.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/temp_dir.h"

namespace verbatim::base {
namespace {

StartResult start(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "verbatim-test");
  return start_service("verbatim-test", static_cast<int>(arguments.size()), arguments.data(),
                       "Tests what every service has in common.");
}

TEST(ServiceTest, FlagsReachTheConfiguration) {
  const auto started = start(
      {"--set", "queue.data_dir=/x", "--set", "queue.queues=events,b", "--log-level", "error"});
  ASSERT_TRUE(started.arguments);
  EXPECT_EQ(started.arguments->config.queue().data_dir(), "/x");
  EXPECT_EQ(started.arguments->config.queue().queues_size(), 2);
  EXPECT_FALSE(is_logged(LogLevel::kWarn));
  EXPECT_TRUE(is_logged(LogLevel::kError));
}

TEST(ServiceTest, AFileIsRead) {
  const testing::TempDir directory;
  const std::string path = directory.file("v.toml");
  ASSERT_TRUE(write_file_atomically(posix_file_system(), path, "[log]\nlevel = \"warn\"\n").ok());
  const auto started = start({"--config", path.c_str()});
  ASSERT_TRUE(started.arguments);
  EXPECT_FALSE(is_logged(LogLevel::kInfo));
  EXPECT_TRUE(is_logged(LogLevel::kWarn));
}

TEST(ServiceTest, WrongFlagsEndWithTwo) {
  EXPECT_EQ(start({"--nonsense"}).exit_code, 2);
  EXPECT_EQ(start({"--config", "/nonexistent"}).exit_code, 2);
  EXPECT_EQ(start({"--set", "nothing=1"}).exit_code, 2);
  EXPECT_EQ(start({"--log-level", "loud"}).exit_code, 2);
  EXPECT_FALSE(start({"--set"}).arguments);
}

TEST(ServiceTest, HelpAndVersionEndWithZero) {
  EXPECT_EQ(start({"--help"}).exit_code, 0);
  EXPECT_FALSE(start({"--version"}).arguments);
  EXPECT_EQ(start({"--version"}).exit_code, 0);
  EXPECT_FALSE(version().empty());
}

TEST(ReadyFileTest, TellsTheBoundAddressesUntilItIsGone) {
  testing::FaultFileSystem disk;
  ASSERT_TRUE(disk.create_directories("/q").ok());
  {
    auto ready = ReadyFile::write(disk, "/q", "queue", {{"listen", "tcp://127.0.0.1:99"}});
    ASSERT_TRUE(ready) << ready.error().to_string();
    const ReadyFile moved = *std::move(ready);
    const auto values = read_ready_file(disk, "/q", "queue");
    ASSERT_TRUE(values);
    EXPECT_EQ(values->at("pid"), std::to_string(::getpid()));
    v1::Config config;
    config.mutable_queue()->set_data_dir("/q");
    EXPECT_EQ(*resolve_address(disk, config, "@queue", "listen"), "tcp://127.0.0.1:99");
    EXPECT_EQ(*resolve_address(disk, config, "127.0.0.1:5", "listen"), "127.0.0.1:5");
    EXPECT_EQ(resolve_address(disk, config, "@queue", "x").error().code(), StatusCode::kNotFound);
    EXPECT_EQ(resolve_address(disk, config, "@x", "listen").error().code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(read_ready_file(disk, "/q", "queue").error().code(), StatusCode::kNotFound);
}

TEST(ReadyFileTest, OnAFullDiskItTakesThePlaceOfTheOneThatACrashHasLeft) {
  testing::FaultFileSystem disk;
  ASSERT_TRUE(disk.create_directories("/q").ok());
  const std::string left = "pid=1\nlisten=tcp://127.0.0.1:99\n" + std::string(200, 'x') + "=y\n";
  ASSERT_TRUE(write_file_atomically(disk, "/q/queue.ready", left).ok());
  disk.set_capacity(0);
  EXPECT_EQ(ReadyFile::write(disk, "/q", "other", {}).error().code(),
            StatusCode::kResourceExhausted);
  const auto ready = ReadyFile::write(disk, "/q", "queue", {{"listen", "tcp://127.0.0.1:98"}});
  ASSERT_TRUE(ready) << ready.error().to_string();
  const auto values = read_ready_file(disk, "/q", "queue");
  ASSERT_TRUE(values);
  EXPECT_EQ(values->size(), 2U);
  EXPECT_EQ(values->at("listen"), "tcp://127.0.0.1:98");
}

TEST(SignalsDeathTest, AStopSignalIsTakenAndTheNextOneKills) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        install_signal_handlers();
        ::kill(::getpid(), SIGTERM);
        if (wait_for_stop_signal() != SIGTERM) ::_exit(1);
        ::kill(::getpid(), SIGTERM);
        ::pause();
      },
      ::testing::KilledBySignal(SIGTERM), "");
  EXPECT_EXIT(
      {
        install_signal_handlers();
        if (wait_for_stop_signal(std::chrono::milliseconds(1)) != 0) ::_exit(1);
        ::raise(SIGPIPE);
        std::thread([] { ::kill(::getpid(), SIGINT); }).join();
        ::_exit(wait_for_stop_signal(std::chrono::milliseconds(5000)) == SIGINT ? 7 : 1);
      },
      ::testing::ExitedWithCode(7), "");
}

TEST(LogDeathTest, ALineCarriesTimeLevelServiceAndText) {
  EXPECT_EXIT(
      {
        ignore_error(init_log("svc", "info"), "the next line shows it");
        LOG_DEBUG("hidden");
        LOG_WARN("segment closed segment={} size_bytes={}", 7, 12);
        ::_exit(0);
      },
      ::testing::ExitedWithCode(0), "^....-..-..T..:..:...*Z warning svc.*segment=7 size_bytes=12");
  EXPECT_EQ(init_log("svc", "loud").code(), StatusCode::kInvalidArgument);
}

#if defined(VERBATIM_FAULT_POINTS)
TEST(FaultPointDeathTest, TheNthPassageKills) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  ::setenv("VERBATIM_FAULT_POINT", "base.test:3", 1);
  EXPECT_EXIT(
      {
        for (int i = 1; i <= 3; ++i) {
          std::fprintf(stderr, "passage %d\n", i);
          FAULT_POINT("base.other");
          FAULT_POINT("base.test");
        }
        ::_exit(0);
      },
      ::testing::KilledBySignal(SIGKILL), "passage 3");
  ::setenv("VERBATIM_FAULT_POINT", "base.test", 1);
  EXPECT_EXIT(
      {
        FAULT_POINT("base.test");
        ::_exit(0);
      },
      ::testing::KilledBySignal(SIGKILL), "");
  ::unsetenv("VERBATIM_FAULT_POINT");
}
#endif

}  // namespace
}  // namespace verbatim::base
