#include "adapters/sdk/hub_client.h"

#include <chrono>
#include <random>
#include <utility>

#include "adapters/sdk/backoff.h"
#include "adapters/sdk/batch_worker.h"
#include "adapters/sdk/hub_connection.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/uuid.h"

namespace verbatim::adapters {

struct HubClient::State {
  State(Adapter& the_adapter, HubClientOptions the_options)
      : adapter(the_adapter),
        options(std::move(the_options)),
        instance(base::make_uuid_v7(base::system_clock())),
        worker(adapter, {options.adapter, options.retry_min, options.retry_max}),
        backoff(options.reconnect_min, options.reconnect_max, std::random_device()()) {}

  Status run();
  // One connection from dialling to its end.
  Status attach();
  Status serve(HubConnection& connection);
  Status handle(HubConnection& connection, v1::AdapterWelcome& welcome);
  Status handle(HubConnection& connection, const v1::Activity& activity);
  Status handle(HubConnection& connection, const AssembledBatch& batch);
  Status handle(HubConnection& connection, const v1::BatchStateQuestion& question);
  void become_inactive();
  bool wait_before_retry(const Status& why);

  Adapter& adapter;
  const HubClientOptions options;
  const std::string instance;
  BatchWorker worker;
  Backoff backoff;
  bool is_active = false;
  bool is_foreign = false;  // other batches' effects: no retry can heal it

  base::Mutex mutex;
  base::CondVar changed;
  bool is_stopping GUARDED_BY(mutex) = false;
  HubConnection* connection GUARDED_BY(mutex) = nullptr;
};

HubClient::HubClient(Adapter& adapter, HubClientOptions options)
    : state_(std::make_unique<State>(adapter, std::move(options))) {}
HubClient::~HubClient() = default;

Status HubClient::run() { return state_->run(); }

void HubClient::stop() {
  base::MutexLock lock(state_->mutex);
  state_->is_stopping = true;
  if (state_->connection != nullptr) state_->connection->stop_waiting();
  state_->changed.notify_all();
}

Status HubClient::State::run() {
  while (true) {
    const auto start = std::chrono::steady_clock::now();
    const Status status = attach();
    become_inactive();
    // A welcome alone proves nothing: a connection that ends at once each time must slow down.
    if (std::chrono::steady_clock::now() - start > options.reconnect_max) backoff.reset();
    if (is_foreign) return status;
    if (!wait_before_retry(status)) return {};
  }
}

Status HubClient::State::attach() {
  ASSIGN_OR_RETURN(const std::string address, options.address());
  const Result<AppliedBatch> last = worker.load_last_applied();
  is_foreign = !last && last.error().code() == StatusCode::kFailedPrecondition;
  if (!last) return last.error();
  HubConnection stream(address, options.limits);
  {
    base::MutexLock lock(mutex);
    if (is_stopping) return cancelled("stopping");
    connection = &stream;
  }
  v1::AdapterHello hello;
  hello.set_adapter(options.adapter);
  hello.set_instance(instance);
  hello.set_schema_revision(v1::SCHEMA_REVISION_CURRENT);
  hello.set_last_applied_batch(last->number);
  hello.set_last_applied_digest(last->digest);
  hello.set_software(options.software);
  Status status = stream.open(hello, options.attach_deadline);
  if (status.ok()) status = serve(stream);
  if (status.code() == StatusCode::kUnavailable) status = stream.end_reason_or(status);
  base::MutexLock lock(mutex);
  connection = nullptr;
  return status;
}

Status HubClient::State::serve(HubConnection& stream) {
  while (true) {
    Result<HubInput> input = stream.next();
    if (!input) {
      if (input.error().code() == StatusCode::kCancelled) stream.finish(options.stop_deadline);
      return input.error();
    }
    RETURN_IF_ERROR(
        std::visit([this, &stream](auto& message) { return handle(stream, message); }, *input));
  }
}

Status HubClient::State::handle(HubConnection& stream, v1::AdapterWelcome& welcome) {
  const Status status = worker.take_welcome(welcome);
  is_foreign = status.code() == StatusCode::kFailedPrecondition;
  RETURN_IF_ERROR(status);
  LOG_INFO("attached to the hub adapter={} store_epoch={} last_acked_batch={}", options.adapter,
           welcome.store_epoch(), welcome.last_acked_batch());
  if (welcome.heartbeat_ms() > 0) {
    stream.start_heartbeat(std::chrono::milliseconds(welcome.heartbeat_ms()));
  }
  return {};
}

Status HubClient::State::handle(HubConnection&, const v1::Activity& activity) {
  if (!activity.is_active()) {
    if (is_active) LOG_INFO("standing by adapter={}", options.adapter);
    become_inactive();
    return {};
  }
  if (is_active) return {};
  RETURN_IF_ERROR(adapter.activate());
  is_active = true;
  // Only now: until here another instance may have been writing.
  const Status status = worker.take_activity(activity);
  is_foreign = status.code() == StatusCode::kFailedPrecondition;
  RETURN_IF_ERROR(status);
  LOG_INFO("active adapter={}", options.adapter);
  return {};
}

Status HubClient::State::handle(HubConnection& stream, const AssembledBatch& batch) {
  if (!is_active) return failed_precondition("a batch came to an instance that stands by");
  RETURN_IF_ERROR(stream.write(worker.apply(batch)));
  backoff.reset();
  v1::FromAdapter credit;
  credit.mutable_credit()->set_batches(1);
  return stream.write(credit);
}

Status HubClient::State::handle(HubConnection& stream, const v1::BatchStateQuestion& question) {
  return stream.write(worker.answer(question));
}

void HubClient::State::become_inactive() {
  if (is_active) adapter.deactivate();
  is_active = false;
}

bool HubClient::State::wait_before_retry(const Status& why) {
  const auto delay = backoff.next();
  base::MutexLock lock(mutex);
  if (!is_stopping) {
    // Refused for a reason that will not go away by itself; a person may still change the hub.
    const bool is_refused = why.code() == StatusCode::kFailedPrecondition;
    VERBATIM_LOG(is_refused ? LogLevel::kError : LogLevel::kWarn,
                 "not attached to the hub adapter={} retry_in_ms={}: {}", options.adapter,
                 delay.count(), why.to_string());
  }
  return !changed.wait_for(mutex, delay, [this]() REQUIRES(mutex) { return is_stopping; });
}

}  // namespace verbatim::adapters
