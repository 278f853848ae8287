// History: the steps of producers and consumers.
#include "tests/model/queue_history_run.h"

namespace verbatim::queue::model {

// --- producers ---

std::vector<Model::PutMessage> History::new_messages(const Step& step) {
  std::vector<Model::PutMessage> messages;
  for (uint64_t i = 0; i <= step.b % 3; ++i) {
    const uint64_t number = next_number_++;
    std::string source_key = fmt::format("u{}", number);
    if (step.c % 4 == 1) source_key.clear();
    if (step.c % 4 == 2) source_key = fmt::format("k{}", (step.c / 4 + i) % 3);
    messages.push_back({.number = number,
                        .order_key = fmt::format("o{}", (step.c + i * step.b) % 3),
                        .source_key = source_key});
  }
  return messages;
}

void History::put_next(const Step& step, uint64_t skipped, bool is_stale) {
  const std::string queue = main_queue(step.a);
  const std::string producer = step.a / 3 % 4 == 0 ? "q" : "p";
  const auto& known = model_.queues[queue].producers;
  const auto it = known.find(producer);
  const uint64_t epoch = it == known.end() ? 1 : it->second.epoch;
  const uint64_t last = it == known.end() ? 0 : it->second.answers.size();
  put(queue, producer, is_stale && epoch > 1 ? epoch - 1 : epoch, last + 1 + skipped,
      new_messages(step));
}

// The last put once more, perhaps with more behind it.
void History::put_again(const Step& step) {
  if (!last_put_) return;
  LastPut again = *last_put_;
  if (step.b % 2 == 0 && again.messages.size() < 3) {
    for (auto& more : new_messages({.b = 0, .c = step.c})) again.messages.push_back(more);
  }
  put(again.queue, again.producer, again.epoch, again.first, again.messages);
}

void History::put(const std::string& queue, const std::string& producer, uint64_t epoch,
                  uint64_t first, const std::vector<Model::PutMessage>& messages) {
  // The model knows of no disk.
  for (int i = 0; i < 100 && !is_dead_ && core_->store().is_short_of_space(); ++i) settle();
  last_put_ = {queue, producer, epoch, first, messages};
  v1::QueueFrame frame;
  v1::Put& put = *frame.mutable_put();
  put.set_queue(queue);
  put.set_producer(producer);
  put.set_epoch(epoch);
  put.set_first_sequence(first);
  for (const Model::PutMessage& one : messages) fill_put(one, *put.add_messages());
  const Model::PutReply expected = model_.put(queue, producer, epoch, first, messages);
  request_ends();
  std::string text = v1::RefusalReason_Name(expected.refusal);
  if (expected.refusal == v1::REFUSAL_REASON_UNSPECIFIED) {
    text.clear();
    for (const Answer& one : expected.answers) {
      text += fmt::format(" {}{}", one.lookup_id, one.is_repeat ? " (repeat)" : "");
    }
  }
  std::string keys;
  for (const auto& one : messages) {
    keys += fmt::format(" #{}:{}:{}", one.number, one.order_key, one.source_key);
  }
  tell("put queue={} producer={} epoch={} first={} messages={} ->{}", queue, producer, epoch, first,
       keys, text);
  if (const auto reply = ask(frame)) {
    const std::string difference = find_difference(*reply, expected);
    if (!difference.empty()) fail(difference);
  }
}

void History::open_producer(const Step& step) {
  const std::string queue = main_queue(step.a);
  const uint64_t epoch = 1 + step.b % 4;
  tell("open producer queue={} epoch={}", queue, epoch);
  v1::QueueFrame frame;
  frame.mutable_open_producer()->set_queue(queue);
  frame.mutable_open_producer()->set_producer("p");
  frame.mutable_open_producer()->set_epoch(epoch);
  const bool is_opened = model_.open_producer(queue, "p", epoch);
  request_ends();
  const auto reply = ask(frame);
  if (reply && reply->has_open_producer_reply() != is_opened) fail("open: " + show(*reply));
}

// --- consumers ---

// None, one, two, or one of them twice.
std::vector<uint64_t> History::leases_to_name(const Step& step) const {
  std::vector<uint64_t> named;
  const uint64_t how = step.a / 4 % 4;
  if (how >= 1) named.push_back(any_lease(step.c));
  if (how == 2) named.push_back(any_lease(step.c + 1));
  if (how == 3) named.push_back(named.front());
  std::erase(named, 0);
  return named;
}

void History::receive(const std::string& queue, size_t max_count, int64_t lease_ms,
                      const std::vector<uint64_t>& behind) {
  // Nobody takes what an operator has to decide.
  const bool is_parked = queue.ends_with(";dead-letters") || queue.ends_with(";journal");
  if (is_parked) max_count = 0;
  const uint64_t lease = next_lease_++;
  const Model::Ids expected = model_.receive(queue, max_count, lease, lease_ms * kMillisecond,
                                             {behind.begin(), behind.end()});
  request_ends();
  tell("receive queue={} max_count={} lease_ms={} behind={} -> lease {} {}", queue, max_count,
       lease_ms, ids_text(behind), lease, ids_text(expected));
  v1::QueueFrame frame;
  v1::Receive& receive = *frame.mutable_receive();
  receive.set_queue(queue);
  receive.set_max_count(static_cast<int64_t>(std::max<size_t>(max_count, 1)));
  receive.set_max_bytes(1 << 20);
  receive.set_lease_ms(lease_ms);
  for (const uint64_t id : behind) receive.add_behind_lease_ids(leases_.at(id));
  const auto reply = ask(frame);
  if (!reply) return;
  if (is_parked && reply->refused().reason() == v1::REFUSAL_REASON_INVALID) return;
  if (!reply->has_receive_reply() || is_parked) return fail("receive: " + show(*reply));
  const std::string difference =
      find_difference(reply->receive_reply(), expected, model_.queues[queue]);
  if (!difference.empty()) return fail(difference);
  if (!expected.empty()) leases_[lease] = reply->receive_reply().lease_id();
}

void History::settle_lease(const Step& step) {
  const uint64_t lease = any_lease(step.a);
  if (lease == 0) return;
  const std::string queue = model_.leases[lease].queue;
  const Model::Ids ids = part_of(lease, step.b);
  if (ids.empty()) return;
  v1::QueueFrame frame;
  const auto name = [&](auto* request) {
    request->set_queue(queue);
    request->set_lease_id(leases_[lease]);
    for (const uint64_t id : ids) request->add_lookup_ids(id);
  };
  if (step.kind == StepKind::kCommit) {
    tell("commit lease={} {}", lease, ids_text(ids));
    name(frame.mutable_commit());
    model_.commit(lease, ids);
  } else if (step.kind == StepKind::kAbort) {
    const int64_t delay = std::array<int64_t, 4>{0, 0, 100, 1'000}[step.c % 4];
    const bool is_untried = step.c / 4 % 3 == 0;
    tell("abort lease={} {} delay_ms={}{}", lease, ids_text(ids), delay,
         is_untried ? " untried" : "");
    name(frame.mutable_abort());
    frame.mutable_abort()->set_delay_ms(delay);
    frame.mutable_abort()->set_is_untried(is_untried);
    model_.abort(lease, ids, delay * kMillisecond, is_untried);
  } else {
    // Sub-queues of the service have no other.
    if (queue.find(';') != std::string::npos) return;
    tell("abandon lease={} {}", lease, ids_text(ids));
    name(frame.mutable_abandon());
    model_.abandon(lease, ids);
  }
  request_ends();
  model_.end_poison();
  const auto reply = ask(frame);
  if (reply && reply->settle_reply().settled_count() != static_cast<int64_t>(ids.size())) {
    fail("a lease is settled: " + show(*reply));
  }
}

void History::extend(const Step& step) {
  const uint64_t lease = any_lease(step.a);
  if (lease == 0) return;
  tell("extend lease={} by 2000 ms", lease);
  v1::QueueFrame frame;
  frame.mutable_extend()->set_queue(model_.leases[lease].queue);
  frame.mutable_extend()->set_lease_id(leases_[lease]);
  frame.mutable_extend()->set_lease_ms(2'000);
  model_.leases[lease].until = model_.now + 2'000 * kMillisecond;
  request_ends();
  const auto reply = ask(frame);
  if (reply && !reply->has_extend_reply()) fail("extend: " + show(*reply));
}

void History::restart_consumer() {
  tell("the consumer starts again");
  for (auto& [id, lease] : model_.leases) lease.until = 0;
  model_.end_leases(0);
  request_ends();
  model_.end_poison();
  hello();
  settle();
}

}  // namespace verbatim::queue::model
