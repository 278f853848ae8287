// Examination: one event under one rule set of a content filter. What it finds is collected, then
// turned into an answer. Pure but for the disclaimers, which it is told to show or not.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "adapters/contentfilter/content_rules.h"
#include "adapters/contentfilter/stanza_text.h"
#include "adapters/sdk/policy.h"
#include "base/xml_element.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::content {

class Examination {
 public:
  // True where a daily disclaimer is to be shown with this event.
  using Show = std::function<bool(const DisclaimerRule& disclaimer)>;

  // The question stays valid as long as this.
  Examination(const CompiledContent& content, const adapters::PolicyQuestion& question, Show show);

  adapters::PolicyAnswer answer();

 private:
  void look_into_texts();
  void look_into_files();
  void look_into(const StanzaText& text);
  // Rules that match a text, and the text as the redact rules among them leave it.
  struct Finding {
    bool is_redacted = false;
    std::string redacted;
  };
  Finding find(const std::string& text);
  std::string redact(const std::string& text, const std::vector<Match>& matches) const;
  bool is_in_scope(bool is_federated_only) const { return !is_federated_only || is_federated_; }
  void block(const Rule& rule);
  void notify(const Rule& rule) { notified_.insert(rule.name); }
  void add_edit(StanzaEdit::Kind kind, size_t element, std::string text = {});
  void add_disclaimers();
  void drop_html_beside_changed_body();
  adapters::PolicyAnswer blocked() const;
  std::string reason() const;
  rules::Placeholders placeholders() const;

  const CompiledContent& content_;
  const adapters::PolicyQuestion& question_;
  const v1::Event& event_;
  const Show show_;
  const bool is_federated_;
  std::optional<base::XmlElement> stanza_;
  std::vector<StanzaText> texts_;
  std::vector<StanzaEdit> edits_;
  const Rule* blocking_ = nullptr;  // the first in the file
  std::set<std::string> redacting_;
  std::set<std::string> notified_;
  std::set<std::string> disclaiming_;
};

}  // namespace verbatim::content
