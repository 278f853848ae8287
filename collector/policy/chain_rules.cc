#include "collector/policy/chain_rules.h"

#include "base/check.h"
#include "base/sha256.h"

namespace verbatim::collector {
namespace {

std::string weight_of(const std::string& server, const std::string& key) {
  return base::sha256(server + '\n' + key);
}

}  // namespace

std::vector<v1::Decision> allowed_decisions(bool is_pass_only, bool may_change) {
  if (is_pass_only) return {v1::DECISION_PASS};
  if (!may_change) return {v1::DECISION_PASS, v1::DECISION_HANDLE};
  return {v1::DECISION_PASS, v1::DECISION_PASS_CHANGED, v1::DECISION_HANDLE};
}

bool is_never_blocked(const v1::Event& event, bool is_pass_only) {
  if (is_pass_only || event.source().raw_event() == "e_AUTH") return true;
  return event.has_login() || event.has_logout() || event.has_left() ||
         event.has_presence_changed();
}

bool is_never_blocked_name(std::string_view event_name, std::string_view packet_type) {
  return event_name == "e_AUTH" || event_name == "e_SESSION" || event_name == "es_END" ||
         event_name == "onLeave" || event_name == "x-snapshot" || packet_type == "presence" ||
         packet_type == "subscription";
}

bool is_over(const v1::Event& event) {
  return event.has_logout() || (event.has_left() && event.phase() == v1::PHASE_CONFIRMED);
}

bool is_discarded(const v1::Event& event, bool is_awaited, bool is_pass_only, const Route& route) {
  return route.is_fire_and_forget && route.handling == v1::ComplianceProfile::HANDLING_BOUNCE &&
         (is_awaited || event.phase() == v1::PHASE_NOTICE) &&
         !is_never_blocked(event, is_pass_only);
}

bool may_wait_for_server(const v1::Event& event) {
  return !event.has_logout() && !event.has_left();
}

AfterError after_error(const v1::Event& event, bool is_pass_only, bool has_happened,
                       v1::Verdict::Cause cause, v1::ComplianceProfile::Handling handling) {
  const bool is_dropped = handling == v1::ComplianceProfile::HANDLING_PASS || has_happened;
  switch (cause) {
    case v1::Verdict::CAUSE_ANSWERED:
      return is_dropped ? AfterError::kGoOn : AfterError::kStop;
    case v1::Verdict::CAUSE_INVALID_REPLY:
      return is_dropped || is_never_blocked(event, is_pass_only) ? AfterError::kGoOn
                                                                 : AfterError::kStop;
    default:
      return is_never_blocked(event, is_pass_only) ? AfterError::kGoOn : AfterError::kStop;
  }
}

const std::string& choose_server(std::span<const std::string> servers, const std::string& key) {
  CHECK(!servers.empty(), "a route has at least one server");
  if (servers.size() == 1) return servers.front();
  const std::string* best = nullptr;
  std::string best_weight;
  for (const std::string& server : servers) {
    std::string weight = weight_of(server, key);
    if (best == nullptr || weight > best_weight) {
      best = &server;
      best_weight = std::move(weight);
    }
  }
  return *best;
}

}  // namespace verbatim::collector
