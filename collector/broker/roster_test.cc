#include "collector/broker/roster.h"

#include <gtest/gtest.h>

#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

using testing::FaultFileSystem;

const std::string kPath = "/roster";

v1::Party person(const std::string& name, const std::string& session = "phone") {
  v1::Party party;
  party.set_address(name + "@example.com/" + session);
  party.set_normalised(name + "@example.com");
  party.set_session(session);
  return party;
}

v1::Conversation room(const std::string& address = "Room@conference.example") {
  v1::Conversation conversation;
  conversation.set_kind(v1::CONVERSATION_KIND_ROOM);
  conversation.set_address(address);
  conversation.set_key("room@conference.example");
  return conversation;
}

v1::Event in_room(const v1::Party& who) {
  v1::Event event;
  event.mutable_source()->set_name("node");
  *event.mutable_conversation() = room();
  *event.mutable_actor() = who;
  event.set_role(v1::ROLE_RECORD);
  event.set_phase(v1::PHASE_CONFIRMED);
  return event;
}
v1::Event joined(const v1::Party& who) {
  v1::Event event = in_room(who);
  event.mutable_joined();
  return event;
}
v1::Event left(const v1::Party& who) {
  v1::Event event = in_room(who);
  event.mutable_left();
  return event;
}

class RosterTest : public ::testing::Test {
 protected:
  std::vector<v1::Event> diff(const std::vector<v1::Party>& present) {
    std::vector<Occupant> occupants;
    for (const auto& party : present) {
      // As a snapshot gives it: the address alone.
      v1::Party raw;
      raw.set_address(party.address());
      occupants.push_back({raw, "participant", "member"});
    }
    return roster_->diff_room("node", room(), occupants, "snapshot");
  }

  FaultFileSystem disk_;
  std::unique_ptr<Roster> roster_ = Roster::open(disk_, kPath).value();
};

TEST_F(RosterTest, OnTheFirstStartEveryonePresentJoins) {
  const auto events = diff({person("alice"), person("bob")});
  ASSERT_EQ(events.size(), 2u);
  for (const auto& event : events) {
    EXPECT_EQ(event.joined().synthetic().reason(), "snapshot");
    EXPECT_EQ(event.joined().role(), "participant");
    EXPECT_EQ(event.conversation().address(), "Room@conference.example");
    EXPECT_EQ(event.phase(), v1::PHASE_CONFIRMED);
  }
}

TEST_F(RosterTest, WhoIsKnownToBePresentDoesNotJoinAgain) {
  roster_->apply(joined(person("alice")));
  EXPECT_TRUE(diff({person("alice")}).empty());
}

TEST_F(RosterTest, WhoIsGoneLeavesBeforeTheNewOnesJoin) {
  roster_->apply(joined(person("alice")));
  roster_->apply(joined(person("bob")));
  const auto events = diff({person("bob"), person("carol")});
  ASSERT_EQ(events.size(), 2u);
  EXPECT_TRUE(events[0].has_left());
  EXPECT_EQ(events[0].actor().normalised(), "alice@example.com");
  EXPECT_EQ(events[0].left().synthetic().reason(), "snapshot");
  EXPECT_TRUE(events[1].has_joined());
  EXPECT_EQ(events[1].actor().address(), "carol@example.com/phone");
}

TEST_F(RosterTest, SessionsOfOnePersonAreTold) {
  roster_->apply(joined(person("alice", "phone")));
  roster_->apply(joined(person("alice", "desk")));
  roster_->apply(left(person("alice", "phone")));
  EXPECT_TRUE(diff({person("alice", "desk")}).empty());
  EXPECT_EQ(diff({person("alice", "phone")}).size(), 2u);
}

TEST_F(RosterTest, EvidenceDoesNotMoveAnyone) {
  v1::Event event = joined(person("alice"));
  event.set_role(v1::ROLE_EVIDENCE);
  roster_->apply(event);
  EXPECT_EQ(diff({person("alice")}).size(), 1u);
}

