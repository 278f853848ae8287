#include "admin/verify/chain_verifier.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "admin/verify/folder_scan.h"
#include "admin/verify/manifest_reader.h"
#include "base/hex.h"
#include "base/manifest_name.h"
#include "base/sha256.h"

namespace verbatim::admin {
namespace {

using Kind = v1::VerifyProblem;

constexpr size_t kReadSize = size_t{1} << 20;

std::string n(uint64_t number) { return std::to_string(number); }

// A file that is not what its manifest says; judged when all of them are known.
struct WrongFile {
  uint64_t batch = 0;
  std::string name;
  std::string expected_hex;
  std::string found_hex;
};

class Verification {
 public:
  Verification(base::FileSystem& file_system, const std::string& folder,
               const VerifyOptions& options, const std::function<void(const VerifyProgress&)>& show)
      : file_system_(file_system), folder_(folder), options_(options), show_(show) {}

  Result<v1::VerifyReport> run() {
    report_.set_directory(folder_);
    ASSIGN_OR_RETURN(scan_, scan_folder(file_system_, folder_));
    progress_.total_batches = scan_.manifests.size();
    for (const uint64_t number : scan_.manifests) {
      check_batch(number);
      ++progress_.done_batches;
      tell();
    }
    judge_wrong_files();
    check_chain();
    judge_manifests();
    check_ends();
    check_unnamed_files();
    return finish();
  }

 private:
  std::string join(const std::string& name) const { return base::join_path(folder_, name); }
  void tell() {
    if (show_) show_(progress_);
  }
  void note(Kind::Kind kind, uint64_t batch, const std::string& file, std::string what,
            std::string remedy) {
    v1::VerifyProblem& problem = *report_.add_problems();
    problem.set_kind(kind);
    problem.set_batch(batch);
    problem.set_file(file);
    problem.set_what(std::move(what));
    problem.set_remedy(std::move(remedy));
  }

  // --- one batch by itself

  void check_batch(uint64_t number) {
    const std::string name = base::manifest_name(number);
    const Result<std::string> text = file_system_.read_file(join(name));
    if (!text) return note_unreadable(number, name, text.error());
    progress_.bytes += text->size();
    v1::BatchManifest manifest;
    const Result<ManifestFacts> facts = read_manifest(*text, manifest);
    if (!facts) return note_bad_manifest(number, name, facts.error());
    if (facts->batch != number) {
      note(
          Kind::KIND_REORDERED, number, name,
          "it is the manifest of batch " + n(facts->batch) + " under the name of batch " +
              n(number),
          "Find out who moved it; give each file of batch " + n(facts->batch) +
              " its own number back, then verify again: files of a moved batch are not looked at.");
      misplaced_.insert({number, facts->batch});
    }
    if (!facts_.emplace(facts->batch, *facts).second) {
      note(Kind::KIND_INSERTED, number, name,
           "there is more than one manifest of batch " + n(facts->batch),
           "Keep the one that the chain passes through, and find out where the other is from.");
      return;
    }
    if (facts->replaces != 0) replaced_.insert(facts->replaces);
    if (facts->batch == number) check_files(manifest);
  }

  void note_bad_manifest(uint64_t number, const std::string& name, const Status& error) {
    unsound_.insert(number);
    if (error.code() == StatusCode::kFailedPrecondition) {
      return note(Kind::KIND_UNREADABLE, number, name, error.message(),
                  "Verify with the newer verbatimctl.");
    }
    note(Kind::KIND_CHANGED, number, name, error.message(),
         "Put this file back from a copy; what the batch holds cannot be proven without it.");
  }

  void note_unreadable(uint64_t number, const std::string& name, const Status& error) {
    unsound_.insert(number);
    note(Kind::KIND_UNREADABLE, number, name, error.message(),
         "Check the disk and the rights of the folder, then verify again.");
  }

  void check_files(const v1::BatchManifest& manifest) {
    for (const v1::ManifestFile& file : manifest.files()) {
      scan_.files.erase(file.name());
      const Result<std::string> sha256 = sha256_of(file.name());
      if (sha256.error().code() == StatusCode::kNotFound) {
        note(Kind::KIND_REMOVED, manifest.batch(), file.name(), "it is missing",
             "Put it back from a copy; its SHA-256 is " + file.sha256() + ".");
      } else if (!sha256) {
        note_unreadable(manifest.batch(), file.name(), sha256.error());
      } else {
        report_.set_file_count(report_.file_count() + 1);
        if (base::to_hex(*sha256) == file.sha256()) continue;
        wrong_files_.push_back(
            {manifest.batch(), file.name(), file.sha256(), base::to_hex(*sha256)});
      }
    }
  }

