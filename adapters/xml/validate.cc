#include "adapters/xml/validate.h"

#include <map>
#include <utility>

#include "adapters/xml/output_dir.h"
#include "adapters/xml/schemas.h"
#include "base/check.h"
#include "base/xml_schema.h"

namespace verbatim::adapters {
namespace {

base::XmlSchema own_schema(std::string_view xsd, const char* name) {
  Result<base::XmlSchema> schema = base::XmlSchema::parse(xsd, name);
  CHECK(schema.has_value(), "a schema of this program: " + schema.error().message());
  return *std::move(schema);
}

class Validation {
 public:
  Validation(base::FileSystem& file_system, std::string path)
      : file_system_(file_system), path_(std::move(path)) {}

  Result<ValidationReport> run() {
    ASSIGN_OR_RETURN(const auto names, file_system_.list_directory(path_));
    for (const std::string& name : names) {
      if (name.ends_with(".companion.xml")) {
        check_companion(name);
      } else if (name.ends_with(".xml")) {
        ++report_.documents;
        note(conversations_.validate(file_system_, join(name)));
        documents_.push_back(name);
      }
    }
    check_chain();
    check_alone();
    return std::move(report_);
  }

 private:
  std::string join(const std::string& name) const { return base::join_path(path_, name); }

  void note(const Status& status) {
    if (!status.ok()) report_.problems.push_back(status.message());
  }
  void note(const std::string& name, const std::string& what) {
    report_.problems.push_back(join(name) + ": " + what);
  }

  void check_companion(const std::string& name) {
    ++report_.companions;
    const Status status = companion_.validate(file_system_, join(name));
    note(status);
    if (!status.ok()) return;
    Result<CompanionFacts> facts = load_companion_facts(file_system_, join(name));
    if (!facts) return note(facts.error());
    if (companion_name(facts->batch.number) != name ||
        document_name(facts->batch.number) != facts->document) {
      return note(name, "its name does not fit its batch");
    }
    const Result<std::string> sha = file_sha256(file_system_, join(facts->document));
    if (!sha) {
      note(sha.error());
    } else if (*sha != facts->document_sha256) {
      note(facts->document, "does not fit the digest in its companion");
    }
    by_number_.emplace(facts->batch.number, *std::move(facts));
  }

  // A number that is missing was replaced: the next one names the digest of the one before it.
  void check_chain() {
    const CompanionFacts* before = nullptr;
    for (const auto& [number, facts] : by_number_) {
      if (before != nullptr && facts.previous_digest != before->batch.digest) {
        note(companion_name(number), "does not follow " + companion_name(before->batch.number));
      }
      before = &facts;
    }
  }

  // The newest document may be on its way to its companion; an older one has lost it.
  void check_alone() {
    for (const std::string& name : documents_) {
      const auto number = batch_of_document_name(name);
      if (!number || by_number_.empty() || *number > by_number_.rbegin()->first) continue;
      if (!file_system_.exists(join(companion_name(*number)))) note(name, "has no companion");
    }
  }

  base::FileSystem& file_system_;
  const std::string path_;
  const base::XmlSchema conversations_ = own_schema(kConversationsXsd, "conversations.xsd");
  const base::XmlSchema companion_ = own_schema(kCompanionXsd, "companion.xsd");
  ValidationReport report_;
  std::vector<std::string> documents_;
  std::map<uint64_t, CompanionFacts> by_number_;
};

}  // namespace

Result<ValidationReport> validate_folder(base::FileSystem& file_system, const std::string& path) {
  return Validation(file_system, path).run();
}

}  // namespace verbatim::adapters
