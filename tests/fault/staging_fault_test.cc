// Staging on a disk that fails: at the Nth I/O, N = 1, 2, … until none is met, the I/O fails once,
// or the power goes and takes all unsynced bytes with it. Afterwards, on a sound disk: everything
// that was reported done is there, everything else is there whole or not at all, and the road goes
// on to its end with no event lost and none twice.
#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <filesystem>
#include <iostream>

#include "tests/fault/rocks_fault_file_system.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using testing::RocksFaultFileSystem;
using testing::StagingFixture;
using testing::test_envelope;
using Fault = RocksFaultFileSystem::Fault;

class StagingFaultTest : public StagingFixture {
 protected:
  // What the world outside the store knows.
  struct World {
    uint64_t staged = 0;                     // messages that the queue has forgotten
    std::map<uint64_t, std::string> sealed;  // digests of what was sent
    uint64_t acknowledged_batch = 0;
    std::map<uint64_t, std::vector<std::string>> applied;  // at the adapter, by batch
    std::set<uint64_t> told_quarantined;
    bool is_hold_released = false;
  };

  void SetUp() override {
    for (int i = 0; i < 12; ++i) {
      const bool is_join = i % 5 == 0;
      messages_.push_back(queue_.make(test_envelope(
          is_join ? v1::EVENT_KIND_JOINED : v1::EVENT_KIND_MESSAGE_POSTED, "room@x")));
    }
    prepare();
    env_ = rocksdb::NewCompositeEnv(disk_);
  }

  // A store with something in each family, so that the faults meet a life and not a birth.
  void prepare() {
    open();
    configure({{"xml", true}});
    v1::AddHoldRequest hold;
    hold.mutable_filter()->set_all(true);
    hold.set_reason("case 1");
    ASSERT_TRUE(staging_->add_hold(hold, {}));
    ASSERT_TRUE(live(base_, 4).ok());
    staging_.reset();
    std::filesystem::rename(options_.path, dir_.file("prepared"));
  }

  Status stage_up_to(World& world, uint64_t count) {
    // The queue gives out again all that it has not been told to forget.
    std::vector<v1::QueueMessage> messages(
        messages_.begin() + static_cast<std::ptrdiff_t>(world.staged),
        messages_.begin() + static_cast<std::ptrdiff_t>(count));
    const auto outcome = staging_->stage(testing::kTestQueue, messages);
    if (!outcome) return outcome.error();
    world.staged = count;
    return {};
  }

  // One batch to the adapter, of which event 7 is rejected by name; event 10 without one, so that
  // it has to be found by halves.
  Status serve(World& world) {
    ASSIGN_OR_RETURN(const Pending pending, staging_->pending("xml"));
    std::shared_ptr<const LoadedBatch> batch;
    if (pending.sealed) {
      ASSIGN_OR_RETURN(batch, staging_->load_sealed("xml"));
    } else {
      BatchLimits limits;
      limits.events_max_count = 3;
      ASSIGN_OR_RETURN(const SealOutcome outcome, staging_->seal("xml", limits));
      batch = outcome.batch;
    }
    if (batch == nullptr) return {};
    const uint64_t number = batch->seal.batch;
    const auto [sent, is_new] = world.sealed.try_emplace(number, batch->seal.row.digest());
    EXPECT_EQ(sent->second, batch->seal.row.digest()) << "a retry is byte-identical";
    if (is_member(batch->seal.row, 7)) {
      world.told_quarantined.insert(7);
      const auto replaced = staging_->replace("xml", number, {{7, "no"}}, "no");
      return replaced ? Status() : replaced.error();
    }
    if (is_member(batch->seal.row, 10)) {
      world.told_quarantined.insert(10);
      const auto replaced = staging_->replace("xml", number, {}, "no");
      return replaced ? Status() : replaced.error();
    }
    world.applied[number] = batch->events;
    RETURN_IF_ERROR(staging_->acknowledge("xml", number, batch->seal.row.digest()));
    world.acknowledged_batch = number;
    return staging_->delete_archived();
  }

  Status live(World& world, uint64_t count) {
    while (world.staged < count) {
      RETURN_IF_ERROR(stage_up_to(world, std::min(count, world.staged + 3)));
      RETURN_IF_ERROR(serve(world));
    }
    return {};
  }

  Status release_hold(World& world) {
    v1::ReleaseHoldRequest request;
    request.set_number(1);
    request.set_reason("closed");
    RETURN_IF_ERROR(staging_->release_hold(request, {}).error());
    world.is_hold_released = true;
    return {};
  }

