#include "collector/broker/made_event.h"

namespace verbatim::collector {

v1::Event make_gap_event(const GapReport& report) {
  v1::Event event;
  event.mutable_source()->set_name(report.source_name);
  event.mutable_source()->set_protocol(report.source_protocol);
  event.mutable_source()->set_node(report.gap.node());
  event.set_source_time_unix_ns(report.gap.start_unix_ns());
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_SOURCE);
  event.set_phase(v1::PHASE_NOTICE);
  *event.mutable_capture_gap() = report.gap;
  return event;
}

v1::Event make_outcome_event(const v1::Event& about, const std::string& event_id,
                             v1::VerdictOutcome::Outcome outcome, const std::string& detail) {
  v1::Event event;
  *event.mutable_source() = about.source();
  *event.mutable_conversation() = about.conversation();
  *event.mutable_actor() = about.actor();
  *event.mutable_others() = about.others();
  event.mutable_references()->set_event_id(event_id);
  event.set_phase(v1::PHASE_NOTICE);
  event.mutable_verdict_outcome()->set_outcome(outcome);
  event.mutable_verdict_outcome()->set_detail(detail);
  return event;
}

v1::Event outline_of(const v1::Event& event) {
  v1::Event outline;
  *outline.mutable_source() = event.source();
  *outline.mutable_conversation() = event.conversation();
  *outline.mutable_actor() = event.actor();
  *outline.mutable_others() = event.others();
  // A later epoch of its producer tells the roster of a restart.
  if (event.source_key().has_numbered()) {
    *outline.mutable_source_key()->mutable_numbered() = event.source_key().numbered();
  }
  outline.set_id(event.id());
  outline.set_accept_time_unix_ns(event.accept_time_unix_ns());
  outline.mutable_references()->set_message_id(event.references().message_id());
  outline.set_phase(event.phase());
  outline.set_role(event.role());
  if (event.has_joined()) *outline.mutable_joined() = event.joined();
  if (event.has_left()) *outline.mutable_left() = event.left();
  if (event.has_login()) *outline.mutable_login() = event.login();
  if (event.has_logout()) *outline.mutable_logout() = event.logout();
  if (event.has_verdict_outcome()) *outline.mutable_verdict_outcome() = event.verdict_outcome();
  if (event.has_role_changed()) *outline.mutable_role_changed() = event.role_changed();
  if (event.has_nickname_changed()) {
    *outline.mutable_nickname_changed() = event.nickname_changed();
  }
  if (event.has_room_destroyed()) *outline.mutable_room_destroyed() = event.room_destroyed();
  return outline;
}

bool concerns_roster(const v1::Event& event) {
  return event.has_joined() || event.has_left() || event.has_login() || event.has_logout() ||
         event.has_room_destroyed();
}

}  // namespace verbatim::collector
