#include "collector/policy/link/link_codec.h"

#include <charconv>
#include <string_view>

#include "collector/sources/xcp/codec/stanza_change.h"
#include "collector/sources/xcp/codec/verbatim_codec.h"
#include "collector/sources/xcp/codec/xdb.h"

namespace verbatim::collector {
namespace {

// The payload of the event as received, with the changed stanza in the place of its own.
std::string payload_of(const PolicySubject& subject) {
  const std::string& raw = subject.event->raw();
  const std::string_view payload = xdb_payload(raw);
  const std::string_view stanza = stanza_within(raw);
  if (subject.changed_raw.empty() || stanza.empty()) return std::string(payload);
  const auto at = static_cast<size_t>(stanza.data() - payload.data());
  std::string changed(payload.substr(0, at));
  changed += subject.changed_raw;
  changed += payload.substr(at + stanza.size());
  return changed;
}

void read_pass(const base::XmlElement& pass, v1::PolicyVerdict& verdict) {
  const base::XmlElement* const stanza = pass.first_child();
  verdict.set_decision(stanza == nullptr ? v1::DECISION_PASS : v1::DECISION_PASS_CHANGED);
  if (stanza != nullptr) verdict.set_changed_raw(stanza->to_xml());
}

}  // namespace

std::string link_request(const PolicySubject& subject, uint64_t question,
                         const std::string& component) {
  const std::string id = question == 0 ? "notice" : "q" + std::to_string(question);
  std::string xml = "<xdb id='" + id + "' type='" + (question == 0 ? "set" : "get") + "' from='";
  xml += base::escape_xml(subject.event->source_key().link().from(), true);
  xml += "' to='" + base::escape_xml(component, true) + "' ns='";
  xml += kEventNamespace;
  xml += "'>" + payload_of(subject) + "</xdb>";
  return xml;
}

std::optional<v1::PolicyVerdict> link_verdict(const base::XmlElement& xdb) {
  const std::string id = xdb.attribute("id");
  uint64_t question = 0;
  const auto [end, error] =
      std::from_chars(id.data() + (id.empty() ? 0 : 1), id.data() + id.size(), question);
  if (!id.starts_with('q') || error != std::errc() || end != id.data() + id.size()) return {};
  v1::PolicyVerdict verdict;
  verdict.set_question(question);
  const std::string type = xdb.attribute("type");
  const base::XmlElement* const pass = xdb.child("pass", kEventNamespace);
  const base::XmlElement* const handle = xdb.child("handle", kEventNamespace);
  if (type == "error") {
    verdict.set_decision(v1::DECISION_ERROR);
    const base::XmlElement* const word = xdb.first_child();
    if (word != nullptr) verdict.set_text_for_sender(word->text());
  } else if (type == "result" && pass != nullptr) {
    read_pass(*pass, verdict);
  } else if (type == "result" && handle != nullptr) {
    verdict.set_decision(v1::DECISION_HANDLE);
    verdict.set_text_for_sender(handle->text());
  }
  return verdict;
}

}  // namespace verbatim::collector
