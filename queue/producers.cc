#include "queue/producers.h"

namespace verbatim::queue {
namespace {

uint64_t count_of(const v1::LogPut& put) {
  uint64_t count = 0;
  for (const v1::LogRun& run : put.runs()) count += run.count();
  return count;
}

}  // namespace

const Producer* Producers::find(const std::string& name) const {
  const auto it = producers_.find(name);
  return it == producers_.end() ? nullptr : &it->second;
}

Producers::Map::iterator Producers::silent_for_longest(bool must_have_puts) {
  auto found = producers_.end();
  for (auto it = producers_.begin(); it != producers_.end(); ++it) {
    if (must_have_puts && it->second.puts.empty()) continue;
    if (found == producers_.end() || it->second.last_put_unix_ns < found->second.last_put_unix_ns) {
      found = it;
    }
  }
  return found;
}

void Producers::drop_oldest_put(Producer& producer) {
  run_count_ -= static_cast<size_t>(producer.puts.front().runs_size());
  producer.puts.pop_front();
}

void Producers::drop_puts(Producer& producer) {
  while (!producer.puts.empty()) drop_oldest_put(producer);
}

Producer& Producers::make(const std::string& name) {
  const auto it = producers_.find(name);
  if (it != producers_.end()) return it->second;
  if (producers_.size() >= kProducerMaxCount) {
    const auto oldest = silent_for_longest(false);
    drop_puts(oldest->second);
    producers_.erase(oldest);
  }
  return producers_[name];
}

void Producers::open(const std::string& name, uint64_t epoch, int64_t unix_ns) {
  Producer& producer = make(name);
  drop_puts(producer);
  producer.epoch = epoch;
  producer.last_sequence = 0;
  producer.last_put_unix_ns = unix_ns;
}

void Producers::add(const v1::LogPut& put) {
  Producer& producer = make(put.producer());
  producer.epoch = put.epoch();
  producer.last_sequence = put.first_sequence() + count_of(put) - 1;
  producer.last_put_unix_ns = put.unix_ns();
  v1::LogPut& kept = producer.puts.emplace_back(put);
  kept.clear_producer();
  run_count_ += static_cast<size_t>(put.runs_size());
  if (producer.puts.size() > kPutMaxCount) drop_oldest_put(producer);
  while (run_count_ > run_max_count_) {
    Producer& oldest = silent_for_longest(true)->second;
    // The newest put of all keeps its answers, however many.
    if (&oldest == &producer && producer.puts.size() == 1) break;
    drop_oldest_put(oldest);
  }
}

std::vector<StoredAnswer> Producers::answers(const std::string& name, uint64_t first_sequence,
                                             uint64_t count) const {
  std::vector<StoredAnswer> found;
  const Producer* producer = find(name);
  if (producer == nullptr) return found;
  for (const v1::LogPut& put : producer->puts) {
    uint64_t sequence = put.first_sequence();
    for (const v1::LogRun& run : put.runs()) {
      for (uint32_t i = 0; i < run.count(); ++i, ++sequence) {
        if (sequence < first_sequence || sequence >= first_sequence + count) continue;
        // A run of repeats names one place each; it is a run of one.
        found.push_back({run.first_lookup_id() + i, run.is_repeat()});
      }
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
    for (const v1::LogPut& put : producer.puts) *saved->add_puts() = put;
  }
}

void Producers::load(const v1::LogQueue& queue) {
  producers_.clear();
  run_count_ = 0;
  for (const v1::LogProducer& saved : queue.producers()) {
    Producer& producer = producers_[saved.name()];
    producer.epoch = saved.epoch();
    producer.last_sequence = saved.last_sequence();
    producer.last_put_unix_ns = saved.last_put_unix_ns();
    producer.puts.assign(saved.puts().begin(), saved.puts().end());
    for (const v1::LogPut& put : producer.puts) {
      run_count_ += static_cast<size_t>(put.runs_size());
    }
  }
}

}  // namespace verbatim::queue
