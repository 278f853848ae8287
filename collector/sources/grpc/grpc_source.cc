#include "collector/sources/grpc/grpc_source.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/grpc_server.h"
#include "base/grpc_status.h"
#include "base/log.h"
#include "base/mutex.h"
#include "collector/sources/producer_session.h"
#include "verbatim/v1/ingest.grpc.pb.h"

namespace verbatim::collector {
namespace {

const std::string kName = "grpc";
constexpr std::chrono::milliseconds kTickInterval{100};
// The largest message, and what the others need meanwhile.
constexpr size_t kMemoryMaxBytes = size_t{kRequestMaxBytes} + (4 << 20);

class IngestStream;

// The streams that are open. Threads: any.
class Streams {
 public:
  bool add(std::shared_ptr<IngestStream> stream, size_t max_count) {
    base::MutexLock lock(mutex_);
    if (is_closed_ || streams_.size() >= max_count) return false;
    streams_.insert(std::move(stream));
    return true;
  }
  void remove(const std::shared_ptr<IngestStream>& stream) {
    base::MutexLock lock(mutex_);
    streams_.erase(stream);
    if (streams_.empty()) emptied_.notify_all();
  }
  std::vector<std::shared_ptr<IngestStream>> all() const {
    base::MutexLock lock(mutex_);
    return {streams_.begin(), streams_.end()};
  }
  void close() {
    base::MutexLock lock(mutex_);
    is_closed_ = true;
  }
  bool wait_until_empty(std::chrono::milliseconds patience) {
    base::MutexLock lock(mutex_);
    return emptied_.wait_for(mutex_, patience,
                             [this]() REQUIRES(mutex_) { return streams_.empty(); });
  }

 private:
  mutable base::Mutex mutex_;
  base::CondVar emptied_;
  std::set<std::shared_ptr<IngestStream>> streams_ GUARDED_BY(mutex_);
  bool is_closed_ GUARDED_BY(mutex_) = false;
};

// One stream. It keeps itself alive until gRPC is done with it.
class IngestStream final : public ::grpc::ServerBidiReactor<v1::SendRequest, v1::SendReply> {
 public:
  static std::shared_ptr<IngestStream> create(ProducerSession::Options options, Streams& streams) {
    auto stream = std::shared_ptr<IngestStream>(new IngestStream(streams));
    stream->self_ = stream;
    stream->session_ = std::make_shared<ProducerSession>(
        std::move(options), [weak = std::weak_ptr<IngestStream>(stream)] {
          if (const auto alive = weak.lock()) alive->pump();
        });
    return stream;
  }

  void begin() { StartRead(&request_); }
  void refuse(const Status& status) { finish(status); }
  ProducerSession& session() { return *session_; }

  // Reads no more; ends once everything is answered.
  void drain() {
    is_draining_ = true;
    session_->end_when_idle(unavailable("the collector is stopping"));
    pump();
  }

  void OnReadDone(bool is_ok) override {
    if (!is_ok) {
      session_->end_when_idle(Status());
      pump();
      return;
    }
    const Status status = session_->on_request(std::move(request_));
    request_.Clear();
    if (!status.ok()) {
      finish(status);
      return;
    }
    if (!is_draining_) StartRead(&request_);
  }

  void OnWriteDone(bool is_ok) override {
    {
      base::MutexLock lock(mutex_);
      is_writing_ = false;
    }
    if (is_ok) {
      pump();
    } else {
      finish(unavailable("the producer is gone"));
    }
  }

  void OnCancel() override { finish(cancelled("cancelled by the producer")); }

  void OnDone() override {
    session_->on_gone("the stream has ended");
    const auto self = std::move(self_);
    streams_.remove(self);
  }

 private:
  explicit IngestStream(Streams& streams) : streams_(streams) {}

  // Writes the next reply, if there is one and no write is under way; finishes at the end.
  void pump() {
    std::optional<Status> end;
    {
      base::MutexLock lock(mutex_);
      if (is_writing_ || is_finished_) return;
      if (auto reply = session_->next_reply()) {
        reply_ = *std::move(reply);
        is_writing_ = true;
        StartWrite(&reply_);
        return;
      }
      end = pending_end_ ? pending_end_ : session_->end_status();
      if (!end) return;
      is_finished_ = true;
    }
    Finish(base::to_grpc(*end));
  }

