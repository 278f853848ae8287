#include "collector/ops/conditions.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace verbatim::collector {
namespace {

using Conditions = std::vector<base::AlarmCondition>;

// Full at nine tenths, so that there is time.
bool is_nearly_full(int64_t bytes, int64_t max_bytes) {
  return max_bytes > 0 && bytes >= max_bytes / 10 * 9;
}

bool is_gone(v1::SourceInfo::LinkState state, int64_t since_unix_ns, int64_t now_unix_ns) {
  return state != v1::SourceInfo::LINK_STATE_ACTIVE &&
         now_unix_ns - since_unix_ns >= kLinkGraceMs * 1'000'000;
}

std::string because(const std::string& reason) { return reason.empty() ? "" : ": " + reason; }

// Producers of grpc and zmq come and go as they like; a node's link is meant to be there.
void add_source(const CollectorPicture& picture, const v1::SourceInfo& source, Conditions& all) {
  if (source.protocol() != "xcp") return;
  if (!is_gone(source.state(), source.since_unix_ns(), picture.now_unix_ns)) return;
  const bool is_connected = source.state() == v1::SourceInfo::LINK_STATE_CONNECTED;
  all.push_back(
      {kConnectError, "source " + source.name(),
       std::string(is_connected ? "a node has connected, but not with the right component name and "
                                  "password"
                                : "no chat node is connected, so nothing of it is captured, and it "
                                  "blocks its messages") +
           because(source.reason()) + "; verbatimctl doctor"});
}

// A plugin is one for all nodes; a dialled server has a row for each.
std::string subject_of(const v1::ServerInfo& server) {
  const bool is_link = server.kind() == v1::ComplianceServer::KIND_LINK;
  return "server " + server.server() +
         (is_link && !server.node().empty() ? " for " + server.node() : "");
}

// Of all rows with the subject: "profile wall", "profiles wall, dlp".
std::string profiles_of(const CollectorPicture& picture, const std::string& subject) {
  std::vector<std::string> names;
  for (const auto& row : picture.servers.servers()) {
    if (row.profile().empty() || subject_of(row) != subject) continue;
    if (std::find(names.begin(), names.end(), row.profile()) == names.end()) {
      names.push_back(row.profile());
    }
  }
  std::string text = names.size() > 1 ? "profiles " : "profile ";
  for (const std::string& name : names) text += (&name == &names.front() ? "" : ", ") + name;
  return text;
}

void add_server(const CollectorPicture& picture, const v1::ServerInfo& server, Conditions& all) {
  // One that has no profile is sent nothing, and missed by nobody.
  if (server.profile().empty()) return;
  const std::string subject = subject_of(server);
  // It is there: what it lacks is answers.
  if (server.is_suspended()) {
    all.push_back({"policy-suspended", subject,
                   "it timed out too often in a row; its events are answered with an error at once "
                   "until a probe is answered in time" +
                       because(server.reason())});
    return;
  }
  if (!is_gone(server.state(), server.since_unix_ns(), picture.now_unix_ns)) return;
  all.push_back({kConnectError, subject,
                 "it has " + profiles_of(picture, subject) +
                     " and is not there, so messages, rooms and invitations that await it are "
                     "answered with an error" +
                     because(server.reason()) + "; verbatimctl doctor"});
}

// Nothing is blocked by it, but rules that go by groups do not know people any more.
void add_directory(const CollectorPicture& picture, Conditions& all) {
  const v1::DirectoryInfo& directory = picture.sources.directory();
  if (directory.problem().empty()) return;
  if (picture.now_unix_ns - directory.problem_since_unix_ns() < kLinkGraceMs * 1'000'000) return;
  all.push_back({"directory-failed", "directory",
                 "people are resolved from what is cached, or not at all, and rules that go by "
                 "groups may not match; nothing is blocked for it" +
                     because(directory.problem())});
}

// The node discards such a message (the guide's own words): somebody should have meant it.
void add_discarded(const RoutingTable& routing, Conditions& all) {
  const v1::ComplianceState& state = routing.state();
  for (const auto& profile : state.profiles()) {
    bool is_assigned = false;
    for (const auto& one : state.assignments()) {
      is_assigned = is_assigned || one.profile() == profile.name();
    }
    if (!is_assigned) continue;
    std::string events;
    for (const auto& entry : profile.events()) {
      if (!entry.fire_and_forget() || entry.handling() != v1::ComplianceProfile::HANDLING_BOUNCE) {
        continue;
      }
      events += (events.empty() ? "" : " ") + entry.event() +
                (entry.packet_type().empty() ? "" : ":" + entry.packet_type());
    }
    if (events.empty()) continue;
    all.push_back({"bounce-fire-and-forget", "profile " + profile.name(),
                   "the node discards these events after it has sent them, nothing of them is "
                   "delivered: " +
                       events + "; take pass, or let the node wait (verbatimctl profiles set)"});
  }
}

// One alarm for each name and subject: rows of one server tell the same.
void push_once(Conditions& all, base::AlarmCondition condition) {
  for (const auto& one : all) {
    if (one.name == condition.name && one.subject == condition.subject) return;
  }
  all.push_back(std::move(condition));
}

}  // namespace

std::vector<base::AlarmCondition> conditions_of(const CollectorPicture& picture) {
  Conditions found;
  for (const auto& source : picture.sources.sources()) add_source(picture, source, found);
  for (const auto& server : picture.servers.servers()) add_server(picture, server, found);
  add_discarded(*picture.routing, found);
  add_directory(picture, found);
  if (picture.queue_gone_ms >= kLinkGraceMs) {
    found.push_back({"queue-gone", "queue",
                     "the queue does not answer: awaited events are answered with an error, others "
                     "fill the outbox; does verbatim-queue run?"});
  }
  const v1::OutboxInfo& outbox = picture.sources.outbox();
  if (is_nearly_full(outbox.bytes(), picture.outbox_max_bytes)) {
    found.push_back({"outbox-full", "outbox",
                     std::to_string(outbox.event_count()) +
                         " events wait for the queue; at collector.outbox_max_bytes more are "
                         "dropped, counted and recorded as a gap"});
  }
  if (is_nearly_full(picture.servers.waiting_bytes(), picture.waiting_max_bytes)) {
    found.push_back({"policies-full", "policies",
                     std::to_string(picture.servers.waiting_count()) +
                         " events wait for policies; at collector.policies.waiting_max_bytes more "
                         "are answered with an error"});
  }
  Conditions all;
  for (auto& condition : found) push_once(all, std::move(condition));
  return all;
}

}  // namespace verbatim::collector
