// Random commands against staging and against a model that is lists and sets: queue deliveries in
// and out of order, repeats, unreadable envelopes, crashes before commits and before
// acknowledgements, rejects with and without a named culprit, releases, another filter, deletion.
// After each step the counters are compared with the rows; at the end every adapter has every event
// exactly once, in order.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <iostream>
#include <random>

#include "tests/support/staging_fixture.h"
#include "tests/support/test_seed.h"

namespace verbatim::processor {
namespace {

using testing::StagingFixture;
using testing::test_envelope;

// An adapter that applies what it is sent and keeps the promises of the contract.
struct ModelAdapter {
  bool is_required = true;
  std::vector<uint64_t> applied;   // sequences
  std::vector<uint64_t> late;      // the same, released from quarantine
  std::set<uint64_t> quarantined;  // as staging said
  std::set<uint64_t> poison;       // it never takes these
  std::set<std::string> rooms;     // its filter; empty: none
  std::set<uint64_t> left_out;     // a filter was in force that does not take these
  std::string last_digest = std::string(32, '\0');
  uint64_t last_batch = 0;
};

class StagingModelTest : public StagingFixture {
 protected:
  uint64_t random(uint64_t below) { return generator_() % below; }

  // --- the queue's side

  void put() {
    static const std::vector<std::string> kSources = {"s1", "s2", "s3"};
    static const std::vector<std::string> kRooms = {"red@x", "green@x", "blue@x"};
    const uint64_t count = 1 + random(8);
    for (uint64_t i = 0; i < count; ++i) {
      const std::string address = std::string(1, static_cast<char>('a' + random(4))) + "@x";
      constexpr v1::EventKind kKinds[] = {v1::EVENT_KIND_MESSAGE_POSTED, v1::EVENT_KIND_JOINED,
                                          v1::EVENT_KIND_LEFT, v1::EVENT_KIND_MESSAGE_POSTED};
      auto envelope = test_envelope(kKinds[random(4)], kRooms[random(3)], address);
      auto message = queue_.make(envelope, "body", kSources[random(3)]);
      if (random(20) == 0) message.set_envelope("\xFFunreadable");
      if (random(15) == 0 && !keys_.empty()) {
        message.set_source_key(keys_[random(keys_.size())]);
      }
      keys_.push_back(message.source_key());
      ++accepted_[message.source()];
      waiting_.push_back(message);
    }
  }

  // Takes some of what waits, not always from the front, and forgets it unless a crash comes first.
  void deliver() {
    if (waiting_.empty()) return;
    const size_t skipped = random(4) == 0 ? random(waiting_.size()) : 0;
    const size_t count = 1 + random(std::min<size_t>(waiting_.size() - skipped, 6));
    const auto first = waiting_.begin() + static_cast<std::ptrdiff_t>(skipped);
    const auto last = first + static_cast<std::ptrdiff_t>(count);
    std::vector<v1::QueueMessage> messages(first, last);
    for (const auto& message : messages) {
      if (!taken_ids_.insert(message.lookup_id()).second) continue;
      if (!stored_keys_.insert(message.source_key()).second) continue;
      note_stored(message);
    }
    stage(messages);
    ASSERT_EQ(staging_->last_sequence(), rooms_.size());
    if (random(6) == 0) return open();  // a crash before the commit: all of it comes again
    waiting_.erase(first, last);
  }

  void note_stored(const v1::QueueMessage& message) {
    v1::Envelope envelope;
    const bool is_readable = envelope.ParseFromString(message.envelope());
    envelopes_.push_back(is_readable ? envelope : v1::Envelope());
    rooms_.push_back(is_readable ? envelope.conversation_key() : message.source());
    note_left_out(adapters_["extra"], rooms_.size());
    if (random(25) != 0) return;
    // No one but these adapters knows that the event cannot be taken.
    adapters_[random(2) == 0 ? "csv" : "extra"].poison.insert(rooms_.size());
  }

  // Only of the optional adapter: the others are owed what they had left out.
  void change_filter() {
    ModelAdapter& extra = adapters_["extra"];
    extra.rooms.clear();
    for (const char* room : {"red@x", "green@x", "blue@x"}) {
      if (random(2) == 0) extra.rooms.insert(room);
    }
    std::vector<v1::AdapterSettings> settings;
    for (const auto& [name, adapter] : adapters_) {
      settings.emplace_back().set_name(name);
      settings.back().set_required(adapter.is_required);
      for (const auto& room : adapter.rooms) {
        settings.back().mutable_filter()->add_conversations(room);
      }
    }
    const auto notices = staging_->reconcile(settings);
    ASSERT_TRUE(notices) << notices.error().to_string();
    for (uint64_t one = 1; one <= rooms_.size(); ++one) note_left_out(extra, one);
  }
  void note_left_out(ModelAdapter& adapter, uint64_t sequence) {
    if (adapter.rooms.empty() || adapter.rooms.contains(rooms_[sequence - 1])) return;
    adapter.left_out.insert(sequence);
  }

