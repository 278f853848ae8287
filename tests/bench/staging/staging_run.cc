#include "tests/bench/staging/staging_run.h"

#include <rocksdb/env.h>

#include <random>

#include "base/check.h"

namespace verbatim::bench {
namespace {

using std::chrono::steady_clock;

constexpr const char* kQueue = "events";
constexpr uint64_t kRoomCount = 50;

const std::string& name_of(size_t adapter) {
  static const std::string names[] = {"steady", "late"};
  return names[adapter];
}

// Letters in no order: neither random bytes nor a text that compresses to nothing.
std::string make_body(uint64_t size) {
  std::mt19937_64 random(1);
  std::string body(size, ' ');
  for (char& letter : body) letter = static_cast<char>('a' + random() % 26);
  return body;
}

v1::Envelope make_envelope(uint64_t number) {
  const std::string user = "user-" + std::to_string(number % 500) + "@example.com";
  v1::Envelope envelope;
  envelope.set_schema_revision(1);
  envelope.set_event_id("00000000-0000-7000-8000-000000000000");
  envelope.set_kind(v1::EVENT_KIND_MESSAGE_POSTED);
  envelope.set_phase(v1::PHASE_CONFIRMED);
  envelope.set_role(v1::ROLE_RECORD);
  envelope.set_conversation_kind(v1::CONVERSATION_KIND_ROOM);
  envelope.set_conversation_key("room-" + std::to_string(number % kRoomCount) + "@rooms.example");
  envelope.set_source("bench");
  envelope.set_source_time_unix_ns(1'000'000'000'000'000'000);
  envelope.mutable_actor()->set_address(user);
  envelope.mutable_actor()->set_normalised(user);
  return envelope;
}

}  // namespace

StagingRun::StagingRun(StagingRunOptions options)
    : options_(std::move(options)),
      file_system_(std::make_shared<CountingFileSystem>()),
      env_(rocksdb::NewCompositeEnv(file_system_)),
      body_(make_body(options_.body_bytes)) {
  processor::StagingOptions store;
  store.path = options_.folder;
  store.env = env_.get();
  auto opened = processor::Staging::open(store);
  CHECK(opened.has_value(), "the store opens");
  staging_ = *std::move(opened);
  std::vector<v1::AdapterSettings> adapters(kAdapterCount);
  for (size_t i = 0; i < kAdapterCount; ++i) {
    adapters[i].set_name(name_of(i));
    adapters[i].set_required(true);
  }
  CHECK(staging_->reconcile(adapters).has_value(), "two adapters are required");
}

StagingRun::~StagingRun() { close(); }

void StagingRun::close() {
  is_stopping_ = true;
  if (staging_ != nullptr) staging_->wake();
  for (auto& adapter : adapters_) {
    if (adapter.joinable()) adapter.join();
  }
  staging_.reset();
}

std::vector<v1::QueueMessage> StagingRun::make_messages(uint64_t count) {
  std::vector<v1::QueueMessage> messages(count);
  for (uint64_t i = 0; i < count; ++i) {
    v1::QueueMessage& message = messages[i];
    const uint64_t number = staged_ + i + 1;
    const v1::Envelope envelope = make_envelope(number);
    message.set_lookup_id(number);
    message.set_delivery_count(1);
    message.set_source("bench");
    message.set_source_count(number);
    message.set_source_key("g/bench/1/" + std::to_string(number));
    message.set_order_key(envelope.conversation_key());
    message.set_envelope(envelope.SerializeAsString());
    // Each body its own, with the number in front.
    std::string body = std::to_string(number) + " " + body_.substr(number % 256) + body_;
    body.resize(options_.body_bytes);
    message.set_body(std::move(body));
  }
  return messages;
}

void StagingRun::take_in(uint64_t count, double rate, steady_clock::time_point deadline) {
  const auto begin = steady_clock::now();
  const uint64_t first = staged_;
  while (staged_ < count && steady_clock::now() < deadline) {
    auto messages = make_messages(std::min(options_.batch, count - staged_));
    const uint64_t taken = messages.size();
    if (rate > 0) {
      std::this_thread::sleep_until(
          begin + std::chrono::duration_cast<steady_clock::duration>(
                      std::chrono::duration<double>(static_cast<double>(staged_ - first) / rate)));
    }
    CHECK(staging_->stage(kQueue, messages).has_value(), "staging takes messages");
    staged_ += taken;
  }
}

void StagingRun::start_adapter(size_t adapter) {
  adapters_[adapter] = std::thread([this, adapter] { serve(adapter); });
}

void StagingRun::serve(size_t adapter) {
  const std::string& name = name_of(adapter);
  processor::BatchLimits limits;
  limits.events_max_count = options_.batch_max;
  while (!is_stopping_) {
    const auto sealed = staging_->seal(name, limits);
    CHECK(sealed.has_value(), "a batch is sealed");
    if (sealed->batch == nullptr) {
      staging_->wait_for_events(acknowledged_[adapter], std::chrono::milliseconds(100));
      continue;
    }
    check(adapter, *sealed->batch);
    const processor::SealedBatch& seal = sealed->batch->seal;
    CHECK(staging_->acknowledge(name, seal.batch, seal.row.digest()).ok(), "it is acknowledged");
    CHECK(staging_->delete_archived().ok(), "what all have is deleted");
    acknowledged_[adapter] += seal.row.event_count();
  }
}

void StagingRun::check(size_t adapter, const processor::LoadedBatch& batch) {
  uint64_t last = acknowledged_[adapter];
  v1::StoredEvent stored;
  for (const std::string& bytes : batch.events) {
    CHECK(stored.ParseFromString(bytes), "a stored event parses");
    CHECK(stored.lookup_id() == last + 1, "each event comes once, in order");
    CHECK(stored.event().size() == options_.body_bytes &&
              stored.event().starts_with(std::to_string(last + 1) + " "),
          "each event has the bytes that were put");
    ++last;
  }
}

void StagingRun::wait_acknowledged() {
  for (size_t i = 0; i < kAdapterCount; ++i) {
    while (adapters_[i].joinable() && acknowledged_[i] < staged_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
}

double StagingRun::first_seek_us() {
  const auto begin = steady_clock::now();
  const auto events = staging_->events_above(0, 1);
  const std::chrono::duration<double, std::micro> took = steady_clock::now() - begin;
  CHECK(events.has_value() && events->empty(), "all events are deleted");
  return took.count();
}

std::vector<std::string> StagingRun::recount() {
  const auto accounting = staging_->accounting(/*recount=*/true);
  CHECK(accounting.has_value(), "the rows can be counted");
  std::vector<std::string> differences(accounting->recount_differences().begin(),
                                       accounting->recount_differences().end());
  for (const auto& queue : accounting->queues()) {
    for (const auto& source : queue.sources()) {
      if (source.difference() != 0) differences.push_back(source.ShortDebugString());
      if (source.archived() != staged_) differences.emplace_back("not all is archived");
    }
  }
  for (const auto& adapter : accounting->adapters()) {
    if (adapter.difference() != 0) differences.push_back(adapter.ShortDebugString());
  }
  return differences;
}

}  // namespace verbatim::bench
