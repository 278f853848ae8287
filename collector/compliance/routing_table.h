// RoutingTable: which compliance servers are asked about an event, in which order. Immutable, made
// from one ComplianceState; a change of the state makes a new table, and whoever holds the old one
// finishes with it. So every event is decided by one whole state.
//
// I1 At most one entry of a profile matches an event, so a profile gives at most one route.
// I2 Routes stand in routing priority: the order of the profiles in the state.
// I3 A profile that is assigned to no server on the node gives no route.
//
// "all", and "" of a JSM event without a stanza, match every packet type. A profile that has all
// four types of an event matches what "all" would match: a type that none of them names is then
// bounced or awaited as soon as one of the four is.
//
// Threads: any.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::collector {

struct Route {
  std::string profile;
  // What becomes of an error of the server; never unspecified.
  v1::ComplianceProfile::Handling handling = v1::ComplianceProfile::HANDLING_BOUNCE;
  // The servers are told, and nobody waits for them.
  bool is_fire_and_forget = false;
  // Those with the profile on this node (cluster-wide: on any), sorted by name, each once.
  std::vector<std::string> servers;
};

class RoutingTable {
 public:
  // Errors: kInvalidArgument with what is wrong: an entry that the guide's rules forbid, one name
  // twice, an assignment of a server or profile that is not there.
  static Result<std::shared_ptr<const RoutingTable>> create(v1::ComplianceState state);

  // `node`: as the chat node names itself; decides nothing in cluster-wide mode. `packet_type` is
  // ignored for TC events. In routing priority; empty: no policy is asked.
  std::vector<Route> routes(std::string_view node, std::string_view event_name,
                            std::string_view packet_type) const;
  // True for a name that the guide does not have, where anybody on the node is waited for: nobody
  // can have chosen that such an event passes.
  bool awaits_unnamed(std::string_view node, std::string_view event_name) const;
  // As given, but for handlings that were not specified: they have their default.
  const v1::ComplianceState& state() const { return state_; }

 private:
  struct Entry {
    int profile = 0;  // place in the state
    std::string packet_type;
    v1::ComplianceProfile::Handling handling = v1::ComplianceProfile::HANDLING_BOUNCE;
    bool is_fire_and_forget = false;
  };

  explicit RoutingTable(v1::ComplianceState state);
  void add_profile(int place);
  std::vector<std::string> servers_of(int profile, std::string_view node) const;

  v1::ComplianceState state_;
  // By event name, ascending in profile.
  std::map<std::string, std::vector<Entry>, std::less<>> entries_;
  // By profile: the assignments' places in the state.
  std::vector<std::vector<int>> assignments_;
};

// Whoever has the table in force.
class ComplianceSource {
 public:
  virtual ~ComplianceSource() = default;
  // Any thread; never null.
  virtual std::shared_ptr<const RoutingTable> routing() const = 0;
};

}  // namespace verbatim::collector
