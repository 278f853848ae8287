#include "collector/sources/xcp/codec/snapshot.h"

#include <charconv>
#include <iterator>

#include "collector/sources/xcp/codec/verbatim_codec.h"

namespace verbatim::collector {
namespace {

using base::XmlElement;

// Absent: 1. Gives 0 for what is no number.
uint32_t parse_part(const XmlElement& element, std::string_view name) {
  if (!element.has_attribute(name)) return 1;
  const std::string text = element.attribute(name);
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : 0;
}

std::string session_of(const std::string& address) {
  const size_t slash = address.find('/');
  return slash == std::string::npos ? std::string() : address.substr(slash + 1);
}

v1::Party read_party(const XmlElement& element) {
  v1::Party party;
  party.set_address(element.attribute("jid"));
  party.set_session(session_of(party.address()));
  party.set_nickname(element.attribute("nick"));
  return party;
}

void read_room(const XmlElement& room, SnapshotPart& part) {
  part.kind = SnapshotPart::Kind::kRoom;
  part.room.set_kind(v1::CONVERSATION_KIND_ROOM);
  part.room.set_address(room.attribute("jid"));
  part.room.set_name(room.attribute("name"));
  for (const XmlElement* occupant : room.children("occupant", kEventNamespace)) {
    part.occupants.push_back({.party = read_party(*occupant),
                              .role = occupant->attribute("role"),
                              .affiliation = occupant->attribute("affiliation")});
  }
}

bool is_complete(const SnapshotPart& part) {
  for (const Occupant& occupant : part.occupants) {
    if (occupant.party.address().empty()) return false;
  }
  for (const v1::Party& session : part.sessions) {
    if (session.address().empty()) return false;
  }
  return part.part >= 1 && part.part <= part.parts &&
         (part.kind != SnapshotPart::Kind::kRoom || !part.room.address().empty());
}

}  // namespace

std::optional<SnapshotPart> read_snapshot(const XmlElement& event, std::string& reason) {
  const XmlElement* child = event.first_child();
  reason = "a snapshot without a known part";
  if (child == nullptr || child->ns() != kEventNamespace) return std::nullopt;
  SnapshotPart part;
  part.part = parse_part(*child, "part");
  part.parts = parse_part(*child, "parts");
  if (child->name() == "room") {
    read_room(*child, part);
  } else if (child->name() == "sessions") {
    part.kind = SnapshotPart::Kind::kSessions;
    for (const XmlElement* session : child->children("session", kEventNamespace)) {
      part.sessions.push_back(read_party(*session));
    }
  } else if (child->name() != "end") {
    return std::nullopt;
  }
  if (!is_complete(part)) return std::nullopt;
  return part;
}

std::optional<SnapshotPart> SnapshotAssembler::add(SnapshotPart part, std::string& reason) {
  reason.clear();
  if (part.kind == SnapshotPart::Kind::kEnd) return part;
  people_count_ += part.occupants.size() + part.sessions.size() + 1;
  if (people_count_ > kPeopleMaxCount) {
    reason = "snapshot too large";
    return std::nullopt;
  }
  const std::string key = part.room.address();
  const auto found = open_.find(key);
  const uint32_t expected = found == open_.end() ? 1 : found->second.part + 1;
  if (part.part == 1 && found != open_.end()) open_.erase(found);  // the node began anew
  if (part.part != expected && part.part != 1) {
    reason = "snapshot parts out of order";
    return std::nullopt;
  }
  SnapshotPart& whole = open_.try_emplace(key, SnapshotPart{}).first->second;
  whole.kind = part.kind;
  whole.room = part.room;
  whole.part = part.part;
  std::move(part.occupants.begin(), part.occupants.end(), std::back_inserter(whole.occupants));
  std::move(part.sessions.begin(), part.sessions.end(), std::back_inserter(whole.sessions));
  if (part.part < part.parts) return std::nullopt;
  SnapshotPart done = std::move(whole);
  open_.erase(key);
  if (done.kind == SnapshotPart::Kind::kRoom) rooms_.push_back(key);
  return done;
}

}  // namespace verbatim::collector
