#include "admin/verify/verify_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "admin/status_report.h"
#include "admin/text.h"
#include "admin/verify/chain_verifier.h"
#include "admin/verify/known_batch.h"
#include "base/hex.h"

namespace verbatim::admin {
namespace {

using Clock = std::chrono::steady_clock;

// A terminal is told at once, a log only what takes long; standard output stays the report's.
constexpr std::chrono::milliseconds kTerminalInterval{200};
constexpr std::chrono::seconds kLogInterval{10};
// The rest is counted; --json has all of them.
constexpr int kShownProblems = 50;

class ProgressLine {
 public:
  explicit ProgressLine(bool is_json)
      : is_terminal_(!is_json && ::isatty(STDERR_FILENO) == 1),
        interval_(is_terminal_ ? std::chrono::milliseconds(kTerminalInterval)
                               : std::chrono::milliseconds(kLogInterval)) {}

  void show(const VerifyProgress& progress) {
    const Clock::time_point now = Clock::now();
    if (now - last_ < interval_) return;
    last_ = now;
    const double seconds = std::chrono::duration<double>(now - begin_).count();
    const auto rate = static_cast<int64_t>(static_cast<double>(progress.bytes) / seconds);
    std::fprintf(stderr, "%s%s of %s batches, %s, %s/s%s", is_terminal_ ? "\r" : "",
                 human_count(progress.done_batches).c_str(),
                 human_count(progress.total_batches).c_str(),
                 human_bytes(static_cast<int64_t>(progress.bytes)).c_str(),
                 human_bytes(rate).c_str(), is_terminal_ ? "\x1b[K" : "\n");
    is_shown_ = true;
  }
  void finish() const {
    if (is_shown_ && is_terminal_) std::fputs("\r\x1b[K", stderr);
  }

 private:
  const bool is_terminal_;
  const std::chrono::milliseconds interval_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_ = begin_;
  bool is_shown_ = false;
};

std::string problem_text(const v1::VerifyProblem& problem) {
  const std::string kind = enum_word(v1::VerifyProblem::Kind_Name(problem.kind()), "KIND_");
  const std::string batch =
      problem.batch() == 0 ? "" : "batch " + std::to_string(problem.batch()) + "  ";
  return fmt::format("{:<11}{}{}\n           {}\n           To do: {}\n", kind, batch,
                     printable(problem.file()), printable(problem.what()),
                     printable(problem.remedy()));
}

std::string chain_text(const v1::VerifyReport& report) {
  if (report.batch_count() == 0) return "";
  const std::string replaced =
      report.replaced_count() == 0
          ? ""
          : fmt::format(", {} numbers replaced or missing", human_count(report.replaced_count()));
  return fmt::format(
      "Adapter {}: batches {} to {}{}; {} files, {}, {} events.\n"
      "Last batch {}, {} events since the first\n"
      "  digest            {}\n  manifest SHA-256  {}\n",
      printable(report.adapter()), report.first_batch(), report.last_batch(), replaced,
      human_count(report.file_count()), human_bytes(static_cast<int64_t>(report.bytes())),
      human_count(report.event_count()), report.last_batch(),
      human_count(report.running_event_count()), report.last_digest(),
      report.last_manifest_sha256());
}

// is_end_known: by --last or by the processor.
std::string verdict_text(const v1::VerifyReport& report, bool is_end_known) {
  if (!report.is_good()) {
    return fmt::format("{}: NOT what was written, {} problems.\n", printable(report.directory()),
                       human_count(static_cast<int64_t>(report.problems_size())));
  }
  if (report.batch_count() == 0) return fmt::format("{}: empty.\n", printable(report.directory()));
  return fmt::format(
      "{}: untouched{}.\nKeep this where the archive's owner cannot write; the next run proves all "
      "up to it:\n  --last {}:{}\n",
      printable(report.directory()),
      is_end_known ? ""
                   : " as far as a folder alone can tell (not whether its newest batches were cut "
                     "off: --last, --ask-processor)",
      report.last_batch(), report.last_manifest_sha256());
}

void print_report(const v1::VerifyReport& report, bool is_end_known) {
  const int shown = std::min(report.problems_size(), kShownProblems);
  for (int i = 0; i < shown; ++i) print_text(problem_text(report.problems(i)));
  if (shown < report.problems_size()) {
    print_text(fmt::format("... and {} more; --json has all of them.\n",
                           human_count(int64_t{report.problems_size()} - shown)));
  }
  if (shown > 0) print_text("\n");
  for (const std::string& notice : report.notices()) print_text(printable(notice) + "\n");
  print_text(chain_text(report) + verdict_text(report, is_end_known));
}

int usage_error(const Status& status) {
  report_error(status);
  return kExitUsage;
}

int verify_against(const OutputStyle& style, const VerifyRequest& request,
                   const VerifyOptions& options, std::vector<std::string> notices) {
  ProgressLine line(style.is_json);
  Result<v1::VerifyReport> report =
      verify_folder(base::posix_file_system(), request.folder, options,
                    [&line](const VerifyProgress& progress) { line.show(progress); });
  line.finish();
  if (!report) return usage_error(report.error());
  for (std::string& notice : notices) report->add_notices(std::move(notice));
  if (style.is_json) {
    print_json(*report);
  } else {
    print_report(*report, options.last_batch != 0);
  }
  return report->is_good() ? kExitOk : kExitAttention;
}

}  // namespace

int verify(const OutputStyle& style, const VerifyRequest& request) {
  VerifyOptions options;
  options.first_batch = request.first_batch;
  if (!request.last.empty()) {
    const Result<KnownBatch> known = parse_known_batch(request.last);
    if (!known) return usage_error(known.error());
    options.last_batch = known->batch;
    options.last_digest = known->digest;
    options.last_known_by = "--last says";
  }
  return verify_against(style, request, options, {});
}

int verify_with_processor(CommandContext& context, const VerifyRequest& request) {
  // Asked before the folder is read: what is acknowledged by then must be there.
  const Result<v1::ListAdaptersResponse> answer = context.client.list_adapters();
  if (!answer) return report_error(answer.error());
  for (const v1::AdapterInfo& adapter : answer->adapters()) {
    if (adapter.name() != request.adapter) continue;
    VerifyOptions options;
    options.first_batch = request.first_batch;
    options.adapter = request.adapter;
    options.last_batch = adapter.last_acked_batch();
    const Result<std::string> digest = base::from_hex(adapter.last_acked_digest());
    if (digest) options.last_digest = *digest;
    options.last_known_by = "the processor says";
    std::vector<std::string> notices;
    if (options.last_batch == 0) {
      notices.push_back("The processor holds no acknowledged batch of this adapter.");
    }
    return verify_against(context.style, request, options, std::move(notices));
  }
  return report_error(
      not_found("the processor has no adapter of this name; `verbatimctl adapters "
                "list` shows those it has adapter=" +
                request.adapter));
}

}  // namespace verbatim::admin