  // Ends the stream, after what is under way.
  void finish(const Status& status) {
    {
      base::MutexLock lock(mutex_);
      if (!pending_end_) pending_end_ = status;
    }
    pump();
  }

  Streams& streams_;
  std::shared_ptr<IngestStream> self_;
  std::shared_ptr<ProducerSession> session_;
  v1::SendRequest request_;  // of the read under way
  v1::SendReply reply_;      // of the write under way

  std::atomic<bool> is_draining_{false};
  base::Mutex mutex_;
  bool is_writing_ GUARDED_BY(mutex_) = false;
  bool is_finished_ GUARDED_BY(mutex_) = false;
  std::optional<Status> pending_end_ GUARDED_BY(mutex_);
};

}  // namespace

struct GrpcSource::State final : public v1::Ingest::CallbackService {
  State(GrpcSourceOptions the_options, Broker& the_broker)
      : options(std::move(the_options)), broker(the_broker), book(the_broker.clock()) {}

  ::grpc::ServerBidiReactor<v1::SendRequest, v1::SendReply>* Send(
      ::grpc::CallbackServerContext* context) override {
    ProducerSession::Options session_options;
    session_options.broker = &broker;
    session_options.book = &book;
    session_options.protocol = kName;
    session_options.node = context->peer();
    session_options.credit_events = options.credit_events;
    session_options.event_deadline = options.event_deadline;
    auto stream = IngestStream::create(std::move(session_options), streams);
    if (streams.add(stream, options.streams_max_count)) {
      stream->begin();
    } else {
      stream->refuse(unavailable("too many streams, or the collector is stopping"));
    }
    return stream.get();
  }

  void run_ticker() {
    while (true) {
      {
        base::MutexLock lock(mutex);
        if (ticker_wakes.wait_for(mutex, kTickInterval,
                                  [this]() REQUIRES(mutex) { return is_stopping; })) {
          return;
        }
      }
      for (const auto& stream : streams.all()) stream->session().tick();
    }
  }

  const GrpcSourceOptions options;
  Broker& broker;
  ProducerBook book;
  Streams streams;
  std::unique_ptr<base::GrpcServer> server;
  base::Mutex mutex;
  base::CondVar ticker_wakes;
  bool is_stopping GUARDED_BY(mutex) = false;
  std::thread ticker;
};

GrpcSource::GrpcSource(GrpcSourceOptions options, Broker& broker)
    : state_(std::make_unique<State>(std::move(options), broker)) {}

GrpcSource::~GrpcSource() { stop(std::chrono::milliseconds(0)); }

Status GrpcSource::start() {
  base::GrpcServerOptions options;
  options.message_size_max_bytes = kRequestMaxBytes;
  options.memory_max_bytes = kMemoryMaxBytes + state_->options.further_memory_bytes;
  std::vector<::grpc::Service*> services{state_.get()};
  services.insert(services.end(), state_->options.further_services.begin(),
                  state_->options.further_services.end());
  ASSIGN_OR_RETURN(state_->server,
                   base::GrpcServer::start(state_->options.listen, services, options));
  state_->ticker = std::thread([this] { state_->run_ticker(); });
  return {};
}

void GrpcSource::stop(std::chrono::milliseconds patience) {
  state_->streams.close();
  for (const auto& stream : state_->streams.all()) stream->drain();
  if (!state_->streams.wait_until_empty(patience)) {
    for (const auto& stream : state_->streams.all()) stream->session().expire_all();
  }
  if (state_->server) state_->server->stop();
  {
    base::MutexLock lock(state_->mutex);
    state_->is_stopping = true;
    state_->ticker_wakes.notify_all();
  }
  if (state_->ticker.joinable()) state_->ticker.join();
}

std::vector<v1::SourceInfo> GrpcSource::info() const {
  std::vector<v1::SourceInfo> rows = state_->book.info();
  if (rows.empty()) {
    rows.emplace_back();
    rows.back().set_name(kName);
    rows.back().set_state(v1::SourceInfo::LINK_STATE_GONE);
    rows.back().set_reason("no producer has attached yet");
  }
  for (v1::SourceInfo& row : rows) {
    row.set_protocol(kName);
    row.set_listen(bound_address());
  }
  return rows;
}

const std::string& GrpcSource::name() const { return kName; }
const std::string& GrpcSource::protocol() const { return kName; }
std::string GrpcSource::bound_address() const {
  return state_->server ? state_->server->bound_address() : std::string();
}

}  // namespace verbatim::collector
