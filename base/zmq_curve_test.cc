// Who gets in with CURVE, who does not, and that both sides say so.
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "base/curve_keys.h"
#include "base/log_limit.h"
#include "base/zmq_socket.h"

namespace verbatim::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Looks until it holds; false after ten seconds.
bool becomes(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ignore_error(poll({}, milliseconds(5)), "only time passes");
  }
  return true;
}

class ZmqCurveTest : public ::testing::Test {
 protected:
  ZmqSocket make_router(std::optional<ZmqCurve> curve) {
    auto router = ZmqSocket::create(context_, ZmqType::kRouter,
                                    {.curve = std::move(curve), .is_watched = true});
    EXPECT_TRUE(router) << router.error().to_string();
    EXPECT_TRUE(router->bind("tcp://127.0.0.1:0"));
    return *std::move(router);
  }
  ZmqCurve server_side() const {
    return {.secret_key = server_.secret_key, .allowed = {{"collector-1", known_.public_key}}};
  }
  ZmqSocket make_dealer(const ZmqSocket& router, std::optional<ZmqCurve> curve) {
    auto dealer = ZmqSocket::create(client_context_, ZmqType::kDealer,
                                    {.curve = std::move(curve), .is_watched = true});
    EXPECT_TRUE(dealer) << dealer.error().to_string();
    EXPECT_TRUE(dealer->connect(router.bound_endpoint()).ok());
    EXPECT_TRUE(dealer->send_frame("", ZmqFrame("hello")).ok());
    return *std::move(dealer);
  }
  ZmqCurve client_side(const CurveKeys& keys) const {
    return {.secret_key = keys.secret_key, .server_public_key = server_.public_key};
  }
  static bool has_message(ZmqSocket& socket, ZmqMessage& message) {
    return becomes([&] { return socket.receive_frame(message).value(); });
  }

  ZmqContext context_;
  ZmqContext client_context_;
  const CurveKeys server_ = generate_curve_keys().value();
  const CurveKeys known_ = generate_curve_keys().value();
  const CurveKeys unknown_ = generate_curve_keys().value();
};

TEST_F(ZmqCurveTest, AKnownKeyGetsInUnderItsName) {
  ZmqSocket router = make_router(server_side());
  ZmqSocket dealer = make_dealer(router, client_side(known_));
  ZmqMessage message;
  ASSERT_TRUE(has_message(router, message));
  EXPECT_EQ(message.frame.bytes(), "hello");
  EXPECT_EQ(message.frame.user(), "collector-1");
  ASSERT_TRUE(router.send_frame(message.identity, ZmqFrame("welcome")).ok());
  ASSERT_TRUE(has_message(dealer, message));
  EXPECT_EQ(message.frame.bytes(), "welcome");
  EXPECT_TRUE(becomes([&] { return dealer.link() == ZmqLink::kConnected; }));
  EXPECT_EQ(router.refusals().unknown_key + router.refusals().bad_handshake, 0U);
}

TEST_F(ZmqCurveTest, AnUnknownKeyIsRefusedAndBothSidesKnow) {
  ZmqSocket router = make_router(server_side());
  ZmqSocket dealer = make_dealer(router, client_side(unknown_));
  EXPECT_TRUE(becomes([&] { return dealer.link() == ZmqLink::kKeyRefused; }));
  EXPECT_TRUE(becomes([&] { return router.refusals().unknown_key == 1; }));
  ZmqMessage message;
  EXPECT_FALSE(router.receive_frame(message).value());
}

TEST_F(ZmqCurveTest, AWrongServerKeyIsRefusedAndBothSidesKnow) {
  ZmqSocket router = make_router(server_side());
  ZmqCurve curve = client_side(known_);
  curve.server_public_key = unknown_.public_key;
  ZmqSocket dealer = make_dealer(router, curve);
  EXPECT_TRUE(becomes([&] { return dealer.link() == ZmqLink::kWrongKey; }));
  EXPECT_TRUE(becomes([&] { return router.refusals().bad_handshake > 0; }));
  ZmqMessage message;
  EXPECT_FALSE(router.receive_frame(message).value());
}

