#include "adapters/contentfilter/content_filter.h"

#include <gtest/gtest.h>

#include "adapters/rules/stanza.h"
#include "base/sha256.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::content {
namespace {

using adapters::PolicyAnswer;
using ::verbatim::testing::FaultFileSystem;

std::string rule(const std::string& name, const std::string& action, const std::string& rest) {
  return "[[rules]]\nname = \"" + name + "\"\naction = \"" + action + "\"\n" + rest + "\n";
}
const std::string kRedact = rule("secrets", "redact", "phrases = [\"top secret\"]");
const std::string kDaily = "[[disclaimers]]\nname = \"legal\"\ntext = \"Archived.\"\n";

class ContentFilterTest : public ::testing::Test {
 protected:
  ContentFilterTest() {
    EXPECT_TRUE(disk_.create_directories("/etc").ok());
    event_.set_id("e1");
    event_.set_accept_time_unix_ns(1'767'225'600'000'000'000);  // 2026-01-01
    event_.mutable_actor()->set_normalised("ann@x");
    event_.add_others()->set_normalised("bob@y");
    event_.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_DIRECT);
    event_.mutable_conversation()->set_key("ann@x bob@y");
    event_.mutable_message_posted();
    say("<body>hello</body>");
  }
  void say(const std::string& inside) {
    event_.set_raw("<message xmlns='jabber:client' from='ann@x/1' to='bob@y' id='7'>" + inside +
                   "</message>");
  }
  static std::string message(const std::string& inside) {
    return "<message xmlns='jabber:client' from='ann@x/1' to='bob@y' id='7'>" + inside +
           "</message>";
  }
  void use(const std::string& toml, bool is_dry_run = false) {
    ASSERT_TRUE(base::write_file_atomically(disk_, "/etc/content.toml", toml).ok());
    filter_ = std::make_unique<ContentFilter>(
        disk_, ContentFilterOptions{"/etc/content.toml", "/data", is_dry_run});
    const Status status = filter_->load();
    ASSERT_TRUE(status.ok()) << status.message();
  }
  PolicyAnswer ask(const std::vector<v1::Decision>& allowed = {}) {
    const std::string profile = "p";
    return *filter_->evaluate({event_, profile, allowed, {}});
  }

  FaultFileSystem disk_;
  v1::Event event_;
  std::unique_ptr<ContentFilter> filter_;
};

TEST_F(ContentFilterTest, WhatNoRuleMatchesPasses) {
  use(kRedact);
  const PolicyAnswer answer = ask();
  EXPECT_EQ(answer.decision, v1::DECISION_PASS);
  EXPECT_EQ(answer.rule, "");
  EXPECT_EQ(answer.rule_set_sha256, base::sha256(kRedact));
}

TEST_F(ContentFilterTest, ABlockedMessageIsHandledWithItsExplanation_C036) {
  use(rule("words", "block", "expressions = [\"sec.et\"]\nexplanation = \"{sender}: {rule}\""));
  say("<body>a SECRET</body>");
  const PolicyAnswer answer = ask();
  EXPECT_EQ(answer.decision, v1::DECISION_HANDLE);
  EXPECT_EQ(answer.rule, "words");
  EXPECT_EQ(answer.text_for_sender, "ann@x: words");
  EXPECT_EQ(answer.reason.find("SECRET"), std::string::npos);
}

TEST_F(ContentFilterTest, ARedactedMessagePassesWithoutTheWords_C048) {
  use(kRedact);
  say("<body>the Top Secret plan &amp; the top-secret one</body><active xmlns='urn:a'  />");
  const PolicyAnswer answer = ask();
  EXPECT_EQ(answer.decision, v1::DECISION_PASS_CHANGED);
  EXPECT_EQ(answer.changed_raw, message("<body>the [removed] plan &amp; the [removed] one</body>"
                                        "<active xmlns='urn:a'  />"));
  EXPECT_EQ(answer.rule, "secrets");
  EXPECT_EQ(answer.reason, "redacted=secrets");
}

