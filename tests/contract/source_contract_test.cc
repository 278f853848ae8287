// One contract over the sources that numbered producers use: grpc and zmq.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/frame.h"
#include "base/zmq_socket.h"
#include "collector/broker/queue_broker.h"
#include "collector/sources/grpc/grpc_source.h"
#include "collector/sources/zmq/zmq_source.h"
#include "queue/client/memory_queue_client.h"
#include "tests/support/answer_box.h"
#include "tests/support/fault_file_system.h"
#include "tests/tools/load_producer.h"
#include "tests/tools/producer_link.h"

namespace verbatim::collector {
namespace {

using queue::MemoryQueue;
using testing::AnswerBox;
using testing::eventually;

constexpr int64_t kCredit = 100;
constexpr std::chrono::milliseconds kEventDeadline{300};

v1::Event post(const std::string& text) {
  v1::Event event;
  event.mutable_conversation()->set_kind(v1::CONVERSATION_KIND_ROOM);
  event.mutable_conversation()->set_address("room@conference.example");
  event.mutable_actor()->set_address("alice@example.com");
  event.set_phase(v1::PHASE_CONFIRMED);
  event.mutable_original_text()->set_plain(text);
  event.mutable_message_posted();
  return event;
}

v1::SendRequest hello(const std::string& producer = "p", uint64_t epoch = 1) {
  v1::SendRequest request;
  request.mutable_hello()->set_producer(producer);
  request.mutable_hello()->set_epoch(epoch);
  return request;
}

v1::SendRequest batch(uint64_t first, const std::vector<v1::Event>& events) {
  v1::SendRequest request;
  request.mutable_batch()->set_first_sequence(first);
  for (const auto& event : events) *request.mutable_batch()->add_events() = event;
  return request;
}

v1::SendRequest posts(uint64_t first, uint64_t count) {
  std::vector<v1::Event> events;
  for (uint64_t i = 0; i < count; ++i) events.push_back(post("text " + std::to_string(first + i)));
  return batch(first, events);
}

// One producer's end: what came back, and whether the link is down.
struct Peer {
  std::shared_ptr<AnswerBox<v1::SendReply>> replies = std::make_shared<AnswerBox<v1::SendReply>>();
  std::shared_ptr<AnswerBox<std::string>> downs = std::make_shared<AnswerBox<std::string>>();
  std::unique_ptr<tools::ProducerLink> link;

  // Every answered number in order, with its reason (0 for accepted).
  std::vector<std::pair<uint64_t, int>> receipts() const {
    std::vector<std::pair<uint64_t, int>> all;
    for (const auto& reply : replies->wait(0)) {
      int refusal = 0;
      const auto& receipts = reply.receipts();
      for (uint64_t i = 0; i < receipts.count(); ++i) {
        const uint64_t number = receipts.first_sequence() + i;
        const bool is_refused =
            refusal < receipts.refusals_size() && receipts.refusals(refusal).sequence() == number;
        all.emplace_back(number, is_refused ? receipts.refusals(refusal++).reason() : 0);
      }
    }
    return all;
  }
  bool wait_receipts(size_t count) const {
    return eventually([&] { return receipts().size() >= count; });
  }
};

class SourceContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { start(); }
  void TearDown() override { stop(); }

  void start() {
    client_ = queue::create_memory_queue_client(queue_);
    QueueBrokerOptions options;
    options.profile = Profile::create("all").value();
    options.data_dir = "/data";
    options.completer.message_max_bytes = 50'000;
    broker_ = QueueBroker::create(disk_, *client_, std::move(options)).value();
    broker_->start();
    if (GetParam() == "grpc") {
      GrpcSourceOptions grpc;
      grpc.listen = address_.empty() ? "127.0.0.1:0" : address_;
      grpc.credit_events = kCredit;
      grpc.event_deadline = kEventDeadline;
      source_ = std::make_unique<GrpcSource>(grpc, *broker_);
    } else {
      ZmqSourceOptions zmq;
      zmq.listen = address_.empty() ? "tcp://127.0.0.1:0" : address_;
      zmq.credit_events = kCredit;
      zmq.event_deadline = kEventDeadline;
      source_ = std::make_unique<ZmqSource>(zmq, *broker_);
    }
    const Status status = source_->start();
    ASSERT_TRUE(status.ok()) << status.to_string();
    address_ = source_->bound_address();
  }
  void stop() {
    if (source_) source_->stop(std::chrono::milliseconds(500));
    if (client_) client_->stop();
    if (broker_) broker_->stop();
    source_.reset();
    broker_.reset();
    client_.reset();
  }