  Result<std::string> sha256_of(const std::string& name) {
    ASSIGN_OR_RETURN(auto file, file_system_.open(join(name), base::OpenMode::kRead));
    base::Sha256 sha;
    buffer_.resize(kReadSize);
    for (uint64_t offset = 0;;) {
      ASSIGN_OR_RETURN(const size_t count, file->read_at(offset, std::span<char>(buffer_)));
      sha.update(std::string_view(buffer_.data(), count));
      offset += count;
      progress_.bytes += count;
      if (count < buffer_.size()) return sha.finish();
      tell();
    }
  }

  // Two files that hold each other's bytes were exchanged; any other was changed.
  void judge_wrong_files() {
    std::unordered_map<std::string, const WrongFile*> by_expected;
    for (const WrongFile& file : wrong_files_) by_expected.emplace(file.expected_hex, &file);
    for (const WrongFile& file : wrong_files_) {
      const auto owner = by_expected.find(file.found_hex);
      if (owner != by_expected.end()) {
        note(Kind::KIND_REORDERED, file.batch, file.name,
             "it holds what belongs under the name " + owner->second->name,
             "Find out who moved it; give both files their own names back.");
      } else {
        note(Kind::KIND_CHANGED, file.batch, file.name,
             "its bytes are not those that were written (SHA-256 " + file.found_hex + ")",
             "Put it back from a copy whose SHA-256 is " + file.expected_hex +
                 "; keep the changed file as evidence.");
      }
    }
  }

  // --- the chain

  void check_chain() {
    std::unordered_map<std::string, uint64_t> by_digest;
    const ManifestFacts* before = nullptr;
    for (const auto& [number, facts] : facts_) {
      const std::string& expected =
          options_.adapter.empty() ? facts_.begin()->second.adapter : options_.adapter;
      if (facts.adapter != expected) {
        note(Kind::KIND_INSERTED, number, base::manifest_name(number),
             "it is a batch of adapter " + facts.adapter + ", not of " + expected,
             "Move it out of the folder; one folder belongs to one adapter.");
        continue;
      }
      report_.set_event_count(report_.event_count() + facts.event_count);
      if (before == nullptr) {
        check_beginning(number, facts);
      } else if (facts.previous_digest == before->digest) {
        check_link(*before, facts);
      } else {
        judge_break(*before, facts, by_digest);
      }
      by_digest.emplace(facts.digest, number);
      before = &facts;
    }
  }

  void check_beginning(uint64_t number, const ManifestFacts& facts) {
    if (facts.previous_digest == std::string(base::kSha256Size, '\0')) {
      check_count(facts, 0);
      return;
    }
    if (options_.first_batch == number || is_unsound_between(0, number)) return;
    const uint64_t missing = facts.running_event_count - facts.event_count;
    note(Kind::KIND_TRUNCATED, number, base::manifest_name(number),
         "it is the oldest batch here, and " + n(missing) + " events of batches before it are not",
         "Where older batches were moved away on purpose, say so with --first " + n(number) +
             "; else put them back from a copy.");
  }

  // The batch before is the right one: what else must fit.
  void check_link(const ManifestFacts& before, const ManifestFacts& facts) {
    check_count(facts, before.running_event_count);
    if (facts.previous_sha256.empty()) {
      ++unlinked_count_;
    } else {
      links_.emplace_back(&before, &facts);
    }
  }

  // From the newest back: what a manifest says of the one before it counts only where it was not
  // found changed itself.
  void judge_manifests() {
    const ManifestFacts* changed = nullptr;
    for (auto link = links_.rbegin(); link != links_.rend(); ++link) {
      const auto& [before, facts] = *link;
      if (facts == changed || facts->previous_sha256 == before->sha256) continue;
      changed = before;
      note(Kind::KIND_CHANGED, before->batch, base::manifest_name(before->batch),
           "it is not the manifest that stood here when batch " + n(facts->batch) +
               " was written: what it says of its files is worth nothing",
           "Put it back from a copy whose SHA-256 is " + base::to_hex(facts->previous_sha256) +
               "; keep the changed file as evidence.");
    }
  }

