#include "base/config_security.h"

#include <gtest/gtest.h>

#include "base/config.h"

namespace verbatim::base {
namespace {

// Two real public keys.
const std::string kOne = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
const std::string kTwo = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

std::string error_of(const std::string& text) {
  const auto config = parse_config(text, "v.toml");
  return config ? std::string() : config.error().message();
}

bool says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

std::string service(const std::string& clients) {
  return "[queue]\nlisten = \"tcp://*:7410\"\n[queue.security]\nsecret_key_file = \"/k\"\n" +
         clients;
}

std::string client(const std::string& name, const std::string& key, const std::string& rest = {}) {
  return "[[queue.security.clients]]\nname = \"" + name + "\"\npublic_key = \"" + key + "\"\n" +
         rest;
}

TEST(ConfigSecurityTest, PlainListensOnLoopbackOnly) {
  for (const char* listen : {"tcp://*:7410", "tcp://0.0.0.0:7410", "tcp://192.0.2.1:7410",
                             "tcp://[::]:7410", "tcp://queue.example:7410"}) {
    const std::string plain = "[queue]\nlisten = \"" + std::string(listen) + "\"\n";
    EXPECT_TRUE(
        error_of(plain).starts_with("v.toml:2: queue.listen: nothing listens beyond "
                                    "loopback without keys"))
        << error_of(plain);
    EXPECT_EQ(error_of(plain + "[queue.security]\nsecret_key_file = \"/k\"\n"), "");
  }
}

std::string xcp(const std::string& listen, const std::string& rest = {}) {
  return "[[collector.xcp]]\nname = \"node1\"\ncomponent = \"op-a.b\"\nsecret = \"s\"\nlisten = "
         "\"" +
         listen + "\"\n" + rest;
}

TEST(ConfigSecurityTest, APlainLinkListensBeyondLoopbackOnlyWhereThatIsAccepted) {
  for (const char* listen :
       {"0.0.0.0:7999", "10.0.8.2:7999", "[::]:7999", "collector.example:7999"}) {
    const std::string refusal = error_of(xcp(listen));
    EXPECT_TRUE(refusal.starts_with("v.toml:5: collector.xcp.0.listen: the link is plain TCP"))
        << refusal;
    EXPECT_TRUE(says(refusal, "stunnel") && says(refusal, "plain = \"accepted\"")) << refusal;
    EXPECT_EQ(error_of(xcp(listen, "plain = \"accepted\"\n")), "");
    EXPECT_NE(error_of(xcp(listen, "plain = \"loopback\"\n")), "");
  }
  for (const char* listen : {"127.0.0.1:7999", "localhost:0", "[::1]:7999"}) {
    EXPECT_EQ(error_of(xcp(listen)), "") << listen;
  }
  for (const char* listen : {"", "7999", "tcp://127.0.0.1:7999", "ipc:///x", "@queue"}) {
    EXPECT_NE(error_of(xcp(listen, "plain = \"accepted\"\n")), "") << listen;
  }
}

TEST(ConfigSecurityTest, ClientsAreNamedKeysEachOfItsOwn) {
  EXPECT_EQ(error_of(service(client("a", kOne) + client("b", kTwo))), "");
  EXPECT_TRUE(says(error_of(service(client("a", kOne) + client("a", kTwo))), "is there twice"));
  const std::string twice = error_of(service(client("a", kOne) + client("b", kOne)));
  EXPECT_TRUE(says(twice, "v.toml:10: queue.security.clients.1.public_key: the key of \"a\" too"))
      << twice;
  EXPECT_TRUE(says(error_of(service(client("a", kOne.substr(1)))), "40 characters of Z85"));
  EXPECT_TRUE(says(error_of(service(client("", kOne))), "name"));
}

TEST(ConfigSecurityTest, PatternsOfQueuesAreChecked) {
  for (const char* pattern : {"*", "events", "events;*", "events;dead-letters"}) {
    EXPECT_EQ(error_of(service(client("a", kOne, "put = [\"" + std::string(pattern) + "\"]\n"))),
              "");
  }
  for (const char* pattern : {"", "Events", "events*", "ev*", ";*", "*;*", "events;", "a;b;c"}) {
    const std::string error =
        error_of(service(client("a", kOne, "receive = [\"" + std::string(pattern) + "\"]\n")));
    EXPECT_TRUE(says(error, "v.toml:8: queue.security.clients.0.receive.0: expected")) << error;
  }
}

TEST(ConfigSecurityTest, AClientHasBothKeysOrDialsLoopback) {
  const std::string collector = "[collector.queue_security]\n";
  const std::string file = "secret_key_file = \"/k\"\n";
  const std::string key = "server_public_key = \"" + kOne + "\"\n";
  EXPECT_EQ(error_of(collector + file + key), "");
  EXPECT_TRUE(says(error_of(collector + file), "collector.queue_security.server_public_key: is"));
  EXPECT_TRUE(says(error_of(collector + key), "collector.queue_security.secret_key_file: is"));
  EXPECT_TRUE(says(error_of(collector + file + "server_public_key = \"x\"\n"), "40 characters"));
  const std::string far = "[collector]\nqueue_address = \"tcp://192.0.2.1:7410\"\n";
  EXPECT_TRUE(says(error_of(far), "v.toml:2: collector.queue_address: nothing is sent beyond"));
  EXPECT_EQ(error_of(far + collector + file + key), "");
}

TEST(ConfigSecurityTest, EachInputQueueHasItsOwnAccess) {
  const std::string far =
      "[[processor.queues]]\nname = \"events\"\naddress = \"tcp://192.0.2.1:7410\"\n";
  EXPECT_TRUE(says(error_of(far), "processor.queues.0.address: nothing is sent beyond"));
  EXPECT_EQ(error_of(far +
                     "[processor.queues.security]\nsecret_key_file = \"/k\"\n"
                     "server_public_key = \"" +
                     kOne + "\"\n"),
            "");
}

}  // namespace
}  // namespace verbatim::base