  std::unique_ptr<tools::ProducerLink> open_link(tools::ProducerLink::Callbacks callbacks) {
    if (GetParam() == "grpc") return tools::open_grpc_link(address_, std::move(callbacks));
    return tools::open_zmq_link(address_, std::move(callbacks)).value();
  }
  Peer connect(const v1::SendRequest& first = hello()) {
    Peer peer;
    tools::ProducerLink::Callbacks callbacks;
    callbacks.on_reply = [box = peer.replies](const v1::SendReply& reply) { box->add(reply); };
    callbacks.on_down = [box = peer.downs](const std::string& why) { box->add(why); };
    peer.link = open_link(std::move(callbacks));
    peer.link->send(first);
    return peer;
  }
  Peer connect_welcomed(const v1::SendRequest& first = hello()) {
    Peer peer = connect(first);
    EXPECT_EQ(peer.replies->wait(1).size(), 1u);
    return peer;
  }

  std::vector<std::string> stored_texts() {
    std::vector<std::string> texts;
    for (const auto& message : queue_.messages()) {
      v1::Event event;
      EXPECT_TRUE(event.ParseFromString(message.body()));
      if (event.has_message_posted()) texts.push_back(event.original_text().plain());
    }
    return texts;
  }

  testing::FaultFileSystem disk_;
  MemoryQueue queue_;
  std::unique_ptr<queue::QueueClient> client_;
  std::unique_ptr<QueueBroker> broker_;
  std::unique_ptr<Source> source_;
  std::string address_;
};

TEST_P(SourceContract, HelloIsAnsweredWithTheCredit) {
  const Peer peer = connect();
  const auto replies = peer.replies->wait(1);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].welcome().credit_events(), kCredit);
  EXPECT_EQ(replies[0].welcome().collector(), "collector");
  EXPECT_EQ(replies[0].welcome().last_sequence(), 0u);
}

TEST_P(SourceContract, AReceiptComesOnlyForWhatIsDurable) {
  Peer peer = connect_welcomed();
  queue_.set_state(MemoryQueue::State::kSilent);
  peer.link->send(posts(1, 3));
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 3; }));
  EXPECT_TRUE(peer.receipts().empty());
  queue_.set_state(MemoryQueue::State::kUp);
  ASSERT_TRUE(peer.wait_receipts(3));
  EXPECT_EQ(peer.receipts(), (std::vector<std::pair<uint64_t, int>>{{1, 0}, {2, 0}, {3, 0}}));
}