  void check_count(const ManifestFacts& facts, uint64_t before) {
    if (facts.running_event_count == before + facts.event_count) return;
    note(Kind::KIND_CHANGED, facts.batch, base::manifest_name(facts.batch),
         "it counts " + n(facts.running_event_count) + " events up to here, and there are " +
             n(before + facts.event_count),
         "A batch with a right digest and a wrong count was not sealed by the processor: find out "
         "where it is from.");
  }

  void judge_break(const ManifestFacts& before, const ManifestFacts& facts,
                   const std::unordered_map<std::string, uint64_t>& by_digest) {
    const auto real = by_digest.find(facts.previous_digest);
    if (real != by_digest.end()) {
      for (auto it = facts_.upper_bound(real->second); it->first < facts.batch; ++it) {
        note(Kind::KIND_INSERTED, it->first, base::manifest_name(it->first),
             "it is not of this chain: batch " + n(facts.batch) + " follows batch " +
                 n(real->second),
             "Move the files of batch " + n(it->first) +
                 " out of the folder, and find out who put them there.");
      }
    } else if (is_unsound_between(before.batch, facts.batch)) {
      // That manifest is named already; with it, the chain may be whole.
    } else if (facts.previous_digest == std::string(base::kSha256Size, '\0')) {
      note(Kind::KIND_INSERTED, facts.batch, base::manifest_name(facts.batch),
           "it begins a chain of its own",
           "One folder holds one chain: find out where it is from.");
    } else if (facts.batch > before.batch + 1) {
      note_missing(before, facts);
    } else {
      note(Kind::KIND_CHANGED, before.batch, base::manifest_name(before.batch),
           "it is not the batch that batch " + n(facts.batch) + " was sealed behind",
           "Put batch " + n(before.batch) + " back from a copy; its digest is " +
               base::to_hex(facts.previous_digest) + ".");
    }
  }

  void note_missing(const ManifestFacts& before, const ManifestFacts& facts) {
    uint64_t first = before.batch + 1;
    uint64_t last = facts.batch - 1;
    while (first < last && replaced_.contains(first)) ++first;
    while (last > first && replaced_.contains(last)) --last;
    const uint64_t events =
        facts.running_event_count - facts.event_count - before.running_event_count;
    const std::string which = first == last ? "batch " + n(first)
                                            : "batches " + n(first) + " to " + n(last) +
                                                  " (or those of them that were not replaced)";
    note(Kind::KIND_REMOVED, first, base::manifest_name(first),
         which + " with " + n(events) + " events missing: batch " + n(facts.batch) +
             " does not follow batch " + n(before.batch),
         "Put them back from a copy; what the processor has deleted it cannot give again.");
    gaps_.emplace_back(first, last);
  }

  static bool is_manifest(const v1::VerifyProblem& problem) {
    return base::batch_of_manifest_name(problem.file()) != 0;
  }
  bool is_unsound_between(uint64_t before, uint64_t batch) const {
    const auto next = unsound_.upper_bound(before);
    return next != unsound_.end() && *next < batch;
  }
  // Gaps are noted in ascending order.
  bool is_in_gap(uint64_t batch) const {
    const auto next = std::upper_bound(gaps_.begin(), gaps_.end(), std::pair(batch, UINT64_MAX));
    return next != gaps_.begin() && std::prev(next)->second >= batch;
  }

  // --- the newest end, and what nobody names

  void check_ends() {
    if (options_.last_batch == 0) return;
    const uint64_t known = options_.last_batch;
    const std::string who = options_.last_known_by;
    const uint64_t newest = scan_.manifests.empty() ? 0 : scan_.manifests.back();
    const auto found = facts_.find(known);
    if (newest < known) {
      note(Kind::KIND_TRUNCATED, newest, newest == 0 ? "" : base::manifest_name(newest),
           (newest == 0 ? std::string("there is no batch here") : "it is the newest batch here") +
               ", and " + who + " that there is a batch " + n(known),
           "Put what is missing back from a copy; look for who cut it off.");
    } else if (found == facts_.end()) {
      if (is_unsound_between(known - 1, known + 1)) return;
      note(Kind::KIND_REMOVED, known, base::manifest_name(known),
           "it is missing, and " + who + " that it was there", "Put it back from a copy.");
    } else if (!options_.last_digest.empty() && options_.last_digest != found->second.digest &&
               options_.last_digest != found->second.sha256) {
      note(Kind::KIND_CHANGED, known, base::manifest_name(known),
           "neither its batch's digest nor its own is the one that " + who,
           "It was written anew, and all before it may have been: compare with a copy.");
    } else if (newest > known) {
      report_.add_notices("Batches after " + n(known) + " are newer than what " + who + ".");
    }
  }

