// AdapterChannelFixture: one channel over a staging store of its own, stepped by the test, and what
// an adapter says and hears.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "processor/hub/adapter_channel.h"
#include "processor/hub/batch_frames.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::testing {

using processor::AdapterChannel;
using processor::ChannelOptions;
using processor::LoadedBatch;
using processor::Session;
using std::chrono::milliseconds;

class AdapterChannelFixture : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}});
    make_channel();
  }
  void make_channel() {
    channel_.reset();
    ChannelOptions options;
    options.adapter = "xml";
    options.settings = {{"key", "value"}};
    options.batch_events_max_count = 4;
    options.interval = milliseconds(1'000);
    options.heartbeat = milliseconds(2'000);
    options.silence_max = milliseconds(5'000);
    options.retry_max = milliseconds(400);
    options.has_room = [this] { return has_room_; };
    channel_ = std::make_unique<AdapterChannel>(*staging_, options, clock_);
  }
  std::shared_ptr<Session> attach(const std::string& instance, int32_t revision = 1) {
    v1::AdapterHello hello;
    hello.set_adapter("xml");
    hello.set_instance(instance);
    hello.set_schema_revision(revision);
    auto session = std::make_shared<Session>(hello);
    channel_->attach(session);
    channel_->step();
    return session;
  }
  // What the session was given so far, heartbeats left out: "welcome active batch:1".
  std::string taken(Session& session) {
    std::string text;
    while (auto outgoing = session.try_next()) {
      if (outgoing->batch != nullptr) {
        last_batch_ = outgoing->batch;
        text += "batch:" + std::to_string(outgoing->batch->seal.batch) + " ";
      } else if (outgoing->message.has_welcome()) {
        text += "welcome ";
      } else if (outgoing->message.has_activity()) {
        text += outgoing->message.activity().is_active() ? "active " : "standby ";
      } else if (outgoing->message.has_batch_state()) {
        text += "state? ";
      }
    }
    return text;
  }
  void say(const std::shared_ptr<Session>& session, const v1::FromAdapter& message) {
    channel_->receive(session, message);
    channel_->step();
  }
  void acknowledge(const std::shared_ptr<Session>& session, const LoadedBatch& batch,
                   uint64_t epoch = 0) {
    v1::FromAdapter message;
    message.mutable_ack()->set_batch(batch.seal.batch);
    message.mutable_ack()->set_digest(batch.seal.row.digest());
    message.mutable_ack()->set_store_epoch(epoch == 0 ? staging_->epoch() : epoch);
    say(session, message);
  }
  void reject(const std::shared_ptr<Session>& session, const std::vector<uint64_t>& culprits) {
    v1::FromAdapter message;
    message.mutable_reject()->set_batch(last_batch_->seal.batch);
    message.mutable_reject()->set_store_epoch(staging_->epoch());
    message.mutable_reject()->set_reason("why");
    for (const uint64_t one : culprits) {
      message.mutable_reject()->add_events()->set_sequence(one);
    }
    say(session, message);
  }
  void tell_state(const std::shared_ptr<Session>& session, v1::BatchStateAnswer::State state) {
    v1::FromAdapter message;
    message.mutable_batch_state()->set_batch(last_batch_->seal.batch);
    message.mutable_batch_state()->set_digest(last_batch_->seal.row.digest());
    message.mutable_batch_state()->set_state(state);
    say(session, message);
  }
  void retry(const std::shared_ptr<Session>& session, int64_t after_ms) {
    v1::FromAdapter message;
    message.mutable_retry()->set_batch(last_batch_->seal.batch);
    message.mutable_retry()->set_store_epoch(staging_->epoch());
    message.mutable_retry()->set_retry_after_ms(after_ms);
    say(session, message);
  }
  void beat(const std::shared_ptr<Session>& session) {
    v1::FromAdapter message;
    message.mutable_heartbeat();
    channel_->receive(session, message);
  }

  TestQueue queue_;
  std::unique_ptr<AdapterChannel> channel_;
  std::shared_ptr<const LoadedBatch> last_batch_;
  bool has_room_ = true;
};

}  // namespace verbatim::testing
