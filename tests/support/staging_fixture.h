// StagingFixture: a staging store in a folder of its own with time that stands still, and events to
// put into it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "processor/staging/staging.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace verbatim::testing {

inline constexpr const char* kTestQueue = "events";

inline v1::Envelope test_envelope(v1::EventKind kind, const std::string& room,
                                  const std::string& address = "a@x") {
  v1::Envelope envelope;
  envelope.set_schema_revision(1);
  envelope.set_event_id("00000000-0000-7000-8000-000000000000");
  envelope.set_kind(kind);
  envelope.set_phase(v1::PHASE_CONFIRMED);
  envelope.set_role(v1::ROLE_RECORD);
  envelope.set_conversation_kind(v1::CONVERSATION_KIND_ROOM);
  envelope.set_conversation_key(room);
  envelope.set_source("s");
  envelope.set_source_time_unix_ns(1'000);
  envelope.mutable_actor()->set_address(address);
  envelope.mutable_actor()->set_normalised(address);
  envelope.set_session("1");
  return envelope;
}

// The queue's side: contiguous lookup ids and stamps per source.
class TestQueue {
 public:
  v1::QueueMessage make(const v1::Envelope& envelope, const std::string& body = "body",
                        const std::string& source = "s") {
    v1::QueueMessage message;
    message.set_lookup_id(++last_lookup_id_);
    message.set_delivery_count(1);
    message.set_source(source);
    message.set_source_count(++counts_[source]);
    message.set_source_key("key-" + std::to_string(last_lookup_id_));
    message.set_order_key(envelope.conversation_key());
    message.set_envelope(envelope.SerializeAsString());
    message.set_body(body);
    return message;
  }
  v1::QueueMessage post(const std::string& room, const std::string& body = "body") {
    return make(test_envelope(v1::EVENT_KIND_MESSAGE_POSTED, room), body);
  }
  std::vector<v1::QueueMessage> posts(int count, const std::string& room = "room@x") {
    std::vector<v1::QueueMessage> messages;
    for (int i = 0; i < count; ++i) messages.push_back(post(room, "body " + std::to_string(i)));
    return messages;
  }
  uint64_t last_lookup_id() const { return last_lookup_id_; }

 private:
  uint64_t last_lookup_id_ = 0;
  std::map<std::string, uint64_t> counts_;
};

class StagingFixture : public ::testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() {
    staging_.reset();
    options_.path = dir_.file("staging");
    options_.clock = &clock_;
    auto opened = processor::Staging::open(options_);
    ASSERT_TRUE(opened) << opened.error().to_string();
    staging_ = *std::move(opened);
  }
  void configure(const std::vector<std::pair<std::string, bool>>& adapters) {
    std::vector<v1::AdapterSettings> settings;
    for (const auto& [name, is_required] : adapters) {
      settings.emplace_back().set_name(name);
      settings.back().set_required(is_required);
    }
    const auto notices = staging_->reconcile(settings);
    ASSERT_TRUE(notices) << notices.error().to_string();
  }
  processor::StageOutcome stage(std::vector<v1::QueueMessage> messages,
                                const std::string& log_id = "folder 1") {
    const auto outcome = staging_->stage(kTestQueue, messages, log_id);
    EXPECT_TRUE(outcome) << outcome.error().to_string();
    return outcome ? *outcome : processor::StageOutcome();
  }
  std::shared_ptr<const processor::LoadedBatch> seal(const std::string& adapter,
                                                     uint64_t max_count = 10'000) {
    processor::BatchLimits limits;
    limits.events_max_count = max_count;
    const auto outcome = staging_->seal(adapter, limits);
    EXPECT_TRUE(outcome) << outcome.error().to_string();
    return outcome ? outcome->batch : nullptr;
  }
  Status acknowledge(const std::string& adapter, const processor::LoadedBatch& batch) {
    RETURN_IF_ERROR(staging_->acknowledge(adapter, batch.seal.batch, batch.seal.row.digest()));
    return staging_->delete_archived();
  }
  // Counters against rows, and every difference.
  v1::GetAccountingResponse check_accounting() {
    const auto accounting = staging_->accounting(/*recount=*/true);
    EXPECT_TRUE(accounting) << accounting.error().to_string();
    if (!accounting) return {};
    for (const auto& one : accounting->recount_differences()) ADD_FAILURE() << one;
    for (const auto& queue : accounting->queues()) {
      for (const auto& source : queue.sources()) {
        EXPECT_EQ(source.difference(), 0) << source.ShortDebugString();
      }
    }
    for (const auto& adapter : accounting->adapters()) {
      EXPECT_EQ(adapter.difference(), 0) << adapter.ShortDebugString();
    }
    return *accounting;
  }
  static v1::BatchHeader header_of(const processor::LoadedBatch& batch) {
    v1::BatchHeader header;
    EXPECT_TRUE(header.ParseFromString(batch.seal.row.header()));
    return header;
  }
  size_t stored_count() const {
    const auto events = staging_->newest_events(1'000'000);
    EXPECT_TRUE(events);
    return events ? events->size() : 0;
  }

  TempDir dir_;
  FakeClock clock_;
  processor::StagingOptions options_;
  std::unique_ptr<processor::Staging> staging_;
};

}  // namespace verbatim::testing
