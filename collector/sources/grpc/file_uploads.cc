#include "collector/sources/grpc/file_uploads.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>
#include <utility>

#include "base/grpc_status.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/silence_watch.h"
#include "verbatim/v1/ingest.grpc.pb.h"

namespace verbatim::collector {
namespace {

using Stream = ::grpc::ServerReaderWriter<v1::UploadReply, v1::UploadRequest>;

constexpr std::chrono::hours kUnfinishedInterval{1};
constexpr std::chrono::minutes kClaimsInterval{1};

bool reply(Stream& stream, uint64_t stored_bytes, bool is_complete) {
  v1::UploadReply reply;
  reply.set_stored_bytes(static_cast<int64_t>(stored_bytes));
  reply.set_is_complete(is_complete);
  return stream.Write(reply);
}

v1::Event make_failed_event(const std::string& source_name,
                            const base::UnfinishedUpload& unfinished) {
  v1::Event event;
  event.mutable_source()->set_name(source_name);
  event.mutable_source()->set_protocol("grpc");
  event.set_source_time_unix_ns(unfinished.modified_unix_ns);
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_SOURCE);
  event.set_phase(v1::PHASE_NOTICE);
  v1::FileTransferFailed& failed = *event.mutable_file_transfer_failed();
  failed.mutable_file()->set_sha256(unfinished.sha256);
  failed.mutable_file()->set_size_bytes(static_cast<int64_t>(unfinished.size_bytes));
  failed.set_reason(fmt::format("upload not completed stored_bytes={}", unfinished.stored_bytes));
  failed.set_is_transient(true);
  return event;
}

}  // namespace

class FileUploads::Implementation final : public v1::Files::Service {
 public:
  Implementation(base::ContentStore& store, Broker& broker, FileUploadsOptions options)
      : store_(store),
        broker_(broker),
        options_(std::move(options)),
        watch_(options_.silence_max),
        keeper_([this] { run_keeper(); }) {}
  ~Implementation() override { stop(); }

  ::grpc::Status Upload(::grpc::ServerContext* context, Stream* stream) override {
    Status status = resource_exhausted("too many uploads at once, try again later");
    if (upload_count_.fetch_add(1) < kUploadsMaxCount) status = upload(*context, *stream);
    --upload_count_;
    return base::to_grpc(status);
  }

  void stop() {
    {
      base::MutexLock lock(mutex_);
      is_stopping_ = true;
      wakes_.notify_all();
    }
    if (keeper_.joinable()) keeper_.join();
  }

 private:
  Status upload(::grpc::ServerContext& context, Stream& stream) {
    v1::UploadRequest request;
    if (!read(context, stream, request) || !request.has_begin()) {
      return invalid_argument("the first message of an upload is its begin");
    }
    const v1::UploadBegin begin = request.begin();
    ASSIGN_OR_RETURN(const auto upload, store_.begin_upload(begin.sha256(), begin.size_bytes()));
    const auto size = static_cast<uint64_t>(begin.size_bytes());
    if (upload != nullptr) {
      if (!reply(stream, upload->stored_bytes(), false)) return cancelled("the producer is gone");
      // Until the producer has sent all or no more.
      while (upload->stored_bytes() < size && read(context, stream, request)) {
        const std::string& chunk = request.chunk();
        if (chunk.empty() || chunk.size() > kUploadChunkMaxBytes) {
          return invalid_argument("after begin come chunks of 1 byte to 1 MiB");
        }
        RETURN_IF_ERROR(upload->append(chunk));
      }
      RETURN_IF_ERROR(upload->finish());
    }
    reply(stream, size, true);
    return {};
  }

  bool read(::grpc::ServerContext& context, Stream& stream, v1::UploadRequest& request) {
    const auto watched = watch_.begin([&context] { context.TryCancel(); });
    const bool has_request = stream.Read(&request);
    if (watched->was_silent()) LOG_WARN("an upload was silent for too long and is cut off");
    return has_request;
  }

  void run_keeper() {
    // Short lives are looked at often.
    const auto interval =
        std::min<std::chrono::milliseconds>(kClaimsInterval, options_.named_within / 4);
    auto next_unfinished = std::chrono::nanoseconds::min();
    while (true) {
      if (const auto now = broker_.clock().monotonic(); now >= next_unfinished) {
        remove_unfinished();
        next_unfinished = now + kUnfinishedInterval;
      }
      release_claims();
      base::MutexLock lock(mutex_);
      if (wakes_.wait_for(mutex_, interval, [this]() REQUIRES(mutex_) { return is_stopping_; })) {
        return;
      }
    }
  }

  void release_claims() {
    if (!options_.is_settled) return;
    const auto released = store_.release_claims(options_.named_within, options_.is_settled);
    if (!released) LOG_WARN("claims on files stand: {}", released.error().to_string());
  }

  void remove_unfinished() {
    const int64_t cutoff_unix_ns =
        broker_.clock().unix_now_ns() - std::chrono::nanoseconds(options_.kept).count();
    const auto removed_count =
        store_.remove_unfinished(cutoff_unix_ns, [this](const base::UnfinishedUpload& unfinished) {
          return !is_stopping() && record_failed(unfinished);
        });
    if (!removed_count) {
      LOG_WARN("unfinished uploads are kept: {}", removed_count.error().to_string());
    } else if (*removed_count > 0) {
      removed_total_ += *removed_count;
      LOG_WARN(
          "uploads that never became whole were recorded as failed and removed count={} total={}",
          *removed_count, removed_total_);
    }
  }

  // True once the event is durable. The broker answers everything, at the latest when it stops.
  bool record_failed(const base::UnfinishedUpload& unfinished) {
    std::promise<bool> is_durable;
    PendingEvent pending;
    pending.event = make_failed_event(options_.source_name, unfinished);
    pending.is_awaited = false;
    pending.done = [&is_durable](const Answer& answer) {
      is_durable.set_value(answer.kind == Answer::Kind::kAccepted);
    };
    broker_.submit(std::move(pending));
    return is_durable.get_future().get();
  }

  bool is_stopping() const {
    base::MutexLock lock(mutex_);
    return is_stopping_;
  }

  base::ContentStore& store_;
  Broker& broker_;
  const FileUploadsOptions options_;
  std::atomic<int> upload_count_{0};
  base::SilenceWatch watch_;
  size_t removed_total_ = 0;  // keeper only
  mutable base::Mutex mutex_;
  base::CondVar wakes_;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread keeper_;
};

FileUploads::FileUploads(base::ContentStore& store, Broker& broker, FileUploadsOptions options)
    : implementation_(std::make_unique<Implementation>(store, broker, std::move(options))) {}
FileUploads::~FileUploads() = default;
::grpc::Service* FileUploads::service() { return implementation_.get(); }
void FileUploads::stop() { implementation_->stop(); }

}  // namespace verbatim::collector
