#include "adapters/contentfilter/disclaimer_log.h"

#include <string_view>

#include "base/hex.h"
#include "base/log.h"
#include "base/sha256.h"

namespace verbatim::content {
namespace {

constexpr std::string_view kPrefix = "disclaimers-";
constexpr size_t kDaysKept = 2;
constexpr size_t kDigestSize = 2 * base::kSha256Size;  // in hex

std::string path_of(const std::string& directory, const std::string& day) {
  return base::join_path(directory, std::string(kPrefix) + day + ".log");
}

}  // namespace

bool DisclaimerLog::show(const std::string& disclaimer, const std::string& conversation,
                         const std::string& event_id, const std::string& day_name) {
  Day& day = day_of(day_name);
  std::string key = disclaimer;
  key += '\0';
  key += conversation;
  const std::string digest = base::to_hex(base::sha256(key));
  if (const auto shown = day.shown.find(digest); shown != day.shown.end()) {
    return !event_id.empty() && shown->second == event_id;
  }
  if (day.shown.size() >= kShownMaxCount) return true;
  const Status status = append(day, digest, event_id);
  if (!status.ok()) {
    complain(status);
    return true;
  }
  day.shown.emplace(digest, event_id);
  return true;
}

Status DisclaimerLog::append(Day& day, const std::string& digest, const std::string& event_id) {
  if (day.file == nullptr) return unavailable("the day's file could not be opened");
  RETURN_IF_ERROR(day.file->append(digest + " " + event_id + "\n"));
  return day.file->sync_data();
}

DisclaimerLog::Day& DisclaimerLog::day_of(const std::string& name) {
  Day& day = days_[name];
  if (day.file != nullptr) return day;
  const Status status = load(path_of(directory_, name), day);
  if (!status.ok()) complain(status);
  forget_old_days();
  return days_[name];  // an event of long ago may have been forgotten with its day
}

// What a crash has left of a last line is cut off.
Status DisclaimerLog::load(const std::string& path, Day& day) {
  RETURN_IF_ERROR(file_system_.create_directories(directory_));
  ASSIGN_OR_RETURN(auto file, file_system_.open(path, base::OpenMode::kCreateOrOpen));
  ASSIGN_OR_RETURN(const std::string text, file_system_.read_file(path));
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    if (end - begin > kDigestSize && text[begin + kDigestSize] == ' ') {
      day.shown.emplace(text.substr(begin, kDigestSize),
                        text.substr(begin + kDigestSize + 1, end - begin - kDigestSize - 1));
    }
    begin = end + 1;
  }
  if (begin < text.size()) RETURN_IF_ERROR(file->truncate(begin));
  RETURN_IF_ERROR(file_system_.sync_directory(directory_));
  day.file = std::move(file);
  return {};
}

void DisclaimerLog::forget_old_days() {
  while (days_.size() > kDaysKept) days_.erase(days_.begin());
  const std::string oldest = path_of("", days_.begin()->first);
  const auto names = file_system_.list_directory(directory_);
  if (!names || days_.size() < kDaysKept) return;
  for (const std::string& name : *names) {
    const bool is_old = name.starts_with(kPrefix) && base::join_path("", name) < oldest;
    if (is_old) {
      ignore_error(file_system_.remove(base::join_path(directory_, name)), "tried again tomorrow");
    }
  }
}

void DisclaimerLog::complain(const Status& status) {
  if (const auto left_out = log_limit_.pass(clock_.monotonic())) {
    LOG_ERROR("disclaimers are shown more often than once: {} (left out: {})", status.message(),
              *left_out);
  }
}

}  // namespace verbatim::content
