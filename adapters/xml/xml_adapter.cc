#include "adapters/xml/xml_adapter.h"

#include <utility>

#include "adapters/xml/batch_plan.h"
#include "adapters/xml/companion_document.h"
#include "base/log.h"
#include "base/xml_writer.h"

namespace verbatim::adapters {
namespace {

// Writes a document into a file and syncs it; gives its SHA-256.
template <class Write>
Result<std::string> fill(DocumentFile& file, const Write& write) {
  base::XmlWriter writer([&file](std::string_view bytes) { return file.append(bytes); });
  RETURN_IF_ERROR(write(writer));
  return file.sync();
}

}  // namespace

Status XmlAdapter::configure(const std::map<std::string, std::string>& settings) {
  ConversationsOptions document = options_.document;
  for (const auto& [name, value] : settings) {
    if (name != "emit_islogged" || (value != "true" && value != "false")) {
      return invalid_argument("unknown setting or value name=" + name);
    }
    document.emit_islogged = value == "true";
  }
  document_ = document;
  return {};
}

Result<AppliedBatch> XmlAdapter::last_applied() {
  ASSIGN_OR_RETURN(const auto newest, folder_.load_newest());
  if (!newest) return AppliedBatch{};
  if (newest->adapter != options_.adapter) {
    return failed_precondition("the output folder belongs to another adapter path=" +
                               options_.output_dir + " adapter=" + newest->adapter);
  }
  return newest->batch;
}

Result<Outcome> XmlAdapter::translate(const Batch& batch) {
  Result<Outcome> outcome = apply(batch);
  // I4: events that do not parse have been named before; what is left is the disk.
  if (!outcome) return Outcome::retry(outcome.error().to_string());
  return outcome;
}

Result<Outcome> XmlAdapter::apply(const Batch& batch) {
  RETURN_IF_ERROR(folder_.lock());
  const auto found = folder_.load(batch.number());
  if (!found && found.error().code() == StatusCode::kDataLoss) {
    return refuse(found.error().message(), batch.number());
  }
  if (!found) return found.error();
  if (*found) {
    ASSIGN_OR_RETURN(Outcome outcome, recognise(batch, **found));
    if (outcome.kind != Outcome::Kind::kRetry) return outcome;
  }
  const BatchPlan plan = plan_batch(batch);
  if (!plan.broken.empty()) return Outcome::reject("events that do not parse", plan.broken);
  return write(batch, plan);
}

// I2, I3: told by the digests that the manifest holds, not by writing again; so a newer version of
// this program, whose bytes may differ, still knows what it has applied.
Result<Outcome> XmlAdapter::recognise(const Batch& batch, const Manifest& manifest) {
  if (manifest.batch.digest != batch.digest()) {
    return refuse("a document of this number holds another batch", batch.number());
  }
  for (const OutputFile& file : manifest.files) {
    ASSIGN_OR_RETURN(const auto sha, folder_.load_sha256(file.name));
    if (sha && *sha != file.sha256) {
      return refuse("a document does not fit its manifest", batch.number());
    }
    if (!sha) LOG_WARN("a document was taken away after it was written name={}", file.name);
  }
  const Status status = folder_.sync_names();
  return status.ok() ? Outcome::applied() : Outcome::retry(status.message());
}

Result<Outcome> XmlAdapter::write(const Batch& batch, const BatchPlan& plan) {
  {
    ASSIGN_OR_RETURN(Documents rendered, render(batch, plan));
    ASSIGN_OR_RETURN(const Present present, look(batch, rendered.files));
    if (present == Present::kNothing) return publish(batch, std::move(rendered));
    if (present == Present::kForeign) {
      return refuse("a file of this number has other content", batch.number());
    }
  }
  // The temporary names are free again.
  LOG_WARN("the documents of an interrupted attempt are kept name={}",
           document_name(batch.number()));
  ASSIGN_OR_RETURN(Documents left, copy_present(batch.number()));
  return publish(batch, std::move(left));
}

Result<XmlAdapter::Documents> XmlAdapter::render(const Batch& batch, const BatchPlan& plan) const {
  OutputFile shown{document_name(batch.number()), 0, {}};
  ASSIGN_OR_RETURN(DocumentFile document, folder_.create(shown.name));
  ASSIGN_OR_RETURN(shown.sha256, fill(document, [&](base::XmlWriter& writer) {
                     return write_conversations(batch, plan, document_, writer);
                   }));
  shown.size_bytes = document.size();
  OutputFile rest{companion_name(batch.number()), 0, {}};
  ASSIGN_OR_RETURN(DocumentFile companion, folder_.create(rest.name));
  const CompanionLinks links{shown.name, shown.sha256};
  ASSIGN_OR_RETURN(rest.sha256, fill(companion, [&](base::XmlWriter& writer) {
                     return write_companion(batch, plan, links, writer);
                   }));
  rest.size_bytes = companion.size();
  return Documents{std::move(document), std::move(companion), {shown, rest}};
}

Result<XmlAdapter::Documents> XmlAdapter::copy_present(uint64_t batch) const {
  OutputFile shown{document_name(batch), 0, {}};
  ASSIGN_OR_RETURN(DocumentFile document, folder_.create(shown.name));
  RETURN_IF_ERROR(document.append_present());
  ASSIGN_OR_RETURN(shown.sha256, document.sync());
  shown.size_bytes = document.size();
  OutputFile rest{companion_name(batch), 0, {}};
  ASSIGN_OR_RETURN(DocumentFile companion, folder_.create(rest.name));
  RETURN_IF_ERROR(companion.append_present());
  ASSIGN_OR_RETURN(rest.sha256, companion.sync());
  rest.size_bytes = companion.size();
  return Documents{std::move(document), std::move(companion), {shown, rest}};
}

Result<Outcome> XmlAdapter::publish(const Batch& batch, Documents documents) {
  Manifest written{options_.adapter, {batch.number(), batch.digest()}, documents.files, {}};
  ASSIGN_OR_RETURN(const std::string previous, folder_.load_previous_sha256(batch));
  ASSIGN_OR_RETURN(DocumentFile manifest, folder_.create(base::manifest_name(batch.number())));
  RETURN_IF_ERROR(manifest.append(make_manifest(batch, written.files, previous)));
  ASSIGN_OR_RETURN(written.sha256, manifest.sync());
  RETURN_IF_ERROR(
      folder_.publish({documents.shown, documents.companion, manifest}, std::move(written)));
  return Outcome::applied();
}

// The proof is the companion: it names the batch by its digest, and the document by its own.
Result<XmlAdapter::Present> XmlAdapter::look(const Batch& batch,
                                             const std::vector<OutputFile>& files) const {
  bool is_any_other = false;
  for (const OutputFile& file : files) {
    ASSIGN_OR_RETURN(const bool is_one, is_other(file));
    is_any_other = is_any_other || is_one;
  }
  if (!is_any_other) return Present::kNothing;
  const Result<CompanionFacts> facts = folder_.load_companion(batch.number());
  const StatusCode code = facts.error().code();
  if (code == StatusCode::kNotFound || code == StatusCode::kDataLoss) return Present::kForeign;
  if (!facts) return facts.error();
  const AppliedBatch own{batch.number(), batch.digest()};
  if (facts->adapter != options_.adapter || facts->batch != own) return Present::kForeign;
  ASSIGN_OR_RETURN(const auto sha, folder_.load_sha256(document_name(batch.number())));
  if (!sha) return Present::kNothing;
  return *sha == facts->document_sha256 ? Present::kLeft : Present::kForeign;
}

Result<bool> XmlAdapter::is_other(const OutputFile& file) const {
  ASSIGN_OR_RETURN(const auto present, folder_.load_sha256(file.name));
  return present && *present != file.sha256;
}

Outcome XmlAdapter::refuse(const std::string& why, uint64_t batch) {
  refused_ = batch;
  LOG_ERROR("a person is needed: {} name={}", why, document_name(batch));
  return Outcome::reject(why + " name=" + document_name(batch));
}

Result<BatchState> XmlAdapter::batch_state(uint64_t number, std::string_view digest) {
  const auto found = folder_.load(number);
  if (found && *found && (*found)->batch.digest == digest) return BatchState::kApplied;
  // Whatever stands there, even damaged: it was told to the hub as not this batch's.
  if (number == refused_) return BatchState::kNotApplied;
  if (!found) return found.error();
  if (*found) return BatchState::kOtherApplied;
  for (const std::string& name : {document_name(number), companion_name(number)}) {
    ASSIGN_OR_RETURN(const auto document, folder_.load_sha256(name));
    if (document) return unavailable("a document without manifest name=" + name);
  }
  return BatchState::kNotApplied;
}

}  // namespace verbatim::adapters
