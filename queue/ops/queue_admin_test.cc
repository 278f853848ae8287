#include "queue/ops/queue_admin.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/frame.h"
#include "base/grpc_server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::queue {
namespace {

using ::testing::ElementsAre;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// The calls over gRPC, the queue and the audit log each on a disk of its own.
class QueueAdminTest : public ::testing::Test {
 protected:
  QueueAdminTest() {
    options_.core.log.directory = "/queue";
    options_.core.log.segment_bytes = 1024 * 1024;
    options_.core.message_max_bytes = 32 * 1024;
  }
  void SetUp() override {
    auto service = QueueService::start(queue_disk_, base::system_clock(), options_);
    EXPECT_TRUE(service.has_value()) << service.error().to_string();
    service_ = *std::move(service);
    auto audit = base::AuditLog::open(audit_disk_, base::system_clock(), "/data", "verbatim-queue");
    EXPECT_TRUE(audit.has_value()) << audit.error().to_string();
    audit_ = *std::move(audit);
    auto alarms = base::AlarmRegistry::open(audit_disk_, base::system_clock(), "/data/alarms");
    EXPECT_TRUE(alarms.has_value()) << alarms.error().to_string();
    alarms_ = *std::move(alarms);
    admin_ =
        std::make_unique<QueueAdminService>(*service_, *audit_, *alarms_, base::system_clock());
    auto server = base::GrpcServer::start("127.0.0.1:0", {admin_.get()});
    EXPECT_TRUE(server.has_value()) << server.error().to_string();
    server_ = *std::move(server);
    stub_ = v1::QueueAdmin::NewStub(
        grpc::CreateChannel(server_->bound_address(), grpc::InsecureChannelCredentials()));
  }

  grpc::Status create(const std::string& queue, const std::string& reason) {
    grpc::ClientContext context;
    context.AddMetadata("verbatim-user", "alice");
    v1::CreateQueueRequest request;
    request.set_queue(queue);
    request.set_reason(reason);
    v1::CreateQueueResponse response;
    return stub_->CreateQueue(&context, request, &response);
  }
  std::vector<std::string> queues() {
    grpc::ClientContext context;
    v1::ListQueuesResponse response;
    EXPECT_TRUE(stub_->ListQueues(&context, {}, &response).ok());
    std::vector<std::string> names;
    for (const auto& queue : response.queues()) names.push_back(queue.name());
    return names;
  }
  std::vector<v1::AuditEntry> entries() {
    grpc::ClientContext context;
    v1::ListAuditRequest request;
    request.set_max_count(100);
    v1::ListAuditResponse response;
    EXPECT_TRUE(stub_->ListAudit(&context, request, &response).ok());
    return {response.entries().begin(), response.entries().end()};
  }

  QueueServiceOptions options_;
  FaultFileSystem queue_disk_;
  FaultFileSystem audit_disk_;
  std::unique_ptr<QueueService> service_;
  std::unique_ptr<base::AuditLog> audit_;
  std::unique_ptr<base::AlarmRegistry> alarms_;
  std::unique_ptr<QueueAdminService> admin_;
  std::unique_ptr<base::GrpcServer> server_;
  std::unique_ptr<v1::QueueAdmin::Stub> stub_;
};

TEST_F(QueueAdminTest, AChangeHasItsEntryWithWhoAndWhy) {
  EXPECT_TRUE(create("imports", "ticket 4711").ok());
  const auto found = entries();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].action(), "queues create");
  EXPECT_EQ(found[0].subject(), "imports");
  EXPECT_EQ(found[0].reason(), "ticket 4711");
  EXPECT_EQ(found[0].user(), "alice");
  EXPECT_THAT(found[0].peer(), HasSubstr("127.0.0.1"));
}

TEST_F(QueueAdminTest, WithoutItsEntryNoChangeIsMade) {
  for (uint64_t nth = 1;; ++nth) {
    audit_disk_.fail({.nth = nth, .error_number = 28, .is_sticky = true, .kinds = {}});
    const grpc::Status status = create("imports-" + std::to_string(nth), "ticket 4711");
    const bool has_failed = audit_disk_.has_failed();
    audit_disk_.clear_faults();
    if (!has_failed) {
      EXPECT_TRUE(status.ok());
      EXPECT_THAT(queues(), SizeIs(2));
      break;
    }
    EXPECT_FALSE(status.ok()) << "nth " << nth;
    EXPECT_THAT(queues(), ElementsAre("events")) << "nth " << nth;
  }
}

