#include "collector/broker/role.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace verbatim::collector {
namespace {

Profile profile_of(const char* name) { return Profile::create(name).value(); }

v1::Event room_event(const std::string& raw_event) {
  v1::Event event;
  event.mutable_source()->set_raw_event(raw_event);
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  return event;
}

v1::Event direct_event(const std::string& raw_event) {
  v1::Event event = room_event(raw_event);
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_DIRECT);
  return event;
}

v1::Event with(v1::Event event, const std::function<void(v1::Event&)>& change) {
  change(event);
  return event;
}

const std::function<void(v1::Event&)> kPosted = [](v1::Event& e) { e.mutable_message_posted(); };
const std::function<void(v1::Event&)> kEdited = [](v1::Event& e) { e.mutable_message_edited(); };
const std::function<void(v1::Event&)> kDeleted = [](v1::Event& e) { e.mutable_message_deleted(); };

// The one name that gives a record, and all others evidence.
void expect_record(const char* profile, const std::string& record,
                   const std::vector<std::string>& evidence,
                   const std::function<v1::Event(const std::string&)>& make) {
  EXPECT_EQ(choose_role(profile_of(profile), make(record)), v1::ROLE_RECORD)
      << profile << " " << record;
  for (const auto& name : evidence) {
    EXPECT_EQ(choose_role(profile_of(profile), make(name)), v1::ROLE_EVIDENCE)
        << profile << " " << name;
  }
}

// Names that give a record and evidence under a profile of just these events.
void expect_choice(const std::vector<std::string>& profile, const std::string& record,
                   const std::function<v1::Event(const std::string&)>& make) {
  Profile::Events events;
  for (const std::string& name : profile) events.emplace(name, "*");
  const Profile chosen("Custom", events);
  for (const std::string& name : profile) {
    EXPECT_EQ(choose_role(chosen, make(name)), name == record ? v1::ROLE_RECORD : v1::ROLE_EVIDENCE)
        << record << " of " << profile.size() << ": " << name;
  }
}

// The design: onBeforeBroadcast if the profile in force has it, else onBeforeSend, else es_OUT.
// conformance: 97
TEST(Role, ARoomPostIsRecordedByTheFirstOfItsOrderThatTheProfileHas) {
  std::vector<std::string> names = {"onBeforeBroadcast", "onBeforeSend", "es_OUT", "e_DELIVER",
                                    "es_IN"};
  for (const auto& body : {kPosted, kEdited, kDeleted}) {
    for (auto left = names; !left.empty(); left.erase(left.begin())) {
      expect_choice(left, left.front(),
                    [&](const std::string& name) { return with(room_event(name), body); });
    }
  }
}

// The design: es_OUT, else e_DELIVER, else es_IN; and whichever of the last two comes first.
// conformance: 49
TEST(Role, ADirectPostIsRecordedByTheFirstOfItsOrderThatTheProfileHas) {
  for (const auto& body : {kPosted, kEdited, kDeleted}) {
    const auto make = [&](const std::string& name) { return with(direct_event(name), body); };
    expect_choice({"es_OUT", "e_DELIVER", "es_IN"}, "es_OUT", make);
    expect_choice({"es_IN", "es_OUT"}, "es_OUT", make);
    expect_choice({"es_IN", "e_DELIVER"}, "e_DELIVER", make);
    expect_choice({"es_IN"}, "es_IN", make);
  }
}

TEST(Role, APrivatePostIsRecordedByTheFirstOfItsOrderThatTheProfileHas) {
  const std::function<void(v1::Event&)> whispers[] = {
      [](v1::Event& e) { e.mutable_message_posted()->set_is_private(true); },
      [](v1::Event& e) { e.mutable_message_edited()->set_is_private(true); },
      [](v1::Event& e) { e.mutable_message_deleted()->set_is_private(true); },
      [](v1::Event& e) { e.mutable_invited()->set_is_direct(true); }};
  for (const auto& whisper : whispers) {
    const auto make = [&](const std::string& name) { return with(room_event(name), whisper); };
    expect_choice({"onPacket", "es_OUT", "e_DELIVER", "es_IN"}, "onPacket", make);
    expect_choice({"es_OUT", "e_DELIVER", "es_IN"}, "es_OUT", make);
    expect_choice({"e_DELIVER", "es_IN"}, "e_DELIVER", make);
  }
}

