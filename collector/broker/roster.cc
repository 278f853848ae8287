#include "collector/broker/roster.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/crc32c.h"
#include "base/endian.h"
#include "collector/broker/jid.h"
#include "collector/broker/party.h"
#include "verbatim/v1/collector_state.pb.h"

namespace verbatim::collector {
namespace {

constexpr std::string_view kMagic = "VBROSTER";
constexpr int kVersion = 1;

// A person is in a room once for each session and nickname.
std::string key_of(const v1::Party& party) {
  return party.normalised() + "\n" + party.session() + "\n" + party.nickname();
}

v1::Party normalised(v1::Party party, const v1::Conversation& conversation) {
  normalise_party(party, conversation);
  return party;
}

std::string room_key_of(const v1::Conversation& conversation) {
  return parse_jid(conversation.address()).bare();
}

v1::Event make_event(v1::Conversation conversation, const v1::Party& actor) {
  v1::Event event;
  *event.mutable_conversation() = std::move(conversation);
  *event.mutable_actor() = actor;
  event.set_phase(v1::PHASE_CONFIRMED);
  return event;
}

v1::Event make_left(const v1::Conversation& room, const v1::Party& party,
                    const std::string& reason) {
  v1::Event event = make_event(room, party);
  event.mutable_left()->mutable_synthetic()->set_reason(reason);
  return event;
}

v1::Conversation person() {
  v1::Conversation conversation;
  conversation.set_kind(v1::CONVERSATION_KIND_PERSON);
  return conversation;
}

}  // namespace

struct Roster::State {
  using People = std::map<std::string, v1::Party>;
  struct Room {
    v1::Conversation conversation;
    People occupants;
  };
  struct Source {
    People sessions;
    std::map<std::string, Room> rooms;  // by normalised address
    uint64_t epoch = 0;
  };

  std::map<std::string, Source> sources;
  bool is_changed = false;

  const Room* find_room(const std::string& source, const std::string& key) const {
    const auto found = sources.find(source);
    if (found == sources.end()) return nullptr;
    const auto room = found->second.rooms.find(key);
    return room == found->second.rooms.end() ? nullptr : &room->second;
  }