TEST_F(QueueAdminTest, ARefusedChangeHasTwoEntries) {
  EXPECT_EQ(create("Not A Name", "ticket 4711").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(create("imports", "").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(queues(), ElementsAre("events"));
  const auto found = entries();
  ASSERT_THAT(found, SizeIs(4));
  EXPECT_EQ(found[1].action(), "queues create refused");
  EXPECT_THAT(found[1].detail(), HasSubstr("number=1: INVALID_ARGUMENT"));
  EXPECT_THAT(found[3].detail(), HasSubstr("needs a reason"));
}

// With a journal that was filled before the service's start.
class QueueJournalTest : public QueueAdminTest {
 protected:
  static constexpr int64_t kPortion = 1024 * 1024 / 8 / (4 * QueueStore::kRangeBytes);
  static constexpr uint64_t kCopyCount = 2 * kPortion + 100;

  void SetUp() override {
    auto core = QueueCore::open(queue_disk_, base::system_clock(), options_.core);
    ASSERT_TRUE(core.has_value()) << core.error().to_string();
    core_ = *std::move(core);
    v1::ConfigureQueueRequest configure;
    configure.set_queue("events");
    configure.mutable_settings()->set_has_journal(true);
    ASSERT_TRUE(core_->configure_queue(configure).ok());
    v1::QueueFrame hello;
    hello.mutable_hello()->set_client("client");
    ask(hello);
    for (uint64_t sequence = 1; sequence <= kCopyCount;) sequence = consume_from(sequence);
    core_.reset();
    QueueAdminTest::SetUp();
  }

 private:
  v1::QueueFrame ask(v1::QueueFrame frame) {
    frame.set_request_id(++request_id_);
    core_->handle("peer", base::encode_frame(frame));
    v1::QueueFrame answer;
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(core_->commit_group().ok());
      const auto answers = core_->take_outgoing();
      if (!answers.empty()) {
        EXPECT_TRUE(base::decode_frame(answers[0].frame, answer).ok());
        return answer;
      }
      core_->tick();
    }
    ADD_FAILURE() << "no answer to " << frame.ShortDebugString();
    return answer;
  }
  // Puts up to 100 messages under the numbers from this one on and consumes them; the next number.
  uint64_t consume_from(uint64_t sequence) {
    v1::QueueFrame put;
    put.mutable_put()->set_queue("events");
    put.mutable_put()->set_producer("p");
    put.mutable_put()->set_epoch(1);
    put.mutable_put()->set_first_sequence(sequence);
    for (int i = 0; i < 100 && sequence <= kCopyCount; ++i, ++sequence) {
      put.mutable_put()->add_messages()->set_source("s");
    }
    ask(put);
    v1::QueueFrame receive;
    receive.mutable_receive()->set_queue("events");
    receive.mutable_receive()->set_max_count(100);
    receive.mutable_receive()->set_max_bytes(1 << 20);
    receive.mutable_receive()->set_lease_ms(60'000);
    v1::QueueFrame commit;
    commit.mutable_commit()->set_queue("events");
    commit.mutable_commit()->set_lease_id(ask(receive).receive_reply().lease_id());
    ask(commit);
    return sequence;
  }

  std::unique_ptr<QueueCore> core_;
  uint64_t request_id_ = 0;
};

// One portion of a trim is bounded so that clients need not wait; a call trims all that was meant.
TEST_F(QueueJournalTest, ATrimGoesOnUntilAllIsTrimmed) {
  grpc::ClientContext context;
  v1::TrimJournalRequest request;
  request.set_queue("events");
  request.set_up_to_lookup_id(kCopyCount - 1);
  request.set_reason("ticket 4711");
  v1::TrimJournalResponse response;
  ASSERT_TRUE(stub_->TrimJournal(&context, request, &response).ok());
  EXPECT_EQ(response.trimmed_count(), int64_t{kCopyCount} - 1);
  grpc::ClientContext look;
  v1::ListQueuesRequest journal;
  journal.set_queue("events;journal");
  v1::ListQueuesResponse left;
  ASSERT_TRUE(stub_->ListQueues(&look, journal, &left).ok());
  ASSERT_THAT(left.queues(), SizeIs(1));
  EXPECT_EQ(left.queues(0).depth(), 1);
  const auto found = entries();
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_THAT(found[1].detail(), HasSubstr("trimmed=" + std::to_string(response.trimmed_count())));
}

TEST_F(QueueAdminTest, ATextThatIsTooLongIsRefusedAndLeavesNoEntry) {
  EXPECT_EQ(create("imports", std::string(2'000, 'x')).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(entries(), SizeIs(0));
}

}  // namespace
}  // namespace verbatim::queue