  // --- an adapter's side

  void serve(const std::string& name) {
    ModelAdapter& adapter = adapters_[name];
    std::shared_ptr<const LoadedBatch> batch;
    const auto pending = staging_->pending(name);
    ASSERT_TRUE(pending);
    if (pending->sealed) {
      const auto loaded = staging_->load_sealed(name);
      ASSERT_TRUE(loaded) << loaded.error().to_string();
      batch = *loaded;
    } else {
      batch = seal(name, 1 + random(10));
      if (batch == nullptr) return;
    }
    if (random(8) == 0) return open();  // a crash after the seal: the same bytes come again
    answer(name, adapter, *batch);
  }

  void answer(const std::string& name, ModelAdapter& adapter, const LoadedBatch& batch) {
    const auto header = header_of(batch);
    EXPECT_EQ(batch_digest(batch.seal.row.header(), body_digest(batch.events)),
              batch.seal.row.digest());
    if (header.batch() == adapter.last_batch) {
      // Applied before a crash: the same bytes, so a repeat.
      EXPECT_EQ(batch.seal.row.digest(), adapter.last_digest);
      ASSERT_TRUE(acknowledge(name, batch).ok());
      return;
    }
    EXPECT_EQ(header.previous_digest(), adapter.last_digest);
    std::vector<Rejected> culprits;
    for (const uint64_t one : members_of(batch.seal.row)) {
      if (adapter.poison.contains(one)) culprits.push_back({one, "poison"});
    }
    if (!culprits.empty()) return reject(name, adapter, batch, std::move(culprits));
    const bool is_release = header.reason() == "released";
    for (const std::string& bytes : batch.events) {
      v1::StoredEvent stored;
      ASSERT_TRUE(stored.ParseFromString(bytes));
      EXPECT_EQ(stored.is_late(), is_release);
      (is_release ? adapter.late : adapter.applied).push_back(stored.sequence());
      EXPECT_EQ(adapter.quarantined.erase(stored.sequence()), is_release ? 1U : 0U);
    }
    EXPECT_EQ(header.running_event_count(), adapter.applied.size() + adapter.late.size());
    // Of what was rejected long ago the roster may be gone.
    if (!is_release) check_rosters(batch, header);
    adapter.last_batch = header.batch();
    adapter.last_digest = batch.seal.row.digest();
    if (random(8) == 0) return open();  // a crash between effect and acknowledgement
    const Status status = staging_->acknowledge(name, batch.seal.batch, batch.seal.row.digest());
    ASSERT_TRUE(status.ok()) << status.to_string();
    if (random(8) == 0) return open();  // a crash between acknowledgement and deletion
    ASSERT_TRUE(staging_->delete_archived().ok());
  }

  void reject(const std::string& name, ModelAdapter& adapter, const LoadedBatch& batch,
              std::vector<Rejected> culprits) {
    const bool is_named = random(2) == 0;
    const bool is_single = batch.events.size() == 1;
    if (is_named || is_single) {
      for (const Rejected& one : culprits) adapter.quarantined.insert(one.sequence);
    }
    if (!is_named) culprits.clear();
    const auto replaced = staging_->replace(name, batch.seal.batch, culprits, "why");
    ASSERT_TRUE(replaced) << replaced.error().to_string();
    ASSERT_TRUE(staging_->delete_archived().ok());
    // While the cursor has not passed what is in quarantine now.
    if (name == "extra" && random(2) == 0) change_filter();
  }

  // Some of what is in quarantine comes again; half of it is taken then.
  void release() {
    for (auto& [name, adapter] : adapters_) {
      v1::ReleaseQuarantineRequest request;
      request.set_adapter(name);
      for (const uint64_t one : adapter.quarantined) {
        if (random(2) == 0) continue;
        request.add_sequences(one);
        if (random(2) == 0) adapter.poison.erase(one);
      }
      if (request.sequences().empty()) continue;
      const auto released = staging_->release(request, {"model", "user"});
      ASSERT_TRUE(released) << released.error().to_string();
    }
  }

