#include "collector/fetch/file_fetcher.h"

#include <algorithm>
#include <deque>
#include <map>
#include <thread>
#include <utility>

#include "base/fault_point.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/sha256.h"
#include "collector/fetch/fetch_jobs.h"

namespace verbatim::collector {
namespace {

using Failed = v1::FileTransferFailed;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr size_t kCopyBytes = 256 * 1024;
// How long a worker waits before it looks whether it is to stop, and the shortest wait before an
// event is put again.
constexpr milliseconds kLook{100};
constexpr milliseconds kPutAgain{500};

v1::Event outline(const v1::Event& event) {
  v1::Event about;
  about.set_id(event.id());
  *about.mutable_source() = event.source();
  about.mutable_source()->clear_raw_event();
  *about.mutable_conversation() = event.conversation();
  *about.mutable_actor() = event.actor();
  *about.mutable_others() = event.others();
  return about;
}

// Stable, so that the same link's event is known when it comes again.
void set_source_key(v1::Event& event, const std::string& collector, const std::string& name) {
  v1::SourceKey::Made& made = *event.mutable_source_key()->mutable_made();
  made.set_collector(collector + "/fetch/" + name);
  made.set_epoch(1);
  made.set_sequence(1);
}

v1::Event event_about(const v1::FetchJob& job) {
  v1::Event event = job.about();
  event.mutable_references()->set_event_id(event.id());
  event.clear_id();
  event.set_phase(v1::PHASE_NOTICE);
  return event;
}

}  // namespace

std::vector<v1::FileReference> links_of(const v1::Event& event, const FetchRules& rules) {
  std::vector<v1::FileReference> links;
  if (event.role() == v1::ROLE_EVIDENCE) return links;
  if (!event.has_message_posted() && !event.has_message_edited() && !event.has_invited()) {
    return links;
  }
  const auto& files = event.has_message_posted()   ? event.message_posted().files()
                      : event.has_message_edited() ? event.message_edited().files()
                                                   : event.invited().files();
  for (const v1::FileReference& file : files) {
    const bool is_known = std::any_of(links.begin(), links.end(),
                                      [&](const auto& one) { return one.url() == file.url(); });
    if (!file.url().empty() && file.sha256().empty() && !is_known) links.push_back(file);
  }
  const std::string& text = event.original_text().plain();
  // An address among words, or of some web page, is no file.
  const bool is_address =
      text.find("://") != std::string::npos && text.find_first_of(" \t\r\n") == std::string::npos;
  if (links.empty() && is_address && rules.check_url(text) == Failed::CAUSE_UNSPECIFIED) {
    links.emplace_back().set_url(text);
    links.back().set_size_bytes(-1);
  }
  return links;
}

class FileFetcher::Implementation : public std::enable_shared_from_this<Implementation> {
 public:
  Implementation(FetchJobs jobs, base::ContentStore& store, FetchRules rules,
                 FileFetcherOptions options)
      : jobs_(std::move(jobs)),
        store_(store),
        rules_(std::move(rules)),
        options_(std::move(options)) {
    if (!options_.get) {
      options_.get = [this](const std::string& url, const HttpSink& sink) {
        return http_get(rules_, url, sink);
      };
    }
  }

  Status load() {
    ASSIGN_OR_RETURN(auto found, jobs_.load());
    base::MutexLock lock(mutex_);
    for (auto& [name, job] : found) {
      ready_.emplace(nanoseconds(0), Work{.name = name, .job = std::move(job)});
    }
    info_.set_outstanding_count(static_cast<int64_t>(found.size()));
    if (!found.empty()) LOG_INFO("links are to be fetched from before count={}", found.size());
    return {};
  }

  void start(Broker& broker) {
    broker_ = &broker;
    for (int64_t i = 0; i < rules_.config().concurrent_max_count(); ++i) {
      threads_.emplace_back([this] { run(); });
    }
  }

