// What a compliance server that speaks the component link is sent, and what its answers mean
// (docs/xcp-link.md; we are the node). Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/xml_element.h"
#include "collector/policy/policy_question.h"
#include "verbatim/v1/policy.pb.h"

namespace verbatim::collector {

// The event as the node sent it, with the stanza as policies before left it, to `component`.
// `question` 0: a notification.
std::string link_request(const PolicySubject& subject, uint64_t question,
                         const std::string& component);

// The answer to a question of ours; nothing for anything else. What is neither pass, handle nor
// error is a verdict without a decision, which the chain refuses.
std::optional<v1::PolicyVerdict> link_verdict(const base::XmlElement& xdb);

}  // namespace verbatim::collector
