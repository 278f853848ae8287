#include "collector/directory/cached_people.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace verbatim::collector {

CachedPeople::CachedPeople(CachedPeopleOptions options,
                           const std::function<PersonLookup()>& make_lookup)
    : options_(std::move(options)) {
  for (int i = 0; i < options_.thread_count; ++i) {
    threads_.emplace_back([this, lookup = make_lookup()] { run(lookup); });
  }
}

CachedPeople::~CachedPeople() {
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    work_.notify_all();
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

std::vector<Finding> CachedPeople::find(const std::vector<std::string>& addresses) {
  base::MutexLock lock(mutex_);
  std::vector<std::string> awaited;
  for (const std::string& address : addresses) {
    if (prepare(address)) awaited.push_back(address);
  }
  const bool is_over =
      awaited.empty() || changed_.wait_for(mutex_, options_.timeout, [&]() REQUIRES(mutex_) {
        return !problem_.empty() || is_stopping_ || !is_any_open(awaited);
      });
  if (!is_over) {
    // Those that still wait for a thread say nothing of the server; those under way do.
    const bool is_silent = std::any_of(awaited.begin(), awaited.end(),
                                       [this](const std::string& address) REQUIRES(mutex_) {
                                         const auto lookup = lookups_.find(address);
                                         return lookup != lookups_.end() && lookup->second;
                                       });
    if (is_silent) note_failure("no answer in time");
  }
  std::vector<Finding> findings;
  findings.reserve(addresses.size());
  for (const std::string& address : addresses) findings.push_back(finding_of(address));
  return findings;
}

bool CachedPeople::prepare(const std::string& address) {
  if (!problem_.empty()) {
    // One lookup at a time finds out whether the server is back; nobody waits for it.
    if (now() >= retry_at_ && lookups_.empty()) {
      retry_at_ = now() + options_.retry_interval;
      ask(address);
    }
    return false;
  }
  const Entry* entry = find_entry(address, options_.fresh);
  if (entry == nullptr) return ask(address);
  if (now() - entry->read_at > options_.fresh / 2) ask(address);
  return false;
}

bool CachedPeople::ask(const std::string& address) {
  if (lookups_.contains(address)) return true;
  if (lookups_.size() >= options_.lookups_max_count) return false;
  lookups_.emplace(address, false);
  waiting_.push_back(address);
  work_.notify_one();
  return true;
}

bool CachedPeople::is_any_open(const std::vector<std::string>& addresses) const {
  return std::any_of(addresses.begin(), addresses.end(),
                     [this](const std::string& address)
                         REQUIRES(mutex_) { return lookups_.contains(address); });
}

CachedPeople::Entry* CachedPeople::find_entry(const std::string& address,
                                              std::chrono::milliseconds age_max) {
  const auto found = entries_.find(address);
  if (found == entries_.end() || now() - found->second.read_at > age_max) return nullptr;
  return &found->second;
}

Finding CachedPeople::finding_of(const std::string& address) {
  Finding finding;
  const Entry* entry = find_entry(address, options_.fresh);
  if (entry == nullptr) {
    entry = find_entry(address, std::max(options_.fresh, options_.stale_max));
    finding.is_stale = entry != nullptr;
  }
  if (entry == nullptr) return finding;
  recent_.splice(recent_.begin(), recent_, entry->place);
  finding.kind = entry->person ? Finding::Kind::kFound : Finding::Kind::kUnknown;
  if (entry->person) finding.person = *entry->person;
  return finding;
}

void CachedPeople::keep(const std::string& address, std::optional<Person> person) {
  const auto [found, is_new] = entries_.try_emplace(address);
  Entry& entry = found->second;
  entry.person = std::move(person);
  entry.read_at = now();
  if (!is_new) return;
  entry.place = recent_.insert(recent_.begin(), address);
  if (entries_.size() <= options_.cache_max_count) return;
  entries_.erase(recent_.back());
  recent_.pop_back();
}

void CachedPeople::note_failure(const std::string& problem) {
  retry_at_ = now() + options_.retry_interval;
  if (problem_.empty()) {
    LOG_WARN("the directory does not answer: {}", problem);
    problem_since_unix_ns_ = options_.clock->unix_now_ns();
  }
  problem_ = problem;
  // They would each take their time to fail; whoever needs one of them asks again.
  for (const std::string& address : waiting_) lookups_.erase(address);
  waiting_.clear();
  changed_.notify_all();
}

void CachedPeople::note_success() {
  if (problem_.empty()) return;
  LOG_INFO("the directory answers again");
  problem_.clear();
  problem_since_unix_ns_ = 0;
}

void CachedPeople::run(const PersonLookup& lookup) {
  base::MutexLock lock(mutex_);
  while (true) {
    work_.wait(mutex_, [this]() REQUIRES(mutex_) { return is_stopping_ || !waiting_.empty(); });
    if (is_stopping_) return;
    const std::string address = std::move(waiting_.front());
    waiting_.pop_front();
    lookups_[address] = true;
    ++lookup_count_;
    lock.unlock();
    Result<std::optional<Person>> person = lookup(address);
    lock.lock();
    lookups_.erase(address);
    if (person.has_value()) {
      keep(address, *std::move(person));
      note_success();
    } else {
      ++failed_count_;
      note_failure(person.error().message());
    }
    changed_.notify_all();
  }
}

void CachedPeople::describe(v1::DirectoryInfo& info) const {
  base::MutexLock lock(mutex_);
  info.set_kind(options_.kind);
  info.set_person_count(static_cast<int64_t>(entries_.size()));
  info.set_lookup_count(lookup_count_);
  info.set_lookup_failed_count(failed_count_);
  info.set_problem(problem_);
  info.set_problem_since_unix_ns(problem_since_unix_ns_);
}

}  // namespace verbatim::collector
