#include "base/alarms.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/log.h"

namespace verbatim::base {
namespace {

constexpr std::string_view kMagic = "VBALARM1";
constexpr size_t kHeaderSize = 12;
constexpr size_t kTextMaxBytes = 1'024;

std::string encode(const v1::ListAlarmsResponse& alarms) {
  const std::string payload = alarms.SerializeAsString();
  std::string bytes(kMagic);
  put_le32(bytes, crc32c(payload));
  return bytes + payload;
}

bool decode(const std::string& bytes, v1::ListAlarmsResponse& alarms) {
  if (bytes.size() < kHeaderSize || !bytes.starts_with(kMagic)) return false;
  const std::string payload = bytes.substr(kHeaderSize);
  return get_le32(bytes.data() + kMagic.size()) == crc32c(payload) &&
         alarms.ParseFromString(payload);
}

}  // namespace

Result<std::unique_ptr<AlarmRegistry>> AlarmRegistry::open(FileSystem& file_system, Clock& clock,
                                                           const std::string& path,
                                                           const AlarmOptions& options) {
  std::unique_ptr<AlarmRegistry> registry(new AlarmRegistry(file_system, clock, path, options));
  RETURN_IF_ERROR(registry->load());
  return registry;
}

Status AlarmRegistry::load() {
  const auto bytes = file_system_.read_file(path_);
  if (bytes.error().code() == StatusCode::kNotFound) return {};
  if (!bytes) return bytes.error();
  v1::ListAlarmsResponse alarms;
  if (!decode(*bytes, alarms)) {
    LOG_ERROR("alarms: the file is damaged and put aside path={}", path_);
    return file_system_.rename(path_, path_ + ".damaged");
  }
  MutexLock lock(mutex_);
  for (const v1::Alarm& alarm : alarms.alarms()) {
    alarms_[{alarm.name(), alarm.subject()}] = {.alarm = alarm, .last_seen = clock_.monotonic()};
  }
  return {};
}

std::vector<v1::Alarm> AlarmRegistry::update(const std::vector<AlarmCondition>& conditions) {
  MutexLock lock(mutex_);
  const auto now = clock_.monotonic();
  std::vector<v1::Alarm> changed;
  for (const AlarmCondition& condition : conditions) {
    State& state = alarms_[{condition.name, condition.subject}];
    state.last_seen = now;
    if (raise(state, condition)) changed.push_back(state.alarm);
  }
  for (auto& [key, state] : alarms_) {
    if (!state.alarm.is_raised() || now - state.last_seen < options_.clear_after) continue;
    if (state.last_seen == now) continue;
    clear(state);
    changed.push_back(state.alarm);
  }
  forget_oldest();
  if (!changed.empty()) is_saved_ = false;
  if (!is_saved_) save();
  return changed;
}

// True if it was not raised before. Its text may tell newer numbers without being a new alarm.
bool AlarmRegistry::raise(State& state, const AlarmCondition& condition) {
  v1::Alarm& alarm = state.alarm;
  alarm.set_text(condition.text.substr(0, kTextMaxBytes));
  if (alarm.is_raised()) return false;
  alarm.set_name(condition.name);
  alarm.set_subject(condition.subject);
  alarm.set_is_raised(true);
  alarm.set_since_unix_ns(clock_.unix_now_ns());
  alarm.set_raised_count(alarm.raised_count() + 1);
  LOG_ERROR("alarm raised: {} subject={}: {}", alarm.name(), alarm.subject(), alarm.text());
  return true;
}

void AlarmRegistry::clear(State& state) {
  state.alarm.set_is_raised(false);
  state.alarm.set_since_unix_ns(clock_.unix_now_ns());
  LOG_INFO("alarm cleared: {} subject={}", state.alarm.name(), state.alarm.subject());
}

void AlarmRegistry::forget_oldest() {
  std::vector<std::pair<int64_t, Key>> cleared;
  for (const auto& [key, state] : alarms_) {
    if (!state.alarm.is_raised()) cleared.emplace_back(state.alarm.since_unix_ns(), key);
  }
  if (cleared.size() <= options_.cleared_max_count) return;
  std::sort(cleared.begin(), cleared.end());
  cleared.resize(cleared.size() - options_.cleared_max_count);
  for (const auto& [since, key] : cleared) alarms_.erase(key);
}

void AlarmRegistry::save() {
  v1::ListAlarmsResponse all;
  for (const auto& [key, state] : alarms_) *all.add_alarms() = state.alarm;
  const Status status = write_file_atomically(file_system_, path_, encode(all));
  is_saved_ = status.ok();
  if (!status.ok()) LOG_WARN("alarms: not saved yet, tried again: {}", status.to_string());
}

std::vector<v1::Alarm> AlarmRegistry::list(bool with_cleared) const {
  std::vector<v1::Alarm> alarms;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, state] : alarms_) {
      if (state.alarm.is_raised() || with_cleared) alarms.push_back(state.alarm);
    }
  }
  std::stable_sort(alarms.begin(), alarms.end(), [](const v1::Alarm& a, const v1::Alarm& b) {
    if (a.is_raised() != b.is_raised()) return a.is_raised();
    return a.since_unix_ns() > b.since_unix_ns();
  });
  return alarms;
}

}  // namespace verbatim::base