TEST_F(RosterTest, RoomsThatASnapshotDoesNotNameAreLeftByAll) {
  roster_->apply(joined(person("alice")));
  EXPECT_TRUE(roster_->diff_absent_rooms("node", {"ROOM@conference.example"}, "snapshot").empty());
  EXPECT_TRUE(roster_->diff_absent_rooms("another", {}, "snapshot").empty());
  const auto events = roster_->diff_absent_rooms("node", {}, "snapshot");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(events[0].has_left());
}

TEST_F(RosterTest, ADestroyedRoomIsForgotten) {
  roster_->apply(joined(person("alice")));
  v1::Event destroyed = in_room(person("alice"));
  destroyed.mutable_room_destroyed();
  roster_->apply(destroyed);
  EXPECT_TRUE(roster_->diff_absent_rooms("node", {}, "snapshot").empty());
}

TEST_F(RosterTest, SessionsBecomeLogoutsAndLogins) {
  v1::Event login;
  login.mutable_source()->set_name("node");
  *login.mutable_actor() = person("alice");
  login.set_role(v1::ROLE_RECORD);
  login.mutable_login();
  roster_->apply(login);
  EXPECT_TRUE(roster_->diff_sessions("node", {person("alice")}, "snapshot").empty());
  const auto events = roster_->diff_sessions("node", {person("bob")}, "snapshot");
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].logout().reason(), "snapshot");
  EXPECT_EQ(events[1].login().client(), "snapshot");
  EXPECT_EQ(events[1].conversation().kind(), v1::CONVERSATION_KIND_PERSON);
}

TEST_F(RosterTest, WhatWasSavedIsKnownAfterAPowerCut) {
  roster_->apply(joined(person("alice")));
  ASSERT_TRUE(roster_->save().ok());
  roster_->apply(joined(person("bob")));
  disk_.power_cut_dropping_all();
  roster_ = Roster::open(disk_, kPath).value();
  EXPECT_TRUE(diff({person("alice")}).empty());
  EXPECT_EQ(diff({person("alice"), person("bob")}).size(), 1u);
}

TEST_F(RosterTest, ADamagedFileRefusesTheStartAtEveryByte) {
  roster_->apply(joined(person("alice")));
  ASSERT_TRUE(roster_->save().ok());
  const uint64_t size = disk_.file_size(kPath).value();
  for (uint64_t at = 0; at < size; ++at) {
    disk_.flip_byte(kPath, at);
    EXPECT_EQ(Roster::open(disk_, kPath).error().code(), StatusCode::kDataLoss) << at;
    disk_.flip_byte(kPath, at);
  }
  EXPECT_TRUE(Roster::open(disk_, kPath).has_value());
}

TEST_F(RosterTest, AFailedSaveIsTriedAgain) {
  roster_->apply(joined(person("alice")));
  disk_.fail({.nth = 1, .error_number = 28, .is_sticky = false, .kinds = {testing::IoKind::kSync}});
  EXPECT_FALSE(roster_->save().ok());
  disk_.clear_faults();
  EXPECT_TRUE(roster_->save().ok());
  EXPECT_TRUE(disk_.exists(kPath));
}

TEST_F(RosterTest, ANewEpochOfAProducerOrphansEveryoneBySession) {
  const auto numbered = [](v1::Event event, uint64_t epoch) {
    event.mutable_source_key()->mutable_numbered()->set_epoch(epoch);
    return event;
  };
  EXPECT_TRUE(roster_->orphans("node", 5).empty());
  roster_->apply(numbered(joined(person("alice", "phone")), 5));
  roster_->apply(numbered(joined(person("alice", "desk")), 5));
  EXPECT_TRUE(roster_->orphans("node", 5).empty());
  EXPECT_TRUE(roster_->orphans("another", 6).empty());
  ASSERT_TRUE(roster_->save().ok());
  roster_ = Roster::open(disk_, kPath).value();
  const auto events = roster_->orphans("node", 6);
  ASSERT_EQ(events.size(), 2u);
  for (v1::Event event : events) {
    EXPECT_EQ(event.left().synthetic().reason(), "restart");
    EXPECT_FALSE(event.actor().session().empty());
    event.mutable_source()->set_name("node");
    roster_->apply(event);
  }
  EXPECT_TRUE(roster_->orphans("node", 6).empty());
}

}  // namespace
}  // namespace verbatim::collector
