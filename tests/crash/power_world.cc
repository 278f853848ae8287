#include "tests/crash/power_world.h"

#include <algorithm>
#include <utility>

namespace verbatim::testing {

using base::MutexLock;

void Power::arm(std::string point, uint64_t passage) {
  MutexLock lock(mutex_);
  point_ = std::move(point);
  passage_ = passage;
  passages_.clear();
}

void Power::pass(const char* point) {
  {
    MutexLock lock(mutex_);
    if (is_off_) return;
    if (++passages_[point] != passage_ || point != point_) return;
    is_off_ = true;
  }
  store_disk->arm(RocksFaultFileSystem::Fault::kPowerCut, 1);
  files_disk.fail({.nth = 1, .is_sticky = true});
}

bool Power::is_off() const {
  MutexLock lock(mutex_);
  return is_off_;
}

void Power::back_on(bool drops_names) {
  store_disk->drop_unsynced();
  store_disk->arm(RocksFaultFileSystem::Fault::kNone, 0);
  files_disk.clear_faults();
  if (drops_names) {
    files_disk.power_cut_dropping_all();
  } else {
    files_disk.power_cut_keeping_all();
  }
  MutexLock lock(mutex_);
  is_off_ = false;
  point_.clear();
}

std::map<std::string, uint64_t> Power::passages() const {
  MutexLock lock(mutex_);
  return passages_;
}

Result<queue::Lease> PoweredQueueClient::receive(const queue::ReceiveOptions& options) {
  if (power_.is_off()) return unavailable("no power");
  return client_->receive(options);
}

Status PoweredQueueClient::settle(queue::Settlement settlement, queue::SettleCallback done) {
  if (power_.is_off()) return unavailable("no power");
  return client_->settle(std::move(settlement), std::move(done));
}

void Tally::add(const Tally& other) {
  lost += other.lost;
  twice += other.twice;
  disordered += other.disordered;
  difference += other.difference;
}

v1::AdapterHello PowerAdapter::hello() const {
  v1::AdapterHello hello;
  hello.set_adapter(name_);
  hello.set_instance("one");
  hello.set_schema_revision(v1::SCHEMA_REVISION_CURRENT);
  hello.set_last_applied_batch(last_batch_);
  hello.set_last_applied_digest(last_digest_);
  return hello;
}

std::vector<v1::FromAdapter> PowerAdapter::take(const processor::Session::Outgoing& outgoing) {
  if (outgoing.batch != nullptr) return {apply(*outgoing.batch, outgoing.store_epoch)};
  if (!outgoing.message.has_batch_state()) return {};
  const auto& asked = outgoing.message.batch_state();
  v1::FromAdapter answer;
  answer.mutable_batch_state()->set_batch(asked.batch());
  answer.mutable_batch_state()->set_digest(asked.digest());
  answer.mutable_batch_state()->set_state(asked.digest() == last_digest_
                                              ? v1::BatchStateAnswer::STATE_APPLIED
                                              : v1::BatchStateAnswer::STATE_NOT_APPLIED);
  return {answer};
}

v1::FromAdapter PowerAdapter::apply(const processor::LoadedBatch& batch, uint64_t store_epoch) {
  const uint64_t number = batch.seal.batch;
  const std::string& digest = batch.seal.row.digest();
  v1::FromAdapter answer;
  const auto acknowledge = [&] {
    answer.mutable_ack()->set_batch(number);
    answer.mutable_ack()->set_digest(digest);
    answer.mutable_ack()->set_store_epoch(store_epoch);
    return answer;
  };
  const auto [seen, is_new] = seen_digests_.try_emplace(number, digest);
  if (seen->second != digest) ++difference_;
  if (digest == last_digest_) return acknowledge();
  v1::BatchHeader header;
  if (!header.ParseFromString(batch.seal.row.header())) ++difference_;
  std::vector<uint64_t> lookup_ids;
  bool is_poisonous = false;
  for (const std::string& bytes : batch.events) {
    v1::StoredEvent stored;
    if (!stored.ParseFromString(bytes)) ++difference_;
    lookup_ids.push_back(stored.lookup_id());
    if (stored.is_late()) late_.insert(stored.lookup_id());
    is_poisonous |= poison_.contains(stored.lookup_id());
  }
  if (is_poisonous) {
    answer.mutable_reject()->set_batch(number);
    answer.mutable_reject()->set_store_epoch(store_epoch);
    answer.mutable_reject()->set_reason("poison");
    return answer;
  }
  running_count_ += lookup_ids.size();
  const bool is_chained =
      header.previous_digest() == last_digest_ && header.running_event_count() == running_count_;
  if (!is_chained || number <= last_batch_) ++difference_;
  last_batch_ = number;
  last_digest_ = digest;
  if (header.replay_of() != 0) {
    replayed_count_ += lookup_ids.size();
  } else {
    applied_.insert(applied_.end(), lookup_ids.begin(), lookup_ids.end());
  }
  return acknowledge();
}

void PowerAdapter::judge(const std::map<uint64_t, std::string>& rooms,
                         const std::set<uint64_t>& expected, Tally& tally) const {
  std::map<uint64_t, uint64_t> counts;
  std::map<std::string, uint64_t> last;
  for (const uint64_t one : applied_) {
    if (++counts[one] > 1) {
      ++tally.twice;
      continue;
    }
    // What is late is out of order, and says so; nothing else may be.
    uint64_t& before = last[rooms.at(one)];
    if ((one < before) != late_.contains(one)) ++tally.disordered;
    before = std::max(before, one);
    // What the filter should have left out, or was poison.
    if (!expected.contains(one) || poison_.contains(one)) ++tally.difference;
  }
  for (const uint64_t one : expected) {
    if (!counts.contains(one) && !poison_.contains(one)) ++tally.lost;
  }
  tally.difference += difference_;
}

}  // namespace verbatim::testing
