// The power goes at each named point of the processor, from the receiving of events to the removal
// of files: what no sync has covered is gone, and the processor starts again on what is left. The
// intake worker, the store, the channels of three adapters and the collection of files are the real
// ones; queue and adapters are outside and remember what they were told. At each start the
// accounting is recounted from the stored rows; at the end every adapter has every event that it
// is to have once, in order. Kills at the same points: processor_storm.py.
#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <regex>

#include "base/content_store.h"
#include "base/fault_point.h"
#include "base/sha256.h"
#include "processor/hub/adapter_channel.h"
#include "processor/intake_worker.h"
#include "processor/ops/file_collector.h"
#include "tests/crash/power_world.h"
#include "tests/support/staging_fixture.h"

namespace verbatim::processor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Power;
using testing::PowerAdapter;
using testing::PoweredQueueClient;
using testing::Tally;
using testing::test_envelope;

constexpr const char* kHeldRoom = "red@x";
constexpr const char* kFilesDir = "/files";
using Kinds = std::vector<std::string>;

// Of the sources, so that a new point is not forgotten.
std::set<std::string> named_points() {
  std::set<std::string> points;
  const std::filesystem::path root = std::getenv("VERBATIM_SOURCE_DIR");
  const std::regex pattern("FAULT_POINT\\(\"(processor\\.[^\"]+)\"\\)");
  for (const char* folder : {"processor", "base"}) {
    for (const auto& file : std::filesystem::recursive_directory_iterator(root / folder)) {
      if (file.path().extension() != ".cc") continue;
      std::ifstream stream(file.path());
      const std::string text((std::istreambuf_iterator<char>(stream)), {});
      for (std::sregex_iterator found(text.begin(), text.end(), pattern), end; found != end;
           ++found) {
        points.insert((*found)[1]);
      }
    }
  }
  return points;
}

// One story on one machine, over as many lives of the processor as the power cuts make.
class PowerStory {
 public:
  explicit PowerStory(bool drops_names, bool delivers)
      : drops_names_(drops_names), delivers_(delivers) {
    env_ = rocksdb::NewCompositeEnv(power_.store_disk);
    store_file();
    put_posts();
  }

  Power& power() { return power_; }
  // From here on the store's disk says "synced" and does nothing.
  void set_lying(bool is_lying) { is_lying_ = is_lying; }
  bool was_cut() const { return was_cut_; }

  Tally tell() {
    set_fault_point_hook([this](const char* point) { power_.pass(point); });
    constexpr int kLivesMaxCount = 20;
    for (int life = 0; life < kLivesMaxCount && step_ < kSteps.size(); ++life) live();
    set_fault_point_hook(nullptr);
    judge();
    return tally_;
  }

 private:
  // One run of the processor. Members end in the reverse order.
  struct Life {
    std::unique_ptr<Staging> staging;
    std::unique_ptr<StagingMarks> marks;
    std::map<std::string, std::unique_ptr<AdapterChannel>> channels;
    std::map<std::string, std::shared_ptr<Session>> sessions;
  };
  // Each is done again in the next life unless it has ended with the power on; false: the same
  // life cannot go on.
  using Step = bool (PowerStory::*)();
  static const std::vector<Step> kSteps;

  void store_file() {
    auto files =
        base::ContentStore::open(power_.files_disk, {.directory = kFilesDir, .is_writer = true});
    ASSERT_TRUE(files) << files.error().to_string();
    auto upload = (*files)->begin_upload(file_, static_cast<int64_t>(kFileText.size()));
    ASSERT_TRUE(upload) << upload.error().to_string();
    ASSERT_TRUE((*upload)->append(kFileText).ok());
    ASSERT_TRUE((*upload)->finish().ok());
    files->reset();
    release_claim();
  }

