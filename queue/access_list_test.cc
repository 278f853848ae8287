#include "queue/access_list.h"

#include <gtest/gtest.h>

namespace verbatim::queue {
namespace {

class AccessListTest : public ::testing::Test {
 protected:
  void add(const std::string& name, const std::vector<std::string>& put,
           const std::vector<std::string>& receive) {
    v1::QueueClientKey& client = *security_.add_clients();
    client.set_name(name);
    for (const std::string& pattern : put) client.add_put(pattern);
    for (const std::string& pattern : receive) client.add_receive(pattern);
  }
  AccessList list() const { return AccessList(security_); }

  v1::QueueSecurity security_;
};

TEST_F(AccessListTest, OnlyWhatIsListedIsPermitted) {
  add("collector", {"events"}, {});
  add("processor", {}, {"events"});
  EXPECT_TRUE(list().may_put("collector", "events"));
  EXPECT_FALSE(list().may_receive("collector", "events"));
  EXPECT_FALSE(list().may_put("collector", "other"));
  EXPECT_FALSE(list().may_put("processor", "events"));
  EXPECT_TRUE(list().may_receive("processor", "events"));
}

TEST_F(AccessListTest, WhoIsNotListedMayNothing) {
  EXPECT_FALSE(list().may_put("", "events"));
  add("collector", {"*"}, {"*"});
  for (const char* user : {"", "stranger", "collecto", "collector2", "Collector"}) {
    EXPECT_FALSE(list().may_put(user, "events")) << user;
    EXPECT_FALSE(list().may_receive(user, "events")) << user;
  }
}

TEST_F(AccessListTest, PatternsMeanWhatTheyLookLike) {
  add("one", {}, {"events"});
  add("subs", {}, {"events;*"});
  add("all", {}, {"*"});
  EXPECT_FALSE(list().may_receive("one", "events;poison"));
  EXPECT_FALSE(list().may_receive("one", "events2"));
  EXPECT_TRUE(list().may_receive("subs", "events;poison"));
  EXPECT_FALSE(list().may_receive("subs", "events"));
  EXPECT_FALSE(list().may_receive("subs", "events2;poison"));
  EXPECT_FALSE(list().may_receive("subs", ""));
  EXPECT_TRUE(list().may_receive("all", "anything;dead-letters"));
  EXPECT_FALSE(list().may_receive("all", "verbatim.probe")) << "the service's own";
}

}  // namespace
}  // namespace verbatim::queue
