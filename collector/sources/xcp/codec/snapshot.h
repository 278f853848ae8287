// Snapshot: what a node says is there after each (re)connect, in parts (docs/xcp-link.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/xml_element.h"
#include "collector/broker/roster.h"
#include "collector/sources/xcp/codec/event_codec.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// Takes <event name='x-snapshot'>. Gives nothing, with `reason`, for what is none.
std::optional<SnapshotPart> read_snapshot(const base::XmlElement& event, std::string& reason);

// Puts the parts of one link's snapshot together.
//
// I1 It holds at most kPeopleMaxCount people and rooms; beyond that parts are refused.
// Threads: one.
class SnapshotAssembler {
 public:
  static constexpr size_t kPeopleMaxCount = 200'000;

  // Nothing: more parts must come (`reason` empty), or the part is refused (`reason` says why).
  // Else the whole: all sessions, all occupants of a room, or, at the end, nothing but kEnd.
  std::optional<SnapshotPart> add(SnapshotPart part, std::string& reason);

  // Addresses of the rooms completed so far.
  const std::vector<std::string>& rooms() const { return rooms_; }

 private:
  // By room address; "" for the sessions.
  std::map<std::string, SnapshotPart> open_;
  std::vector<std::string> rooms_;
  size_t people_count_ = 0;
};

}  // namespace verbatim::collector