TEST_P(SourceContract, AWrongEventIsRefusedByNumberAndTheRestStands) {
  Peer peer = connect_welcomed();
  v1::Event wrong = post("wrong");
  wrong.clear_message_posted();
  v1::Event large = post(std::string(60'000, 'x'));
  peer.link->send(batch(1, {post("1"), wrong, post("3"), large, post("5")}));
  ASSERT_TRUE(peer.wait_receipts(5));
  EXPECT_EQ(peer.receipts(),
            (std::vector<std::pair<uint64_t, int>>{{1, 0},
                                                   {2, v1::Refusal::REASON_INVALID},
                                                   {3, 0},
                                                   {4, v1::Refusal::REASON_TOO_LARGE},
                                                   {5, 0}}));
  EXPECT_EQ(stored_texts(), (std::vector<std::string>{"1", "3", "5"}));
}

TEST_P(SourceContract, WhatIsSentAgainOnANewConnectionIsAnsweredAsTheFirstTime) {
  {
    Peer peer = connect_welcomed();
    peer.link->send(posts(1, 10));
    ASSERT_TRUE(peer.wait_receipts(10));
  }
  Peer again = connect_welcomed();
  EXPECT_EQ(again.replies->wait(1)[0].welcome().last_sequence(), 10u);
  again.link->send(posts(1, 12));
  ASSERT_TRUE(again.wait_receipts(12));
  for (const auto& [number, reason] : again.receipts()) EXPECT_EQ(reason, 0) << number;
  EXPECT_EQ(stored_texts().size(), 12u);
}

TEST_P(SourceContract, WhatIsSentAgainAfterARestartOfTheCollectorIsStoredOnce) {
  {
    Peer peer = connect_welcomed();
    peer.link->send(posts(1, 10));
    ASSERT_TRUE(peer.wait_receipts(10));
  }
  stop();
  start();
  Peer again = connect_welcomed();
  again.link->send(posts(6, 10));
  ASSERT_TRUE(again.wait_receipts(10));
  EXPECT_EQ(stored_texts().size(), 15u);
  EXPECT_EQ(source_->info()[0].gap_count(), 0);
}

TEST_P(SourceContract, AJumpInTheNumbersIsACaptureGap) {
  Peer peer = connect_welcomed();
  peer.link->send(posts(1, 2));
  peer.link->send(posts(6, 1));
  ASSERT_TRUE(peer.wait_receipts(3));
  const auto gap = [this]() -> std::optional<v1::Event> {
    for (const auto& message : queue_.messages()) {
      v1::Event event;
      EXPECT_TRUE(event.ParseFromString(message.body()));
      if (event.has_capture_gap()) return event;
    }
    return std::nullopt;
  };
  ASSERT_TRUE(eventually([&] { return gap().has_value(); }));
  EXPECT_EQ(gap()->capture_gap().reason(), v1::CaptureGap::REASON_SOURCE_GAP);
  EXPECT_EQ(gap()->capture_gap().missing_count(), 3);
  EXPECT_EQ(gap()->source().name(), "p");
  EXPECT_EQ(source_->info()[0].gap_count(), 1);
}

TEST_P(SourceContract, WithoutTheQueueEventsAreAnsweredUnavailableAndTakenLaterUnderTheirNumbers) {
  Peer peer = connect_welcomed();
  queue_.set_state(MemoryQueue::State::kDown);
  peer.link->send(posts(1, 3));
  ASSERT_TRUE(peer.wait_receipts(3));
  for (const auto& [number, reason] : peer.receipts()) {
    EXPECT_EQ(reason, v1::Refusal::REASON_UNAVAILABLE) << number;
  }
  for (const auto& reply : peer.replies->wait(0)) {
    for (const auto& refusal : reply.receipts().refusals()) {
      EXPECT_GT(refusal.retry_after_ms(), 0);
    }
  }
  queue_.set_state(MemoryQueue::State::kUp);
  peer.link->send(posts(1, 3));
  ASSERT_TRUE(peer.wait_receipts(6));
  EXPECT_EQ(peer.receipts()[5], (std::pair<uint64_t, int>{3, 0}));
  EXPECT_EQ(stored_texts(), (std::vector<std::string>{"text 1", "text 2", "text 3"}));
}

TEST_P(SourceContract, WhoExceedsTheCreditIsToldSoAndOthersAreNotDisturbed) {
  Peer healthy = connect_welcomed(hello("healthy"));
  Peer greedy = connect_welcomed(hello("greedy"));
  greedy.link->send(posts(1, kCredit + 1));
  const auto downs = greedy.downs->wait(1);
  ASSERT_EQ(downs.size(), 1u);
  EXPECT_NE(downs[0].find("credit"), std::string::npos) << downs[0];
  healthy.link->send(posts(1, 1));
  ASSERT_TRUE(healthy.wait_receipts(1));
  EXPECT_EQ(stored_texts().size(), 1u);
}

TEST_P(SourceContract, ABatchWithoutAHelloOrWithoutANumberEndsTheSession) {
  const Peer without_hello = connect(posts(1, 1));
  EXPECT_EQ(without_hello.downs->wait(1).size(), 1u);
  Peer without_number = connect_welcomed();
  without_number.link->send(posts(0, 1));
  EXPECT_EQ(without_number.downs->wait(1).size(), 1u);
  const Peer without_epoch = connect(hello("p", 0));
  EXPECT_EQ(without_epoch.downs->wait(1).size(), 1u);
  const Peer without_name = connect(hello("", 1));
  EXPECT_EQ(without_name.downs->wait(1).size(), 1u);
  const Peer long_name = connect(hello(std::string(129, 'n'), 1));
  EXPECT_EQ(long_name.downs->wait(1).size(), 1u);
  EXPECT_TRUE(stored_texts().empty());
}

TEST_P(SourceContract, ANewerConnectionOfAProducerTakesOver) {
  Peer first = connect_welcomed();
  queue_.set_state(MemoryQueue::State::kSilent);
  first.link->send(posts(1, 5));
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 5; }));
  Peer second = connect_welcomed();
  EXPECT_EQ(first.downs->wait(1).size(), 1u);
  second.link->send(posts(1, 7));
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 7; }));
  queue_.set_state(MemoryQueue::State::kUp);
  ASSERT_TRUE(second.wait_receipts(7));
  EXPECT_EQ(stored_texts().size(), 7u);
}

