#include "base/net_address.h"

#include <gtest/gtest.h>

namespace verbatim::base {
namespace {

TEST(NetAddressTest, EveryWrittenFormIsUnderstood) {
  EXPECT_EQ(parse_net_address("tcp://127.0.0.1:7411")->to_grpc(), "127.0.0.1:7411");
  EXPECT_EQ(parse_net_address("127.0.0.1:7411")->to_zmq(), "tcp://127.0.0.1:7411");
  EXPECT_EQ(parse_net_address("[::1]:1")->to_grpc(), "[::1]:1");
  EXPECT_EQ(parse_net_address("localhost:0")->port, 0);
  EXPECT_EQ(parse_net_address("tcp://127.0.0.1:*")->port, 0);
  EXPECT_EQ(parse_net_address("ipc:///run/queue")->to_grpc(), "unix:/run/queue");
  EXPECT_EQ(parse_net_address("unix:/run/queue")->to_zmq(), "ipc:///run/queue");
}

TEST(NetAddressTest, OtherTextIsRefused) {
  for (const char* text :
       {"", "host", ":1", "host:", "host:65536", "host:-1", "host:1x", "http://x:1", "ipc://",
        "::1:5", "[::1:5", "[]:5", "a b:5", "host:1/path"}) {
    EXPECT_EQ(parse_net_address(text).error().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(NetAddressTest, OnlyThisMachineIsLoopback) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "ipc:///x"}) {
    EXPECT_TRUE(is_loopback(*parse_net_address(text))) << text;
  }
  for (const char* text : {"0.0.0.0:1", "*:1", "10.0.0.1:1", "[::]:1", "example.org:1", "127.1:1",
                           "127.0.0.1.example.org:1"}) {
    EXPECT_FALSE(is_loopback(*parse_net_address(text))) << text;
  }
}

}  // namespace
}  // namespace verbatim::base
