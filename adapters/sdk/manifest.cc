#include "adapters/sdk/manifest.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "base/check.h"
#include "base/hex.h"
#include "base/sha256.h"
#include "verbatim/v1/manifest.pb.h"

namespace verbatim::adapters {
namespace {

constexpr int32_t kFormat = 1;

Result<std::string> digest_of(const std::string& hex) {
  ASSIGN_OR_RETURN(std::string digest, base::from_hex(hex));
  if (digest.size() != base::kSha256Size) return data_loss("a digest of the wrong size");
  return digest;
}

Result<Manifest> to_manifest(const v1::BatchManifest& given) {
  Manifest manifest;
  manifest.adapter = given.adapter();
  manifest.batch.number = given.batch();
  ASSIGN_OR_RETURN(manifest.batch.digest, digest_of(given.digest()));
  for (const v1::ManifestFile& file : given.files()) {
    ASSIGN_OR_RETURN(std::string sha256, digest_of(file.sha256()));
    if (!file.name().starts_with(base::batch_prefix(given.batch())) ||
        file.name().find('/') != std::string::npos) {
      return data_loss("it names a file that is not of its batch");
    }
    manifest.files.push_back({file.name(), file.size_bytes(), std::move(sha256)});
  }
  return manifest;
}

Status no_manifest(const std::string& path, const std::string& why) {
  return data_loss("not a manifest: " + why + " path=" + path);
}

}  // namespace

std::string make_manifest(const Batch& batch, const std::vector<OutputFile>& files,
                          std::string_view previous_sha256) {
  v1::BatchManifest manifest;
  manifest.set_format(kFormat);
  manifest.set_adapter(batch.header().adapter());
  manifest.set_batch(batch.number());
  manifest.set_digest(base::to_hex(batch.digest()));
  manifest.set_header(batch.header_bytes());
  manifest.set_body_digest(base::to_hex(batch.body_digest()));
  manifest.set_previous_manifest_sha256(base::to_hex(previous_sha256));
  for (const OutputFile& file : files) {
    v1::ManifestFile& added = *manifest.add_files();
    added.set_name(file.name);
    added.set_size_bytes(file.size_bytes);
    added.set_sha256(base::to_hex(file.sha256));
  }
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(manifest, &json, options);
  CHECK(status.ok(), "a manifest is written as JSON");
  return json;
}

Result<Manifest> load_manifest(base::FileSystem& file_system, const std::string& folder,
                               uint64_t batch) {
  const std::string path = base::join_path(folder, base::manifest_name(batch));
  ASSIGN_OR_RETURN(const std::string text, file_system.read_file(path));
  v1::BatchManifest given;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer format is told by its number
  if (!google::protobuf::util::JsonStringToMessage(text, &given, options).ok()) {
    return no_manifest(path, "it does not parse");
  }
  if (given.format() > kFormat) {
    return failed_precondition(
        "a manifest of a newer version format=" + std::to_string(given.format()) + " path=" + path);
  }
  Result<Manifest> manifest = to_manifest(given);
  if (!manifest) return no_manifest(path, manifest.error().message());
  if (manifest->batch.number != batch) return no_manifest(path, "it is that of another batch");
  manifest->sha256 = base::sha256(text);
  return manifest;
}

Result<std::optional<Manifest>> load_newest_manifest(base::FileSystem& file_system,
                                                     const std::string& folder) {
  const Result<std::vector<std::string>> names = file_system.list_directory(folder);
  if (!names) {
    if (names.error().code() == StatusCode::kNotFound) return std::optional<Manifest>();
    return names.error();
  }
  uint64_t newest = 0;
  for (const std::string& name : *names) {
    newest = std::max(newest, base::batch_of_manifest_name(name));
  }
  if (newest == 0) return std::optional<Manifest>();
  ASSIGN_OR_RETURN(Manifest manifest, load_manifest(file_system, folder, newest));
  return std::optional<Manifest>(std::move(manifest));
}

std::string previous_manifest_sha256(const Batch& batch, const std::optional<Manifest>& newest) {
  if (batch.previous_digest() == std::string(base::kSha256Size, '\0')) {
    return batch.previous_digest();
  }
  if (newest && newest->batch.digest == batch.previous_digest()) return newest->sha256;
  return {};
}

}  // namespace verbatim::adapters
