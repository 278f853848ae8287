#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "admin/queue/queue_commands.h"
#include "admin/status_report.h"
#include "admin/text.h"

namespace verbatim::admin {
namespace {

constexpr int kBarWidth = 30;
constexpr std::chrono::seconds kLineInterval{2};

std::string counts_text(const v1::TransferProgress& progress) {
  std::string text = human_count(progress.moved_count()) + " moved";
  const int64_t leased_count = progress.skipped_count() - progress.homeless_count();
  if (leased_count > 0) text += ", " + human_count(leased_count) + " left (leased)";
  if (progress.homeless_count() > 0) {
    text += ", " + human_count(progress.homeless_count()) +
            " left (the queue that they came from is gone: say --to)";
  }
  return text;
}

// Shows how far a transfer is: a bar that is drawn anew on a terminal, else a line now and then;
// nothing for scripts.
class ProgressShow {
 public:
  explicit ProgressShow(bool is_json)
      : is_json_(is_json), has_bar_(!is_json && ::isatty(STDOUT_FILENO) == 1) {}

  void show(const v1::TransferProgress& progress) {
    if (is_json_ || progress.is_done()) return;
    if (has_bar_) {
      print_text("\r" + bar(progress) + "\x1b[K");
      is_bar_shown_ = true;
    } else if (const auto now = std::chrono::steady_clock::now(); now - last_ >= kLineInterval) {
      last_ = now;
      print_text(fmt::format("{} of {} seen, {}\n", human_count(progress.seen_count()),
                             human_count(progress.total_count()), counts_text(progress)));
    }
    std::fflush(stdout);
  }
  void finish() {
    if (is_bar_shown_) print_text("\r\x1b[K");
  }

 private:
  std::string bar(const v1::TransferProgress& progress) const {
    const int64_t total = std::max<int64_t>(progress.total_count(), 1);
    const int64_t seen = std::min(progress.seen_count(), total);
    const auto filled = static_cast<size_t>(seen * kBarWidth / total);
    return fmt::format("[{:<{}}] {:>3} %  {}", std::string(filled, '#'), kBarWidth,
                       seen * 100 / total, counts_text(progress));
  }

  const bool is_json_;
  const bool has_bar_;
  bool is_bar_shown_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

int report_transfer(CommandContext& context, const Result<v1::TransferProgress>& result,
                    const std::string& sentence) {
  if (!result) return report_error(result.error());
  if (context.style.is_json) print_json(*result);
  const std::string counts = counts_text(*result);
  if (!result->error().empty()) {
    return report_error(aborted("it ended early, " + counts + ": " + printable(result->error())));
  }
  if (!context.style.is_json) print_text(sentence + ": " + counts + ".\n");
  return kExitOk;
}

std::string transfer_sentence(const v1::TransferRequest& request) {
  const std::string queue = printable(request.queue());
  switch (request.kind()) {
    case v1::TransferRequest::KIND_PURGE:
      return queue + " is purged into its dead letters";
    case v1::TransferRequest::KIND_REDRIVE:
      return queue + " is redriven" +
             (request.to_queue().empty() ? "" : " to " + printable(request.to_queue()));
    default:
      return queue + " is moved to " + printable(request.to_queue());
  }
}

}  // namespace

int delete_queue(CommandContext& context, const v1::DeleteQueueRequest& request) {
  ProgressShow show(context.style.is_json);
  const auto result = context.client.delete_queue(
      request, [&show](const v1::TransferProgress& progress) { show.show(progress); });
  show.finish();
  std::string sentence = "Queue " + printable(request.queue()) + " is deleted";
  const std::string parent = request.queue().substr(0, request.queue().find(';'));
  if (result && result->moved_count() > 0) {
    sentence += fmt::format(", its messages are in \"{};dead-letters\"", printable(parent));
    if (parent == request.queue()) sentence += ", its sub-queues stay";
  }
  return report_transfer(context, result, sentence);
}

int transfer_messages(CommandContext& context, const v1::TransferRequest& request) {
  ProgressShow show(context.style.is_json);
  const auto result = context.client.transfer(
      request, [&show](const v1::TransferProgress& progress) { show.show(progress); });
  show.finish();
  if (request.kind() == v1::TransferRequest::KIND_REDRIVE &&
      result.error().code() == StatusCode::kNotFound &&
      is_unused_sub_queue(context, request.queue())) {
    v1::TransferProgress nothing;
    nothing.set_is_done(true);
    return show_no_dead_letters(context, request.queue(), nothing);
  }
  return report_transfer(context, result, transfer_sentence(request));
}

}  // namespace verbatim::admin
