#include "admin/collector/event_spec.h"

#include <gtest/gtest.h>

namespace verbatim::admin {
namespace {

TEST(EventSpec, WordsComeInAnyOrderBehindTheName) {
  const auto entry = parse_event_spec("es_OUT:fire-and-forget:pass:message").value();
  EXPECT_EQ(entry.event(), "es_OUT");
  EXPECT_EQ(entry.packet_type(), "message");
  EXPECT_EQ(entry.handling(), v1::ComplianceProfile::HANDLING_PASS);
  EXPECT_TRUE(entry.fire_and_forget());
}

TEST(EventSpec, WhatIsNotSaidIsLeftToTheCollector) {
  const auto entry = parse_event_spec("onBeforeSend").value();
  EXPECT_EQ(entry.event(), "onBeforeSend");
  EXPECT_EQ(entry.packet_type(), "");
  EXPECT_EQ(entry.handling(), v1::ComplianceProfile::HANDLING_UNSPECIFIED);
  EXPECT_FALSE(entry.fire_and_forget());
}

TEST(EventSpec, WhatItGivesItReads) {
  for (const char* text : {"es_OUT:message:bounce", "onLeave:pass",
                           "es_IN:all:pass:fire-and-forget", "e_SESSION:bounce:fire-and-forget"}) {
    EXPECT_EQ(event_spec(parse_event_spec(text).value()), text);
  }
}

TEST(EventSpec, WrongWordsAreRefused) {
  for (const char* text :
       {"", ":message", "es_OUT:", "es_OUT:messages", "es_OUT:message:iq", "es_OUT:pass:bounce",
        "es_OUT:pass:pass", "es_OUT:fire-and-forget:fire-and-forget", "es_OUT:Message"}) {
    EXPECT_EQ(parse_event_spec(text).error().code(), StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace verbatim::admin
