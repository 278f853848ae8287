#include "queue/client/link_report.h"

#include <gtest/gtest.h>

namespace verbatim::queue {
namespace {

using base::ZmqLink;

TEST(LinkReportTest, EachTroubleIsToldWithTheWayOutUntilItIsOver) {
  LinkReport report({.client_name = "c", .address = "tcp://x:1", .public_key = "abcdefghijklm"});
  EXPECT_EQ(report.trouble(), "");
  report.look_at(ZmqLink::kKeyRefused);
  EXPECT_NE(report.trouble().find("public_key=abcdefgh...: add it to"), std::string::npos);
  report.look_at(ZmqLink::kConnecting);  // the next attempt
  EXPECT_NE(report.trouble(), "");
  report.look_at(ZmqLink::kWrongKey);
  EXPECT_NE(report.trouble().find("server_public_key"), std::string::npos);
  report.look_at(ZmqLink::kConnected);
  EXPECT_EQ(report.trouble(), "");
}

TEST(LinkReportTest, APlainClientIsToldToTakeAKeyAndAKeyedOneThatTheOtherHasNone) {
  LinkReport plain({.client_name = "c", .address = "tcp://x:1", .public_key = ""});
  plain.look_at(ZmqLink::kNotCurve);
  EXPECT_NE(plain.trouble().find("set secret_key_file and server_public_key"), std::string::npos);
  LinkReport keyed({.client_name = "c", .address = "tcp://x:1", .public_key = "abcdefghi"});
  keyed.look_at(ZmqLink::kNotCurve);
  EXPECT_NE(keyed.trouble().find("queue.security.secret_key_file"), std::string::npos);
}

}  // namespace
}  // namespace verbatim::queue