TEST_F(ZmqCurveTest, PlainAndCurveDoNotMeetAndBothSidesKnow) {
  for (const bool is_server_plain : {false, true}) {
    ZmqSocket router = make_router(is_server_plain ? std::nullopt : std::optional(server_side()));
    ZmqSocket dealer =
        make_dealer(router, is_server_plain ? std::optional(client_side(known_)) : std::nullopt);
    EXPECT_TRUE(becomes([&] {
      // A plain server that is faster ends the handshake of a CURVE client without a word.
      const ZmqLink link = dealer.link();
      return link == ZmqLink::kNotCurve || (is_server_plain && link == ZmqLink::kWrongKey);
    }));
    EXPECT_TRUE(becomes([&] { return router.refusals().bad_handshake > 0; }));
    ZmqMessage message;
    EXPECT_FALSE(router.receive_frame(message).value());
  }
}

TEST_F(ZmqCurveTest, AnEmptyListLetsNobodyIn) {
  ZmqSocket router = make_router(ZmqCurve{.secret_key = server_.secret_key});
  ZmqSocket dealer = make_dealer(router, client_side(known_));
  EXPECT_TRUE(becomes([&] { return dealer.link() == ZmqLink::kKeyRefused; }));
}

TEST_F(ZmqCurveTest, AServerThatIsAwayIsNoRefusal) {
  std::optional<ZmqSocket> router(make_router(server_side()));
  ZmqSocket dealer = make_dealer(*router, client_side(known_));
  EXPECT_TRUE(becomes([&] { return dealer.link() == ZmqLink::kConnected; }));
  router.reset();
  EXPECT_TRUE(becomes([&] { return dealer.link() == ZmqLink::kConnecting; }));
}

TEST_F(ZmqCurveTest, AnIdentityIsNotTakenOverByAnotherKey) {
  ZmqCurve curve = server_side();
  curve.allowed.push_back({"thief", unknown_.public_key});
  ZmqSocket router = make_router(curve);
  std::vector<ZmqSocket> dealers;
  for (const CurveKeys* keys : {&known_, &unknown_}) {
    auto dealer = ZmqSocket::create(client_context_, ZmqType::kDealer,
                                    {.identity = "me", .curve = client_side(*keys)});
    ASSERT_TRUE(dealer);
    ASSERT_TRUE(dealer->connect(router.bound_endpoint()).ok());
    ASSERT_TRUE(dealer->send_frame("", ZmqFrame("hello")).ok());
    dealers.push_back(*std::move(dealer));
    ZmqMessage message;
    if (keys == &known_) {
      ASSERT_TRUE(has_message(router, message));
    }
  }
  ASSERT_TRUE(router.send_frame("me", ZmqFrame("for the first")).ok());
  ZmqMessage message;
  ASSERT_TRUE(has_message(dealers[0], message));
  EXPECT_EQ(message.frame.bytes(), "for the first");
}

TEST_F(ZmqCurveTest, WhatIsNoKeyIsRefusedAtOnceAndNotShown) {
  const std::string bad = "not-a-key";
  for (const ZmqType type : {ZmqType::kRouter, ZmqType::kDealer}) {
    for (const ZmqCurve& curve :
         {ZmqCurve{.secret_key = bad, .server_public_key = server_.public_key},
          ZmqCurve{.secret_key = known_.secret_key,
          .server_public_key = bad,
          .allowed = {{"x", bad}}}}) {
      const Status status = ZmqSocket::create(context_, type, {.curve = curve}).error();
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
      EXPECT_EQ(status.message().find(bad), std::string::npos);
    }
  }
}

TEST(LogLimitTest, TheFirstPassesAndTheNextTellsWhatWasLeftOut) {
  LogLimit limit(seconds(10));
  EXPECT_EQ(limit.pass(seconds(0)), 0U);
  EXPECT_EQ(limit.pass(seconds(1)), std::nullopt);
  EXPECT_EQ(limit.pass(seconds(9)), std::nullopt);
  EXPECT_EQ(limit.pass(seconds(10)), 2U);
  EXPECT_EQ(limit.pass(seconds(30)), 0U);
}

}  // namespace
}  // namespace verbatim::base