  // The roster at the start of each slice is what a replay of all events before it gives.
  void check_rosters(const LoadedBatch& batch, const v1::BatchHeader& header) {
    const auto members = members_of(batch.seal.row);
    for (const auto& slice : header.slices()) {
      const uint64_t first = *std::find_if(members.begin(), members.end(), [&](uint64_t one) {
        return rooms_[one - 1] == slice.conversation_key();
      });
      EXPECT_EQ(names(slice.present_at_start()), replay(slice.conversation_key(), first - 1))
          << slice.conversation_key() << " at " << first;
    }
  }
  std::string replay(const std::string& room, uint64_t position) const {
    std::vector<std::string> present;
    for (uint64_t i = 0; i < position; ++i) {
      if (rooms_[i] != room) continue;
      const std::string& who = envelopes_[i].actor().normalised();
      const auto found = std::find(present.begin(), present.end(), who);
      if (envelopes_[i].kind() == v1::EVENT_KIND_JOINED && found == present.end()) {
        present.push_back(who);
      }
      if (envelopes_[i].kind() == v1::EVENT_KIND_LEFT && found != present.end()) {
        present.erase(found);
      }
    }
    std::string text;
    for (const auto& one : present) text += one + " ";
    return text;
  }
  template <class Roster>
  static std::string names(const Roster& roster) {
    std::string text;
    for (const auto& one : roster) text += one.party().normalised() + " ";
    return text;
  }

  void check() {
    const auto accounting = check_accounting();
    std::map<std::string, uint64_t> seen;
    for (const auto& queue : accounting.queues()) {
      for (const auto& source : queue.sources()) seen[source.source()] = source.accepted();
    }
    // At the cut staging has accepted what the queue has, less what still waits there and was never
    // staged.
    std::map<std::string, uint64_t> expected = accepted_;
    for (const auto& message : waiting_) {
      if (!taken_ids_.contains(message.lookup_id())) --expected[message.source()];
    }
    for (const auto& [source, count] : expected) EXPECT_EQ(seen[source], count) << source;
  }

  void step() {
    switch (random(8)) {
      case 0:
      case 1:
        return put();
      case 2:
      case 3:
        return deliver();
      case 4:
      case 5:
        return serve("xml");
      case 6:
        return serve("csv");
      default:
        if (random(5) == 0) return release();
        if (random(8) == 0) return change_filter();
        return random(10) == 0 ? open() : serve("extra");
    }
  }

  void drain() {
    while (!waiting_.empty()) deliver();
    for (auto& [name, adapter] : adapters_) {
      for (int turn = 0; turn < 10'000; ++turn) {
        const auto pending = staging_->pending(name);
        ASSERT_TRUE(pending);
        if (!pending->sealed && pending->event_count == 0 && !pending->has_released) break;
        serve(name);
        if (HasFatalFailure()) return;
      }
      ASSERT_TRUE(staging_->pass_filtered(name));
    }
    ASSERT_TRUE(staging_->delete_archived().ok());
  }

  std::mt19937_64 generator_{testing::test_seed()};
  testing::TestQueue queue_;
  std::deque<v1::QueueMessage> waiting_;
  std::vector<std::string> keys_;
  std::map<std::string, uint64_t> accepted_;
  std::set<uint64_t> taken_ids_;
  std::set<std::string> stored_keys_;
  // Of each stored event, by sequence - 1.
  std::vector<std::string> rooms_;
  std::vector<v1::Envelope> envelopes_;
  std::map<std::string, ModelAdapter> adapters_;
};

TEST_F(StagingModelTest, NothingIsLostTwiceOrDisorderedWhateverHappens) {
  configure({{"xml", true}, {"csv", true}, {"extra", false}});
  adapters_["xml"];
  adapters_["csv"];
  adapters_["extra"].is_required = false;
  options_.rejects_max_count = UINT64_MAX;
  open();
  for (int i = 0; i < 300 && !HasFailure(); ++i) {
    SCOPED_TRACE("step " + std::to_string(i));
    step();
    check();
  }
  ASSERT_FALSE(HasFailure());
  drain();
  check();
  uint64_t lost = 0;
  uint64_t twice = 0;
  uint64_t late = 0;
  for (const auto& [name, adapter] : adapters_) {
    std::set<uint64_t> once(adapter.applied.begin(), adapter.applied.end());
    once.insert(adapter.late.begin(), adapter.late.end());
    twice += adapter.applied.size() + adapter.late.size() - once.size();
    late += adapter.late.size();
    EXPECT_TRUE(std::is_sorted(adapter.applied.begin(), adapter.applied.end())) << name;
    for (uint64_t sequence = 1; sequence <= rooms_.size(); ++sequence) {
      const bool is_there = once.contains(sequence) || adapter.quarantined.contains(sequence);
      if (!is_there && !adapter.left_out.contains(sequence)) ++lost;
    }
    EXPECT_EQ(staging_->quarantined(name)->size(), adapter.quarantined.size()) << name;
  }
  EXPECT_EQ(stored_count(), 0U);
  std::cout << "staging_model: events=" << rooms_.size()
            << " repeats=" << taken_ids_.size() - rooms_.size() << " epoch=" << staging_->epoch()
            << " late=" << late << " lost=" << lost << " twice=" << twice << "\n";
  EXPECT_EQ(lost, 0U);
  EXPECT_EQ(twice, 0U);
}

}  // namespace
}  // namespace verbatim::processor
