#include "admin/verify/manifest_reader.h"

#include <google/protobuf/util/json_util.h>

#include "base/hex.h"
#include "base/manifest_name.h"
#include "base/sha256.h"
#include "verbatim/v1/adapter.pb.h"

namespace verbatim::admin {
namespace {

constexpr int32_t kFormat = 1;

// Only as this program would write it: two spellings of one digest would be two manifests.
Result<std::string> read_digest(const std::string& hex) {
  const Result<std::string> digest = base::from_hex(hex);
  if (!digest || digest->size() != base::kSha256Size || base::to_hex(*digest) != hex) {
    return data_loss("a digest in it is none");
  }
  return digest;
}

Status check_files(const v1::BatchManifest& manifest) {
  for (const v1::ManifestFile& file : manifest.files()) {
    if (!file.name().starts_with(base::batch_prefix(manifest.batch())) ||
        file.name().find('/') != std::string::npos ||
        base::batch_of_manifest_name(file.name()) != 0) {
      return data_loss("it names a file that cannot be of its batch");
    }
    RETURN_IF_ERROR(read_digest(file.sha256()).error());
  }
  return {};
}

std::string digest_of(const std::string& header, const std::string& body_digest) {
  base::Sha256 sha;
  sha.update(header);
  sha.update(body_digest);
  return sha.finish();
}

}  // namespace

Result<ManifestFacts> read_manifest(std::string_view text, v1::BatchManifest& manifest) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer format is told by its number
  if (!google::protobuf::util::JsonStringToMessage({text.data(), text.size()}, &manifest, options)
           .ok()) {
    return data_loss("it is no manifest");
  }
  if (manifest.format() != kFormat) {
    return failed_precondition("its format is " + std::to_string(manifest.format()) +
                               ", and this program reads format " + std::to_string(kFormat));
  }
  ManifestFacts facts;
  ASSIGN_OR_RETURN(facts.digest, read_digest(manifest.digest()));
  ASSIGN_OR_RETURN(const std::string body_digest, read_digest(manifest.body_digest()));
  if (digest_of(manifest.header(), body_digest) != facts.digest) {
    return data_loss("its digest does not fit its header and body digest");
  }
  v1::BatchHeader header;
  if (!header.ParseFromString(manifest.header())) return data_loss("its header is none");
  if (header.batch() != manifest.batch() || header.adapter() != manifest.adapter()) {
    return data_loss("its batch and adapter are not those of its header");
  }
  RETURN_IF_ERROR(check_files(manifest));
  if (!manifest.previous_manifest_sha256().empty()) {
    ASSIGN_OR_RETURN(facts.previous_sha256, read_digest(manifest.previous_manifest_sha256()));
  }
  facts.adapter = header.adapter();
  facts.batch = header.batch();
  facts.replaces = header.replaces();
  facts.event_count = header.event_count();
  facts.running_event_count = header.running_event_count();
  facts.previous_digest = header.previous_digest();
  facts.sha256 = base::sha256(text);
  return facts;
}

}  // namespace verbatim::admin