  void stop() {
    {
      base::MutexLock lock(mutex_);
      is_stopping_ = true;
      changed_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  Ticket note(const v1::Event& event) {
    std::vector<Work> works;
    int index = 0;
    for (v1::FileReference& file : links_of(event, rules_)) {
      Work& work = works.emplace_back();
      work.name = event.id() + "-" + std::to_string(index++);
      *work.job.mutable_about() = outline(event);
      *work.job.mutable_file() = std::move(file);
      const Status saved = jobs_.save(work.name, work.job);
      if (saved.ok()) continue;
      // Recorded as soon as the message is, if this process lives so long.
      LOG_ERROR("a link could not be noted: {}", saved.to_string());
      work.verdict = {Failed::CAUSE_STORE, true, "the link could not be noted"};
    }
    if (works.empty()) return {};
    return [self = shared_from_this(), works = std::move(works)](bool is_stored) {
      self->settle(works, is_stored);
    };
  }

  v1::FetchInfo info() const {
    base::MutexLock lock(mutex_);
    return info_;
  }

 private:
  struct Work {
    std::string name;
    v1::FetchJob job;
    // Set where nothing is to be asked (any more): this is recorded.
    std::optional<HttpResult> verdict = {};
    v1::FileReference found = {};
    std::shared_ptr<const void> use = {};
  };

  // On a thread that must not block: a message that was never stored leaves its job to a worker.
  void settle(const std::vector<Work>& works, bool is_stored) {
    base::MutexLock lock(mutex_);
    for (Work work : works) {
      if (!is_stored) {
        dropped_.push_back(work.name);
        continue;
      }
      if (info_.outstanding_count() >= rules_.config().outstanding_max_count() && !work.verdict) {
        work.verdict = {Failed::CAUSE_TOO_MANY, true, "too many links wait to be fetched"};
      }
      ready_.emplace(nanoseconds(0), std::move(work));
      info_.set_outstanding_count(info_.outstanding_count() + 1);
    }
    changed_.notify_all();
  }

  void run() {
    while (true) {
      std::string dropped;
      std::optional<Work> work;
      {
        base::MutexLock lock(mutex_);
        changed_.wait_for(mutex_, kLook, [this]() REQUIRES(mutex_) {
          return is_stopping_ || !dropped_.empty() || is_any_due();
        });
        if (is_stopping_) return;
        if (!dropped_.empty()) {
          dropped = std::move(dropped_.front());
          dropped_.pop_front();
        } else if (is_any_due()) {
          work = std::move(ready_.begin()->second);
          ready_.erase(ready_.begin());
        }
      }
      if (!dropped.empty()) remove(dropped);
      if (work) do_work(*std::move(work));
    }
  }

  bool is_any_due() const REQUIRES(mutex_) {
    return !ready_.empty() && ready_.begin()->first <= broker_->clock().monotonic();
  }

  bool is_over() const {
    base::MutexLock lock(mutex_);
    return is_stopping_;
  }

  void do_work(Work work) {
    if (!work.verdict) attempt(work);
    if (is_over()) return;
    if (!work.verdict) return again(std::move(work), retry_delay(work.job.attempt_count()));
    if (!record(work)) return again(std::move(work), kPutAgain);
    FAULT_POINT("collector.fetch_recorded");
    remove(work.name);
    count(work);
  }

  // Sets the verdict, unless another attempt is to be made.
  void attempt(Work& work) {
    HttpResult result = fetch(work);
    if (is_over()) return;
    work.job.set_attempt_count(work.job.attempt_count() + 1);
    const bool is_last = work.job.attempt_count() >= rules_.config().attempts_max_count();
    if (!result.is_transient || is_last) {
      work.verdict = std::move(result);
      return;
    }
    LOG_INFO("a link is tried again later event={} cause={} attempts={}", work.name,
             Failed::Cause_Name(result.cause), work.job.attempt_count());
    if (const Status saved = jobs_.save(work.name, work.job); !saved.ok()) {
      LOG_WARN("attempts at a link are not counted over a restart: {}", saved.to_string());
    }
    base::MutexLock lock(mutex_);
    info_.set_retry_count(info_.retry_count() + 1);
  }

  milliseconds retry_delay(int attempt_count) const {
    const milliseconds max(rules_.config().retry_max_ms());
    milliseconds delay(rules_.config().retry_min_ms());
    for (int i = 1; i < attempt_count && delay < max; ++i) delay *= 2;
    return std::min(delay, max);
  }

  void again(Work work, milliseconds delay) {
    base::MutexLock lock(mutex_);
    ready_.emplace(broker_->clock().monotonic() + delay, std::move(work));
  }

  HttpResult fetch(Work& work) {
    auto part = jobs_.open_part(work.name);
    if (!part) return {Failed::CAUSE_STORE, true, "no room for it: " + part.error().message()};
    base::Sha256 hash;
    uint64_t size = 0;
    HttpSink sink;
    sink.write = [&](std::string_view bytes) -> Status {
      RETURN_IF_ERROR((*part)->write_at(size, bytes));
      hash.update(bytes);
      size += bytes.size();
      return {};
    };
    sink.is_over = [this] { return is_over(); };
    HttpResult result = options_.get(work.job.file().url(), sink);
    if (result.cause != Failed::CAUSE_UNSPECIFIED) return result;
    FAULT_POINT("collector.fetch_before_stored");
    work.found = work.job.file();
    work.found.set_sha256(hash.finish());
    work.found.set_size_bytes(static_cast<int64_t>(size));
    if (work.found.media_type().empty()) work.found.set_media_type(result.media_type);
    const Status stored = store(work, **part, size);
    if (stored.ok()) return result;
    return {Failed::CAUSE_STORE, true, "not stored: " + stored.message(), result.http_status};
  }

  // The claim is used from before it could be released until the event is recorded.
  Status store(Work& work, base::File& part, uint64_t size) {
    work.use = store_.use({work.found.sha256()});
    ASSIGN_OR_RETURN(const auto upload,
                     store_.begin_upload(work.found.sha256(), static_cast<int64_t>(size)));
    if (upload == nullptr) return {};
    std::string buffer(kCopyBytes, '\0');
    while (upload->stored_bytes() < size) {
      ASSIGN_OR_RETURN(const size_t count,
                       part.read_at(upload->stored_bytes(), std::span<char>(buffer)));
      if (count == 0) return data_loss("what was fetched is shorter than it was");
      RETURN_IF_ERROR(upload->append(std::string_view(buffer).substr(0, count)));
    }
    return upload->finish();
  }

  // True once the event is durable in the queue, or refused for good, which is told.
  bool record(const Work& work) {
    v1::Event event = event_about(work.job);
    set_source_key(event, options_.collector_name, work.name);
    const HttpResult& verdict = *work.verdict;
    if (verdict.cause == Failed::CAUSE_UNSPECIFIED) {
      *event.mutable_file_downloaded()->mutable_file() = work.found;
      event.mutable_file_downloaded()->set_by_collector(true);
    } else {
      Failed& failed = *event.mutable_file_transfer_failed();
      *failed.mutable_file() = work.job.file();
      failed.set_reason(verdict.reason);
      failed.set_is_transient(verdict.is_transient);
      failed.set_cause(verdict.cause);
      failed.set_http_status(verdict.http_status);
      failed.set_attempt_count(work.job.attempt_count());
    }
    const Answer answer = submit(std::move(event));
    if (answer.kind == Answer::Kind::kRefused) {
      LOG_ERROR("what came of a link is refused event={}: {}", work.name, answer.reason);
    }
    return answer.kind != Answer::Kind::kError;
  }

  // Waits for the queue, but not beyond stop().
  Answer submit(v1::Event event) {
    auto answered = std::make_shared<std::optional<Answer>>();
    PendingEvent pending;
    pending.event = std::move(event);
    pending.is_awaited = true;
    // By us, see do_work().
    pending.is_resent_after_error = true;
    pending.done = [self = shared_from_this(), answered](const Answer& answer) {
      base::MutexLock lock(self->mutex_);
      *answered = answer;
      self->changed_.notify_all();
    };
    broker_->submit(std::move(pending));
    base::MutexLock lock(mutex_);
    changed_.wait(mutex_, [&]() REQUIRES(mutex_) { return is_stopping_ || answered->has_value(); });
    return answered->value_or(Answer());
  }

  void remove(const std::string& name) {
    const Status removed = jobs_.remove(name);
    if (!removed.ok()) LOG_WARN("a link that is done comes again: {}", removed.to_string());
  }

  void count(const Work& work) {
    base::MutexLock lock(mutex_);
    info_.set_outstanding_count(info_.outstanding_count() - 1);
    if (work.verdict->cause == Failed::CAUSE_UNSPECIFIED) {
      info_.set_downloaded_count(info_.downloaded_count() + 1);
      info_.set_downloaded_bytes(info_.downloaded_bytes() + work.found.size_bytes());
      return;
    }
    info_.set_failed_count(info_.failed_count() + 1);
    LOG_INFO("a link is recorded as failed event={} cause={} http_status={} attempts={}", work.name,
             Failed::Cause_Name(work.verdict->cause), work.verdict->http_status,
             work.job.attempt_count());
  }

  FetchJobs jobs_;
  base::ContentStore& store_;
  const FetchRules rules_;
  FileFetcherOptions options_;
  Broker* broker_ = nullptr;
  std::vector<std::thread> threads_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  // By when it is due.
  std::multimap<nanoseconds, Work> ready_ GUARDED_BY(mutex_);
  std::deque<std::string> dropped_ GUARDED_BY(mutex_);
  v1::FetchInfo info_ GUARDED_BY(mutex_);
};

Result<std::unique_ptr<FileFetcher>> FileFetcher::create(base::FileSystem& file_system,
                                                         base::ContentStore& store,
                                                         FetchRules rules,
                                                         FileFetcherOptions options) {
  ASSIGN_OR_RETURN(FetchJobs jobs, FetchJobs::open(file_system, options.directory));
  auto implementation = std::make_unique<Implementation>(std::move(jobs), store, std::move(rules),
                                                         std::move(options));
  RETURN_IF_ERROR(implementation->load());
  return std::unique_ptr<FileFetcher>(new FileFetcher(std::move(implementation)));
}

FileFetcher::FileFetcher(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
FileFetcher::~FileFetcher() { stop(); }
void FileFetcher::start(Broker& broker) { implementation_->start(broker); }
void FileFetcher::stop() { implementation_->stop(); }
FileFetcher::Ticket FileFetcher::note(const v1::Event& event) {
  return implementation_->note(event);
}
v1::FetchInfo FileFetcher::info() const { return implementation_->info(); }

}  // namespace verbatim::collector
