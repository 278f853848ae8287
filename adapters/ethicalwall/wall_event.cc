#include "adapters/ethicalwall/wall_event.h"

#include <algorithm>
#include <array>

#include "adapters/rules/address.h"
#include "adapters/rules/stanza.h"

namespace verbatim::wall {
namespace {

constexpr std::array<std::string_view, kKindCount> kNames = {"message", "room", "invite",
                                                             "presence", "file"};

bool has_files(const v1::Event& event) {
  return event.has_file_uploaded() || event.has_file_downloaded() ||
         event.message_posted().files_size() > 0 || event.message_edited().files_size() > 0 ||
         event.invited().files_size() > 0;
}

// To a single occupant of a room.
bool is_private(const v1::Event& event) {
  return event.message_posted().is_private() || event.message_edited().is_private() ||
         event.message_deleted().is_private();
}

// Who takes somebody in, as opposed to who throws somebody out.
bool is_admission(const v1::AffiliationChanged& change) {
  const std::string& now = change.new_affiliation();
  return now == "owner" || now == "admin" || now == "member";
}

// What ends something, or tells what was there, is no communication.
bool is_never_examined(const v1::Event& event) {
  return event.has_login() || event.has_logout() || event.has_left() ||
         event.has_room_destroyed() || event.has_history_read() || event.has_verdict_outcome() ||
         event.has_capture_gap() || event.has_message_delivered() ||
         event.has_file_transfer_failed() ||
         (event.has_affiliation_changed() && !is_admission(event.affiliation_changed()));
}

// An offer of a file between two people, which comes as an <iq/>: the event does not name the
// second.
void read_file_offer(const v1::Event& event, WallEvent& wall) {
  if (!event.has_other() || event.raw().empty()) return;
  const auto stanza = rules::parse_stanza(event.raw());
  if (!stanza || rules::file_offers(*stanza).empty()) return;
  wall.kinds = {Kind::kFile};
  if (event.others().empty()) wall.others = {person_of(stanza->attribute("to"))};
}

// An invitation with words is a message, too: else it would be a way round a rule for messages. The
// reason of one through the room is the room's to tell, and so is what the room itself says of it.
bool has_words(const v1::Event& event) {
  const bool is_room = event.conversation().kind() == v1::CONVERSATION_KIND_ROOM;
  if (is_room &&
      person_of(event.actor()).address == rules::fold_address(event.conversation().address())) {
    return false;
  }
  const v1::Invited& invited = event.invited();
  return !event.original_text().plain().empty() || invited.files_size() > 0 ||
         (invited.is_direct() && !invited.reason().empty());
}

std::vector<Kind> kinds_of(const v1::Event& event) {
  if (is_never_examined(event)) return {};
  std::vector<Kind> kinds;
  const bool is_room = event.conversation().kind() == v1::CONVERSATION_KIND_ROOM;
  if (event.has_invited()) {
    kinds.push_back(Kind::kInvite);
    if (has_words(event)) kinds.push_back(Kind::kMessage);
  } else if (is_room && !is_private(event)) {
    kinds.push_back(Kind::kRoom);
  } else if (event.has_presence_changed()) {
    kinds.push_back(Kind::kPresence);
  } else if (is_room || event.conversation().kind() == v1::CONVERSATION_KIND_DIRECT) {
    kinds.push_back(Kind::kMessage);
  }
  if (event.message_posted().has_invitation()) kinds.push_back(Kind::kInvite);
  if (has_files(event)) kinds.push_back(Kind::kFile);
  return kinds;
}

void add_other(WallEvent& wall, Person other) {
  const bool is_known =
      std::any_of(wall.others.begin(), wall.others.end(),
                  [&](const Person& known) { return known.address == other.address; });
  // What somebody sends to the own other devices concerns nobody else.
  if (is_known || other.address.empty() || other.address == wall.actor.address) return;
  wall.others.push_back(std::move(other));
}

}  // namespace

std::string_view kind_name(Kind kind) { return kNames[static_cast<size_t>(kind)]; }

bool parse_kind(std::string_view name, Kind& kind) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return false;
  kind = static_cast<Kind>(found - kNames.begin());
  return true;
}

WallEvent read_event(const v1::Event& event) {
  WallEvent wall;
  wall.unix_ns = event.accept_time_unix_ns();
  wall.actor = person_of(event.actor());
  if (wall.actor.address.empty()) return wall;
  wall.kinds = kinds_of(event);
  for (const v1::Party& other : event.others()) add_other(wall, person_of(other));
  if (event.conversation().kind() == v1::CONVERSATION_KIND_ROOM) {
    wall.room = rules::fold_address(event.conversation().address());
  } else if (event.has_invited() || event.message_posted().has_invitation()) {
    // Past the room (XEP-0249), which stands beside it.
    wall.room = rules::fold_address(event.references().correlation());
  }
  if (!wall.room.empty()) add_other(wall, person_of(wall.room));
  if (wall.kinds.empty()) read_file_offer(event, wall);
  if (wall.others.empty()) wall.kinds.clear();
  return wall;
}

}  // namespace verbatim::wall
