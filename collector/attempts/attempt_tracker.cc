#include "collector/attempts/attempt_tracker.h"

#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/log.h"
#include "collector/attempts/confirmation.h"

namespace verbatim::collector {
namespace {

constexpr std::string_view kMagic = "VBATTEMP";
constexpr size_t kHeaderSize = kMagic.size() + 4;
constexpr int kVersion = 1;
constexpr std::chrono::seconds kRetryInterval{1};

// What an outcome needs of the attempt, without its text.
v1::Event about(const v1::Event& event) {
  v1::Event about;
  about.set_id(event.id());
  about.set_accept_time_unix_ns(event.accept_time_unix_ns());
  *about.mutable_source() = event.source();
  *about.mutable_conversation() = event.conversation();
  *about.mutable_actor() = event.actor();
  *about.mutable_others() = event.others();
  about.mutable_references()->set_message_id(event.references().message_id());
  return about;
}

bool is_permitted(v1::Decision decision) {
  return decision == v1::DECISION_PASS || decision == v1::DECISION_PASS_CHANGED;
}

}  // namespace

AttemptTracker::AttemptTracker(base::FileSystem& file_system, AttemptTrackerOptions options)
    : file_system_(file_system), options_(std::move(options)) {}

Result<std::unique_ptr<AttemptTracker>> AttemptTracker::open(base::FileSystem& file_system,
                                                             AttemptTrackerOptions options) {
  std::unique_ptr<AttemptTracker> tracker(new AttemptTracker(file_system, std::move(options)));
  RETURN_IF_ERROR(tracker->read());
  return tracker;
}

Status AttemptTracker::read() {
  if (!file_system_.exists(options_.path)) return {};
  ASSIGN_OR_RETURN(const std::string bytes, file_system_.read_file(options_.path));
  const std::string_view view = bytes;
  v1::AttemptState state;
  if (view.size() < kHeaderSize || !view.starts_with(kMagic) ||
      base::crc32c(view.substr(kHeaderSize)) != base::get_le32(view.data() + kMagic.size()) ||
      !state.ParseFromString(std::string(view.substr(kHeaderSize)))) {
    return data_loss("damaged list of attempts path=" + options_.path +
                     ": moved away, nothing is said of what was attempted before");
  }
  if (state.version() > kVersion) {
    return failed_precondition("attempts of a newer version path=" + options_.path);
  }
  base::MutexLock lock(mutex_);
  const auto due = options_.clock->monotonic() + options_.wait;
  for (v1::OpenAttempt& attempt : *state.mutable_attempts()) {
    add(due, {.attempt = std::move(attempt), .is_from_before = true, .is_over_bound = false});
  }
  return {};
}

bool AttemptTracker::concerns(const v1::Event& event) const {
  return is_confirmation(event) || !confirmation_of(event).empty();
}

void AttemptTracker::note(const v1::Event& event, v1::Decision decision) {
  if (is_confirmation(event)) {
    base::MutexLock lock(mutex_);
    return end(act_key_of(event, event.source().raw_event()));
  }
  const std::string_view confirmation = confirmation_of(event);
  if (confirmation.empty() || !is_permitted(decision)) return;
  if (!options_.profile.has(confirmation)) return;
  base::MutexLock lock(mutex_);
  begin(event, confirmation);
}

void AttemptTracker::begin(const v1::Event& event, std::string_view confirmation) {
  const auto now = options_.clock->monotonic();
  if (open_.size() + taken_.size() >= 2 * options_.open_max_count) {
    ++untracked_count_;
    if (untracked_log_.pass(now)) {
      LOG_WARN("attempts are not tracked, too many outcomes wait untracked_count={}",
               untracked_count_);
    }
    return;
  }
  Open open;
  *open.attempt.mutable_about() = about(event);
  open.attempt.set_confirmation(std::string(confirmation));
  v1::SourceKey::Made& made = *open.attempt.mutable_outcome_key()->mutable_made();
  made.set_collector(options_.collector_name + "/attempt/" + event.id());
  made.set_epoch(1);
  made.set_sequence(1);
  add(now + options_.wait, std::move(open));
  if (open_.size() <= options_.open_max_count) return;
  const auto oldest = open_.begin();
  forget_key(oldest);
  Open over = std::move(oldest->second);
  open_.erase(oldest);
  over.is_over_bound = true;
  open_.emplace(std::chrono::nanoseconds::min(), std::move(over));
}

void AttemptTracker::add(std::chrono::nanoseconds due, Open open) {
  const std::string key = act_key_of(open.attempt.about(), open.attempt.confirmation());
  by_key_[key].push_back(open_.emplace(due, std::move(open)));
  is_changed_ = true;
}

void AttemptTracker::end(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  open_.erase(found->second.front());
  found->second.erase(found->second.begin());
  if (found->second.empty()) by_key_.erase(found);
  is_changed_ = true;
}

void AttemptTracker::forget_key(ByDue::iterator place) {
  const v1::OpenAttempt& attempt = place->second.attempt;
  const auto found = by_key_.find(act_key_of(attempt.about(), attempt.confirmation()));
  if (found == by_key_.end()) return;
  std::erase(found->second, place);
  if (found->second.empty()) by_key_.erase(found);
}

std::vector<AttemptTracker::Outcome> AttemptTracker::take_due() {
  std::vector<Outcome> due;
  base::MutexLock lock(mutex_);
  const auto now = options_.clock->monotonic();
  while (!open_.empty() && open_.begin()->first <= now) {
    const auto first = open_.begin();
    forget_key(first);
    Outcome& outcome = due.emplace_back(make_outcome(first->second));
    outcome.number = next_number_++;
    taken_.emplace(outcome.number, std::move(first->second));
    open_.erase(first);
    is_changed_ = true;
  }
  return due;
}

AttemptTracker::Outcome AttemptTracker::make_outcome(const Open& open) const {
  Outcome outcome;
  outcome.attempt = open.attempt;
  if (open.is_over_bound) {
    outcome.outcome = v1::VerdictOutcome::OUTCOME_UNKNOWN;
    outcome.detail =
        "no " + open.attempt.confirmation() + " yet, and too many attempts waited for theirs";
    return outcome;
  }
  outcome.detail = "no " + open.attempt.confirmation() + " within " +
                   std::to_string(options_.wait.count()) + " ms";
  if (open.is_from_before) {
    outcome.detail +=
        " of a restart; one in the last second before the collector ended is not known here";
  }
  return outcome;
}

void AttemptTracker::finish(uint64_t number, bool is_recorded) {
  base::MutexLock lock(mutex_);
  const auto found = taken_.find(number);
  if (found == taken_.end()) return;
  if (is_recorded) {
    ++unconfirmed_count_;
  } else {
    open_.emplace(options_.clock->monotonic() + kRetryInterval, std::move(found->second));
  }
  taken_.erase(found);
  is_changed_ = true;
}

v1::AttemptState AttemptTracker::to_proto() const {
  v1::AttemptState state;
  state.set_version(kVersion);
  for (const auto& [number, open] : taken_) *state.add_attempts() = open.attempt;
  for (const auto& [due, open] : open_) *state.add_attempts() = open.attempt;
  return state;
}

Status AttemptTracker::save() {
  std::string payload;
  {
    base::MutexLock lock(mutex_);
    if (!is_changed_) return {};
    payload = to_proto().SerializeAsString();
    is_changed_ = false;
  }
  std::string bytes(kMagic);
  base::put_le32(bytes, base::crc32c(payload));
  const Status status = base::write_file_atomically(file_system_, options_.path, bytes + payload);
  if (!status.ok()) {
    base::MutexLock lock(mutex_);
    is_changed_ = true;
  }
  return status;
}

int64_t AttemptTracker::open_count() const {
  base::MutexLock lock(mutex_);
  return static_cast<int64_t>(open_.size() + taken_.size());
}

int64_t AttemptTracker::unconfirmed_count() const {
  base::MutexLock lock(mutex_);
  return unconfirmed_count_;
}

}  // namespace verbatim::collector
