#include "collector/directory/directory.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "collector/broker/completer.h"
#include "collector/directory/ldap_lookup.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

using std::chrono::seconds;

class FakePeople final : public People {
 public:
  explicit FakePeople(std::map<std::string, Finding> findings) : findings_(std::move(findings)) {}
  std::vector<Finding> find(const std::vector<std::string>& addresses) override {
    std::vector<Finding> result;
    for (const auto& address : addresses) {
      const auto found = findings_.find(address);
      result.push_back(found == findings_.end() ? Finding{.kind = Finding::Kind::kUnknown}
                                                : found->second);
    }
    return result;
  }
  void describe(v1::DirectoryInfo& info) const override { info.set_kind("fake"); }

 private:
  const std::map<std::string, Finding> findings_;
};

Finding ann() {
  return {.kind = Finding::Kind::kFound,
          .is_stale = false,
          .person = {"Ann Other", "ann@mail", "Sales", {"traders"}}};
}

v1::Event post() {
  v1::Event event;
  event.mutable_source()->set_name("node");
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  event.mutable_conversation()->set_address("r@muc.x");
  event.mutable_actor()->set_address("Ann@X/phone");
  event.set_phase(v1::PHASE_ATTEMPT);
  event.mutable_message_posted();
  event.mutable_source_key()->mutable_link()->set_id("1");
  return event;
}

// Completed as the broker does it.
v1::Event completed(Directory& directory, v1::Event event) {
  CompleterOptions options;
  options.internal_domains = {"x"};
  options.resolve = [&directory](v1::Event& resolved) { directory.resolve(resolved); };
  const Completer completer(Profile::create("all").value(), options);
  auto complete = completer.complete(std::move(event));
  EXPECT_TRUE(complete.has_value());
  v1::Event stored;
  EXPECT_TRUE(stored.ParseFromString(complete->event_bytes));
  EXPECT_EQ(complete->envelope.actor().groups_size(), 0);
  return stored;
}

TEST(Directory, WhatItKnowsStandsInTheEventAsItIsStored) {
  Directory directory(
      std::make_unique<FakePeople>(std::map<std::string, Finding>{{"ann@x", ann()}}));
  const v1::Party actor = completed(directory, post()).actor();
  EXPECT_EQ(actor.display_name(), "Ann Other");
  EXPECT_EQ(actor.email(), "ann@mail");
  EXPECT_EQ(actor.department(), "Sales");
  ASSERT_EQ(actor.groups_size(), 1);
  EXPECT_EQ(actor.groups(0), "traders");
  EXPECT_EQ(actor.resolution(), v1::Party::RESOLUTION_FOUND);
  EXPECT_EQ(actor.affinity(), v1::AFFINITY_INTERNAL);
  EXPECT_EQ(directory.info().found_count(), 1);
}

TEST(Directory, WhoIsUnknownOrNotLookedUpIsRecordedAndCountedAndBlocksNothing) {
  Directory directory(std::make_unique<FakePeople>(
      std::map<std::string, Finding>{{"b@x", Finding{.kind = Finding::Kind::kFailed}}}));
  v1::Event event = post();
  event.add_others()->set_address("b@x");
  event.mutable_actor()->set_display_name("as the source says");
  const v1::Event stored = completed(directory, std::move(event));
  EXPECT_EQ(stored.actor().resolution(), v1::Party::RESOLUTION_UNKNOWN);
  EXPECT_EQ(stored.actor().display_name(), "as the source says");
  EXPECT_EQ(stored.others(0).resolution(), v1::Party::RESOLUTION_FAILED);
  EXPECT_EQ(directory.info().unknown_count(), 1);
  EXPECT_EQ(directory.info().failed_count(), 1);
}

TEST(Directory, StaleFindingsAreCounted) {
  Finding stale = ann();
  stale.is_stale = true;
  Directory directory(
      std::make_unique<FakePeople>(std::map<std::string, Finding>{{"ann@x", stale}}));
  completed(directory, post());
  EXPECT_EQ(directory.info().stale_count(), 1);
}

TEST(Directory, RoomsOccupantsAndServicesAreNotLookedUp) {
  Directory directory(
      std::make_unique<FakePeople>(std::map<std::string, Finding>{{"ann@x", ann()}}));
  v1::Event event = post();
  for (const char* address : {"r@muc.x", "r@muc.x/Ann", "muc.x"}) {
    event.add_others()->set_address(address);
  }
  const v1::Event stored = completed(directory, std::move(event));
  for (const v1::Party& other : stored.others()) {
    EXPECT_EQ(other.resolution(), v1::Party::RESOLUTION_UNSPECIFIED) << other.address();
  }
  EXPECT_EQ(directory.info().unknown_count(), 0);
}

