// CachedPeople: people from a server that is asked for one at a time, in front of it a cache.
//
// I1 A search waits for the server at most `timeout`, whatever the server does, and not at all for
//    what is cached and fresh. What is older than half of `fresh` is asked for anew beside it, so
//    that nobody waits for people who are seen all the time.
// I2 A server that does not answer costs one search its timeout. From then on none waits: there is
//    what is cached and not older than `stale_max`, marked as stale, or kFailed. Every
//    `retry_interval` one lookup, which no search waits for, tries whether it is back.
// I3 At most `cache_max_count` people are kept (those not asked for the longest go first) and
//    `lookups_max_count` lookups wait; beyond that a search fails at once.
//
// The server is asked by threads of its own, `thread_count`, each with a lookup of its own.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "collector/directory/person.h"

namespace verbatim::collector {

// Asks for one address; nothing: the server does not know it. May block, but must come back.
using PersonLookup = std::function<Result<std::optional<Person>>(const std::string& address)>;

struct CachedPeopleOptions {
  std::string kind;  // for describe()
  std::chrono::milliseconds timeout{2'000};
  std::chrono::milliseconds fresh{300'000};
  std::chrono::milliseconds stale_max{86'400'000};
  std::chrono::milliseconds retry_interval{5'000};
  size_t cache_max_count = 100'000;
  size_t lookups_max_count = 10'000;
  int thread_count = 4;
  const base::Clock* clock = &base::system_clock();
};

class CachedPeople final : public People {
 public:
  // `make_lookup` is called once for each thread, here.
  CachedPeople(CachedPeopleOptions options, const std::function<PersonLookup()>& make_lookup);
  // Waits for the lookups under way.
  ~CachedPeople() override;

  std::vector<Finding> find(const std::vector<std::string>& addresses) override;
  void describe(v1::DirectoryInfo& info) const override;

 private:
  struct Entry {
    std::optional<Person> person;
    std::chrono::nanoseconds read_at{0};
    std::list<std::string>::iterator place;  // in recent_
  };
  // A lookup that waits (false) or is under way (true).
  using Lookups = std::unordered_map<std::string, bool>;

  std::chrono::nanoseconds now() const { return options_.clock->monotonic(); }
  Entry* find_entry(const std::string& address, std::chrono::milliseconds age_max) REQUIRES(mutex_);
  // True where the search is to wait for it.
  bool prepare(const std::string& address) REQUIRES(mutex_);
  bool ask(const std::string& address) REQUIRES(mutex_);
  bool is_any_open(const std::vector<std::string>& addresses) const REQUIRES(mutex_);
  Finding finding_of(const std::string& address) REQUIRES(mutex_);
  void keep(const std::string& address, std::optional<Person> person) REQUIRES(mutex_);
  void note_failure(const std::string& problem) REQUIRES(mutex_);
  void note_success() REQUIRES(mutex_);
  void run(const PersonLookup& lookup);

  const CachedPeopleOptions options_;

  mutable base::Mutex mutex_;
  base::CondVar work_;     // for the threads
  base::CondVar changed_;  // for the searches
  std::unordered_map<std::string, Entry> entries_ GUARDED_BY(mutex_);
  std::list<std::string> recent_ GUARDED_BY(mutex_);  // the one asked for last is in front
  Lookups lookups_ GUARDED_BY(mutex_);
  std::deque<std::string> waiting_ GUARDED_BY(mutex_);
  std::string problem_ GUARDED_BY(mutex_);  // empty: the server answers
  int64_t problem_since_unix_ns_ GUARDED_BY(mutex_) = 0;
  std::chrono::nanoseconds retry_at_ GUARDED_BY(mutex_){0};
  int64_t lookup_count_ GUARDED_BY(mutex_) = 0;
  int64_t failed_count_ GUARDED_BY(mutex_) = 0;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace verbatim::collector
