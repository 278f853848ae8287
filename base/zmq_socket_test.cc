#include "base/zmq_socket.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/temp_dir.h"

namespace verbatim::base {
namespace {

using std::chrono::milliseconds;
using Frames = std::vector<std::string>;

// Waits for one message; empty after five seconds without.
Frames receive_one(ZmqSocket& socket) {
  for (int i = 0; i < 50; ++i) {
    auto received = socket.receive();
    EXPECT_TRUE(received) << received.error().to_string();
    if (!received) return {};
    if (received->has_value()) return **std::move(received);
    PollItem item{.socket = &socket};
    EXPECT_TRUE(poll(std::span(&item, 1), milliseconds(100)));
  }
  return {};
}

class ZmqSocketTest : public ::testing::Test {
 protected:
  ZmqSocket make(ZmqType type, const ZmqOptions& options = {}) {
    auto socket = ZmqSocket::create(context_, type, options);
    EXPECT_TRUE(socket) << socket.error().to_string();
    return *std::move(socket);
  }

  ZmqContext context_;
};

TEST_F(ZmqSocketTest, RequestsAndAnswersTravelOverTcpAndIpc) {
  const testing::TempDir directory;
  for (const std::string& endpoint :
       {std::string("tcp://127.0.0.1:0"), "ipc://" + directory.file("s"),
        std::string("tcp://localhost:*")}) {
    ZmqSocket router = make(ZmqType::kRouter);
    const auto bound = router.bind(endpoint);
    ASSERT_TRUE(bound) << bound.error().to_string();
    EXPECT_EQ(*bound, router.bound_endpoint());
    EXPECT_FALSE(bound->ends_with(":0"));
    ZmqSocket dealer = make(ZmqType::kDealer, {.identity = "me"});
    ASSERT_TRUE(dealer.connect(*bound).ok());
    ASSERT_TRUE(dealer.send("", {"put", std::string("\0\1", 2)}).ok());
    EXPECT_EQ(receive_one(router), (Frames{"me", "put", std::string("\0\1", 2)}));
    ASSERT_TRUE(router.send("me", {"done"}).ok());
    EXPECT_EQ(receive_one(dealer), Frames{"done"});
  }
}

// ZeroMQ's own thread tells of each lost connection, and waits for as long as nobody can hear it: a
// socket that is closed at that moment must not leave it waiting, for it serves all the others.
TEST_F(ZmqSocketTest, WatchedSocketsThatAreClosedWhileTheirPeerGoesDoNotStopTheOthers) {
  ZmqContext peers;
  auto lasting = ZmqSocket::create(peers, ZmqType::kRouter, {});
  ASSERT_TRUE(lasting);
  const auto lasting_endpoint = lasting->bind("tcp://127.0.0.1:0");
  ASSERT_TRUE(lasting_endpoint);
  for (int round = 0; round < 100; ++round) {
    auto router = ZmqSocket::create(peers, ZmqType::kRouter, {});
    ASSERT_TRUE(router);
    const auto endpoint = router->bind("tcp://127.0.0.1:0");
    ASSERT_TRUE(endpoint);
    std::vector<ZmqSocket> dealers;
    for (int i = 0; i < 16; ++i) {
      dealers.push_back(make(ZmqType::kDealer, {.is_watched = true}));
      ASSERT_TRUE(dealers.back().connect(*endpoint).ok());
      ASSERT_TRUE(dealers.back().send("", {"here"}).ok());
      ASSERT_FALSE(receive_one(*router).empty());
    }
    std::thread end([&] { const ZmqSocket going = *std::move(router); });
    dealers.clear();
    end.join();
    ZmqSocket other = make(ZmqType::kDealer);
    ASSERT_TRUE(other.connect(*lasting_endpoint).ok());
    ASSERT_TRUE(other.send("", {"still served"}).ok());
    if (receive_one(*lasting).empty()) {
      // The context cannot be ended either.
      FAIL() << "nothing is sent any more, round " << round;
    }
  }
}

TEST_F(ZmqSocketTest, NothingToReceiveIsNotAnError) {
  ZmqSocket dealer = make(ZmqType::kDealer);
  const auto received = dealer.receive();
  ASSERT_TRUE(received);
  EXPECT_FALSE(received->has_value());
}

TEST_F(ZmqSocketTest, APeerThatIsNotThereIsUnavailable) {
  ZmqSocket router = make(ZmqType::kRouter);
  ASSERT_TRUE(router.bind("tcp://127.0.0.1:0"));
  EXPECT_EQ(router.send("nobody", {"x"}).code(), StatusCode::kUnavailable);
}

TEST_F(ZmqSocketTest, AFullPeerIsRefusedAndNotDropped) {
  ZmqSocket router = make(ZmqType::kRouter, {.high_water_mark_count = 2});
  const auto bound = router.bind("inproc://full");
  ASSERT_TRUE(bound);
  ZmqSocket dealer = make(ZmqType::kDealer, {.high_water_mark_count = 2, .identity = "slow"});
  ASSERT_TRUE(dealer.connect(*bound).ok());
  ASSERT_TRUE(dealer.send("", {"hello"}).ok());
  ASSERT_EQ(receive_one(router).size(), 2U);
  int sent = 0;
  Status status;
  while ((status = router.send("slow", {std::to_string(sent), "second frame"})).ok()) ++sent;
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  for (int i = 0; i < sent; ++i) {
    EXPECT_EQ(receive_one(dealer), (Frames{std::to_string(i), "second frame"}));
  }
}

TEST_F(ZmqSocketTest, MisuseIsRefused) {
  ZmqSocket router = make(ZmqType::kRouter);
  ZmqSocket dealer = make(ZmqType::kDealer);
  EXPECT_EQ(router.send("", {"x"}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(dealer.send("who", {"x"}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(dealer.send("", {}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(router.bind("nonsense").error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(dealer.connect("tcp://").code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(ZmqSocket::create(context_, ZmqType::kDealer, {.identity = std::string(300, 'x')}));
}

TEST_F(ZmqSocketTest, AnAddressInUseIsNamed) {
  ZmqSocket first = make(ZmqType::kRouter);
  const auto bound = first.bind("tcp://127.0.0.1:0");
  ASSERT_TRUE(bound);
  const auto again = make(ZmqType::kRouter).bind(*bound);
  EXPECT_EQ(again.error().code(), StatusCode::kAlreadyExists);
  EXPECT_NE(again.error().message().find("endpoint=" + *bound), std::string::npos);
}

TEST_F(ZmqSocketTest, AFrameThatIsTooLargeClosesTheConnection) {
  ZmqSocket router = make(ZmqType::kRouter, {.frame_size_max_bytes = 100});
  const auto bound = router.bind("tcp://127.0.0.1:0");
  ASSERT_TRUE(bound);
  ZmqSocket dealer = make(ZmqType::kDealer);
  ASSERT_TRUE(dealer.connect(*bound).ok());
  ASSERT_TRUE(dealer.send("", {std::string(101, 'x')}).ok());
  PollItem item{.socket = &router};
  EXPECT_EQ(*poll(std::span(&item, 1), milliseconds(100)), 0);
}

TEST_F(ZmqSocketTest, AWakerEndsAPoll) {
  ZmqSocket dealer = make(ZmqType::kDealer);
  Waker waker;
  std::thread other([&waker] { waker.wake(); });
  PollItem items[] = {{.socket = &dealer}, {.fd = waker.fd()}};
  EXPECT_EQ(*poll(items, milliseconds(-1)), 1);
  other.join();
  EXPECT_FALSE(items[0].is_readable);
  EXPECT_TRUE(items[1].is_readable);
  waker.wake();
  waker.clear();
  waker.clear();
  EXPECT_EQ(*poll(items, milliseconds(0)), 0);
  EXPECT_FALSE(items[1].is_readable);
}

TEST_F(ZmqSocketTest, WritableIsReported) {
  ZmqSocket router = make(ZmqType::kRouter);
  ASSERT_TRUE(router.bind("inproc://writable"));
  ZmqSocket dealer = make(ZmqType::kDealer);
  ASSERT_TRUE(dealer.connect("inproc://writable").ok());
  PollItem item{.socket = &dealer, .wants_write = true};
  EXPECT_EQ(*poll(std::span(&item, 1), milliseconds(1000)), 1);
  EXPECT_TRUE(item.is_writable);
  EXPECT_FALSE(item.is_readable);
}

}  // namespace
}  // namespace verbatim::base
