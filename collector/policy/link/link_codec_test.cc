#include "collector/policy/link/link_codec.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "collector/sources/xcp/codec/test_xml.h"

namespace verbatim::collector {
namespace {

constexpr const char* kNs = "urn:x-verbatim:xcp-event:1";

PolicySubject subject() {
  auto event = std::make_shared<v1::Event>();
  event->set_raw(std::string("<xdb id='eb-1' type='get' from='jsm-1.n' to='op-us' ns='") + kNs +
                 "'><event xmlns='" + kNs +
                 "' name='es_OUT'><message xmlns='jabber:client' id='m'><body>hello</body>"
                 "</message></event></xdb>");
  event->mutable_source_key()->mutable_link()->set_from("jsm-1.n");
  PolicySubject subject;
  subject.event = std::move(event);
  return subject;
}

std::optional<v1::PolicyVerdict> verdict(const std::string& attributes,
                                         const std::string& content) {
  return link_verdict(
      parse_xml("<xdb xmlns='jabber:client' " + attributes + ">" + content + "</xdb>"));
}

TEST(LinkCodec, AQuestionIsTheNodesOwnEventUnderAnIdOfOurs) {
  EXPECT_EQ(link_request(subject(), 17, "op-them"),
            std::string("<xdb id='q17' type='get' from='jsm-1.n' to='op-them' ns='") + kNs +
                "'><event xmlns='" + kNs +
                "' name='es_OUT'><message xmlns='jabber:client' id='m'><body>hello</body>"
                "</message></event></xdb>");
}

TEST(LinkCodec, TheStanzaIsAsThePoliciesBeforeLeftIt_C072) {
  PolicySubject changed = subject();
  changed.changed_raw = "<message xmlns='jabber:client' id='m'><body>h***o</body></message>";
  const std::string request = link_request(changed, 1, "op-them");
  EXPECT_NE(request.find("'es_OUT'>" + changed.changed_raw + "</event></xdb>"), std::string::npos);
  EXPECT_EQ(request.find("hello"), std::string::npos);
}

TEST(LinkCodec, ANoticeAsksForNoAnswer_C040) {
  EXPECT_NE(link_request(subject(), 0, "op-them").find("type='set'"), std::string::npos);
}

TEST(LinkCodec, TheFourAnswersAreUnderstood_C035_C036_C037_C038) {
  const std::string pass = std::string("<pass xmlns='") + kNs + "'";
  EXPECT_EQ(verdict("id='q17' type='result'", pass + "/>")->question(), 17u);
  EXPECT_EQ(verdict("id='q17' type='result'", pass + "/>")->decision(), v1::DECISION_PASS);
  const auto changed =
      verdict("id='q17' type='result'", pass + "><message xmlns='jabber:client' id='m'/></pass>");
  EXPECT_EQ(changed->decision(), v1::DECISION_PASS_CHANGED);
  EXPECT_EQ(changed->changed_raw(), "<message xmlns='jabber:client' id='m'/>");
  EXPECT_EQ(
      verdict("id='q17' type='result'", std::string("<handle xmlns='") + kNs + "'/>")->decision(),
      v1::DECISION_HANDLE);
  const auto error = verdict("id='q17' type='error'", "<error code='500'>not now</error>");
  EXPECT_EQ(error->decision(), v1::DECISION_ERROR);
  EXPECT_EQ(error->text_for_sender(), "not now");
}

TEST(LinkCodec, WhatIsNoneOfThemIsAVerdictWithoutADecision) {
  EXPECT_EQ(verdict("id='q17' type='result'", "<pass xmlns='other'/>")->decision(),
            v1::DECISION_UNSPECIFIED);
  EXPECT_EQ(verdict("id='q17' type='result'", "")->decision(), v1::DECISION_UNSPECIFIED);
}

TEST(LinkCodec, WhatIsNoAnswerOfOursIsPassedOver) {
  for (const char* const id : {"", "q", "17", "q17x", "x17", "q-1"}) {
    EXPECT_FALSE(verdict(std::string("type='result' id='") + id + "'", "").has_value()) << id;
  }
}

}  // namespace
}  // namespace verbatim::collector