TEST_F(ContentFilterTest, FoldingFindsWhatPeopleReadAndRemovesWhatStoodThere) {
  use(kRedact);
  say("<body>\xC3\x84 T\xE2\x80\x8BOP \xEF\xBC\xB3"
      "ecret \xC3\x96</body>");
  EXPECT_EQ(ask().changed_raw, message("<body>\xC3\x84 [removed] \xC3\x96</body>"));
}

TEST_F(ContentFilterTest, NoOtherPartOfTheStanzaLeaks) {
  use(kRedact);
  const std::string html =
      "<html xmlns='http://jabber.org/protocol/xhtml-im'>"
      "<body xmlns='http://www.w3.org/1999/xhtml'>";
  say("<body>a top secret</body>" + html + "a harmless one</body></html>");
  EXPECT_EQ(ask().changed_raw, message("<body>a [removed]</body>"));
  say("<body>harmless</body>" + html + "t<b>op</b> <i>secr</i>et</body></html>");
  EXPECT_EQ(ask().changed_raw, message("<body>harmless</body>"));
  say("<body>harmless</body>" + html + "<p>top</p><p>secret</p></body></html>");
  EXPECT_EQ(ask().changed_raw, message("<body>harmless</body>"));
  say("<subject>top secret</subject><x xmlns='urn:new'>top secret</x>"
      "<body>top secret</body><body xml:lang='de'>top secret</body>");
  EXPECT_EQ(ask().changed_raw,
            message("<subject>[removed]</subject><x xmlns='urn:new'>[removed]</x>"
                    "<body>[removed]</body><body xml:lang='de'>[removed]</body>"));
  say("<x xmlns='jabber:x:conference' jid='r@m' reason='top secret'/>");
  EXPECT_EQ(ask().changed_raw.find("secret"), std::string::npos);
  say("<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>top secret</body>"
      "</message></forwarded>");
  EXPECT_EQ(ask().changed_raw.find("secret"), std::string::npos);
  say("<body>top <![CDATA[secret]]></body>");
  EXPECT_EQ(ask().changed_raw, message("<body>[removed]</body>"));
  say("<body>to&#112; s&#x65;cret</body>");
  EXPECT_EQ(ask().changed_raw, message("<body>[removed]</body>"));
}

TEST_F(ContentFilterTest, BlockWinsOverRedactAndTheFirstRuleIsNamed) {
  use(kRedact + rule("one", "block", "phrases = [\"plan\"]") +
      rule("two", "block", "phrases = [\"secret\"]"));
  say("<body>top secret plan</body>");
  const PolicyAnswer answer = ask();
  EXPECT_EQ(answer.decision, v1::DECISION_HANDLE);
  EXPECT_EQ(answer.rule, "one");
  EXPECT_EQ(answer.reason, "blocked");
}

TEST_F(ContentFilterTest, WhatIsOnlyNotedPassesAndIsFlagged) {
  use(rule("n", "notify", "detectors = [\"card_number\"]"));
  say("<body>4111 1111 1111 1111</body>");
  const PolicyAnswer answer = ask();
  EXPECT_EQ(answer.decision, v1::DECISION_PASS);
  EXPECT_TRUE(answer.is_flagged);
  EXPECT_EQ(answer.rule, "n");
  EXPECT_EQ(answer.reason, "notify=n");
}

TEST_F(ContentFilterTest, CardAndAccountNumbersAreRedacted) {
  use(rule("numbers", "redact", "detectors = [\"card_number\", \"iban\"]\nreplacement = \"#\""));
  say("<body>4111 1111 1111 1111, 4111 1111 1111 1112, DE89 3704 0044 0532 0130 00</body>");
  EXPECT_EQ(ask().changed_raw, message("<body>#, 4111 1111 1111 1112, #</body>"));
}

