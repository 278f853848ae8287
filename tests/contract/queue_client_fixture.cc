#include "tests/contract/queue_client_fixture.h"

#include <utility>

#include "base/file_system.h"
#include "queue/client/zmq_queue_client.h"
#include "queue/queue_service.h"
#include "tests/support/temp_dir.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

class MemoryBackend final : public Backend {
 public:
  MemoryBackend() : queue_(base::system_clock(), {.message_max_bytes = kMessageMaxBytes}) {}

  std::unique_ptr<QueueClient> connect(const std::string& /*name*/,
                                       size_t memory_max_bytes) override {
    return create_memory_queue_client(queue_, {.memory_max_bytes = memory_max_bytes});
  }
  void go_down() override { queue_.set_state(MemoryQueue::State::kDown); }
  void come_back() override { queue_.set_state(MemoryQueue::State::kUp); }
  void become_full() override { queue_.set_state(MemoryQueue::State::kFull); }
  size_t depth() override { return queue_.depth(); }
  void lose_answers() override { queue_.set_state(MemoryQueue::State::kSilent); }
  size_t dead_count() override { return queue_.dead_letters().size(); }

 private:
  MemoryQueue queue_;
};

class ServiceBackend final : public Backend {
 public:
  ServiceBackend() { start("tcp://127.0.0.1:0", kRoom); }

  std::unique_ptr<QueueClient> connect(const std::string& name, size_t memory_max_bytes) override {
    return connect_to("events", name, memory_max_bytes);
  }
  std::unique_ptr<QueueClient> connect_to_answers(const std::string& name) override {
    return connect_to("answers", name, 1024 * 1024);
  }
  void become_exclusive() override {
    v1::ConfigureQueueRequest request;
    request.set_queue("events");
    request.mutable_settings()->set_consumer_mode(v1::QueueSettings::CONSUMER_MODE_EXCLUSIVE);
    Status configured;
    const Status status =
        service_->change([&](QueueCore& core) { configured = core.configure_queue(request); });
    CHECK(status.ok() && configured.ok(), "the service runs and takes it");
  }
  void go_down() override { service_.reset(); }
  void come_back() override {
    loses_ = false;
    if (is_full_) service_.reset();
    if (!service_) start(address_, kRoom);
  }
  void become_full() override {
    service_.reset();
    start(address_, 1);
  }
  size_t depth() override { return depth_of("events"); }
  void lose_answers() override { loses_ = true; }
  size_t dead_count() override {
    return depth_of("events;poison") + depth_of("events;dead-letters");
  }

 private:
  static constexpr int64_t kRoom = int64_t{1} << 40;

  std::unique_ptr<QueueClient> connect_to(const std::string& queue, const std::string& name,
                                          size_t memory_max_bytes) {
    ZmqQueueClientOptions options;
    options.address = address_;
    options.queue = queue;
    options.client_name = name;
    options.producer = name;
    options.memory_max_bytes = memory_max_bytes;
    options.answer_timeout = milliseconds(500);
    auto client = create_zmq_queue_client(options);
    CHECK(client.has_value(), "the client starts");
    return *std::move(client);
  }

  size_t depth_of(const std::string& name) {
    size_t depth = 0;
    const Status status = service_->call([&](QueueCore& core) {
      const auto list = core.list_queues();
      for (const auto& queue : list.queues()) {
        if (queue.name() == name) depth = static_cast<size_t>(queue.depth());
      }
    });
    CHECK(status.ok(), "the service runs");
    return depth;
  }

  void start(const std::string& address, int64_t quota_bytes) {
    is_full_ = quota_bytes != kRoom;
    QueueServiceOptions options;
    options.listen = address;
    options.core.queues = {"events", "answers"};
    options.core.log.directory = directory_.file("queue");
    options.core.log.segment_bytes = 1024 * 1024;
    options.core.message_max_bytes = kMessageMaxBytes;
    options.core.quota_bytes = quota_bytes;
    options.loses_answer = [this] { return loses_.load(); };
    auto service = QueueService::start(base::posix_file_system(), base::system_clock(), options);
    CHECK(service.has_value(), service.error().message());
    service_ = *std::move(service);
    address_ = service_->bound_endpoint();
  }

  testing::TempDir directory_;
  std::string address_;
  bool is_full_ = false;
  std::atomic<bool> loses_{false};
  std::unique_ptr<QueueService> service_;
};

}  // namespace

std::unique_ptr<Backend> make_memory_backend() { return std::make_unique<MemoryBackend>(); }
std::unique_ptr<Backend> make_service_backend() { return std::make_unique<ServiceBackend>(); }

void PrintTo(const Implementation& implementation, std::ostream* out) {
  *out << implementation.name;
}

PutRequest QueueClientFixture::message(int number, const std::string& key) {
  PutRequest request;
  request.order_key = key;
  request.source = "source";
  request.body = std::to_string(number);
  return request;
}

QueueClientFixture::Outcome QueueClientFixture::put(PutRequest request, nanoseconds deadline) {
  auto promise = std::make_shared<std::promise<Result<PutOutcome>>>();
  const Status status = client_->put(
      std::move(request), deadline,
      [promise](Result<PutOutcome> outcome) { promise->set_value(std::move(outcome)); });
  EXPECT_TRUE(status.ok()) << status.to_string();
  return promise->get_future();
}

Result<PutOutcome> QueueClientFixture::wait(Outcome& outcome) {
  if (outcome.wait_for(kPatience) != std::future_status::ready) {
    return unavailable("no answer in time");
  }
  return outcome.get();
}

Result<PutOutcome> QueueClientFixture::put_and_wait(PutRequest request, nanoseconds deadline) {
  auto outcome = put(std::move(request), deadline);
  return wait(outcome);
}

Lease QueueClientFixture::receive_from(QueueClient& client, int64_t max_count, milliseconds time) {
  const auto end = in(kPatience);
  while (base::system_clock().monotonic() < end) {
    ReceiveOptions options;
    options.max_count = max_count;
    options.lease = time;
    options.wait = milliseconds(200);
    auto lease = client.receive(options);
    if (lease && lease->id != 0) return *std::move(lease);
  }
  ADD_FAILURE() << "no message came";
  return {};
}

bool QueueClientFixture::gets_nothing(QueueClient& client, milliseconds time) {
  ReceiveOptions options;
  options.wait = time;
  const auto lease = client.receive(options);
  EXPECT_TRUE(lease.has_value()) << lease.error().to_string();
  return lease && lease->id == 0;
}

std::vector<std::string> QueueClientFixture::bodies(const Lease& lease) {
  std::vector<std::string> all;
  for (const v1::QueueMessage& message : lease.messages) all.push_back(message.body());
  return all;
}

}  // namespace verbatim::queue
