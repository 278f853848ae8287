#include "collector/directory/csv_people.h"

#include "base/log.h"

namespace verbatim::collector {

CsvPeople::CsvPeople(base::FileSystem& file_system, CsvPeopleOptions options)
    : file_system_(file_system), options_(std::move(options)), seen_(Stamp()) {}

CsvPeople::~CsvPeople() {
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    wakes_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

Result<std::unique_ptr<CsvPeople>> CsvPeople::create(base::FileSystem& file_system,
                                                     CsvPeopleOptions options) {
  std::unique_ptr<CsvPeople> people(new CsvPeople(file_system, std::move(options)));
  people->seen_ = people->stamp();
  RETURN_IF_ERROR(people->read());
  people->thread_ = std::thread([raw = people.get()] { raw->run(); });
  return people;
}

Result<CsvPeople::Stamp> CsvPeople::stamp() const {
  ASSIGN_OR_RETURN(const int64_t modified, file_system_.modified_unix_ns(options_.path));
  ASSIGN_OR_RETURN(const uint64_t size, file_system_.file_size(options_.path));
  return Stamp(modified, size);
}

Status CsvPeople::read() {
  ASSIGN_OR_RETURN(const std::string text, file_system_.read_file(options_.path));
  auto table = parse_people(text, options_.people_max_count);
  if (!table.has_value()) {
    return Status(table.error().code(), options_.path + ": " + table.error().message());
  }
  base::MutexLock lock(mutex_);
  table_ = std::make_shared<const PeopleTable>(*std::move(table));
  problem_.clear();
  problem_since_unix_ns_ = 0;
  LOG_INFO("directory read path={} person_count={}", options_.path, table_->size());
  return {};
}

void CsvPeople::look() {
  // Before the file is read: what changes meanwhile is seen the next time.
  Result<Stamp> now = stamp();
  const bool is_same = now.has_value() == seen_.has_value() &&
                       (now.has_value() ? *now == *seen_ : now.error() == seen_.error());
  if (is_same) return;
  seen_ = std::move(now);
  const Status status = seen_.has_value() ? read() : seen_.error();
  if (status.ok()) return;
  LOG_WARN("the directory's file is not taken, the people read before stay: {}",
           status.to_string());
  const bool is_content = status.code() == StatusCode::kInvalidArgument ||
                          status.code() == StatusCode::kResourceExhausted;
  // What could not be read may be readable the next time, though nothing has changed.
  if (!is_content) seen_ = status;
  base::MutexLock lock(mutex_);
  problem_ = status.message();
  problem_since_unix_ns_ = options_.clock->unix_now_ns();
}

void CsvPeople::run() {
  while (true) {
    {
      base::MutexLock lock(mutex_);
      if (wakes_.wait_for(mutex_, options_.look_interval,
                          [this]() REQUIRES(mutex_) { return is_stopping_; })) {
        return;
      }
    }
    look();
  }
}

std::vector<Finding> CsvPeople::find(const std::vector<std::string>& addresses) {
  std::shared_ptr<const PeopleTable> table;
  {
    base::MutexLock lock(mutex_);
    table = table_;
  }
  std::vector<Finding> findings;
  findings.reserve(addresses.size());
  for (const std::string& address : addresses) {
    const auto found = table->find(address);
    Finding& finding = findings.emplace_back();
    finding.kind = found == table->end() ? Finding::Kind::kUnknown : Finding::Kind::kFound;
    if (found != table->end()) finding.person = found->second;
  }
  return findings;
}

void CsvPeople::describe(v1::DirectoryInfo& info) const {
  base::MutexLock lock(mutex_);
  info.set_kind("csv");
  info.set_person_count(static_cast<int64_t>(table_->size()));
  info.set_problem(problem_);
  info.set_problem_since_unix_ns(problem_since_unix_ns_);
}

}  // namespace verbatim::collector
