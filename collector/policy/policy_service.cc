#include "collector/policy/policy_service.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "base/grpc_status.h"
#include "base/log.h"
#include "base/silence_watch.h"
#include "verbatim/v1/policy.grpc.pb.h"

namespace verbatim::collector {
namespace {

using Stream = grpc::ServerReaderWriter<v1::ToPolicy, v1::FromPolicy>;

// How long a stream that has ended may still write before it is cancelled.
constexpr std::chrono::milliseconds kLastWriteMax{1'000};

// Empties a session into its stream. Whoever closes the session cancels the call, so that neither a
// reader nor a writer is left waiting for a peer that does nothing.
class StreamWriter {
 public:
  StreamWriter(grpc::ServerContext& context, Stream& stream, PolicySession& session)
      : context_(context), stream_(stream), session_(session) {
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

 private:
  void run() {
    // Alone: a hint on the write that carries it along would hold that write back for ever.
    bool has_begun = false;
    for (auto batch = session_.next(); !batch.empty(); batch = session_.next()) {
      if (!std::exchange(has_begun, true)) stream_.SendInitialMetadata();
      for (size_t i = 0; i < batch.size() && !session_.is_closed(); ++i) {
        grpc::WriteOptions options;
        if (i + 1 < batch.size()) options.set_buffer_hint();
        if (stream_.Write(batch[i].take(), options)) continue;
        session_.close(cancelled("the stream does not take more"));
      }
    }
  }

  grpc::ServerContext& context_;
  Stream& stream_;
  PolicySession& session_;
  std::promise<void> done_;
  std::thread thread_;
};

}  // namespace

class PolicyService::Implementation final : public v1::PolicyBroker::Service {
 public:
  Implementation(PolicyChain& chain, const PolicyServiceOptions& options)
      : chain_(chain), options_(options), hello_watch_(options.hello_timeout) {}

  grpc::Status Attach(grpc::ServerContext* context, Stream* stream) override {
    Status status = resource_exhausted("too many policies are attached");
    if (session_count_.fetch_add(1) < options_.sessions_max_count) {
      status = serve(*context, *stream);
    }
    --session_count_;
    return base::to_grpc(status);
  }

 private:
  Status serve(grpc::ServerContext& context, Stream& stream) {
    v1::FromPolicy message;
    bool is_read = false;
    {
      const auto watched = hello_watch_.begin([&context] { context.TryCancel(); });
      is_read = stream.Read(&message);
    }
    if (!is_read || !message.has_hello()) {
      return invalid_argument("the first message of a policy is its hello");
    }
    const auto session = std::make_shared<PolicySession>(message.hello());
    const StreamWriter writer(context, stream, *session);
    RETURN_IF_ERROR(chain_.attach(session));
    while (stream.Read(&message)) chain_.receive(session, message);
    // A peer that ends its own half says goodbye; a broken connection cancels the call.
    const bool is_graceful = !context.IsCancelled() && !session->is_closed();
    chain_.detach(session, is_graceful);
    const Status reason = session->close_reason();
    return reason.code() == StatusCode::kCancelled ? Status() : reason;
  }

  PolicyChain& chain_;
  const PolicyServiceOptions options_;
  std::atomic<size_t> session_count_{0};
  base::SilenceWatch hello_watch_;
};

PolicyService::PolicyService(PolicyChain& chain, const PolicyServiceOptions& options)
    : implementation_(std::make_unique<Implementation>(chain, options)) {}
PolicyService::~PolicyService() = default;
grpc::Service* PolicyService::service() { return implementation_.get(); }

}  // namespace verbatim::collector
