#include "adapters/xml/output_dir.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "adapters/xml/companion_document.h"
#include "base/fault_point.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/xml_schema.h"

namespace verbatim::adapters {
namespace {

constexpr std::string_view kPrefix = "batch-";
constexpr std::string_view kDocumentSuffix = ".xml";
constexpr std::string_view kCompanionSuffix = ".companion.xml";
constexpr std::string_view kLockName = ".lock";

std::string numbered_name(uint64_t batch, std::string_view suffix) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%012llu", static_cast<unsigned long long>(batch));
  return std::string(kPrefix) + digits + std::string(suffix);
}

Result<uint64_t> to_number(const std::string& text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || last != end) return data_loss("not a number");
  return number;
}

std::optional<uint64_t> batch_of_name(const std::string& name, std::string_view suffix) {
  if (!name.starts_with(kPrefix) || !name.ends_with(suffix)) return std::nullopt;
  if (name.size() <= kPrefix.size() + suffix.size()) return std::nullopt;
  const Result<uint64_t> number =
      to_number(name.substr(kPrefix.size(), name.size() - kPrefix.size() - suffix.size()));
  if (!number || numbered_name(*number, suffix) != name) return std::nullopt;
  return *number;
}

Result<CompanionFacts> to_facts(base::XmlRoot root) {
  auto& attributes = root.attributes;
  if (root.name != "Batch" || root.namespace_name != kCompanionNamespace) {
    return data_loss("its outermost element is another");
  }
  if (attributes["format"] != kCompanionFormat) {
    return failed_precondition("it was written by a newer version of this program format=" +
                               attributes["format"]);
  }
  CompanionFacts facts;
  facts.adapter = attributes["adapter"];
  facts.document = attributes["document"];
  ASSIGN_OR_RETURN(facts.batch.number, to_number(attributes["number"]));
  ASSIGN_OR_RETURN(facts.batch.digest, base::from_hex(attributes["digest"]));
  ASSIGN_OR_RETURN(facts.previous_digest, base::from_hex(attributes["previousDigest"]));
  ASSIGN_OR_RETURN(facts.document_sha256, base::from_hex(attributes["documentSha256"]));
  return facts;
}

}  // namespace

Result<CompanionFacts> load_companion_facts(base::FileSystem& file_system,
                                            const std::string& path) {
  Result<base::XmlRoot> root = base::read_xml_root(file_system, path);
  if (!root) {
    const Status& error = root.error();
    return error.code() == StatusCode::kInvalidArgument
               ? data_loss("not a companion document: " + error.message())
               : error;
  }
  Result<CompanionFacts> facts = to_facts(*std::move(root));
  if (facts) return facts;
  const StatusCode code = facts.error().code() == StatusCode::kFailedPrecondition
                              ? StatusCode::kFailedPrecondition
                              : StatusCode::kDataLoss;
  return Status(code, "not a companion document: " + facts.error().message() + " path=" + path);
}

std::string document_name(uint64_t batch) { return numbered_name(batch, kDocumentSuffix); }
std::string companion_name(uint64_t batch) { return numbered_name(batch, kCompanionSuffix); }

std::optional<uint64_t> batch_of_document_name(const std::string& name) {
  return batch_of_name(name, kDocumentSuffix);
}
std::optional<uint64_t> batch_of_companion_name(const std::string& name) {
  return batch_of_name(name, kCompanionSuffix);
}

Status OutputDir::lock() {
  if (lock_ != nullptr) return {};
  RETURN_IF_ERROR(file_system_.create_directories(path_));
  Result<std::unique_ptr<base::FileLock>> held =
      file_system_.lock_file(join(std::string(kLockName)));
  if (!held) return unavailable("the output folder is in use: " + held.error().message());
  ASSIGN_OR_RETURN(const auto names, file_system_.list_directory(path_));
  for (const std::string& name : names) {
    if (!name.starts_with(kPrefix) || !name.ends_with(kTemporarySuffix)) continue;
    RETURN_IF_ERROR(file_system_.remove(join(name)));
    LOG_INFO("removed what an interrupted batch has left name={}", name);
  }
  lock_ = *std::move(held);
  return {};
}

Result<std::optional<Manifest>> OutputDir::load_newest() const {
  return load_newest_manifest(file_system_, path_);
}

Result<std::optional<Manifest>> OutputDir::load(uint64_t batch) const {
  Result<Manifest> manifest = load_manifest(file_system_, path_, batch);
  if (manifest) return std::optional<Manifest>(*std::move(manifest));
  if (manifest.error().code() == StatusCode::kNotFound) return std::optional<Manifest>();
  return manifest.error();
}

// The folder may hold millions of names, so they are listed only where this process does not know
// the batch before: after a start, and after another instance was active.
Result<std::string> OutputDir::load_previous_sha256(const Batch& batch) {
  std::string previous = previous_manifest_sha256(batch, newest_);
  if (!previous.empty()) return previous;
  ASSIGN_OR_RETURN(newest_, load_newest());
  return previous_manifest_sha256(batch, newest_);
}

Result<DocumentFile> OutputDir::create(const std::string& name) const {
  return DocumentFile::create(file_system_, join(name));
}

Result<CompanionFacts> OutputDir::load_companion(uint64_t batch) const {
  return load_companion_facts(file_system_, join(companion_name(batch)));
}

Result<std::optional<std::string>> OutputDir::load_sha256(const std::string& name) const {
  Result<std::string> sha = file_sha256(file_system_, join(name));
  if (sha) return std::optional<std::string>(*std::move(sha));
  if (sha.error().code() == StatusCode::kNotFound) return std::optional<std::string>();
  return sha.error();
}

Status OutputDir::publish(Files files, Manifest written) {
  FAULT_POINT("xml.tmp_before_rename");
  // The companion tells whose document that is, so it must be there first.
  RETURN_IF_ERROR(files.companion.rename());
  RETURN_IF_ERROR(files.document.rename());
  RETURN_IF_ERROR(sync_directory());
  FAULT_POINT("xml.between_renames");
  RETURN_IF_ERROR(files.manifest.rename());
  RETURN_IF_ERROR(sync_directory());
  has_failed_sync_ = false;
  newest_ = std::move(written);
  return {};
}

Status OutputDir::sync_names() {
  if (has_failed_sync_) return unavailable("a directory sync has failed before path=" + path_);
  return sync_directory();
}

Status OutputDir::sync_directory() {
  const Status status = file_system_.sync_directory(path_);
  if (!status.ok()) has_failed_sync_ = true;
  return status;
}

}  // namespace verbatim::adapters