  // The collector, which is on the same machine: a cut may take the release of its claim back, and
  // its next start gives it up again. The event is in the queue.
  void release_claim() {
    auto files =
        base::ContentStore::open(power_.files_disk, {.directory = kFilesDir, .is_writer = true});
    ASSERT_TRUE(files) << files.error().to_string();
    ASSERT_TRUE((*files)->release_claims(std::chrono::nanoseconds(0), [] { return true; }));
  }

  void put(const v1::Envelope& envelope) {
    queue::PutRequest request;
    request.order_key = envelope.conversation_key();
    request.source_key = "key-" + std::to_string(rooms_.size());
    request.source = "s";
    request.envelope = envelope.SerializeAsString();
    request.body = "body";
    const auto stored =
        producer_->put_and_wait(std::move(request), std::chrono::nanoseconds::max());
    ASSERT_TRUE(stored);
    rooms_[stored->lookup_id] = envelope.conversation_key();
    kinds_[stored->lookup_id] = envelope.kind();
  }
  void put_posts() {
    for (int i = 0; i < 12; ++i) {
      auto envelope =
          test_envelope(i % 4 == 1 ? v1::EVENT_KIND_JOINED : v1::EVENT_KIND_MESSAGE_POSTED,
                        i % 2 == 0 ? kHeldRoom : "blue@x");
      if (i == 2) envelope.add_file_sha256(file_);
      put(envelope);
    }
  }

  void live() {
    if (open()) {
      while (step_ < kSteps.size()) {
        const bool goes_on = (this->*kSteps[step_])();
        if (power_.is_off()) break;
        ++step_;
        if (!goes_on) break;
      }
    }
    close();
  }

  bool open() {
    StagingOptions options;
    options.path = dir_.file("staging");
    options.env = env_.get();
    options.clock = &clock_;
    auto opened = Staging::open(options);
    if (!opened) return note_damage(opened.error());
    life_ = std::make_unique<Life>();
    life_->staging = *std::move(opened);
    if (life_->staging->epoch() <= last_epoch_) ++tally_.difference;
    last_epoch_ = life_->staging->epoch();
    const auto reconciled = life_->staging->reconcile(settings());
    if (!reconciled) return note_damage(reconciled.error());
    look_at_accounting();
    look_at_file();
    release_claim();
    if (is_lying_) power_.store_disk->set_lying(true);
    life_->marks = std::make_unique<StagingMarks>(*life_->staging, StagingMarksOptions());
    for (auto& [name, adapter] : adapters_) attach(name, adapter);
    return true;
  }

  // Nothing but a missing power may keep the processor from going on.
  bool note_damage(const Status& status) {
    if (power_.is_off()) return false;
    ++tally_.difference;
    ADD_FAILURE() << status.to_string();
    step_ = kSteps.size();
    return false;
  }

  void close() {
    const bool is_cut = power_.is_off();
    if (is_cut && delivers_ && life_ != nullptr) {
      // What was on its way when the power went arrives; nobody is there for the answers.
      for (auto& [name, session] : life_->sessions) {
        while (auto outgoing = session->try_next()) adapters_.at(name).take(*outgoing);
      }
    }
    life_.reset();
    power_.store_disk->set_lying(false);
    if (!is_cut) return;
    was_cut_ = true;
    power_.back_on(drops_names_);
  }

  std::vector<v1::AdapterSettings> settings() const {
    std::vector<v1::AdapterSettings> all;
    for (const auto& [name, adapter] : adapters_) {
      all.emplace_back().set_name(name);
      all.back().set_required(true);
    }
    const auto take = [&](size_t adapter, const std::vector<std::string>& kinds) {
      for (const std::string& kind : kinds) all[adapter].mutable_filter()->add_kinds(kind);
    };
    take(0, has_new_filter_ ? Kinds{"message_posted", "joined"} : Kinds{"message_posted"});
    take(1, {"message_posted", "joined"});
    // In the end it takes what was unrouted before.
    if (!has_new_filter_) take(2, {"message_posted", "joined"});
    return all;
  }

