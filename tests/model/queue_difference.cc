#include "tests/model/queue_difference.h"

#include <fmt/format.h>

namespace verbatim::queue::model {
namespace {

std::string verdict_of(uint64_t number) { return fmt::format("verdict{}", number); }
std::string label_of(uint64_t number) {
  return number % 3 == 0 ? fmt::format("label{}", number) : std::string();
}
std::string source_of(uint64_t number) { return fmt::format("source{}", number % 2); }

// Collects the first difference.
class Comparison {
 public:
  template <class Is, class Should>
  void is_same(const std::string& what, const Is& is, const Should& should) {
    if (difference_.empty() && !(is == should)) {
      difference_ = fmt::format("{} is {}, it should be {}", what, is, should);
    }
  }
  const std::string& difference() const { return difference_; }

 private:
  std::string difference_;
};

std::string state_text(const Message& one) {
  return fmt::format("tries={}{}{}", one.delivery_count, one.lease != 0 ? " leased" : "",
                     one.not_before != 0 ? " waiting" : "");
}
std::string state_text(const IndexedMessage& one) {
  return fmt::format("tries={}{}{}", one.delivery_count,
                     one.state == MessageState::kLeased ? " leased" : "",
                     one.is_delayed ? " waiting" : "");
}

template <class Hops>
std::string hops_text(const Hops& hops) {
  std::string text;
  for (const v1::MessageHop& hop : hops) {
    text += fmt::format("{}/{}x{}:{} ", hop.queue(), hop.lookup_id(), hop.delivery_count(),
                        v1::EndReason_Name(hop.reason()));
  }
  return text;
}
std::string hops_text(const std::vector<Hop>& hops) {
  std::string text;
  for (const Hop& hop : hops) {
    text += fmt::format("{}/{}x{}:{} ", hop.queue, hop.lookup_id, hop.delivery_count,
                        v1::EndReason_Name(hop.reason));
  }
  return text;
}

void compare_counters(const NamedQueue& is, const Queue& should, Comparison& comparison) {
  const std::string& name = is.name;
  comparison.is_same(name + ": next lookup id", is.next_lookup_id, should.next_lookup_id);
  comparison.is_same(name + ": accepted", is.accepted_count, should.accepted);
  comparison.is_same(name + ": committed", is.committed_count, should.committed);
  comparison.is_same(name + ": repeats", is.repeat_count, should.repeats);
  comparison.is_same(name + ": redelivered", is.redelivered_count, should.redelivered);
  comparison.is_same(name + ": moved in", is.moved_in_count, should.moved_in);
  comparison.is_same(name + ": destroyed", is.destroyed_count, should.destroyed);
  int64_t left = is.committed_count + is.destroyed_count;
  for (int reason = 1; reason <= v1::EndReason_MAX; ++reason) {
    const auto a = is.ended_count.find(reason);
    const auto b = should.ended.find(reason);
    const int64_t count = a == is.ended_count.end() ? 0 : a->second;
    comparison.is_same(name + ": " + v1::EndReason_Name(static_cast<v1::EndReason>(reason)), count,
                       b == should.ended.end() ? 0 : b->second);
    left += count;
  }
  comparison.is_same(name + ": what came and has not left", is.index.count(),
                     is.accepted_count + is.moved_in_count - left);
  comparison.is_same(name + ": tries per cycle", tries_per_cycle(is.settings),
                     should.settings.tries_per_cycle);
  comparison.is_same(name + ": tries", tries_max(is.settings),
                     should.settings.tries_per_cycle * should.settings.cycles);
  comparison.is_same(name + ": delay between cycles",
                     retry_cycle_delay(is.settings).count() * kMillisecond,
                     should.settings.cycle_delay);
  comparison.is_same(name + ": quota", is.settings.quota_messages(),
                     should.settings.quota_messages);
  comparison.is_same(name + ": journal", is.settings.has_journal(), should.settings.has_journal);
  comparison.is_same(name + ": is full", is.is_full, should.is_full);
  const auto flags = [](bool put, bool receive, bool held, bool deleting) {
    return fmt::format("put-paused={} receive-paused={} held={} deleting={}", put, receive, held,
                       deleting);
  };
  comparison.is_same(
      name + ": flags",
      flags(is.flags.is_put_paused(), is.flags.is_receive_paused(), is.flags.is_held(),
            is.flags.is_deleting()),
      flags(should.is_put_paused, should.is_receive_paused, should.is_held, should.is_deleting));
}

void compare_queue(const NamedQueue& is, const Queue& should, Comparison& comparison) {
  compare_counters(is, should, comparison);
  for (const auto& [name, producer] : should.producers) {
    const auto* known = is.producers.find(name);
    comparison.is_same(is.name + ": epoch of " + name, known != nullptr ? known->epoch : 0,
                       producer.epoch);
    comparison.is_same(is.name + ": last number of " + name,
                       known != nullptr ? known->last_sequence : 0, producer.answers.size());
  }
  comparison.is_same(is.name + ": depth", is.index.count(),
                     static_cast<int64_t>(should.messages.size()));
  for (const auto& [id, message] : should.messages) {
    const IndexedMessage* known = is.index.find(id);
    comparison.is_same(fmt::format("{}: message {}", is.name, id),
                       known != nullptr ? state_text(*known) : "gone", state_text(message));
  }
}

}  // namespace

std::string body_of(uint64_t number) {
  return fmt::format("{}:{}", number, std::string(number * 337 % 1'200, 'x'));
}

void fill_put(const Model::PutMessage& message, v1::PutMessage& put) {
  put.set_order_key(message.order_key);
  put.set_source_key(message.source_key);
  put.set_source(source_of(message.number));
  put.set_verdict(verdict_of(message.number));
  put.set_label(label_of(message.number));
  put.set_body(body_of(message.number));
}

std::string find_difference(const QueueStore& store, const Model& model) {
  Comparison comparison;
  for (const auto& [id, queue] : store.queues()) {
    comparison.is_same("queue " + queue->name, "there",
                       model.queues.contains(queue->name) ? "there" : "away");
  }
  for (const auto& [name, should] : model.queues) {
    const NamedQueue* is = store.find(name);
    comparison.is_same("queue " + name, is != nullptr ? "there" : "away", "there");
    if (is != nullptr) compare_queue(*is, should, comparison);
  }
  return comparison.difference();
}

std::string find_difference_in_messages(QueueCore& core, const Model& model) {
  Comparison comparison;
  for (const auto& [name, should] : model.queues) {
    v1::PeekRequest request;
    request.set_queue(name);
    request.set_max_count(1'000);
    const auto peeked = core.peek(request);
    if (!peeked) return "peek: " + peeked.error().to_string();
    for (const v1::MessageInfo& one : peeked->messages()) {
      const auto it = should.messages.find(one.lookup_id());
      if (it == should.messages.end())
        return fmt::format("{}: {} is too much", name, one.lookup_id());
      const std::string what = fmt::format("{}: message {}: ", name, one.lookup_id());
      comparison.is_same(what + "order key", one.order_key(), it->second.order_key);
      comparison.is_same(what + "label", one.label(), label_of(it->second.number));
      comparison.is_same(what + "source", one.source(), source_of(it->second.number));
      comparison.is_same(what + "hops", hops_text(one.hops()), hops_text(it->second.hops));
    }
  }
  return comparison.difference();
}

std::string find_difference(const v1::QueueFrame& reply, const Model::PutReply& expected) {
  Comparison comparison;
  comparison.is_same("refusal", v1::RefusalReason_Name(reply.refused().reason()),
                     v1::RefusalReason_Name(expected.refusal));
  const auto& results = reply.put_reply().results();
  comparison.is_same("results", static_cast<size_t>(results.size()), expected.answers.size());
  if (!comparison.difference().empty()) {
    return comparison.difference() + ": " + reply.refused().detail();
  }
  for (size_t i = 0; i < expected.answers.size(); ++i) {
    const v1::PutResult& is = results[static_cast<int>(i)];
    const Answer& should = expected.answers[i];
    const std::string what = fmt::format("answer {}: ", i);
    comparison.is_same(what + "is repeat", is.is_repeat(), should.is_repeat);
    comparison.is_same(what + "lookup id", is.lookup_id(), should.lookup_id);
    comparison.is_same(what + "verdict", is.first_verdict(),
                       should.first_number != 0 ? verdict_of(should.first_number) : "");
  }
  return comparison.difference();
}

std::string find_difference(const v1::ReceiveReply& reply, const Model::Ids& expected,
                            const Queue& queue) {
  Comparison comparison;
  Model::Ids ids;
  for (const v1::QueueMessage& one : reply.messages()) ids.push_back(one.lookup_id());
  comparison.is_same("received", fmt::format("{}", fmt::join(ids, " ")),
                     fmt::format("{}", fmt::join(expected, " ")));
  if (!comparison.difference().empty()) return comparison.difference();
  for (const v1::QueueMessage& one : reply.messages()) {
    const Message& should = queue.messages.at(one.lookup_id());
    const std::string what = fmt::format("received {}: ", one.lookup_id());
    comparison.is_same(what + "tries", one.delivery_count(), should.delivery_count);
    comparison.is_same(what + "body", one.body(), body_of(should.number));
    comparison.is_same(what + "order key", one.order_key(), should.order_key);
    comparison.is_same(what + "source key", one.source_key(), should.source_key);
    comparison.is_same(what + "verdict", one.verdict(), verdict_of(should.number));
    comparison.is_same(what + "label", one.label(), label_of(should.number));
    comparison.is_same(what + "source", one.source(), source_of(should.number));
    comparison.is_same(what + "hops", hops_text(one.hops()), hops_text(should.hops));
  }
  return comparison.difference();
}

}  // namespace verbatim::queue::model