TEST(Role, JoinsAndLeavesAreRecordedByTheFirstOfTheirOrderThatTheProfileHas) {
  const auto joined = [](const std::string& name) {
    return with(room_event(name), [](v1::Event& e) { e.mutable_joined(); });
  };
  std::vector<std::string> joins = {"onAfterJoin", "onBeforeJoin", "onAfterChangeUser", "es_OUT"};
  for (; !joins.empty(); joins.erase(joins.begin())) expect_choice(joins, joins.front(), joined);
  const auto left = [](const std::string& name) {
    return with(room_event(name), [](v1::Event& e) { e.mutable_left(); });
  };
  std::vector<std::string> leaves = {"onLeave", "onAfterChangeUser", "es_OUT"};
  for (; !leaves.empty(); leaves.erase(leaves.begin())) expect_choice(leaves, leaves.front(), left);
}

// An event whose act no name of the profile stands for is a record all the same: nothing is hidden.
TEST(Role, WhatTheProfileDoesNotHaveIsARecord) {
  const Profile profile("Custom", {{"e_SESSION", "*"}});
  for (const char* name : {"onBeforeBroadcast", "onBeforeSend", "es_OUT"}) {
    EXPECT_EQ(choose_role(profile, with(room_event(name), kPosted)), v1::ROLE_RECORD) << name;
  }
}

TEST(Role, ARoomPostIsRecordedByBroadcastWhereTheProfileHasIt) {
  for (const auto& body : {kPosted, kEdited, kDeleted}) {
    expect_record("all", "onBeforeBroadcast",
                  {"onBeforeSend", "es_OUT", "es_IN", "e_DELIVER", "onPacket"},
                  [&](const std::string& name) { return with(room_event(name), body); });
  }
}

TEST(Role, ARoomPostIsRecordedByBeforeSendInTheSystemDefaultProfile) {
  for (const auto& body : {kPosted, kEdited, kDeleted}) {
    expect_record("system-default", "onBeforeSend", {"es_OUT", "es_IN"},
                  [&](const std::string& name) { return with(room_event(name), body); });
  }
}

TEST(Role, ADirectPostIsRecordedWhenItLeavesTheSender) {
  for (const char* profile : {"all", "system-default"}) {
    expect_record(profile, "es_OUT", {"e_DELIVER", "es_IN", "e_OFFLINE"},
                  [](const std::string& name) { return with(direct_event(name), kPosted); });
  }
}

TEST(Role, ADirectPostOfAFederatedPersonIsRecordedWhenItArrives) {
  const auto make = [](const std::string& name) {
    return with(with(direct_event(name), kPosted),
                [](v1::Event& e) { e.mutable_actor()->set_affinity(v1::AFFINITY_FEDERATED); });
  };
  expect_record("all", "e_DELIVER", {"es_IN", "es_OUT"}, make);
  expect_record("system-default", "es_IN", {"es_OUT"}, make);
}

TEST(Role, APrivatePostInARoomIsRecordedByTheRoomsPacket) {
  const auto make = [](const std::string& name) {
    return with(room_event(name),
                [](v1::Event& e) { e.mutable_message_posted()->set_is_private(true); });
  };
  expect_record("all", "onPacket", {"es_OUT", "es_IN", "e_DELIVER"}, make);
  expect_record("system-default", "es_OUT", {"es_IN"}, make);
}

