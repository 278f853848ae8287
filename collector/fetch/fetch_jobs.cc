#include "collector/fetch/fetch_jobs.h"

#include <optional>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/log.h"

namespace verbatim::collector {
namespace {

constexpr std::string_view kJob = "job-";
constexpr std::string_view kPart = "part-";
// Of write_file_atomically.
constexpr std::string_view kUnfinished = ".new";

std::string encode(const v1::FetchJob& job) {
  const std::string payload = job.SerializeAsString();
  std::string bytes;
  base::put_le32(bytes, base::crc32c(payload));
  return bytes + payload;
}

std::optional<v1::FetchJob> decode(std::string_view bytes) {
  v1::FetchJob job;
  if (bytes.size() < 4) return std::nullopt;
  const std::string_view payload = bytes.substr(4);
  if (base::get_le32(bytes.data()) != base::crc32c(payload)) return std::nullopt;
  if (!job.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return std::nullopt;
  return job;
}

}  // namespace

Result<FetchJobs> FetchJobs::open(base::FileSystem& file_system, std::string directory) {
  RETURN_IF_ERROR(file_system.create_directories(directory));
  return FetchJobs(file_system, std::move(directory));
}

std::string FetchJobs::path(const char* kind, const std::string& name) const {
  return base::join_path(directory_, kind + name);
}

Result<std::vector<std::pair<std::string, v1::FetchJob>>> FetchJobs::load() {
  ASSIGN_OR_RETURN(const auto names, file_system_->list_directory(directory_));
  std::vector<std::pair<std::string, v1::FetchJob>> jobs;
  for (const std::string& file : names) {
    if (file.starts_with(kPart) || file.ends_with(kUnfinished)) {
      RETURN_IF_ERROR(file_system_->remove(base::join_path(directory_, file)));
    }
    if (!file.starts_with(kJob) || file.ends_with(kUnfinished)) continue;
    const std::string name = file.substr(kJob.size());
    ASSIGN_OR_RETURN(const std::string bytes,
                     file_system_->read_file(base::join_path(directory_, file)));
    auto job = decode(bytes);
    if (job) {
      jobs.emplace_back(name, *std::move(job));
      continue;
    }
    LOG_ERROR("a link to be fetched cannot be read and is set aside path={}",
              base::join_path(directory_, file));
    RETURN_IF_ERROR(file_system_->rename(base::join_path(directory_, file), path("bad-", name)));
  }
  return jobs;
}

Status FetchJobs::save(const std::string& name, const v1::FetchJob& job) {
  return base::write_file_atomically(*file_system_, path("job-", name), encode(job));
}

Status FetchJobs::remove(const std::string& name) {
  remove_part(name);
  const Status removed = file_system_->remove(path("job-", name));
  return removed.code() == StatusCode::kNotFound ? Status() : removed;
}

Result<std::unique_ptr<base::File>> FetchJobs::open_part(const std::string& name) {
  ASSIGN_OR_RETURN(auto file,
                   file_system_->open(path("part-", name), base::OpenMode::kCreateOrOpen));
  RETURN_IF_ERROR(file->truncate(0));
  return file;
}

void FetchJobs::remove_part(const std::string& name) {
  ignore_error(file_system_->remove(path("part-", name)), "the next start removes it");
}

}  // namespace verbatim::collector