  void attach(const std::string& name, const PowerAdapter& adapter) {
    ChannelOptions options;
    options.adapter = name;
    options.batch_events_max_count = 4;
    options.interval = seconds(1);
    options.silence_max = std::chrono::hours(100'000);
    if (name == "minutely") options.run_interval = std::chrono::minutes(1);
    auto& channel = life_->channels[name];
    channel = std::make_unique<AdapterChannel>(*life_->staging, options, clock_);
    const v1::AdapterHello hello = adapter.hello();
    const Status known =
        life_->staging->check_hello(name, hello.last_applied_batch(), hello.last_applied_digest());
    if (!known.ok()) note_damage(known);
    life_->sessions[name] = std::make_shared<Session>(hello);
    channel->attach(life_->sessions[name]);
  }

  void look_at_accounting() {
    const auto accounting = life_->staging->accounting(/*recount=*/true);
    if (!accounting) {
      note_damage(accounting.error());
      return;
    }
    tally_.difference += static_cast<uint64_t>(accounting->recount_differences_size());
    for (const auto& one : accounting->recount_differences()) ADD_FAILURE() << one;
    for (const auto& queue : accounting->queues()) {
      for (const auto& source : queue.sources()) tally_.difference += source.difference() != 0;
    }
    for (const auto& one : accounting->adapters()) tally_.difference += one.difference() != 0;
  }

  bool is_file_there() {
    const auto files = base::ContentStore::open(power_.files_disk, {.directory = kFilesDir});
    return files && (*files)->size(file_).has_value();
  }
  // What an event names is there, in its place or in the one that the next round puts it back from.
  void look_at_file() {
    const auto unnamed = life_->staging->unnamed_files({file_});
    if (!unnamed) {
      note_damage(unnamed.error());
      return;
    }
    // Opening it makes the folders.
    const bool is_there = is_file_there();
    if (!base::ContentRemoval(power_.files_disk, kFilesDir).restore().ok()) ++tally_.difference;
    if (unnamed->empty() && !is_there && !is_file_there()) ++tally_.lost;
  }

  // --- the story

  bool add_hold() {
    const auto holds = life_->staging->holds();
    if (!holds || !holds->holds().empty()) return holds.has_value();
    v1::AddHoldRequest request;
    request.mutable_filter()->set_room(kHeldRoom);
    request.set_reason("case 1");
    return life_->staging->add_hold(request, {}).has_value();
  }

  bool take() {
    IntakeOptions options;
    options.queue = testing::kTestQueue;
    options.receive.wait = milliseconds(5);
    options.receive.max_count = 4;
    QueueDoor door;
    door.address = [] { return std::string("memory"); };
    door.connect = [this](const std::string&) -> Result<std::unique_ptr<queue::QueueClient>> {
      return std::unique_ptr<queue::QueueClient>(
          std::make_unique<PoweredQueueClient>(power_, queue::create_memory_queue_client(queue_)));
    };
    IntakeWorker worker(*life_->staging, *life_->marks, options, door, [] {});
    worker.start();
    while (queue_.depth() > 0 && !power_.is_off()) {
      life_->staging->wait_for_events(UINT64_MAX, milliseconds(2));
    }
    worker.stop();
    return true;
  }

  bool is_idle(const std::string& name) {
    const auto pending = life_->staging->pending(name);
    return !pending || (!pending->sealed && pending->event_count == 0 && !pending->has_replay &&
                        !pending->has_owed);
  }
  void serve_one(const std::string& name) {
    AdapterChannel& channel = *life_->channels.at(name);
    constexpr int kRoundsMaxCount = 200;
    for (int round = 0; round < kRoundsMaxCount && !power_.is_off(); ++round) {
      channel.step();
      while (auto outgoing = life_->sessions.at(name)->try_next()) {
        if (power_.is_off()) return;
        for (auto& answer : adapters_.at(name).take(*outgoing)) {
          channel.receive(life_->sessions.at(name), std::move(answer));
        }
      }
      channel.step();
      if (is_idle(name)) return;
      clock_.advance(seconds(61));
    }
    if (!power_.is_off()) ADD_FAILURE() << name << " does not come to an end";
  }
  bool serve() {
    for (const char* name : {"xml", "minutely", "filtered"}) serve_one(name);
    return true;
  }

  bool replay() {
    const auto batches = life_->staging->adapters();
    const auto xml = std::find_if(batches.begin(), batches.end(),
                                  [](const auto& one) { return one.name() == "xml"; });
    if (xml->replayed_count() > 0) return true;
    v1::ReplayAdapterRequest request;
    request.set_adapter("xml");
    request.set_from_sequence(1);
    request.set_reason("lost there");
    const auto begun = life_->staging->replay(request, {});
    // The operator who heard nothing asks again: it is under way.
    const bool is_under_way = begun.error().code() == StatusCode::kFailedPrecondition;
    if (!begun && !is_under_way) note_damage(begun.error());
    return true;
  }

  bool put_what_nobody_takes() {
    if (rooms_.size() > 12) return true;
    for (int i = 0; i < 3; ++i) put(test_envelope(v1::EVENT_KIND_LEFT, "blue@x"));
    return true;
  }

  bool put_more_and_change_the_filter() {
    if (rooms_.size() <= 15) {
      filtered_anew_after_ = rooms_.size();
      put_posts();
    }
    take();
    if (!power_.is_off()) has_new_filter_ = true;
    return false;  // the processor is started again
  }

  bool release_hold() {
    const auto holds = life_->staging->holds();
    if (!holds || holds->holds().empty()) return holds.has_value();
    v1::ReleaseHoldRequest request;
    request.set_number(1);
    request.set_reason("closed");
    const auto released = life_->staging->release_hold(request, {});
    if (!released) note_damage(released.error());
    return true;
  }

  bool collect() {
    FileCollectorOptions options;
    options.queues.push_back(
        {testing::kTestQueue, [this]() -> Result<QueueFacts> {
           const auto waiting = queue_.messages();
           return QueueFacts{.last_lookup_id = rooms_.rbegin()->first,
                             .first_lookup_id = waiting.empty() ? 0 : waiting.front().lookup_id()};
         }});
    options.unnamed = [this](const std::vector<std::string>& digests) {
      return life_->staging->unnamed_files(digests);
    };
    FileCollector collector(base::ContentRemoval(power_.files_disk, kFilesDir), std::move(options));
    for (int round = 0; round < 3 && !power_.is_off(); ++round) {
      const Status looked = collector.look();
      if (!looked.ok()) note_damage(looked);
    }
    return true;
  }

  void judge() {
    std::set<uint64_t> all;
    std::set<uint64_t> of_minutely;
    std::set<uint64_t> of_filter;
    for (const auto& [lookup_id, kind] : kinds_) {
      all.insert(lookup_id);
      if (kind != v1::EVENT_KIND_LEFT) of_minutely.insert(lookup_id);
      const bool is_join = kind == v1::EVENT_KIND_JOINED && lookup_id > filtered_anew_after_;
      if (kind == v1::EVENT_KIND_MESSAGE_POSTED || is_join) of_filter.insert(lookup_id);
    }
    adapters_.at("filtered").judge(rooms_, of_filter, tally_);
    adapters_.at("minutely").judge(rooms_, of_minutely, tally_);
    adapters_.at("xml").judge(rooms_, all, tally_);
    if (adapters_.at("xml").replayed_count() < 6) ++tally_.lost;
    if (is_file_there()) ++tally_.difference;
    if (step_ == kSteps.size() && open()) {
      if (life_->staging->last_sequence() != rooms_.size()) ++tally_.difference;
      if (life_->staging->counts().kept_count != 0) ++tally_.difference;
      if (life_->staging->counts().unrouted_count != 0) ++tally_.difference;
      if (life_->staging->counts().quarantined_count != 2) ++tally_.difference;
      close();
    }
  }

  static constexpr std::string_view kFileText = "a file";

  const bool drops_names_;
  const bool delivers_;
  const std::string file_ = base::sha256(kFileText);
  testing::TempDir dir_;
  testing::FakeClock clock_;
  Power power_;
  std::unique_ptr<rocksdb::Env> env_;
  queue::MemoryQueue queue_;
  std::unique_ptr<queue::QueueClient> producer_ = queue::create_memory_queue_client(queue_);
  std::map<std::string, PowerAdapter> adapters_ = {{"filtered", PowerAdapter("filtered", {8, 23})},
                                                   {"minutely", PowerAdapter("minutely")},
                                                   {"xml", PowerAdapter("xml")}};
  std::map<uint64_t, std::string> rooms_;  // by lookup id
  std::map<uint64_t, v1::EventKind> kinds_;
  uint64_t filtered_anew_after_ = UINT64_MAX;
  bool has_new_filter_ = false;
  bool is_lying_ = false;
  bool was_cut_ = false;
  uint64_t last_epoch_ = 0;
  size_t step_ = 0;
  std::unique_ptr<Life> life_;
  Tally tally_;
};

const std::vector<PowerStory::Step> PowerStory::kSteps = {
    &PowerStory::add_hold,
    &PowerStory::take,
    &PowerStory::serve,
    &PowerStory::replay,
    &PowerStory::serve,
    &PowerStory::collect,
    &PowerStory::put_what_nobody_takes,
    &PowerStory::take,
    &PowerStory::serve,
    &PowerStory::put_more_and_change_the_filter,
    &PowerStory::serve,
    &PowerStory::release_hold,
    &PowerStory::collect};

TEST(ProcessorPowerTest, APowerCutAtEachNamedPointLosesNothingAndRepeatsNothing) {
  const std::set<std::string> points = named_points();
  PowerStory undisturbed(/*drops_names=*/true, /*delivers=*/true);
  Tally sum = undisturbed.tell();
  const auto passages = undisturbed.power().passages();
  uint64_t cut_count = 0;
  for (const std::string& point : points) {
    const auto found = passages.find(point);
    if (found == passages.end()) {
      ADD_FAILURE() << "never reached: " << point;
      continue;
    }
    const uint64_t last = found->second;
    for (const uint64_t passage : std::set<uint64_t>{1, 2, (last + 1) / 2, last}) {
      if (passage > last) continue;
      PowerStory story(/*drops_names=*/cut_count % 2 == 0, /*delivers=*/cut_count % 4 < 2);
      story.power().arm(point, passage);
      sum.add(story.tell());
      EXPECT_TRUE(story.was_cut()) << point << ":" << passage;
      if (story.was_cut()) ++cut_count;
      if (::testing::Test::HasFailure()) {
        FAIL() << "at " << point << ":" << passage;
      }
    }
  }
  std::cout << "processor_power: points=" << points.size() << " cuts=" << cut_count
            << " lost=" << sum.lost << " twice=" << sum.twice << " disordered=" << sum.disordered
            << " difference=" << sum.difference << "\n";
  EXPECT_EQ(sum.lost + sum.twice + sum.disordered + sum.difference, 0U);
  EXPECT_GE(points.size(), 15U);
}

// The canary: where the store's disk only says that it has synced, the same judge finds a loss.
TEST(ProcessorPowerTest, ADiskThatLiesAboutSyncsIsCaught) {
  PowerStory story(/*drops_names=*/true, /*delivers=*/true);
  story.set_lying(true);
  story.power().arm("processor.committed", 3);
  const Tally tally = story.tell();
  EXPECT_TRUE(story.was_cut());
  EXPECT_GT(tally.lost, 0U);
}

}  // namespace
}  // namespace verbatim::processor
