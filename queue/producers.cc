#include "queue/producers.h"

#include <algorithm>

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

Producer& Producers::make(const std::string& name) {
  const auto it = producers_.find(name);
  if (it != producers_.end()) return it->second;
  if (producers_.size() >= kProducerMaxCount) {
    producers_.erase(
        std::min_element(producers_.begin(), producers_.end(), [](const auto& a, const auto& b) {
          return a.second.last_put_unix_ns < b.second.last_put_unix_ns;
        }));
  }
  return producers_[name];
}

void Producers::open(const std::string& name, uint64_t epoch, int64_t unix_ns) {
  Producer& producer = make(name);
  producer.epoch = epoch;
  producer.last_sequence = 0;
  producer.last_put_unix_ns = unix_ns;
  producer.puts.clear();
}

void Producers::add(const v1::LogPut& put) {
  Producer& producer = make(put.producer());
  producer.epoch = put.epoch();
  producer.last_sequence = put.first_sequence() + count_of(put) - 1;
  producer.last_put_unix_ns = put.unix_ns();
  v1::LogPut& kept = producer.puts.emplace_back(put);
  kept.clear_producer();
  if (producer.puts.size() > kPutMaxCount) producer.puts.pop_front();
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
  for (const v1::LogProducer& saved : queue.producers()) {
    Producer& producer = producers_[saved.name()];
    producer.epoch = saved.epoch();
    producer.last_sequence = saved.last_sequence();
    producer.last_put_unix_ns = saved.last_put_unix_ns();
    producer.puts.assign(saved.puts().begin(), saved.puts().end());
  }
}

}  // namespace verbatim::queue
