#include "adapters/contentfilter/examination.h"

#include <algorithm>
#include <utility>

#include "adapters/rules/address.h"
#include "adapters/rules/stanza.h"
#include "adapters/rules/text_fold.h"

namespace verbatim::content {
namespace {

using adapters::PolicyAnswer;
using adapters::PolicyQuestion;

// What common servers take, and the broker as a changed stanza.
constexpr size_t kStanzaMaxBytes = 512 * 1'024 - 1;

bool has_federated(const v1::Event& event) {
  const auto is_federated = [](const v1::Party& party) {
    return party.affinity() == v1::AFFINITY_FEDERATED;
  };
  return is_federated(event.actor()) ||
         std::any_of(event.others().begin(), event.others().end(), is_federated);
}

std::vector<v1::FileReference> files_of(const v1::Event& event) {
  std::vector<v1::FileReference> files;
  const auto& posted = event.message_posted().files();
  const auto& edited = event.message_edited().files();
  files.insert(files.end(), posted.begin(), posted.end());
  const auto& beside_invitation = event.invited().files();
  files.insert(files.end(), edited.begin(), edited.end());
  files.insert(files.end(), beside_invitation.begin(), beside_invitation.end());
  if (event.has_file_uploaded()) files.push_back(event.file_uploaded().file());
  if (event.has_file_downloaded()) files.push_back(event.file_downloaded().file());
  return files;
}

std::string joined(const char* key, const std::set<std::string>& names) {
  if (names.empty()) return {};
  std::string text = key;
  for (const std::string& name : names) text += (text.back() == '=' ? "" : ",") + name;
  return text;
}

std::string address_of(const v1::Party& party) {
  return rules::fold_address(party.normalised().empty() ? party.address() : party.normalised());
}

}  // namespace

Examination::Examination(const CompiledContent& content, const PolicyQuestion& question, Show show)
    : content_(content),
      question_(question),
      event_(question.event),
      show_(std::move(show)),
      is_federated_(has_federated(event_)) {
  stanza_ = event_.raw().empty() ? std::nullopt : rules::parse_stanza(event_.raw());
  if (stanza_) {
    texts_ = texts_of(*stanza_);
  } else {
    // What cannot be read is looked at as it is; it can be blocked, not redacted.
    if (!event_.raw().empty()) texts_.push_back({StanzaText::Kind::kText, 0, event_.raw(), {}});
    if (event_.has_original_text()) {
      texts_.push_back({StanzaText::Kind::kText, 0, event_.original_text().plain(), {}});
    }
  }
}

PolicyAnswer Examination::answer() {
  look_into_texts();
  look_into_files();
  const Rule* encrypted = content_.encrypted_rule();
  const bool is_hidden =
      (stanza_ && is_encrypted(*stanza_)) || event_.message_posted().is_encrypted();
  if (is_hidden && encrypted != nullptr) {
    if (encrypted->action == Action::kNotify) notify(*encrypted);
    if (encrypted->action == Action::kBlock && blocking_ == nullptr) blocking_ = encrypted;
  }
  if (blocking_ != nullptr) return blocked();
  std::string changed;
  if (!is_hidden) add_disclaimers();
  drop_html_beside_changed_body();
  if (!edits_.empty()) changed = edit_stanza(event_.raw(), *stanza_, edits_);
  const bool can_change = question_.is_allowed(v1::DECISION_PASS_CHANGED) ||
                          (!redacting_.empty() && !question_.is_allowed(v1::DECISION_HANDLE));
  if (changed.size() > kStanzaMaxBytes || (!can_change && !changed.empty())) {
    if (redacting_.empty()) {
      changed.clear();  // no room for the disclaimer, or no way
      disclaiming_.clear();
    } else {
      const auto& all = content_.rules();
      block(*std::find_if(all.begin(), all.end(),
                          [this](const Rule& rule) { return redacting_.contains(rule.name); }));
      return blocked();
    }
  }
  PolicyAnswer answer =
      changed.empty() ? PolicyAnswer::pass() : PolicyAnswer::pass_changed(std::move(changed));
  for (const auto* names : {&redacting_, &notified_, &disclaiming_}) {
    if (answer.rule.empty() && !names->empty()) answer.rule = *names->begin();
  }
  answer.reason = reason();
  answer.is_flagged = !notified_.empty();
  return answer;
}

PolicyAnswer Examination::blocked() const {
  rules::Placeholders values = placeholders();
  values["rule"] = blocking_->name;
  PolicyAnswer answer =
      PolicyAnswer::handle(rules::fill_explanation(blocking_->explanation, values));
  answer.rule = blocking_->name;
  answer.reason = reason();
  answer.is_flagged = !notified_.empty();
  return answer;
}

std::string Examination::reason() const {
  const bool is_blocked = blocking_ != nullptr;
  std::string text = is_blocked ? "blocked" : "";
  for (const std::string& part :
       {is_blocked ? std::string() : joined("redacted=", redacting_), joined("notify=", notified_),
        joined("disclaimer=", disclaiming_)}) {
    if (!part.empty()) text += (text.empty() ? "" : " ") + part;
  }
  return text;
}

rules::Placeholders Examination::placeholders() const {
  rules::Placeholders values;
  const bool is_room = event_.conversation().kind() == v1::CONVERSATION_KIND_ROOM;
  values["sender"] = address_of(event_.actor());
  values["room"] = is_room ? rules::fold_address(event_.conversation().address()) : "";
  // Who sits in a room behind which name is not for everybody to learn.
  values["recipient"] = is_room                   ? values["room"]
                        : event_.others().empty() ? ""
                                                  : address_of(event_.others(0));
  return values;
}

void Examination::look_into_texts() {
  for (const StanzaText& text : texts_) look_into(text);
}

void Examination::look_into(const StanzaText& text) {
  const Finding finding = find(text.text);
  const bool is_hit_when_spaced =
      text.kind == StanzaText::Kind::kHtml && find(text.spaced_text).is_redacted;
  if (!finding.is_redacted && !is_hit_when_spaced) return;
  switch (text.kind) {
    case StanzaText::Kind::kText:
    case StanzaText::Kind::kBody:
      return add_edit(StanzaEdit::Kind::kSetText, text.element, finding.redacted);
    case StanzaText::Kind::kHtml:
      return add_edit(StanzaEdit::Kind::kRemove, text.element);
    case StanzaText::Kind::kAttribute:
      return add_edit(StanzaEdit::Kind::kRemoveReason, text.element);
  }
}

Examination::Finding Examination::find(const std::string& text) {
  const rules::FoldedText folded(text);
  std::vector<Match> redacts;
  Finding finding;
  const Rule* first_redact = nullptr;
  for (const Match& match : content_.find(folded.text())) {
    const Rule& rule = content_.rules()[match.rule];
    if (!is_in_scope(rule.is_federated_only)) continue;
    if (rule.action == Action::kBlock || (rule.action == Action::kRedact && !stanza_)) {
      block(rule);
    } else if (rule.action == Action::kNotify) {
      notify(rule);
    } else {
      redacting_.insert(rule.name);
      if (first_redact == nullptr) first_redact = &rule;
      redacts.push_back({match.rule, folded.original_span(match.span)});
    }
  }
  if (redacts.empty()) return finding;
  finding.is_redacted = true;
  finding.redacted = redact(text, redacts);
  // A replacement may have joined what stood apart (I3).
  const rules::FoldedText again(finding.redacted);
  for (const Match& match : content_.find(again.text())) {
    const Rule& rule = content_.rules()[match.rule];
    if (rule.action != Action::kRedact || !is_in_scope(rule.is_federated_only)) continue;
    finding.redacted = first_redact->replacement;
    break;
  }
  return finding;
}

// Spans of the original; what overlaps becomes one replacement, that of the first.
std::string Examination::redact(const std::string& text, const std::vector<Match>& matches) const {
  std::vector<Match> spans = matches;
  std::sort(spans.begin(), spans.end(),
            [](const Match& one, const Match& other) { return one.span.begin < other.span.begin; });
  std::string redacted;
  size_t from = 0;
  for (size_t i = 0; i < spans.size();) {
    const rules::TextSpan first = spans[i].span;
    size_t end = first.end;
    const std::string& replacement = content_.rules()[spans[i].rule].replacement;
    for (++i; i < spans.size() && spans[i].span.begin < end; ++i) {
      end = std::max(end, spans[i].span.end);
    }
    redacted += text.substr(from, first.begin - from) + replacement;
    from = end;
  }
  return redacted + text.substr(from);
}

void Examination::look_into_files() {
  std::vector<v1::FileReference> files = files_of(event_);
  if (stanza_) {
    const auto offers = rules::file_offers(*stanza_);
    files.insert(files.end(), offers.begin(), offers.end());
  }
  for (const v1::FileReference& file : files) {
    for (const Rule& rule : content_.rules()) {
      if (!is_in_scope(rule.is_federated_only) || !CompiledContent::matches_file(rule, file))
        continue;
      rule.action == Action::kNotify ? notify(rule) : block(rule);  // no file can be redacted
    }
  }
}

void Examination::block(const Rule& rule) {
  if (blocking_ == nullptr || &rule < blocking_) blocking_ = &rule;  // both in rules()
}

void Examination::add_edit(StanzaEdit::Kind kind, size_t element, std::string text) {
  const auto found = std::find_if(edits_.begin(), edits_.end(), [element](const StanzaEdit& edit) {
    return edit.element == element;
  });
  if (found == edits_.end()) {
    edits_.push_back({kind, element, std::move(text)});
  } else if (found->kind == StanzaEdit::Kind::kSetText) {
    found->text = std::move(text);
  }
}

void Examination::add_disclaimers() {
  const bool is_post = event_.has_message_posted();
  if (!stanza_ || !(is_post || event_.has_message_edited())) return;
  for (const DisclaimerRule& disclaimer : content_.disclaimers()) {
    if (!is_in_scope(disclaimer.is_federated_only)) continue;
    const std::string text = "\n" + rules::fill_explanation(disclaimer.text, placeholders());
    bool is_asked = false;
    for (const StanzaText& body : texts_) {
      if (body.kind != StanzaText::Kind::kBody) continue;
      const auto edit = std::find_if(edits_.begin(), edits_.end(), [&](const StanzaEdit& one) {
        return one.element == body.element;
      });
      const std::string& now = edit == edits_.end() ? body.text : edit->text;
      // The same post is seen at several places on its way.
      if (now.find(text) != std::string::npos) continue;
      if (!is_asked && disclaimer.is_daily && !(is_post && show_(disclaimer))) break;
      is_asked = true;
      add_edit(StanzaEdit::Kind::kSetText, body.element, now + text);
      disclaiming_.insert(disclaimer.name);
    }
  }
}

void Examination::drop_html_beside_changed_body() {
  const bool is_body_changed =
      std::any_of(texts_.begin(), texts_.end(), [this](const StanzaText& text) {
        return text.kind == StanzaText::Kind::kBody &&
               std::any_of(edits_.begin(), edits_.end(), [&text](const StanzaEdit& edit) {
                 return edit.element == text.element;
               });
      });
  if (!is_body_changed) return;
  for (const StanzaText& text : texts_) {
    if (text.kind == StanzaText::Kind::kHtml) add_edit(StanzaEdit::Kind::kRemove, text.element);
  }
}

}  // namespace verbatim::content