  v1::RosterState to_proto() const;
  void from_proto(const v1::RosterState& proto);
};

v1::RosterState Roster::State::to_proto() const {
  v1::RosterState proto;
  proto.set_version(kVersion);
  for (const auto& [name, source] : sources) {
    v1::RosterSource& row = *proto.add_sources();
    row.set_source(name);
    row.set_epoch(source.epoch);
    for (const auto& [key, party] : source.sessions) *row.add_sessions() = party;
    for (const auto& [key, room] : source.rooms) {
      v1::RosterRoom& room_row = *row.add_rooms();
      *room_row.mutable_conversation() = room.conversation;
      for (const auto& [occupant, party] : room.occupants) *room_row.add_occupants() = party;
    }
  }
  return proto;
}

void Roster::State::from_proto(const v1::RosterState& proto) {
  for (const auto& row : proto.sources()) {
    Source& source = sources[row.source()];
    source.epoch = row.epoch();
    for (const auto& party : row.sessions()) source.sessions[key_of(party)] = party;
    for (const auto& room_row : row.rooms()) {
      Room& room = source.rooms[room_key_of(room_row.conversation())];
      room.conversation = room_row.conversation();
      for (const auto& party : room_row.occupants()) room.occupants[key_of(party)] = party;
    }
  }
}

Roster::Roster(base::FileSystem& file_system, std::string path)
    : file_system_(file_system), path_(std::move(path)), state_(std::make_unique<State>()) {}

Roster::~Roster() = default;

Result<std::unique_ptr<Roster>> Roster::open(base::FileSystem& file_system,
                                             const std::string& path) {
  std::unique_ptr<Roster> roster(new Roster(file_system, path));
  if (!file_system.exists(path)) return roster;
  ASSIGN_OR_RETURN(const std::string bytes, file_system.read_file(path));
  constexpr size_t kHeaderSize = kMagic.size() + 4;
  const std::string_view view = bytes;
  v1::RosterState proto;
  if (view.size() < kHeaderSize || !view.starts_with(kMagic) ||
      base::crc32c(view.substr(kHeaderSize)) != base::get_le32(view.data() + kMagic.size()) ||
      !proto.ParseFromString(std::string(view.substr(kHeaderSize)))) {
    return data_loss("damaged roster path=" + path + ": move it away to begin with an empty one");
  }
  if (proto.version() > kVersion) {
    return failed_precondition("roster of a newer version path=" + path);
  }
  base::MutexLock lock(roster->mutex_);
  roster->state_->from_proto(proto);
  return roster;
}

Status Roster::save() {
  std::string payload;
  {
    base::MutexLock lock(mutex_);
    if (!state_->is_changed) return {};
    payload = state_->to_proto().SerializeAsString();
    state_->is_changed = false;
  }
  std::string bytes(kMagic);
  base::put_le32(bytes, base::crc32c(payload));
  const Status status = base::write_file_atomically(file_system_, path_, bytes + payload);
  if (!status.ok()) {
    base::MutexLock lock(mutex_);
    state_->is_changed = true;
  }
  return status;
}

void Roster::apply(const v1::Event& event) {
  if (event.role() == v1::ROLE_EVIDENCE) return;
  base::MutexLock lock(mutex_);
  State::Source& source = state_->sources[event.source().name()];
  source.epoch = std::max(source.epoch, event.source_key().numbered().epoch());
  const v1::Party& who = participant_of(event);
  state_->is_changed = true;
  switch (event.body_case()) {
    case v1::Event::kLogin:
      source.sessions[key_of(who)] = who;
      return;
    case v1::Event::kLogout:
      source.sessions.erase(key_of(who));
      return;
    case v1::Event::kJoined: {
      State::Room& room = source.rooms[event.conversation().key()];
      room.conversation = event.conversation();
      room.occupants[key_of(who)] = who;
      return;
    }
    case v1::Event::kLeft: {
      const auto room = source.rooms.find(event.conversation().key());
      if (room == source.rooms.end()) return;
      room->second.occupants.erase(key_of(who));
      if (room->second.occupants.empty()) source.rooms.erase(room);
      return;
    }
    case v1::Event::kRoomDestroyed:
      if (event.phase() != v1::PHASE_ATTEMPT) source.rooms.erase(event.conversation().key());
      return;
    default:
      return;
  }
}

std::vector<v1::Event> Roster::diff_room(const std::string& source, const v1::Conversation& room,
                                         const std::vector<Occupant>& occupants,
                                         const std::string& reason) const {
  std::map<std::string, const Occupant*> present;
  for (const Occupant& occupant : occupants) {
    present[key_of(normalised(occupant.party, room))] = &occupant;
  }
  std::vector<v1::Event> events;
  std::set<std::string> known;
  base::MutexLock lock(mutex_);
  if (const State::Room* before = state_->find_room(source, room_key_of(room))) {
    for (const auto& [key, party] : before->occupants) {
      known.insert(key);
      if (!present.contains(key)) events.push_back(make_left(room, party, reason));
    }
  }
  for (const auto& [key, occupant] : present) {
    if (known.contains(key)) continue;
    v1::Event event = make_event(room, occupant->party);
    v1::Joined& joined = *event.mutable_joined();
    joined.set_role(occupant->role);
    joined.set_affiliation(occupant->affiliation);
    joined.mutable_synthetic()->set_reason(reason);
    events.push_back(std::move(event));
  }
  return events;
}

std::vector<v1::Event> Roster::diff_absent_rooms(const std::string& source,
                                                 const std::vector<std::string>& present,
                                                 const std::string& reason) const {
  std::set<std::string> keys;
  for (const std::string& address : present) keys.insert(parse_jid(address).bare());
  std::vector<v1::Event> events;
  base::MutexLock lock(mutex_);
  const auto found = state_->sources.find(source);
  if (found == state_->sources.end()) return events;
  for (const auto& [key, room] : found->second.rooms) {
    if (keys.contains(key)) continue;
    for (const auto& [occupant, party] : room.occupants) {
      events.push_back(make_left(room.conversation, party, reason));
    }
  }
  return events;
}

std::vector<v1::Event> Roster::diff_sessions(const std::string& source,
                                             const std::vector<v1::Party>& sessions,
                                             const std::string& reason) const {
  std::map<std::string, const v1::Party*> present;
  for (const v1::Party& party : sessions) present[key_of(normalised(party, person()))] = &party;
  std::vector<v1::Event> events;
  std::set<std::string> known;
  base::MutexLock lock(mutex_);
  if (const auto found = state_->sources.find(source); found != state_->sources.end()) {
    for (const auto& [key, party] : found->second.sessions) {
      known.insert(key);
      if (present.contains(key)) continue;
      events.push_back(make_event(person(), party));
      events.back().mutable_logout()->set_reason(reason);
    }
  }
  for (const auto& [key, party] : present) {
    if (known.contains(key)) continue;
    events.push_back(make_event(person(), *party));
    events.back().mutable_login()->set_client(reason);
  }
  return events;
}

std::vector<v1::Event> Roster::orphans(const std::string& source, uint64_t epoch) const {
  constexpr const char* kReason = "restart";
  std::vector<v1::Event> events;
  base::MutexLock lock(mutex_);
  const auto known = state_->sources.find(source);
  if (known == state_->sources.end()) return events;
  if (known->second.epoch == 0 || epoch <= known->second.epoch) return events;
  for (const auto& [address, room] : known->second.rooms) {
    for (const auto& [key, party] : room.occupants) {
      events.push_back(make_left(room.conversation, party, kReason));
    }
  }
  for (const auto& [key, party] : known->second.sessions) {
    v1::Event event = make_event(person(), party);
    event.mutable_logout()->set_reason(kReason);
    events.push_back(std::move(event));
  }
  return events;
}

}  // namespace verbatim::collector