TEST_F(ContentFilterTest, OverlappingMatchesBecomeOneReplacement) {
  use(rule("a", "redact", "phrases = [\"one two\"]\nreplacement = \"A\"") +
      rule("b", "redact", "phrases = [\"two three\"]\nreplacement = \"B\""));
  say("<body>one two three</body>");
  EXPECT_EQ(ask().changed_raw, message("<body>A</body>"));
}

// What the replacement joins must not be what was to go.
TEST_F(ContentFilterTest, ATextInWhichARuleStillMatchesBecomesTheReplacementAlone) {
  use(rule("a", "redact", "expressions = [\"ab\"]\nreplacement = \"-\"") +
      rule("b", "redact", "expressions = [\"x-y\"]"));
  say("<body>x ab y xaby</body>");
  EXPECT_EQ(ask().changed_raw, message("<body>-</body>"));
}

TEST_F(ContentFilterTest, FilesAreBlockedAndNeverRedacted) {
  use(rule("exe", "redact", "file_names = [\"*.exe\"]"));
  event_.mutable_message_posted()->add_files()->set_name("Setup.EXE");
  EXPECT_EQ(ask().decision, v1::DECISION_HANDLE);
  event_.mutable_message_posted()->mutable_files(0)->set_name("a.txt");
  EXPECT_EQ(ask().decision, v1::DECISION_PASS);
  event_.mutable_invited()->add_files()->set_name("x.exe");
  EXPECT_EQ(ask().decision, v1::DECISION_HANDLE);
  event_.mutable_other();
  event_.set_raw(
      "<iq xmlns='jabber:client' type='set' to='b@y'><si xmlns='http://jabber.org/"
      "protocol/si'><file xmlns='http://jabber.org/protocol/si/profile/file-transfer' "
      "name='a.exe' size='9'/></si></iq>");
  EXPECT_EQ(ask().decision, v1::DECISION_HANDLE);
}

TEST_F(ContentFilterTest, EncryptedMessagesCanBeRefusedOrNoted) {
  const std::string eme = "<body>fallback</body><encryption xmlns='urn:xmpp:eme:0' namespace='o'/>";
  use("encrypted = \"block\"\n");
  EXPECT_EQ(ask().decision, v1::DECISION_PASS);
  say(eme);
  EXPECT_EQ(ask().decision, v1::DECISION_HANDLE);
  EXPECT_EQ(ask().rule, "(encrypted)");
  use("encrypted = \"notify\"\n" + kDaily);
  EXPECT_EQ(ask().decision, v1::DECISION_PASS);
  EXPECT_TRUE(ask().is_flagged);
  use("");
  EXPECT_FALSE(ask().is_flagged);
}

TEST_F(ContentFilterTest, RulesForFederatedEventsLookAtWhoTakesPart) {
  use(rule("f", "block", "phrases = [\"hello\"]\nscope = \"federated\""));
  EXPECT_EQ(ask().decision, v1::DECISION_PASS);
  event_.mutable_others(0)->set_affinity(v1::AFFINITY_FEDERATED);
  EXPECT_EQ(ask().decision, v1::DECISION_HANDLE);
}

TEST_F(ContentFilterTest, WhatCannotBeRedactedIsBlockedAndADisclaimerIsLeftOut) {
  const std::vector<v1::Decision> stop = {v1::DECISION_PASS, v1::DECISION_HANDLE};
  use(kRedact + kDaily + "once_per = \"message\"\n");
  EXPECT_EQ(ask(stop).decision, v1::DECISION_PASS);
  say("<body>top secret</body>");
  EXPECT_EQ(ask(stop).decision, v1::DECISION_HANDLE);
  EXPECT_EQ(ask(stop).rule, "secrets");
  // What has happened: the SDK makes a flagged PASS of it.
  EXPECT_EQ(ask({v1::DECISION_PASS}).decision, v1::DECISION_PASS_CHANGED);
}