TEST(Role, WhatHasAnAfterIsRecordedByItAndByBeforeWhereTheProfileHasNoAfter) {
  struct Case {
    std::string before;
    std::string after;
    std::function<void(v1::Event&)> body;
  };
  const std::vector<Case> cases = {
      {"onBeforeJoin", "onAfterJoin", [](v1::Event& e) { e.mutable_joined(); }},
      {"onBeforeRoomCreate", "onAfterRoomCreate", [](v1::Event& e) { e.mutable_room_created(); }},
      {"onBeforeInvite", "onAfterInvite", [](v1::Event& e) { e.mutable_invited(); }},
      {"onBeforeSubject", "onAfterSubject", [](v1::Event& e) { e.mutable_subject_changed(); }},
      {"onBeforeMetaInfoSet", "onAfterMetaInfoSet",
       [](v1::Event& e) { e.mutable_room_configured(); }},
      {"onBeforeChangeAffiliation", "onAfterChangeAffiliation",
       [](v1::Event& e) { e.mutable_affiliation_changed(); }},
      {"onBeforeRemoveAffiliation", "onAfterRemoveAffiliation",
       [](v1::Event& e) { e.mutable_affiliation_changed(); }},
      {"onBeforeChangeUser", "onAfterChangeUser", [](v1::Event& e) { e.mutable_role_changed(); }},
      {"onBeforeChangeUser", "onAfterChangeUser",
       [](v1::Event& e) { e.mutable_nickname_changed(); }},
      {"onBeforeChangeUser", "onAfterChangeUser",
       [](v1::Event& e) { e.mutable_presence_changed(); }},
  };
  for (const Case& c : cases) {
    expect_record("all", c.after, {c.before},
                  [&](const std::string& name) { return with(room_event(name), c.body); });
  }
  for (const char* name : {"onBeforeJoin", "onBeforeRoomCreate", "onBeforeInvite"}) {
    for (const Case& c : cases) {
      if (c.before != name) continue;
      EXPECT_EQ(choose_role(profile_of("system-default"), with(room_event(name), c.body)),
                v1::ROLE_RECORD)
          << name;
    }
  }
}

TEST(Role, ALeaveIsRecordedByOnLeave) {
  const auto left = [](v1::Event& e) { e.mutable_left(); };
  for (const char* profile : {"all", "system-default"}) {
    expect_record(profile, "onLeave", {"onAfterChangeUser", "es_OUT"},
                  [&](const std::string& name) { return with(room_event(name), left); });
  }
}

TEST(Role, ADirectInvitationIsRecordedWhereItLeavesTheSender) {
  const auto body = [](v1::Event& e) { e.mutable_invited()->set_is_direct(true); };
  expect_record("all", "es_OUT", {"es_IN", "e_DELIVER"},
                [&](const std::string& name) { return with(direct_event(name), body); });
}

TEST(Role, LoginAndLogoutAreRecordedBySessionEvents) {
  const auto login = [](v1::Event& e) { e.mutable_login(); };
  const auto logout = [](v1::Event& e) { e.mutable_logout(); };
  for (const char* profile : {"all", "system-default"}) {
    expect_record(profile, "e_SESSION", {"e_AUTH"},
                  [&](const std::string& name) { return with(direct_event(name), login); });
    expect_record(profile, "es_END", {},
                  [&](const std::string& name) { return with(direct_event(name), logout); });
  }
}

TEST(Role, ADeliveryIsAlwaysEvidence) {
  const auto body = [](v1::Event& e) { e.mutable_message_delivered(); };
  for (const char* name : {"es_IN", "e_DELIVER", "e_OFFLINE", "es_OUT"}) {
    EXPECT_EQ(choose_role(profile_of("all"), with(direct_event(name), body)), v1::ROLE_EVIDENCE);
  }
}

TEST(Role, ProducersWithoutTheNodesNamesGiveRecords) {
  for (const char* name : {"", "chat.posted"}) {
    for (const char* profile : {"all", "system-default"}) {
      EXPECT_EQ(choose_role(profile_of(profile), with(room_event(name), kPosted)), v1::ROLE_RECORD);
    }
  }
}

TEST(Role, EventsOfNoSharedActAreRecords) {
  const auto other = [](v1::Event& e) { e.mutable_other(); };
  for (const char* name : {"e_AUTH", "onServiceReconfig", "es_OUT"}) {
    EXPECT_EQ(choose_role(profile_of("all"), with(direct_event(name), other)), v1::ROLE_RECORD);
  }
}

}  // namespace
}  // namespace verbatim::collector
