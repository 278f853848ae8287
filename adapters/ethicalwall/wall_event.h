// What an event is to an ethical wall: who acts towards whom, and in which way. Pure functions.
// docs/policy-rules.md has the table of kinds.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "adapters/ethicalwall/participants.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::wall {

enum class Kind : uint8_t { kMessage, kRoom, kInvite, kPresence, kFile };
inline constexpr size_t kKindCount = 5;

std::string_view kind_name(Kind kind);
// False for no such kind.
bool parse_kind(std::string_view name, Kind& kind);

struct WallEvent {
  // Empty: nothing that a wall looks at (a login, a leave, what has no second party).
  std::vector<Kind> kinds;
  Person actor;
  // Whom it concerns, each judged by itself: recipients, the invited, the room.
  std::vector<Person> others;
  // Bare address of the room; empty outside rooms.
  std::string room;
  int64_t unix_ns = 0;
};

WallEvent read_event(const v1::Event& event);

}  // namespace verbatim::wall
