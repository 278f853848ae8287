#include "collector/sources/xcp/xcp_link.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "collector/sources/xcp/codec/verbatim_codec.h"
#include "collector/sources/xcp/handshake.h"

namespace verbatim::collector {
namespace {

using State = XcpLink::State;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Observer final : XcpLinkObserver {
  bool admit(XcpLink&) override { return admits; }
  void on_active(XcpLink&) override { ++active_count; }
  void on_xdb(XcpLink&, const base::XmlElement& xdb, std::string_view raw) override {
    ids.push_back(xdb.attribute("id"));
    raws.emplace_back(raw);
    if (ids.size() == room_until) is_full = true;
  }
  bool has_room(const XcpLink&) const override { return !is_full; }

  bool admits = true;
  bool is_full = false;
  size_t room_until = 0;
  int active_count = 0;
  std::vector<std::string> ids;
  std::vector<std::string> raws;
};

struct LinkTest : ::testing::Test {
  LinkTest() {
    options.component = "op-verbatim.node";
    options.secret = "verbatim-secret";
    options.payload_ns = kEventNamespace;
  }
  XcpLink& open() {
    link = std::make_unique<XcpLink>(1, options, seconds(100), observer);
    return *link;
  }
  std::string header(const std::string& ns, const std::string& attributes) const {
    return "<?xml version='1.0'?><stream:stream xmlns='" + ns +
           "' xmlns:stream='http://etherx.jabber.org/streams' " + attributes + ">";
  }
  // The id in our header.
  std::string stream_id() const {
    const std::string& out = link->output();
    const size_t at = out.find(" id='") + 5;
    return out.substr(at, out.find('\'', at) - at);
  }
  XcpLink& active() {
    open().on_bytes(header("jabber:component:connect", "from='op-verbatim.node'"));
    link->on_bytes("<handshake>" + handshake_digest(stream_id(), options.secret) + "</handshake>");
    EXPECT_EQ(link->state(), State::kActive);
    link->output().clear();
    return *link;
  }
  static std::string xdb(const std::string& id) {
    return "<xdb id='" + id + "' type='get' from='jsm-1.n' to='op-verbatim.node' ns='" +
           std::string(kEventNamespace) + "'><event xmlns='" + std::string(kEventNamespace) +
           "' name='es_END'/></xdb>";
  }
  bool has(const std::string& text) const { return link->output().find(text) != std::string::npos; }

