// What the core refuses to which key.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/frame.h"
#include "queue/access_list.h"
#include "queue/queue_core.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::queue {
namespace {

constexpr auto kNotPermitted = v1::REFUSAL_REASON_NOT_PERMITTED;

class QueueCoreKeysTest : public ::testing::Test {
 protected:
  QueueCoreKeysTest() {
    options_.log.directory = "/queue";
    options_.log.segment_bytes = 1024 * 1024;
    options_.message_max_bytes = 32 * 1024;
    options_.queues = {"events", "other"};
    v1::QueueSecurity security;
    add(security, "writer", true, false);
    add(security, "rival", true, false);
    add(security, "reader", false, true);
    add(security, "other-reader", false, true);
    const AccessList list(security);
    options_.may_put = [list](auto user, auto queue) { return list.may_put(user, queue); };
    options_.may_receive = [list](auto user, auto queue) { return list.may_receive(user, queue); };
    open();
  }

  static void add(v1::QueueSecurity& security, const std::string& name, bool puts, bool receives) {
    v1::QueueClientKey& client = *security.add_clients();
    client.set_name(name);
    if (puts) client.add_put("events");
    if (receives) client.add_receive("events");
  }
  // Each key has a connection of its name.
  void open() {
    core_.reset();
    core_ = QueueCore::open(disk_, clock_, options_).value();
    for (const char* key : {"writer", "rival", "reader", "other-reader"}) hello(key, key, key);
  }
  v1::QueueFrame ask(const std::string& peer, const std::string& user, v1::QueueFrame frame) {
    frame.set_request_id(++request_id_);
    core_->handle(peer, base::encode_frame(frame), user);
    EXPECT_TRUE(core_->commit_group().ok());
    v1::QueueFrame answer;
    for (const Outgoing& outgoing : core_->take_outgoing()) {
      if (outgoing.peer != peer) continue;
      EXPECT_TRUE(base::decode_frame(outgoing.frame, answer).ok());
    }
    return answer;
  }
  v1::QueueFrame ask(const std::string& key, v1::QueueFrame frame) {
    return ask(key, key, std::move(frame));
  }
  v1::QueueFrame hello(const std::string& peer, const std::string& user,
                       const std::string& client) {
    v1::QueueFrame frame;
    frame.mutable_hello()->set_client(client);
    frame.mutable_hello()->set_instance(client);
    return ask(peer, user, frame);
  }
  v1::QueueFrame open_producer(const std::string& key, uint64_t epoch,
                               const std::string& producer = "producer") {
    v1::QueueFrame frame;
    frame.mutable_open_producer()->set_queue("events");
    frame.mutable_open_producer()->set_producer(producer);
    frame.mutable_open_producer()->set_epoch(epoch);
    return ask(key, frame);
  }
  static v1::QueueFrame put_frame(uint64_t epoch, uint64_t sequence) {
    v1::QueueFrame frame;
    v1::Put& put = *frame.mutable_put();
    put.set_queue("events");
    put.set_producer("producer");
    put.set_epoch(epoch);
    put.set_first_sequence(sequence);
    put.add_messages()->set_body("text");
    put.mutable_messages(0)->set_source("source");
    return frame;
  }
  static v1::QueueFrame receive_frame() {
    v1::QueueFrame frame;
    frame.mutable_receive()->set_queue("events");
    frame.mutable_receive()->set_max_count(10);
    frame.mutable_receive()->set_max_bytes(1 << 20);
    frame.mutable_receive()->set_lease_ms(10'000);
    return frame;
  }
  int64_t depth() const { return core_->list_queues().queues(0).depth(); }
  bool has_alarm() const {
    const auto alarms = core_->alarm_conditions();
    return std::any_of(alarms.begin(), alarms.end(),
                       [](const auto& alarm) { return alarm.name == "not-permitted"; });
  }

  testing::FaultFileSystem disk_;
  testing::FakeClock clock_;
  CoreOptions options_;
  std::unique_ptr<QueueCore> core_;
  uint64_t request_id_ = 0;
};

// Every request that names a queue, also those that the protocol will yet get.
TEST_F(QueueCoreKeysTest, EachRequestNeedsItsRight) {
  const google::protobuf::Descriptor& kinds = *v1::QueueFrame::descriptor();
  int checked_count = 0;
  for (int i = 0; i < kinds.field_count(); ++i) {
    const auto& field = *kinds.field(i);
    if (field.message_type() == nullptr) continue;
    const auto* queue_field = field.message_type()->FindFieldByName("queue");
    if (queue_field == nullptr) continue;
    v1::QueueFrame frame;
    auto& request = *frame.GetReflection()->MutableMessage(&frame, &field);
    request.GetReflection()->SetString(&request, queue_field, "events");
    const bool is_put = field.name() == "put" || field.name() == "open_producer";
    EXPECT_NE(ask(is_put ? "writer" : "reader", frame).refused().reason(), kNotPermitted)
        << field.name();
    EXPECT_EQ(ask(is_put ? "reader" : "writer", frame).refused().reason(), kNotPermitted)
        << field.name();
    ++checked_count;
  }
  EXPECT_EQ(checked_count, 8);
}

TEST_F(QueueCoreKeysTest, ARefusalIsCountedAndAnAlarmAndStoresNothing) {
  EXPECT_FALSE(has_alarm());
  EXPECT_EQ(ask("reader", put_frame(5, 1)).refused().reason(), kNotPermitted);
  EXPECT_EQ(depth(), 0);
  EXPECT_EQ(core_->list_queues().queues(0).refused().at("REFUSAL_REASON_NOT_PERMITTED"), 1);
  EXPECT_TRUE(has_alarm());
  clock_.advance(std::chrono::hours(24));
  EXPECT_FALSE(has_alarm());
}

TEST_F(QueueCoreKeysTest, AProducerBelongsToTheKeyThatOpenedItAlsoAfterARestart) {
  ASSERT_TRUE(open_producer("writer", 5).has_open_producer_reply());
  ASSERT_TRUE(ask("writer", put_frame(5, 1)).has_put_reply());
  for (const bool is_restarted : {false, true}) {
    if (is_restarted) {
      core_.reset();
      disk_.power_cut_dropping_all();
      open();
    }
    EXPECT_EQ(open_producer("rival", 0).refused().reason(), kNotPermitted);
    EXPECT_EQ(open_producer("rival", 6).refused().reason(), kNotPermitted);
    EXPECT_EQ(ask("rival", put_frame(5, 2)).refused().reason(), kNotPermitted);
    EXPECT_EQ(ask("rival", put_frame(5, 1)).refused().reason(), kNotPermitted);
  }
  EXPECT_TRUE(ask("writer", put_frame(5, 2)).has_put_reply());
  EXPECT_EQ(depth(), 2);
}

TEST_F(QueueCoreKeysTest, ManyProducersOfOneKeyDoNotFreeTheNameOfAnothers) {
  ASSERT_TRUE(open_producer("writer", 5).has_open_producer_reply());
  ASSERT_TRUE(ask("writer", put_frame(5, 1)).has_put_reply());
  int opened_count = 0;
  for (int i = 0; i < 1'100; ++i) {
    clock_.advance(std::chrono::milliseconds(1));
    const auto answer = open_producer("rival", 5, "rival-" + std::to_string(i));
    if (answer.has_open_producer_reply()) {
      ++opened_count;
    } else {
      EXPECT_EQ(answer.refused().reason(), v1::REFUSAL_REASON_FULL);
    }
  }
  EXPECT_EQ(opened_count, 256) << "of one key";
  EXPECT_EQ(open_producer("rival", 6).refused().reason(), kNotPermitted);
  EXPECT_TRUE(open_producer("writer", 5, "writer-2").has_open_producer_reply());
  EXPECT_TRUE(ask("writer", put_frame(5, 2)).has_put_reply());
  EXPECT_TRUE(open_producer("rival", 6, "rival-0").has_open_producer_reply()) << "it is known";
}

TEST_F(QueueCoreKeysTest, AProducerIsOpenedBeforeItIsUsed) {
  EXPECT_EQ(ask("writer", put_frame(5, 1)).refused().reason(), v1::REFUSAL_REASON_UNKNOWN_PRODUCER);
}

TEST_F(QueueCoreKeysTest, AProducerOfPlainTimesBelongsToTheFirstKeyThatOpensIt) {
  const CoreOptions with_keys = options_;
  options_.may_put = options_.may_receive = nullptr;
  open();
  hello("plain", "", "plain");
  ASSERT_TRUE(ask("plain", "", put_frame(5, 1)).has_put_reply());
  options_ = with_keys;
  open();
  EXPECT_EQ(ask("writer", put_frame(5, 2)).refused().reason(), v1::REFUSAL_REASON_UNKNOWN_PRODUCER);
  ASSERT_TRUE(open_producer("writer", 6).has_open_producer_reply());
  EXPECT_EQ(open_producer("rival", 7).refused().reason(), kNotPermitted);
  // And without keys again, it is everybody's: an operator has taken them away.
  options_.may_put = options_.may_receive = nullptr;
  open();
  hello("plain", "", "plain");
  EXPECT_TRUE(ask("plain", "", put_frame(6, 1)).has_put_reply());
}

TEST_F(QueueCoreKeysTest, AcknowledgementsGoOnlyWhereTheKeyMayPut) {
  ASSERT_TRUE(open_producer("writer", 5).has_open_producer_reply());
  v1::QueueFrame frame = put_frame(5, 1);
  frame.mutable_put()->mutable_messages(0)->mutable_acknowledge()->set_queue("other");
  EXPECT_EQ(ask("writer", frame).refused().reason(), kNotPermitted);
  EXPECT_EQ(depth(), 0);
}

TEST_F(QueueCoreKeysTest, AnotherKeyTakesNeitherTheNameNorTheConnectionOfAClient) {
  ASSERT_TRUE(open_producer("writer", 5).has_open_producer_reply());
  ASSERT_TRUE(ask("writer", put_frame(5, 1)).has_put_reply());
  const uint64_t lease_id = ask("reader", receive_frame()).receive_reply().lease_id();
  ASSERT_GT(lease_id, 0U);
  EXPECT_EQ(hello("second", "other-reader", "reader").refused().reason(), kNotPermitted);
  v1::QueueFrame commit;
  commit.mutable_commit()->set_queue("events");
  commit.mutable_commit()->set_lease_id(lease_id);
  EXPECT_EQ(ask("reader", "other-reader", commit).refused().reason(),
            v1::REFUSAL_REASON_HELLO_WANTED);
  EXPECT_EQ(ask("other-reader", commit).refused().reason(), v1::REFUSAL_REASON_LEASE_LOST);
  EXPECT_EQ(depth(), 1);
  EXPECT_TRUE(ask("reader", commit).has_settle_reply());
}

// A client that is gone loses its leases before its name goes to another key.
TEST_F(QueueCoreKeysTest, ANameThatIsFreeIsTakenWithoutTheLeases) {
  ASSERT_TRUE(open_producer("writer", 5).has_open_producer_reply());
  ASSERT_TRUE(ask("writer", put_frame(5, 1)).has_put_reply());
  const uint64_t lease_id = ask("reader", receive_frame()).receive_reply().lease_id();
  clock_.advance(options_.consumer_silence_max + std::chrono::seconds(1));
  core_->tick();
  ASSERT_TRUE(hello("second", "other-reader", "reader").has_hello_reply());
  v1::QueueFrame commit;
  commit.mutable_commit()->set_queue("events");
  commit.mutable_commit()->set_lease_id(lease_id);
  EXPECT_EQ(ask("second", "other-reader", commit).refused().reason(),
            v1::REFUSAL_REASON_LEASE_LOST);
}

}  // namespace
}  // namespace verbatim::queue