TEST_P(SourceContract, AGracefulStopAnswersWhatIsUnderWay) {
  Peer peer = connect_welcomed();
  queue_.set_state(MemoryQueue::State::kSilent);
  peer.link->send(posts(1, 5));
  ASSERT_TRUE(eventually([this] { return queue_.depth() == 5; }));
  std::thread stopper([this] { source_->stop(std::chrono::seconds(5)); });
  queue_.set_state(MemoryQueue::State::kUp);
  stopper.join();
  EXPECT_TRUE(peer.wait_receipts(5));
  for (const auto& [number, reason] : peer.receipts()) EXPECT_EQ(reason, 0) << number;
}

TEST_P(SourceContract, ALoadOverAQueueThatComesAndGoesIsStoredOnceAndInOrder) {
  tools::LoadOptions options;
  options.count = 2'000;
  options.rooms = 5;
  options.batch = 16;
  options.window = 64;
  options.payload_bytes = 50;
  options.time_limit = std::chrono::seconds(60);
  tools::LoadProducer producer(
      options,
      [this](tools::ProducerLink::Callbacks callbacks) { return open_link(std::move(callbacks)); },
      nullptr);
  std::atomic<bool> is_done{false};
  std::thread trouble([&] {
    for (int i = 0; !is_done; ++i) {
      queue_.set_state(i % 4 == 1   ? MemoryQueue::State::kDown
                       : i % 4 == 3 ? MemoryQueue::State::kSilent
                                    : MemoryQueue::State::kUp);
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(40 * (i % 11));
      eventually([&] { return is_done || std::chrono::steady_clock::now() >= end; });
    }
    queue_.set_state(MemoryQueue::State::kUp);
  });
  const tools::LoadResult result = producer.run();
  is_done = true;
  trouble.join();
  EXPECT_TRUE(result.is_complete);
  EXPECT_EQ(result.accepted, options.count);
  std::map<std::string, uint64_t> last;
  for (const auto& message : queue_.messages()) {
    v1::Event event;
    ASSERT_TRUE(event.ParseFromString(message.body()));
    if (!event.has_message_posted()) continue;
    const uint64_t number = event.source_key().numbered().sequence();
    uint64_t& before = last[event.conversation().key()];
    EXPECT_EQ(number, before == 0 ? number : before + options.rooms);
    before = number;
  }
  EXPECT_EQ(stored_texts().size(), options.count);
}

INSTANTIATE_TEST_SUITE_P(Sources, SourceContract, ::testing::Values("grpc", "zmq"),
                         [](const auto& row) { return row.param; });

// What only ZeroMQ has: frames that are not ours.
TEST(ZmqSourceFrames, GarbageCostsNobodyElseAnything) {
  testing::FaultFileSystem disk;
  MemoryQueue queue;
  const auto client = queue::create_memory_queue_client(queue);
  QueueBrokerOptions options;
  options.profile = Profile::create("all").value();
  options.data_dir = "/data";
  const auto broker = QueueBroker::create(disk, *client, std::move(options)).value();
  broker->start();
  ZmqSource source({}, *broker);
  ASSERT_TRUE(source.start().ok());
  base::ZmqContext context;
  auto socket = base::ZmqSocket::create(context, base::ZmqType::kDealer).value();
  ASSERT_TRUE(socket.connect(source.bound_address()).ok());
  v1::ZmqSourceFrame frame;
  *frame.mutable_request() = hello();
  const std::string good = base::encode_frame(frame);
  const auto exchange = [&](const std::vector<std::string>& frames) {
    EXPECT_TRUE(socket.send("", frames).ok());
    v1::ZmqSourceFrame reply;
    EXPECT_TRUE(eventually([&] {
      auto message = socket.receive();
      return message.has_value() && *message && base::decode_frame((**message)[0], reply).ok();
    }));
    return reply;
  };
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_TRUE(exchange({good.substr(0, size)}).has_hello_wanted()) << size;
  }
  for (size_t at = 0; at < good.size(); ++at) {
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    EXPECT_TRUE(exchange({flipped}).has_hello_wanted()) << at;
  }
  EXPECT_TRUE(exchange({good, good}).has_hello_wanted());
  EXPECT_TRUE(exchange({good}).reply().has_welcome());
  source.stop(std::chrono::milliseconds(100));
  client->stop();
  broker->stop();
}

}  // namespace
}  // namespace verbatim::collector
