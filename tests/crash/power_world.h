// PowerWorld: everything outside of one processor's machine, which outlives each power cut there:
// the queue with what it was told to forget, three adapters with what took effect, the operator's
// list of what to do; and the two disks of the machine, from which a cut takes what was not synced.
//
// Power: at the chosen passage of a named point both disks stop working, and nothing that the
// processor says afterwards reaches anyone. The thread that passes goes on, into errors.
// Threads: Power and PoweredQueueClient: any; the rest: the test's.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "processor/hub/session.h"
#include "queue/client/memory_queue_client.h"
#include "tests/fault/rocks_fault_file_system.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::testing {

// The disk of the staging store, that of the files, and the switch of both.
class Power {
 public:
  // It goes at this passage (from 1) of the point; an empty name: it stays.
  void arm(std::string point, uint64_t passage);
  void pass(const char* point);
  bool is_off() const;
  // Once the processor is gone. Everything unsynced is lost where `drops_names`; else the names in
  // the files' folder stay as they were changed.
  void back_on(bool drops_names);
  // How often each point was passed while there was power.
  std::map<std::string, uint64_t> passages() const;

  std::shared_ptr<RocksFaultFileSystem> store_disk = std::make_shared<RocksFaultFileSystem>();
  FaultFileSystem files_disk;

 private:
  mutable base::Mutex mutex_;
  std::string point_ GUARDED_BY(mutex_);
  uint64_t passage_ GUARDED_BY(mutex_) = 0;
  bool is_off_ GUARDED_BY(mutex_) = false;
  std::map<std::string, uint64_t> passages_ GUARDED_BY(mutex_);
};

// The processor's line to the queue: cut when the power is off.
class PoweredQueueClient final : public queue::QueueClient {
 public:
  PoweredQueueClient(const Power& power, std::unique_ptr<queue::QueueClient> client)
      : power_(power), client_(std::move(client)) {}

  Status put(queue::PutRequest request, std::chrono::nanoseconds deadline,
             queue::PutCallback done) override {
    return client_->put(std::move(request), deadline, std::move(done));
  }
  Result<queue::Lease> receive(const queue::ReceiveOptions& options) override;
  Status subscribe(const queue::SubscribeOptions& options, queue::LeaseCallback on_lease) override {
    return client_->subscribe(options, std::move(on_lease));
  }
  void unsubscribe() override { client_->unsubscribe(); }
  Status settle(queue::Settlement settlement, queue::SettleCallback done) override;
  Status extend(uint64_t lease_id, std::chrono::milliseconds time,
                queue::ExtendCallback done) override {
    return client_->extend(lease_id, time, std::move(done));
  }
  queue::ClientState state() const override { return client_->state(); }
  void stop() override { client_->stop(); }

 private:
  const Power& power_;
  const std::unique_ptr<queue::QueueClient> client_;
};

struct Tally {
  uint64_t lost = 0;
  uint64_t twice = 0;
  uint64_t disordered = 0;
  uint64_t difference = 0;  // of the accounting, of sealed bytes, of the chain, of stored files
  void add(const Tally& other);
};

// Keeps the contract: applies a batch once, checks bytes and chain, rejects what is poison without
// naming it.
class PowerAdapter {
 public:
  PowerAdapter(std::string name, std::set<uint64_t> poison = {})
      : name_(std::move(name)), poison_(std::move(poison)) {}

  v1::AdapterHello hello() const;
  // What it answers to one message of the hub; nothing to most.
  std::vector<v1::FromAdapter> take(const processor::Session::Outgoing& outgoing);
  // `expected`: lookup ids in order, of which poison is not expected. Adds to the tally.
  void judge(const std::map<uint64_t, std::string>& rooms, const std::set<uint64_t>& expected,
             Tally& tally) const;
  uint64_t replayed_count() const { return replayed_count_; }

 private:
  v1::FromAdapter apply(const processor::LoadedBatch& batch, uint64_t store_epoch);

  const std::string name_;
  const std::set<uint64_t> poison_;
  uint64_t last_batch_ = 0;
  std::string last_digest_ = std::string(32, '\0');
  uint64_t running_count_ = 0;
  std::map<uint64_t, std::string> seen_digests_;
  std::vector<uint64_t> applied_;  // lookup ids
  std::set<uint64_t> late_;        // of those
  uint64_t replayed_count_ = 0;
  uint64_t difference_ = 0;
};

}  // namespace verbatim::testing