  Observer observer;
  XcpLinkOptions options;
  std::unique_ptr<XcpLink> link;
};

TEST(Handshake, MatchesTheKnownVector) {
  EXPECT_EQ(handshake_digest("5331A2EC", "verbatim-secret"),
            "a9d847e7b5234847144b3bb1342dc48e2b36112d");
  EXPECT_TRUE(
      is_handshake("a9d847e7b5234847144b3bb1342dc48e2b36112d", "5331A2EC", "verbatim-secret"));
  EXPECT_FALSE(
      is_handshake("a9d847e7b5234847144b3bb1342dc48e2b36112e", "5331A2EC", "verbatim-secret"));
  EXPECT_FALSE(is_handshake("", "5331A2EC", "verbatim-secret"));
}

TEST(Handshake, StreamIdsHave128Bits) {
  EXPECT_EQ(make_stream_id().size(), 32u);
  EXPECT_NE(make_stream_id(), make_stream_id());
}

// conformance: 4
TEST_F(LinkTest, EveryToleratedHeaderBecomesActive) {
  const std::vector<std::pair<std::string, std::string>> headers = {
      {"jabber:component:connect", "from='op-verbatim.node'"},
      {"jabber:component:connect", "to='op-verbatim.node'"},
      {"jabber:component:accept", "to='op-verbatim.node'"},
      {"jabber:component:accept", "to='op-verbatim.node' id='op-verbatim' version='1.0'"},
      {"jabber:client", "to='op-verbatim.node' xml:lang='en-US' version='1.0'"},
      {"jabber:client", "from='op-verbatim.node' to='elsewhere' xmlns:jd='u' jd:realm='jabber'"},
  };
  for (const auto& [ns, attributes] : headers) {
    open().on_bytes(header(ns, attributes));
    EXPECT_EQ(link->state(), State::kConnected) << attributes;
    EXPECT_TRUE(has("xmlns='" + ns + "'")) << attributes;
    EXPECT_EQ(has("<stream:features/>"), attributes.find("version") != std::string::npos);
    const std::string digest = handshake_digest(stream_id(), options.secret);
    link->on_bytes("<handshake id='36'>" + digest + "</handshake>");
    EXPECT_EQ(link->state(), State::kActive) << attributes << link->reason();
    EXPECT_TRUE(has("<handshake/>"));
  }
  EXPECT_EQ(observer.active_count, static_cast<int>(headers.size()));
}

// conformance: 5 6
TEST_F(LinkTest, WrongHandshakesAreRefusedByName) {
  const struct {
    std::string ns, attributes, stanza, condition;
  } cases[] = {
      {"jabber:server", "to='op-verbatim.node'", "", "invalid-namespace"},
      {"jabber:component:accept", "to='OP-verbatim.node'", "", "host-unknown"},
      {"jabber:component:accept", "", "", "host-unknown"},
      {"jabber:component:accept", "to='op-verbatim.node'", "<handshake>00</handshake>",
       "not-authorized"},
      {"jabber:component:accept", "to='op-verbatim.node'", "<handshake/>", "not-authorized"},
      {"jabber:component:accept", "to='op-verbatim.node'", xdb("1"), "not-authorized"},
      {"jabber:component:accept", "to='op-verbatim.node'", "<a><b></a>", "not-well-formed"},
      {"jabber:component:accept", "to='op-verbatim.node'", "<!-- x -->", "restricted-xml"},
      {"jabber:component:accept", "to='op-verbatim.node'", "<a>" + std::string(30000, 'x'),
       "policy-violation"},
  };
  for (const auto& refused : cases) {
    open().on_bytes(header(refused.ns, refused.attributes));
    link->on_bytes(refused.stanza);
    EXPECT_EQ(link->state(), State::kClosed) << refused.condition;
    EXPECT_TRUE(has("<stream:error><" + refused.condition + " ")) << link->output();
    EXPECT_TRUE(has("</stream:stream>"));
  }
  EXPECT_TRUE(observer.ids.empty());
}

TEST_F(LinkTest, NoHandshakeInTimeEndsTheLink) {
  open().on_bytes(header("jabber:component:accept", "to='op-verbatim.node'"));
  link->on_tick(seconds(109));
  EXPECT_EQ(link->state(), State::kConnected);
  link->on_tick(seconds(110));
  EXPECT_EQ(link->state(), State::kClosed);
  EXPECT_TRUE(has("connection-timeout"));
}

TEST_F(LinkTest, ANodeThatWaitsGetsTheDigestWhereThatIsAllowed) {
  options.is_reverse_allowed = true;
  open().on_bytes(header("jabber:component:accept", "to='op-verbatim.node' id='5331A2EC'"));
  link->on_tick(seconds(100) + milliseconds(900));
  EXPECT_FALSE(has("<handshake>"));
  link->on_tick(seconds(102));
  EXPECT_TRUE(has("<handshake>a9d847e7b5234847144b3bb1342dc48e2b36112d</handshake>"));
  link->on_bytes("<handshake/>");
  EXPECT_EQ(link->state(), State::kActive);
}

TEST_F(LinkTest, ANodeThatOnlyClaimsToKnowTheSecretIsRefused) {
  open().on_bytes(header("jabber:component:accept", "to='op-verbatim.node' id='5331A2EC'"));
  link->on_tick(seconds(102));
  EXPECT_FALSE(has("<handshake>"));
  link->on_bytes("<handshake/>");
  EXPECT_EQ(link->state(), State::kClosed);
}

TEST_F(LinkTest, ASecondLinkCanBeRefused) {
  observer.admits = false;
  open().on_bytes(header("jabber:component:accept", "to='op-verbatim.node'"));
  link->on_bytes("<handshake>" + handshake_digest(stream_id(), options.secret) + "</handshake>");
  EXPECT_EQ(link->state(), State::kClosed);
  EXPECT_TRUE(has("<conflict "));
}

TEST_F(LinkTest, RequestsComeInAsReceivedAndKeepAlivesDoNothing) {
  active().on_bytes("  \n" + xdb("1") + "\n " + xdb("2"));
  EXPECT_EQ(observer.ids, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(observer.raws[1], xdb("2"));
  EXPECT_TRUE(link->output().empty());
}

TEST_F(LinkTest, WhatRoutersPushIsIgnoredOrAnsweredEmpty) {
  active().on_bytes(
      "<route type='component-presence' from='jsm-1.r' to='me'><presence/></route>"
      "<presence to='presence@-internal' from='x'/><iq type='result' id='0'/>"
      "<xdb type='result' id='9' ns='urn:x-verbatim:xcp-event:1'/>");
  EXPECT_TRUE(link->output().empty());
  link->on_bytes("<xdb to='config@-internal' ns='config-manager' from='ME' id='n' type='get'/>");
  EXPECT_EQ(link->output(),
            "<xdb type='result' id='n' from='config@-internal' to='ME' ns='config-manager'/>");
  link->output().clear();
  link->on_bytes(
      "<iq type='get' id='d' from='jsm-1.r' to='me'>"
      "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
  EXPECT_EQ(link->output(),
            "<iq type='result' id='d' from='me' to='jsm-1.r'>"
            "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
  link->output().clear();
  link->on_bytes("<iq type='set' id='e' from='a' to='me'><x xmlns='y'/></iq>");
  EXPECT_TRUE(has("<service-unavailable"));
  EXPECT_EQ(link->state(), State::kActive);
}

TEST_F(LinkTest, WithoutRoomRequestsWaitUntilThereIsRoom) {
  observer.room_until = 1;
  active().on_bytes(xdb("1") + xdb("2"));
  EXPECT_EQ(observer.ids.size(), 1u);
  observer.is_full = false;
  observer.room_until = 0;
  link->pump();
  EXPECT_EQ(observer.ids.size(), 2u);
}

TEST_F(LinkTest, ANodeThatClosesIsAnsweredBeforeTheEnd) {
  active().on_bytes(xdb("1") + "</stream:stream>");
  EXPECT_EQ(observer.ids.size(), 1u);
  EXPECT_EQ(link->state(), State::kDraining);
  EXPECT_FALSE(link->wants_input());
  link->send("<answer/>");
  link->finish();
  EXPECT_EQ(link->output(), "<answer/></stream:stream>");
  EXPECT_EQ(link->state(), State::kClosed);
}

TEST_F(LinkTest, ANodeThatDoesNotReadLosesTheLink) {
  options.output_max_bytes = 1000;
  active();
  for (int i = 0; i < 11; ++i) link->send(std::string(100, 'x'));
  EXPECT_EQ(link->state(), State::kClosed);
  EXPECT_TRUE(link->has_failed());
  link->send("late");
  EXPECT_LE(link->output().size(), 1100u);
}

// conformance: 102
TEST_F(LinkTest, AStanzaOverTheLimitEndsTheLink) {
  options.stanza_max_bytes = 20000;
  active();
  for (int i = 0; i < 30 && link->state() == State::kActive; ++i) {
    link->on_bytes(i == 0 ? "<xdb>" : std::string(1000, 'x'));
  }
  EXPECT_EQ(link->state(), State::kClosed);
  EXPECT_TRUE(has("policy-violation"));
}

TEST_F(LinkTest, ComponentPresenceIsSentOnlyWhereAsked) {
  options.send_component_presence = true;
  open().on_bytes(header("jabber:component:accept", "to='op-verbatim.node'"));
  link->on_bytes("<handshake>" + handshake_digest(stream_id(), options.secret) + "</handshake>");
  EXPECT_TRUE(has("<presence to='presence@-internal' from='op-verbatim.node'>"));
}

}  // namespace
}  // namespace verbatim::collector
