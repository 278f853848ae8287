#include "collector/directory/cached_people.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/answer_box.h"
#include "tests/support/fake_clock.h"

namespace verbatim::collector {
namespace {

using std::chrono::milliseconds;
using testing::eventually;

// A directory server that answers, fails, or is silent until it is let go.
class Server {
 public:
  enum class State { kUp, kFailing, kSilent };

  PersonLookup lookup() {
    return [this](const std::string& address) { return answer(address); };
  }
  void set(State state) {
    base::MutexLock lock(mutex_);
    state_ = state;
    changed_.notify_all();
  }
  void add(const std::string& address, const std::string& name) {
    base::MutexLock lock(mutex_);
    names_[address] = name;
  }
  int asked() {
    base::MutexLock lock(mutex_);
    return asked_;
  }

 private:
  Result<std::optional<Person>> answer(const std::string& address) {
    base::MutexLock lock(mutex_);
    ++asked_;
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return state_ != State::kSilent; });
    if (state_ == State::kFailing) return unavailable("search: Can't contact LDAP server");
    const auto found = names_.find(address);
    if (found == names_.end()) return std::optional<Person>();
    return std::optional<Person>(Person{found->second, "", "", {}});
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  State state_ GUARDED_BY(mutex_) = State::kUp;
  std::map<std::string, std::string> names_ GUARDED_BY(mutex_);
  int asked_ GUARDED_BY(mutex_) = 0;
};

class CachedPeopleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.kind = "ldap";
    options_.timeout = std::chrono::minutes(1);  // where no test wants it to pass
    options_.fresh = milliseconds(1'000);
    options_.stale_max = milliseconds(10'000);
    options_.retry_interval = milliseconds(5'000);
    options_.clock = &clock_;
    server_.add("a@x", "Ann");
  }
  void TearDown() override { server_.set(Server::State::kUp); }

  CachedPeople& people() {
    if (!people_) {
      people_ = std::make_unique<CachedPeople>(options_, [this] { return server_.lookup(); });
    }
    return *people_;
  }
  Finding find(const std::string& address) { return people().find({address}).at(0); }
  v1::DirectoryInfo info() {
    v1::DirectoryInfo info;
    people().describe(info);
    return info;
  }

  testing::FakeClock clock_;
  Server server_;
  CachedPeopleOptions options_;
  std::unique_ptr<CachedPeople> people_;
};

TEST_F(CachedPeopleTest, TheServerIsAskedOnceForWhatIsFresh) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(find("a@x").person.name, "Ann");
  EXPECT_EQ(server_.asked(), 1);
}

TEST_F(CachedPeopleTest, WhoIsUnknownIsRememberedToo) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(find("nobody@x").kind, Finding::Kind::kUnknown);
  EXPECT_EQ(server_.asked(), 1);
}

TEST_F(CachedPeopleTest, WhatIsNotFreshAnyMoreIsAskedAnewBeforeItIsUsed) {
  find("a@x");
  server_.add("a@x", "Ann Other");
  clock_.advance(options_.fresh + milliseconds(1));
  EXPECT_EQ(find("a@x").person.name, "Ann Other");
}

TEST_F(CachedPeopleTest, WhatIsHalfFreshIsAskedAnewAndNobodyWaits) {
  find("a@x");
  server_.set(Server::State::kSilent);
  server_.add("a@x", "Ann Other");
  clock_.advance(options_.fresh / 2 + milliseconds(1));
  EXPECT_EQ(find("a@x").person.name, "Ann");  // comes back though the server is silent
  server_.set(Server::State::kUp);
  EXPECT_TRUE(eventually([this] { return find("a@x").person.name == "Ann Other"; }));
}

TEST_F(CachedPeopleTest, ASilentServerCostsItsTimeoutOnceAndNotForEachSearch) {
  options_.timeout = milliseconds(20);
  server_.set(Server::State::kSilent);
  EXPECT_EQ(find("a@x").kind, Finding::Kind::kFailed);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(find("p" + std::to_string(i) + "@x").kind, Finding::Kind::kFailed);
  }
  // Each with its timeout: 20 s.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  EXPECT_EQ(server_.asked(), 1);
  EXPECT_EQ(info().problem(), "no answer in time");
  EXPECT_EQ(info().problem_since_unix_ns(), clock_.unix_now_ns());
}

TEST_F(CachedPeopleTest, AServerThatDoesNotAnswerIsTriedAgainByOneLookupThatNobodyWaitsFor) {
  server_.set(Server::State::kFailing);
  find("a@x");
  find("a@x");
  EXPECT_EQ(server_.asked(), 1);
  clock_.advance(options_.retry_interval);
  server_.set(Server::State::kSilent);
  EXPECT_EQ(find("a@x").kind, Finding::Kind::kFailed);
  EXPECT_EQ(find("b@x").kind, Finding::Kind::kFailed);
  ASSERT_TRUE(eventually([this] { return server_.asked() == 2; }));
  server_.set(Server::State::kUp);
  EXPECT_TRUE(eventually([this] { return info().problem().empty(); }));
  EXPECT_EQ(find("a@x").person.name, "Ann");
  EXPECT_EQ(server_.asked(), 2);
}

TEST_F(CachedPeopleTest, WithoutAServerWhatIsKeptIsUsedAsStaleUntilItIsTooOld) {
  find("a@x");
  server_.set(Server::State::kFailing);
  clock_.advance(options_.fresh + milliseconds(1));
  const Finding stale = find("a@x");
  EXPECT_EQ(stale.person.name, "Ann");
  EXPECT_TRUE(stale.is_stale);
  clock_.advance(options_.stale_max);
  EXPECT_EQ(find("a@x").kind, Finding::Kind::kFailed);
}

TEST_F(CachedPeopleTest, NoMoreThanTheBoundAreKeptAndTheLongestUnaskedGoFirst) {
  options_.cache_max_count = 2;
  find("a@x");
  find("b@x");
  find("a@x");
  find("c@x");
  EXPECT_EQ(info().person_count(), 2);
  find("a@x");
  EXPECT_EQ(server_.asked(), 3);
  find("b@x");
  EXPECT_EQ(server_.asked(), 4);
}

TEST_F(CachedPeopleTest, NoMoreThanTheBoundOfLookupsWait) {
  options_.timeout = milliseconds(20);
  options_.thread_count = 1;
  options_.lookups_max_count = 2;
  server_.set(Server::State::kSilent);
  const auto findings = people().find({"a@x", "b@x", "c@x"});
  for (const Finding& finding : findings) EXPECT_EQ(finding.kind, Finding::Kind::kFailed);
  server_.set(Server::State::kUp);
  EXPECT_TRUE(eventually([this] { return info().problem().empty(); }));
  EXPECT_LE(server_.asked(), 2);
}

TEST_F(CachedPeopleTest, AllOfOneSearchAreAskedAtOnceAndOnlyOnce) {
  server_.add("b@x", "Bob");
  const auto findings = people().find({"a@x", "b@x", "a@x"});
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[0].person.name, "Ann");
  EXPECT_EQ(findings[1].person.name, "Bob");
  EXPECT_EQ(findings[2].person.name, "Ann");
  EXPECT_EQ(server_.asked(), 2);
}

}  // namespace
}  // namespace verbatim::collector