TEST_F(ContentFilterTest, WhatAPictureOrALinkSaysInXhtmlIsFound) {
  use(kRedact);
  for (const char* inside : {"<img alt='top secret'/>", "<a title='top secret'>x</a>",
                             "<a href='https://x/?q=top secret'>x</a>"}) {
    say("<body>hello</body><html xmlns='http://jabber.org/protocol/xhtml-im'>"
        "<body xmlns='http://www.w3.org/1999/xhtml'>" +
        std::string(inside) + "</body></html>");
    EXPECT_EQ(ask().changed_raw, message("<body>hello</body>")) << inside;
  }
}

TEST_F(ContentFilterTest, ADisclaimerIsShownOnceADayAcrossRestarts) {
  use(kDaily);
  PolicyAnswer answer = ask();
  EXPECT_EQ(answer.decision, v1::DECISION_PASS_CHANGED);
  EXPECT_EQ(answer.changed_raw, message("<body>hello\nArchived.</body>"));
  EXPECT_EQ(answer.reason, "disclaimer=legal");
  EXPECT_EQ(ask().changed_raw, answer.changed_raw);  // asked again for the same event
  use(kDaily);
  event_.set_id("e2");
  EXPECT_EQ(ask().decision, v1::DECISION_PASS);
  event_.set_accept_time_unix_ns(event_.accept_time_unix_ns() + 86'400'000'000'000);
  EXPECT_EQ(ask().decision, v1::DECISION_PASS_CHANGED);
}

// The same post is seen again on its way: es_OUT, onBeforeSend, es_IN.
TEST_F(ContentFilterTest, ADisclaimerIsNotPutBelowItself) {
  use(kDaily + "once_per = \"message\"\n");
  event_.set_raw(ask().changed_raw);
  event_.set_id("e2");
  EXPECT_EQ(ask().decision, v1::DECISION_PASS);
  say("<body>next</body>");
  EXPECT_EQ(ask().changed_raw, message("<body>next\nArchived.</body>"));
}

TEST_F(ContentFilterTest, WhatCannotBeChangedUsesNoDisclaimerUp) {
  use(kDaily);
  EXPECT_EQ(ask({v1::DECISION_PASS}).decision, v1::DECISION_PASS);
  EXPECT_EQ(ask().decision, v1::DECISION_PASS_CHANGED);
}

TEST_F(ContentFilterTest, ADryRunSaysWhatItWouldHaveDone) {
  use(kRedact, true);
  say("<body>top secret</body>");
  const PolicyAnswer answer = ask();
  EXPECT_EQ(answer.decision, v1::DECISION_PASS);
  EXPECT_EQ(answer.dry_run_decision, v1::DECISION_PASS_CHANGED);
  EXPECT_TRUE(answer.changed_raw.empty());
}

// What cannot be read is not let through because of it.
TEST_F(ContentFilterTest, AStanzaThatCannotBeReadIsLookedAtAsItIs) {
  use(kRedact);
  for (const char* raw : {"<message><body>top secret", "top secret", "<m/>top secret",
                          "<!DOCTYPE m><m>top secret</m>"}) {
    event_.set_raw(raw);
    EXPECT_EQ(ask().decision, v1::DECISION_HANDLE) << raw;
  }
  event_.clear_raw();
  event_.mutable_original_text()->set_plain("top secret");
  EXPECT_EQ(ask().decision, v1::DECISION_HANDLE);
}

TEST_F(ContentFilterTest, AStanzaThatWouldBecomeTooLargeIsBlocked) {
  use(rule("r", "redact", "phrases = [\"a\"]\nreplacement = \"" + std::string(100, 'x') + "\""));
  std::string body;
  for (int i = 0; i < 10'000; ++i) body += "a ";
  say("<body>" + body + "</body>");
  EXPECT_EQ(ask().decision, v1::DECISION_HANDLE);
}

}  // namespace
}  // namespace verbatim::content