  // The hold stands with a copy of everything that is deleted, or is gone with all of them.
  void check_hold(const World& world) {
    const auto holds = staging_->holds();
    ASSERT_TRUE(holds);
    const StagingCounts counts = staging_->counts();
    if (holds->holds().empty()) {
      EXPECT_EQ(counts.kept_count, 0U);
    } else {
      EXPECT_FALSE(world.is_hold_released);
      EXPECT_EQ(counts.kept_count + counts.staged_count, counts.last_sequence);
    }
  }

  // Gives false when the run met no fault.
  bool run(Fault fault, uint64_t at) {
    staging_.reset();
    std::filesystem::remove_all(options_.path);
    std::filesystem::copy(dir_.file("prepared"), options_.path,
                          std::filesystem::copy_options::recursive);
    World world = base_;
    options_.env = env_.get();
    disk_->arm(fault, at);
    auto opened = Staging::open(options_);
    if (opened) {
      staging_ = *std::move(opened);
      Status lived = live(world, messages_.size());
      if (lived.ok()) lived = release_hold(world);
      // A store that has failed once takes nothing any more.
      if (!lived.ok() && !staging_->fatal().ok()) {
        EXPECT_FALSE(staging_->stage(testing::kTestQueue, messages_));
      }
    }
    staging_.reset();
    const bool was_hit = disk_->was_hit();
    if (fault == Fault::kPowerCut) disk_->drop_unsynced();
    disk_->arm(Fault::kNone, 0);
    options_.env = nullptr;
    check_after(world);
    return was_hit;
  }

  void check_after(World& world) {
    open();
    if (HasFatalFailure()) return;
    EXPECT_GE(staging_->last_sequence(), world.staged);
    const auto acked = staging_->last_acked("xml");
    ASSERT_TRUE(acked);
    EXPECT_GE(acked->first, world.acknowledged_batch);
    check_accounting();
    check_hold(world);
    ASSERT_TRUE(live(world, messages_.size()).ok());
    for (int i = 0; i < 20 && staging_->pending("xml")->event_count > 0; ++i) {
      ASSERT_TRUE(serve(world).ok());
    }
    check_accounting();
    check_hold(world);
    EXPECT_EQ(staging_->last_sequence(), messages_.size());
    std::vector<uint64_t> lookup_ids;
    for (const auto& [batch, events] : world.applied) {
      for (const std::string& bytes : events) {
        v1::StoredEvent stored;
        ASSERT_TRUE(stored.ParseFromString(bytes));
        lookup_ids.push_back(stored.lookup_id());
      }
    }
    EXPECT_EQ(lookup_ids, (std::vector<uint64_t>{1, 2, 3, 4, 5, 6, 8, 9, 11, 12}));
    EXPECT_EQ(staging_->quarantined("xml")->size(), 2U);
  }

  void run_all(Fault fault, const char* name) {
    uint64_t at = 1;
    while (run(fault, at) && !HasFailure()) ++at;
    std::cout << "staging_fault: " << name << " runs=" << at << "\n";
    EXPECT_GT(at, 20U);
  }

  testing::TestQueue queue_;
  std::vector<v1::QueueMessage> messages_;
  World base_;
  std::shared_ptr<RocksFaultFileSystem> disk_ = std::make_shared<RocksFaultFileSystem>();
  std::unique_ptr<rocksdb::Env> env_;
};

TEST_F(StagingFaultTest, TheNthFailingIoLosesNothing) { run_all(Fault::kFailOnce, "fail_once"); }

TEST_F(StagingFaultTest, APowerCutAtEveryIoLosesNothing) { run_all(Fault::kPowerCut, "power_cut"); }

// The canary: with syncs that only say OK the same check must find a loss.
TEST_F(StagingFaultTest, ADiskThatLiesAboutSyncsIsCaught) {
  std::filesystem::copy(dir_.file("prepared"), options_.path,
                        std::filesystem::copy_options::recursive);
  World world = base_;
  options_.env = env_.get();
  disk_->arm(Fault::kNone, 0);
  auto opened = Staging::open(options_);
  ASSERT_TRUE(opened);
  staging_ = *std::move(opened);
  disk_->set_lying(true);
  ASSERT_TRUE(stage_up_to(world, messages_.size()).ok());
  disk_->arm(Fault::kPowerCut, 1);
  staging_.reset();
  disk_->drop_unsynced();
  disk_->arm(Fault::kNone, 0);
  options_.env = nullptr;
  open();
  EXPECT_LT(staging_->last_sequence(), world.staged);
}

}  // namespace
}  // namespace verbatim::processor