TEST(Directory, WhatAProducerSaysOfGroupsAndDepartmentIsNotBelieved) {
  Directory directory(nullptr);
  v1::Event event = post();
  event.mutable_actor()->set_department("Board");
  event.mutable_actor()->add_groups("everyone");
  event.mutable_actor()->set_resolution(v1::Party::RESOLUTION_FOUND);
  event.mutable_actor()->set_email("own@mail");
  const v1::Party actor = completed(directory, std::move(event)).actor();
  EXPECT_EQ(actor.department(), "");
  EXPECT_EQ(actor.groups_size(), 0);
  EXPECT_EQ(actor.resolution(), v1::Party::RESOLUTION_UNSPECIFIED);
  EXPECT_EQ(actor.email(), "own@mail");
}

TEST(Directory, WhatTheCollectorSaysOfAnEventHasItsPeopleAsTheyWereThen) {
  Directory directory(std::make_unique<FakePeople>(std::map<std::string, Finding>()));
  v1::Event outcome = post();
  outcome.mutable_source_key()->mutable_made()->set_sequence(1);
  outcome.mutable_actor()->set_department("Sales");
  outcome.mutable_actor()->add_groups("traders");
  outcome.mutable_actor()->set_resolution(v1::Party::RESOLUTION_FOUND);
  outcome.add_others()->set_address("b@x");
  outcome.mutable_others(0)->set_resolution(v1::Party::RESOLUTION_FAILED);
  const v1::Event stored = completed(directory, std::move(outcome));
  EXPECT_EQ(stored.actor().department(), "Sales");
  EXPECT_EQ(stored.actor().groups_size(), 1);
  EXPECT_EQ(stored.others(0).resolution(), v1::Party::RESOLUTION_FAILED);
  EXPECT_EQ(directory.info().unknown_count(), 0);
}

std::string refusal(const v1::Directory& config, seconds deadline = seconds(20)) {
  testing::FaultFileSystem disk;
  const auto directory = Directory::create(disk, config, deadline);
  return directory.has_value() ? "" : directory.error().message();
}

v1::Directory ldap(const std::string& url) {
  v1::Directory config;
  config.set_ldap_url(url);
  config.set_ldap_filter("(mail=%s)");
  config.set_ldap_timeout_ms(100);
  config.set_fresh_ms(1'000);
  config.set_stale_max_ms(1'000);
  config.set_cache_max_count(10);
  return config;
}

TEST(Directory, PlainLdapBeyondLoopbackIsRefused) {
  EXPECT_EQ(refusal(ldap("ldap://127.0.0.1:389")), "");
  EXPECT_EQ(refusal(ldap("ldap://[::1]")), "");
  EXPECT_EQ(refusal(ldap("ldaps://directory.example")), "");
  EXPECT_EQ(refusal(ldap("ldap://directory.example")),
            "collector.directory.ldap_url: beyond loopback nothing is asked in plain text: "
            "ldaps://, or ldap_start_tls");
  v1::Directory encrypted = ldap("ldap://directory.example");
  encrypted.set_ldap_start_tls(true);
  EXPECT_EQ(refusal(encrypted), "");
}

TEST(Directory, SettingsThatContradictEachOtherAreRefused) {
  v1::Directory config = ldap("ldap://127.0.0.1");
  config.set_csv_file("/people.csv");
  EXPECT_EQ(refusal(config), "collector.directory.ldap_url: not beside csv_file");
  config = ldap("http://127.0.0.1");
  EXPECT_EQ(refusal(config), "collector.directory.ldap_url: no LDAP address, such as ldaps://host");
  config = ldap("ldap://127.0.0.1");
  config.set_ldap_filter("(mail=*)");
  EXPECT_EQ(refusal(config), "collector.directory.ldap_filter: needs %s once, and no other %");
  config = ldap("ldap://127.0.0.1");
  config.set_ldap_bind_dn("cn=reader");
  EXPECT_TRUE(refusal(config).starts_with("collector.directory.ldap_bind_dn: is needed with"));
  config = ldap("ldap://127.0.0.1");
  config.set_ldap_timeout_ms(2'001);
  EXPECT_EQ(refusal(config, seconds(4)),
            "collector.directory.ldap_timeout_ms: more than half of collector.event_deadline_ms");
}

}  // namespace
}  // namespace verbatim::collector
