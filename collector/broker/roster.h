// Roster: who is logged in and who is in which room, per source, as far as durable events tell.
//
// A chat node sends a snapshot after each (re)connect; the difference to this knowledge becomes
// synthetic joins, leaves, logins and logouts, which the source submits as events that nobody waits
// for. A producer without snapshots loses everyone it has told of when it restarts; it tells of
// those who are still there anew. On the very first start nothing is known, so everyone present
// joins.
//
// Durable: saved atomically at most once a second and at a clean stop. After a crash it lags behind
// the archive by up to a second, so a snapshot may then repeat a join or a leave; it never hides
// one.
//
// Threads: every method from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/mutex.h"
#include "base/status.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// Someone in a room, as a snapshot reports it. party: address (the real one, full), nickname,
// session, display_name.
struct Occupant {
  v1::Party party;
  std::string role;
  std::string affiliation;
};

class Roster {
 public:
  // Reads `path`; a missing file means that nothing is known. Errors: kDataLoss for a damaged file
  // (the message names it), and those of the file system.
  static Result<std::unique_ptr<Roster>> open(base::FileSystem& file_system,
                                              const std::string& path);
  ~Roster();

  // Takes note of a durable event. Looks only at records that are joins, leaves, logins, logouts
  // and the destruction of a room. The broker calls it.
  void apply(const v1::Event& event);

  // What has changed in a room: Left events of those who are not there any more, then Joined events
  // of those who are new, flagged Synthetic.reason = `reason` ("snapshot"). The events carry
  // conversation, actor, phase and body; the caller sets source. Does not change what is known:
  // that happens when the events are durable.
  std::vector<v1::Event> diff_room(const std::string& source, const v1::Conversation& room,
                                   const std::vector<Occupant>& occupants,
                                   const std::string& reason) const;
  // Left events for everyone in rooms of this source that the snapshot did not name. `present`:
  // addresses as in Conversation.address.
  std::vector<v1::Event> diff_absent_rooms(const std::string& source,
                                           const std::vector<std::string>& present,
                                           const std::string& reason) const;
  // Logout and Login events, each in the person's own conversation; Logout.reason and
  // Login.client say `reason`. sessions: full addresses.
  std::vector<v1::Event> diff_sessions(const std::string& source,
                                       const std::vector<v1::Party>& sessions,
                                       const std::string& reason) const;

  // A numbered producer begins `epoch`. If that is a new one, it has restarted, and whom it had
  // told of is orphaned: Left and Logout events for all of them, flagged "restart".
  std::vector<v1::Event> orphans(const std::string& source, uint64_t epoch) const;

  // Writes what is known, if it has changed. Durable at return.
  Status save();

 private:
  Roster(base::FileSystem& file_system, std::string path);

  struct State;
  base::FileSystem& file_system_;
  const std::string path_;
  mutable base::Mutex mutex_;
  std::unique_ptr<State> state_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::collector
