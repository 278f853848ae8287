#include "processor/hub/hub_service.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/grpc_status.h"
#include "base/log.h"
#include "base/silence_watch.h"
#include "processor/hub/batch_frames.h"
#include "processor/hub/file_reads.h"
#include "verbatim/v1/adapter.grpc.pb.h"

namespace verbatim::processor {
namespace {

using Stream = grpc::ServerReaderWriter<v1::ToAdapter, v1::FromAdapter>;

// How long a stream that has ended may still write before it is cancelled.
constexpr std::chrono::milliseconds kLastWriteMax{1'000};

// Empties a session's outbox into its stream. Whoever closes the session cancels the call, so that
// neither a reader nor a writer is left waiting for a peer that does nothing.
class StreamWriter {
 public:
  StreamWriter(grpc::ServerContext& context, Stream& stream, Session& session,
               std::chrono::milliseconds hello_timeout)
      : context_(context), stream_(stream), session_(session), hello_timeout_(hello_timeout) {
    session_.set_on_close([&context] { context.TryCancel(); });
    thread_ = std::thread([this] {
      run();
      done_.set_value();
    });
  }
  // The handler ends: its own status is to be told, so nothing is cancelled but a stuck write.
  ~StreamWriter() {
    session_.set_on_close(nullptr);
    session_.close(cancelled("the stream has ended"));
    if (done_.get_future().wait_for(kLastWriteMax) != std::future_status::ready) {
      context_.TryCancel();
    }
    thread_.join();
  }
  StreamWriter(const StreamWriter&) = delete;
  StreamWriter& operator=(const StreamWriter&) = delete;

  void note_hello() { has_hello_ = true; }

 private:
  void run() {
    wait_for_hello();
    while (auto outgoing = session_.next()) {
      if (!write(*outgoing)) session_.close(cancelled("the stream does not take more"));
    }
  }

  void wait_for_hello() {
    const auto end = std::chrono::steady_clock::now() + hello_timeout_;
    while (!has_hello_ && !session_.is_closed()) {
      if (session_.wait_closed(std::chrono::milliseconds(20))) return;
      if (std::chrono::steady_clock::now() >= end && !has_hello_) {
        session_.close(deadline_exceeded("no hello in time"));
      }
    }
  }

  bool write(const Session::Outgoing& outgoing) {
    if (outgoing.batch == nullptr) return stream_.Write(outgoing.message);
    return write_batch(*outgoing.batch, outgoing.store_epoch, [this](const auto& message) {
      return !session_.is_closed() && stream_.Write(message);
    });
  }

  grpc::ServerContext& context_;
  Stream& stream_;
  Session& session_;
  const std::chrono::milliseconds hello_timeout_;
  std::atomic<bool> has_hello_{false};
  std::promise<void> done_;
  std::thread thread_;
};

}  // namespace

class HubService::Implementation final : public v1::AdapterHub::Service {
 public:
  Implementation(Staging& staging, Hub& hub, const base::ContentStore& files,
                 const HubServiceOptions& options)
      : staging_(staging),
        hub_(hub),
        files_(files),
        options_(options),
        file_reads_watch_(options.file_read_silence_max) {}

  grpc::Status Attach(grpc::ServerContext* context, Stream* stream) override {
    if (session_count_.fetch_add(1) >= options_.sessions_max_count) {
      --session_count_;
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many adapters are attached"};
    }
    const auto session = std::make_shared<Session>();
    Status status;
    {
      StreamWriter writer(*context, *stream, *session, options_.hello_timeout);
      status = serve(*stream, session, writer);
    }
    --session_count_;
    return base::to_grpc(status);
  }

  grpc::Status ReadFile(grpc::ServerContext* context, const v1::ReadFileRequest* request,
                        grpc::ServerWriter<v1::FileChunk>* writer) override {
    Status status = resource_exhausted("too many files are being read, try again later");
    if (file_read_count_.fetch_add(1) < options_.file_reads_max_count) {
      status = read_file(files_, *request, [&](const v1::FileChunk& chunk) {
        const auto watched = file_reads_watch_.begin([context] { context->TryCancel(); });
        return writer->Write(chunk);
      });
    }
    --file_read_count_;
    return base::to_grpc(status);
  }

 private:
  Status serve(Stream& stream, const std::shared_ptr<Session>& session, StreamWriter& writer) {
    v1::FromAdapter message;
    if (!stream.Read(&message) || !message.has_hello()) {
      return invalid_argument("the first message of an adapter is its hello");
    }
    const v1::AdapterHello& hello = message.hello();
    AdapterChannel* channel = hub_.find(hello.adapter());
    if (channel == nullptr) {
      LOG_WARN("an unknown adapter asks to attach");
      return failed_precondition("processor.adapters names no such adapter");
    }
    const Status known = staging_.check_hello(hello.adapter(), hello.last_applied_batch(),
                                              hello.last_applied_digest());
    if (!known.ok()) {
      LOG_ERROR("an adapter may not attach, a person is needed: {}", known.to_string());
      return known;
    }
    session->set_hello(hello);
    writer.note_hello();
    channel->attach(session);
    while (stream.Read(&message)) channel->receive(session, std::move(message));
    channel->detach(session);
    const Status reason = session->close_reason();
    return reason.code() == StatusCode::kCancelled ? Status() : reason;
  }

  Staging& staging_;
  Hub& hub_;
  const base::ContentStore& files_;
  const HubServiceOptions options_;
  std::atomic<size_t> session_count_{0};
  std::atomic<size_t> file_read_count_{0};
  base::SilenceWatch file_reads_watch_;
};

HubService::HubService(Staging& staging, Hub& hub, const base::ContentStore& files,
                       const HubServiceOptions& options)
    : implementation_(std::make_unique<Implementation>(staging, hub, files, options)) {}
HubService::~HubService() = default;
grpc::Service* HubService::service() { return implementation_.get(); }

}  // namespace verbatim::processor
