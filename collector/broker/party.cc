#include "collector/broker/party.h"

#include "collector/broker/jid.h"

namespace verbatim::collector {

std::string normalise_party(v1::Party& party, const v1::Conversation& conversation) {
  if (party.address().empty()) return {};
  const Jid jid = parse_jid(party.address());
  const bool is_occupant = conversation.kind() == v1::CONVERSATION_KIND_ROOM &&
                           !jid.resource.empty() &&
                           jid.bare() == parse_jid(conversation.address()).bare();
  if (is_occupant) {
    party.set_normalised(jid.full());
    if (party.nickname().empty()) party.set_nickname(jid.resource);
    return {};
  }
  party.set_normalised(jid.bare());
  if (party.session().empty()) party.set_session(jid.resource);
  return jid.domain;
}

const v1::Party& participant_of(const v1::Event& event) {
  const bool is_participation = event.has_joined() || event.has_left();
  return is_participation && event.others_size() > 0 ? event.others(0) : event.actor();
}

}  // namespace verbatim::collector
