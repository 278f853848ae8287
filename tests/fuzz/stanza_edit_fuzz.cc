// The content filter's rewriting over any bytes: it never crashes, what it makes is one stanza, of
// the same kind, from, to and id, and no text of it has the word in it that was to go.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "adapters/contentfilter/examination.h"
#include "adapters/contentfilter/stanza_text.h"
#include "adapters/rules/stanza.h"
#include "adapters/rules/text_fold.h"
#include "base/check.h"

namespace {

using verbatim::base::XmlElement;
using verbatim::content::CompiledContent;
using verbatim::content::Examination;

const CompiledContent& rules() {
  static const auto compiled = CompiledContent::create(
      "[[rules]]\nname = \"r\"\naction = \"redact\"\nphrases = [\"secret\"]\n"
      "detectors = [\"card_number\", \"iban\"]\n"
      "[[disclaimers]]\nname = \"d\"\ntext = \"<Archived & kept>\"\nonce_per = \"message\"\n",
      "fuzz.toml");
  return **compiled;
}

void check_clean(const XmlElement& stanza) {
  for (const auto& text : verbatim::content::texts_of(stanza)) {
    for (const std::string& form : {text.text, text.spaced_text}) {
      CHECK(rules().find(verbatim::rules::fold(form)).empty(), "nothing that was to go is left");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  verbatim::v1::Event event;
  event.set_raw(std::string(reinterpret_cast<const char*>(data), size));
  event.mutable_message_posted();
  const std::string profile;
  const verbatim::adapters::PolicyQuestion question{event, profile, {}, {}};
  Examination examination(rules(), question, [](const auto&) { return true; });
  const auto answer = examination.answer();
  const auto before = verbatim::rules::parse_stanza(event.raw());
  if (answer.decision == verbatim::v1::DECISION_PASS) {
    if (before) check_clean(*before);
    return 0;
  }
  if (answer.decision != verbatim::v1::DECISION_PASS_CHANGED) return 0;
  const auto after = verbatim::rules::parse_stanza(answer.changed_raw);
  CHECK(before.has_value() && after.has_value(), "a stanza becomes a stanza");
  CHECK(after->is(before->name(), before->ns()), "of the same kind");
  CHECK(after->attributes() == before->attributes(), "from, to, id and all else stay");
  check_clean(*after);
  return 0;
}