  void check_unnamed_files() {
    std::vector<std::string> names(scan_.files.begin(), scan_.files.end());
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      const uint64_t batch = base::batch_of_name(name);
      // Their manifest is named already.
      if (unsound_.contains(batch) || misplaced_.contains(batch)) continue;
      if (is_in_gap(batch)) {
        note(Kind::KIND_REMOVED, batch, name, "the manifest of its batch is missing",
             "Put the manifest back from a copy.");
      } else {
        note(Kind::KIND_INSERTED, batch, name, "no manifest names it",
             "Move it out of the folder, and find out who put it there.");
      }
    }
  }

  Result<v1::VerifyReport> finish() {
    for (const uint64_t batch : scan_.on_their_way) {
      report_.add_notices("Files of batch " + n(batch) +
                          " are newer than this run, or on their way: not looked at.");
    }
    if (unlinked_count_ > 0) {
      report_.add_notices(n(unlinked_count_) +
                          " manifests do not name the one before them: what is written of the "
                          "batch before is proven by its own manifest alone.");
    }
    report_.set_batch_count(facts_.size());
    report_.set_bytes(progress_.bytes);
    if (!facts_.empty()) {
      const ManifestFacts& last = facts_.rbegin()->second;
      report_.set_adapter(last.adapter);
      report_.set_first_batch(facts_.begin()->first);
      report_.set_last_batch(last.batch);
      report_.set_last_digest(base::to_hex(last.digest));
      report_.set_last_manifest_sha256(base::to_hex(last.sha256));
      report_.set_running_event_count(last.running_event_count);
      report_.set_replaced_count(last.batch - facts_.begin()->first + 1 - facts_.size());
    } else if (report_.problems().empty()) {
      // Asked, the processor has said that it knows of no batch.
      if (!options_.adapter.empty()) {
        report_.add_notices("There is no manifest here: the adapter has not written anything yet.");
      } else {
        note(Kind::KIND_TRUNCATED, 0, "", "there is no manifest here: it proves nothing",
             "Is this an adapter's output folder? If nothing was written yet, --ask-processor NAME "
             "says so; else find out who emptied it.");
      }
    }
    std::stable_sort(report_.mutable_problems()->begin(), report_.mutable_problems()->end(),
                     [](const auto& a, const auto& b) {
                       return std::pair(a.batch(), !is_manifest(a)) <
                              std::pair(b.batch(), !is_manifest(b));
                     });
    report_.set_is_good(report_.problems().empty());
    return std::move(report_);
  }

  base::FileSystem& file_system_;
  const std::string folder_;
  const VerifyOptions options_;
  const std::function<void(const VerifyProgress&)>& show_;

  FolderScan scan_;
  VerifyProgress progress_;
  std::string buffer_;
  std::map<uint64_t, ManifestFacts> facts_;  // by the number in the header
  // Numbers whose manifest could not be taken, or is another's.
  std::set<uint64_t> unsound_;
  std::set<uint64_t> misplaced_;
  std::vector<std::pair<uint64_t, uint64_t>> gaps_;
  std::set<uint64_t> replaced_;  // numbers that a header names as replaced
  std::vector<WrongFile> wrong_files_;
  // Each names the manifest of the one before it.
  std::vector<std::pair<const ManifestFacts*, const ManifestFacts*>> links_;
  uint64_t unlinked_count_ = 0;
  v1::VerifyReport report_;
};

}  // namespace

Result<v1::VerifyReport> verify_folder(base::FileSystem& file_system, const std::string& folder,
                                       const VerifyOptions& options,
                                       const std::function<void(const VerifyProgress&)>& show) {
  return Verification(file_system, folder, options, show).run();
}

}  // namespace verbatim::admin
