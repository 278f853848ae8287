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

// I2, I3: told by the digests that the companion holds, not by writing again; so a newer version of
// this program, whose bytes may differ, still knows what it has applied.
Result<Outcome> XmlAdapter::recognise(const Batch& batch, const CompanionFacts& facts) {
  if (facts.batch.digest != batch.digest()) {
    return refuse("a document of this number holds another batch", batch.number());
  }
  ASSIGN_OR_RETURN(const auto sha, folder_.load_document_sha256(batch.number()));
  if (sha && *sha != facts.document_sha256) {
    return refuse("the document does not fit its companion", batch.number());
  }
  if (!sha) {
    LOG_WARN("the document was taken away after it was written name={}",
             document_name(batch.number()));
  }
  const Status status = folder_.sync_names();
  return status.ok() ? Outcome::applied() : Outcome::retry(status.message());
}

Result<Outcome> XmlAdapter::write(const Batch& batch, const BatchPlan& plan) {
  ASSIGN_OR_RETURN(DocumentFile document, folder_.create_document(batch.number()));
  ASSIGN_OR_RETURN(const std::string sha, fill(document, [&](base::XmlWriter& writer) {
                     return write_conversations(batch, plan, document_, writer);
                   }));
  // A document without companion is what a crash between the renames leaves; else it is not ours.
  ASSIGN_OR_RETURN(const auto present, folder_.load_document_sha256(batch.number()));
  if (present && *present != sha) {
    return refuse("a file of this number has other content", batch.number());
  }
  ASSIGN_OR_RETURN(DocumentFile companion, folder_.create_companion(batch.number()));
  const CompanionLinks links{document_name(batch.number()), sha};
  RETURN_IF_ERROR(fill(companion, [&](base::XmlWriter& writer) {
                    return write_companion(batch, plan, links, writer);
                  }).error());
  RETURN_IF_ERROR(folder_.publish(document, companion));
  return Outcome::applied();
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
  ASSIGN_OR_RETURN(const auto document, folder_.load_document_sha256(number));
  if (document) return unavailable("a document without companion name=" + document_name(number));
  return BatchState::kNotApplied;
}

}  // namespace verbatim::adapters
