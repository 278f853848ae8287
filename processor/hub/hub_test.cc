#include "processor/hub/hub.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using std::chrono::milliseconds;
using testing::StagingFixture;
using testing::TestQueue;

// The hub with its threads and real time, without a stream.
class HubTest : public StagingFixture {
 protected:
  void SetUp() override {
    StagingFixture::SetUp();
    configure({{"xml", true}, {"csv", true}});
    std::vector<ChannelOptions> adapters(2);
    adapters[0].adapter = "xml";
    adapters[1].adapter = "csv";
    for (auto& options : adapters) {
      options.interval = milliseconds(5);
      options.batch_events_max_count = 7;
    }
    hub_ = std::make_unique<Hub>(*staging_, adapters, base::system_clock());
  }
  void TearDown() override { hub_->stop(); }

  std::shared_ptr<Session> attach(const std::string& adapter, const std::string& instance) {
    v1::AdapterHello hello;
    hello.set_adapter(adapter);
    hello.set_instance(instance);
    hello.set_schema_revision(1);
    auto session = std::make_shared<Session>(hello);
    hub_->find(adapter)->attach(session);
    return session;
  }
  // Acknowledges whatever comes until the session ends; gives the sequences.
  std::vector<uint64_t> serve(const std::string& adapter, Session& session,
                              const std::shared_ptr<Session>& self) {
    std::vector<uint64_t> sequences;
    while (auto outgoing = session.next()) {
      if (outgoing->batch == nullptr) continue;
      for (const uint64_t one : members_of(outgoing->batch->seal.row)) sequences.push_back(one);
      v1::FromAdapter message;
      message.mutable_ack()->set_batch(outgoing->batch->seal.batch);
      message.mutable_ack()->set_digest(outgoing->batch->seal.row.digest());
      message.mutable_ack()->set_store_epoch(outgoing->store_epoch);
      hub_->find(adapter)->receive(self, message);
    }
    return sequences;
  }

  TestQueue queue_;
  std::unique_ptr<Hub> hub_;
};

TEST_F(HubTest, TwoAdaptersAreServedWhileEventsComeIn) {
  hub_->start();
  const auto xml = attach("xml", "a");
  const auto csv = attach("csv", "b");
  std::vector<uint64_t> of_xml;
  std::vector<uint64_t> of_csv;
  std::thread xml_thread([&] { of_xml = serve("xml", *xml, xml); });
  std::thread csv_thread([&] { of_csv = serve("csv", *csv, csv); });
  for (int i = 0; i < 30; ++i) {
    stage(queue_.posts(10));
    hub_->poke();
    // Time stands still for staging, so what is left is cut by the interval on the hub's clock.
    EXPECT_TRUE(staging_->accounting(false));
  }
  for (int i = 0; i < 2'000 && staging_->staged_bytes() > 0; ++i) {
    staging_->wait_for_events(UINT64_MAX, milliseconds(5));
  }
  EXPECT_EQ(staging_->staged_bytes(), 0U);
  hub_->stop();
  xml_thread.join();
  csv_thread.join();
  EXPECT_EQ(of_xml.size(), 300U);
  EXPECT_EQ(of_csv.size(), 300U);
  EXPECT_TRUE(std::is_sorted(of_xml.begin(), of_xml.end()));
  check_accounting();
}

TEST_F(HubTest, StopEndsSessionsAndThoseThatComeLater) {
  hub_->start();
  const auto early = attach("xml", "a");
  hub_->stop();
  hub_->stop();
  EXPECT_TRUE(early->is_closed());
  EXPECT_TRUE(attach("xml", "b")->is_closed());
}

TEST_F(HubTest, AnAdapterThatIsNotConfiguredHasNoChannel) {
  EXPECT_EQ(hub_->find("nobody"), nullptr);
}

TEST_F(HubTest, ADetachedRequiredAdapterWithWorkIsANotice) {
  EXPECT_TRUE(hub_->notices().empty());
  stage(queue_.posts(1));
  EXPECT_EQ(hub_->notices().size(), 2U);
}

}  // namespace
}  // namespace verbatim::processor
