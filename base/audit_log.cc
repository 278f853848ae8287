#include "base/audit_log.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <utility>

#include "base/hex.h"
#include "base/log.h"

namespace verbatim::base {
namespace {

constexpr uint64_t kFileMaxBytes = 4 * 1024 * 1024;
constexpr std::string_view kFolderPrefix = "audit-";
constexpr std::string_view kFileSuffix = ".log";
constexpr const char* kHeadName = "head";

std::string padded(uint64_t number, size_t width) {
  const std::string digits = std::to_string(number);
  return std::string(width - std::min(width, digits.size()), '0') + digits;
}

// The number in the middle of a name, if it has this form.
std::optional<uint64_t> number_in(std::string_view name, std::string_view prefix,
                                  std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  name.remove_suffix(suffix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

bool is_part_of_chain(const std::string& name) {
  return name == kHeadName || number_in(name, "", kFileSuffix).has_value();
}

// One file of a chain, read.
struct AuditFile {
  uint64_t number = 0;
  std::string path;
  std::string bytes;
  std::optional<AuditLink> before;  // none: its start is not sound
};

Result<std::vector<AuditFile>> read_files(FileSystem& file_system, const std::string& folder) {
  ASSIGN_OR_RETURN(const auto names, file_system.list_directory(folder));
  std::vector<AuditFile> files;
  for (const std::string& name : names) {
    const auto number = number_in(name, "", kFileSuffix);
    if (!number) continue;
    AuditFile file;
    file.number = *number;
    file.path = join_path(folder, name);
    ASSIGN_OR_RETURN(file.bytes, file_system.read_file(file.path));
    const auto before = decode_audit_header(file.bytes);
    if (before) file.before = *before;
    if (before.error().code() == StatusCode::kFailedPrecondition) return before.error();
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(),
            [](const AuditFile& a, const AuditFile& b) { return a.number < b.number; });
  return files;
}

Status damage_at(uint64_t number, const std::string& what) {
  return data_loss("the audit log is damaged at entry number=" + std::to_string(number) + ": " +
                   what);
}

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::open(FileSystem& file_system, Clock& clock,
                                                 const std::string& data_dir,
                                                 const std::string& service) {
  std::unique_ptr<AuditLog> log(new AuditLog(file_system, clock, data_dir, service));
  MutexLock lock(log->mutex_);
  RETURN_IF_ERROR(log->open_chain());
  lock.unlock();
  return log;
}

std::string AuditLog::folder(uint64_t generation) const {
  return join_path(data_dir_, std::string(kFolderPrefix) + padded(generation, 6));
}

Result<std::vector<uint64_t>> AuditLog::generations() {
  ASSIGN_OR_RETURN(const auto names, file_system_.list_directory(data_dir_));
  std::vector<uint64_t> found;
  for (const std::string& name : names) {
    if (const auto number = number_in(name, kFolderPrefix, "")) found.push_back(*number);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Status AuditLog::open_chain() {
  RETURN_IF_ERROR(file_system_.create_directories(data_dir_));
  ASSIGN_OR_RETURN(auto found, generations());
  while (!found.empty()) {
    ASSIGN_OR_RETURN(const auto names, file_system_.list_directory(folder(found.back())));
    if (std::any_of(names.begin(), names.end(), is_part_of_chain)) break;
    found.pop_back();  // a crash while it was begun: no number of it was ever given
  }
  if (found.empty()) return begin_chain(1, 0);
  generation_ = found.back();
  const auto chain = read_chain(0);
  if (!chain) {
    const Status error = chain.error();
    return error.code() == StatusCode::kDataLoss ? leave_chain(error) : error;
  }
  end_ = chain->end;
  last_file_ = chain->last_file;
  return {};
}

Status AuditLog::begin_chain(uint64_t generation, uint64_t last_number) {
  generation_ = generation;
  end_ = {.number = last_number};
  last_file_ = 0;
  file_.reset();
  RETURN_IF_ERROR(file_system_.create_directories(folder(generation)));
  return write_file_atomically(file_system_, join_path(folder(generation), kHeadName),
                               encode_audit_head(end_));
}

Status AuditLog::leave_chain(const Status& damage) {
  const std::string old = folder(generation_);
  LOG_ERROR("{}; it stays in {}, a new one is begun", damage.message(), old);
  // The highest number that is known to have been given: by the head, or by any record's start.
  uint64_t last_number = end_.number;
  if (const auto bytes = file_system_.read_file(join_path(old, kHeadName))) {
    if (const auto head = decode_audit_head(*bytes)) {
      last_number = std::max(last_number, head->number);
    }
  }
  ASSIGN_OR_RETURN(const auto files, read_files(file_system_, old));
  for (const AuditFile& file : files) {
    if (!file.before) continue;
    // A record takes at least its header, so there cannot have been more of them.
    const uint64_t count_max = file.bytes.size() / audit_header_size();
    last_number = std::max(last_number, file.before->number + count_max);
  }
  RETURN_IF_ERROR(begin_chain(generation_ + 1, last_number));
  v1::AuditEntry entry;
  entry.set_action("audit began anew");
  entry.set_subject(old);
  entry.set_detail(damage.message());
  return append_entry(std::move(entry)).error();
}

namespace {

// One walk along the chain.
class AuditReader {
 public:
  AuditReader(const AuditLink& head, size_t max_count) : head_(head), max_count_(max_count) {}

  // `stop`: the number after which the next sound file goes on; what lies behind it in this file
  // was never confirmed.
  Status read(const AuditFile& file, std::optional<uint64_t> stop) {
    RETURN_IF_ERROR(follow(file));
    std::string_view rest = std::string_view(file.bytes).substr(audit_header_size());
    while (!stop || end_.number < *stop) {
      const auto record = decode_audit_record(end_, rest);
      if (!record) break;
      rest.remove_prefix(record->size);
      RETURN_IF_ERROR(take(*record, file.path));
    }
    if (!rest.empty()) {
      LOG_WARN("audit: an entry that was never confirmed is passed over path={} bytes={}",
               file.path, rest.size());
    }
    return {};
  }

  Status finish() const {
    if (!has_begun_ && head_.digest == AuditLink().digest) return {};
    if (is_head_seen_) return {};
    return damage_at(end_.number < head_.number ? end_.number + 1 : head_.number,
                     "the head names number=" + std::to_string(head_.number) +
                         ", which is not there as it was written");
  }

  AuditLink end() const { return has_begun_ ? end_ : head_; }
  std::vector<v1::AuditEntry> take_newest() {
    return {std::make_move_iterator(newest_.begin()), std::make_move_iterator(newest_.end())};
  }

 private:
  Status follow(const AuditFile& file) {
    if (!has_begun_) end_ = {.number = file.before->number};
    has_begun_ = true;
    if (*file.before != end_) {
      return damage_at(end_.number + 1, "what follows is not there path=" + file.path);
    }
    is_head_seen_ = is_head_seen_ || end_ == head_;
    return {};
  }

  Status take(const AuditRecord& record, const std::string& path) {
    end_ = record.link;
    is_head_seen_ = is_head_seen_ || end_ == head_;
    v1::AuditEntry entry;
    if (!entry.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size()))) {
      return damage_at(end_.number, "the entry cannot be read path=" + path);
    }
    newest_.push_back(std::move(entry));
    if (newest_.size() > max_count_) newest_.pop_front();
    return {};
  }

  const AuditLink head_;
  const size_t max_count_;
  AuditLink end_;
  bool has_begun_ = false;
  bool is_head_seen_ = false;
  std::deque<v1::AuditEntry> newest_;
};

}  // namespace

Result<AuditLog::Chain> AuditLog::read_chain(size_t max_count) {
  const std::string path = folder(generation_);
  ASSIGN_OR_RETURN(const auto files, read_files(file_system_, path));
  const auto head_bytes = file_system_.read_file(join_path(path, kHeadName));
  if (head_bytes.error().code() == StatusCode::kNotFound) {
    return damage_at(1, "there is no head path=" + path);
  }
  if (!head_bytes) return head_bytes.error();
  const auto head = decode_audit_head(*head_bytes);
  if (!head && head.error().code() == StatusCode::kDataLoss) {
    return damage_at(1, "the head is not sound path=" + path);
  }
  if (!head) return head.error();

  AuditReader reader(*head, max_count);
  Chain chain;
  for (size_t i = 0; i < files.size(); ++i) {
    chain.last_file = files[i].number;
    if (!files[i].before) {
      LOG_WARN("audit: a file without a sound start is passed over path={}", files[i].path);
      continue;
    }
    std::optional<uint64_t> stop;
    for (size_t next = i + 1; next < files.size() && !stop; ++next) {
      if (files[next].before) stop = files[next].before->number;
    }
    RETURN_IF_ERROR(reader.read(files[i], stop));
  }
  RETURN_IF_ERROR(reader.finish());
  chain.end = reader.end();
  chain.newest = reader.take_newest();
  return chain;
}

Result<uint64_t> AuditLog::append(v1::AuditEntry entry) {
  MutexLock lock(mutex_);
  return append_entry(std::move(entry));
}

Result<uint64_t> AuditLog::append_entry(v1::AuditEntry entry) {
  entry.set_number(end_.number + 1);
  entry.set_unix_ns(clock_.unix_now_ns());
  entry.set_service(service_);
  const std::string payload = entry.SerializeAsString();
  if (payload.size() > kAuditPayloadMaxBytes) {
    return invalid_argument("the audit entry is too large bytes=" + std::to_string(payload.size()));
  }
  AuditLink after;
  const std::string record = encode_audit_record(end_, payload, after);
  if (const Status status = write_record(record); !status.ok()) {
    file_.reset();  // I4
    return Status(status.code(), "the audit entry cannot be written: " + status.message());
  }
  end_ = after;
  const Status status = write_file_atomically(
      file_system_, join_path(folder(generation_), kHeadName), encode_audit_head(end_));
  if (!status.ok()) {
    return Status(status.code(), "the audit log's head cannot be written: " + status.message());
  }
  LOG_INFO("audit: number={} action=\"{}\" subject={} peer={} user={} sha256={}", entry.number(),
           entry.action(), entry.subject(), entry.peer(), entry.user(), to_hex(end_.digest));
  return entry.number();
}

Status AuditLog::write_record(const std::string& record) {
  if (file_ != nullptr && file_size_ >= kFileMaxBytes) file_.reset();
  if (file_ == nullptr) RETURN_IF_ERROR(open_file());
  RETURN_IF_ERROR(file_->append(record));
  RETURN_IF_ERROR(file_->sync_data());
  file_size_ += record.size();
  return {};
}

// Its name and start are durable before an entry is: a start that is not whole holds none.
Status AuditLog::open_file() {
  const std::string directory = folder(generation_);
  const std::string path =
      join_path(directory, padded(++last_file_, 10) + std::string(kFileSuffix));
  ASSIGN_OR_RETURN(auto file, file_system_.open(path, OpenMode::kCreateExclusive));
  const std::string header = encode_audit_header(end_);
  RETURN_IF_ERROR(file->append(header));
  RETURN_IF_ERROR(file->sync());
  RETURN_IF_ERROR(file_system_.sync_directory(directory));
  file_ = std::move(file);
  file_size_ = header.size();
  return {};
}

Result<std::vector<v1::AuditEntry>> AuditLog::read(size_t max_count) {
  MutexLock lock(mutex_);
  auto chain = read_chain(max_count);
  Status damage = chain.error();
  if (chain && chain->end != end_) {
    damage = damage_at(std::min(chain->end.number, end_.number) + 1, "it is not there any more");
  }
  if (damage.ok()) return std::move(chain->newest);
  if (damage.code() == StatusCode::kDataLoss) damage_ = damage.message();
  return damage;
}

uint64_t AuditLog::last_number() const {
  MutexLock lock(mutex_);
  return end_.number;
}

std::vector<AlarmCondition> AuditLog::alarm_conditions() {
  MutexLock lock(mutex_);
  if (!damage_.empty()) return {{"audit-damaged", folder(generation_), damage_}};
  const auto found = generations();
  if (!found || found->size() < 2) return {};
  const std::string old = folder(found->front());
  return {
      {"audit-damaged", old,
       "this chain of audit entries was found damaged and left as it is; find out why, then move "
       "the folder away"}};
}

}  // namespace verbatim::base
