#include "queue/state/producers.h"

#include <algorithm>

namespace verbatim::queue {

const Producer* Producers::find(std::string_view name) const {
  const auto it = producers_.find(name);
  return it == producers_.end() ? nullptr : &it->second;
}

bool Producers::has_room(std::string_view owner) const {
  size_t owned_count = 0;
  size_t same_owner_count = 0;
  for (const auto& [name, producer] : producers_) {
    if (producer.owner.empty()) continue;
    ++owned_count;
    if (producer.owner == owner) ++same_owner_count;
  }
  return owned_count < kProducerMaxCount && same_owner_count < kOwnedMaxCount;
}

template <class Predicate>
Producers::Map::iterator Producers::silent_for_longest(Predicate is_meant) {
  auto found = producers_.end();
  for (auto it = producers_.begin(); it != producers_.end(); ++it) {
    if (!is_meant(it->second)) continue;
    if (found == producers_.end() || it->second.last_put_unix_ns < found->second.last_put_unix_ns) {
      found = it;
    }
  }
  return found;
}

void Producers::drop_oldest_run(Producer& producer) {
  --run_count_;
  producer.runs.pop_front();
}

void Producers::drop_runs(Producer& producer) {
  run_count_ -= producer.runs.size();
  producer.runs.clear();
}

Producer& Producers::make(const std::string& name) {
  const auto it = producers_.find(name);
  if (it != producers_.end()) return it->second;
  if (producers_.size() >= kProducerMaxCount) {
    const auto oldest =
        silent_for_longest([](const Producer& producer) { return producer.owner.empty(); });
    if (oldest != producers_.end()) {
      drop_runs(oldest->second);
      control_bytes_ -= control_bytes(oldest->first, {});
      producers_.erase(oldest);
    }
  }
  control_bytes_ += control_bytes(name, {});
  return producers_[name];
}

void Producers::own(const std::string& name, Producer& producer, const std::string& owner) {
  control_bytes_ += control_bytes(name, owner) - control_bytes(name, producer.owner);
  producer.owner = owner;
}

void Producers::open(const v1::LogProducerOpened& opened) {
  Producer& producer = make(opened.producer());
  drop_runs(producer);
  producer.epoch = opened.epoch();
  producer.last_sequence = 0;
  producer.last_put_unix_ns = opened.unix_ns();
  if (producer.owner.empty()) own(opened.producer(), producer, opened.owner());
}

void Producers::add_run(Producer& producer, const AnswerRun& run) {
  if (!producer.runs.empty()) {
    AnswerRun& last = producer.runs.back();
    // Repeats are rare and name places of long ago: they stay runs of their own.
    if (!run.is_repeat && !last.is_repeat &&
        last.first_lookup_id + last.count == run.first_lookup_id) {
      last.count += run.count;
      return;
    }
  }
  producer.runs.push_back(run);
  ++run_count_;
}

void Producers::add(const v1::LogPut& put) {
  Producer& producer = make(put.producer());
  if (producer.epoch != put.epoch()) drop_runs(producer);
  producer.epoch = put.epoch();
  producer.last_put_unix_ns = put.unix_ns();
  uint64_t sequence = put.first_sequence();
  for (const v1::LogRun& run : put.runs()) {
    add_run(producer, {sequence, run.count(), run.first_lookup_id(), run.is_repeat()});
    sequence += run.count();
  }
  producer.last_sequence = sequence - 1;
  const auto newest = static_cast<size_t>(put.runs_size());
  while (producer.runs.size() > std::max(kRunMaxCount, newest)) drop_oldest_run(producer);
  while (run_count_ > run_max_count_ && drop_run(&put)) continue;
}

bool Producers::drop_run(const v1::LogPut* newest) {
  const auto oldest =
      silent_for_longest([](const Producer& producer) { return !producer.runs.empty(); });
  if (oldest == producers_.end()) return false;
  // The newest put of all keeps its answers, however many.
  if (newest != nullptr && oldest->first == newest->producer() &&
      oldest->second.runs.size() <= static_cast<size_t>(newest->runs_size())) {
    return false;
  }
  drop_oldest_run(oldest->second);
  return true;
}

std::vector<StoredAnswer> Producers::answers(std::string_view name, uint64_t first_sequence,
                                             uint64_t count) const {
  std::vector<StoredAnswer> found;
  const Producer* producer = find(name);
  if (producer == nullptr || count == 0) return found;
  const auto begins_above = [](uint64_t sequence, const AnswerRun& run) {
    return sequence < run.first_sequence;
  };
  auto it =
      std::upper_bound(producer->runs.begin(), producer->runs.end(), first_sequence, begins_above);
  if (it == producer->runs.begin()) return found;
  uint64_t sequence = first_sequence;
  for (--it; it != producer->runs.end() && sequence < first_sequence + count; ++it) {
    for (; sequence < it->first_sequence + it->count && sequence < first_sequence + count;
         ++sequence) {
      found.push_back({it->first_lookup_id + (sequence - it->first_sequence), it->is_repeat});
    }
  }
  if (found.size() != count) found.clear();
  return found;
}

void Producers::save(v1::LogQueue& queue) const {
  for (const auto& [name, producer] : producers_) {
    v1::LogProducer* saved = queue.add_producers();
    saved->set_name(name);
    saved->set_epoch(producer.epoch);
    saved->set_last_sequence(producer.last_sequence);
    saved->set_last_put_unix_ns(producer.last_put_unix_ns);
    saved->set_owner(producer.owner);
    if (producer.runs.empty()) continue;
    v1::LogPut* put = saved->add_puts();
    put->set_first_sequence(producer.runs.front().first_sequence);
    for (const AnswerRun& run : producer.runs) {
      v1::LogRun* added = put->add_runs();
      added->set_count(run.count);
      added->set_first_lookup_id(run.first_lookup_id);
      added->set_is_repeat(run.is_repeat);
    }
  }
}

void Producers::load(const v1::LogQueue& queue) {
  producers_.clear();
  run_count_ = 0;
  control_bytes_ = 0;
  for (const v1::LogProducer& saved : queue.producers()) {
    Producer& producer = producers_[saved.name()];
    producer.epoch = saved.epoch();
    producer.last_sequence = saved.last_sequence();
    producer.last_put_unix_ns = saved.last_put_unix_ns();
    producer.owner = saved.owner();
    control_bytes_ += control_bytes(saved.name(), saved.owner());
    for (const v1::LogPut& put : saved.puts()) {
      uint64_t sequence = put.first_sequence();
      for (const v1::LogRun& run : put.runs()) {
        add_run(producer, {sequence, run.count(), run.first_lookup_id(), run.is_repeat()});
        sequence += run.count();
      }
    }
  }
}

}  // namespace verbatim::queue
