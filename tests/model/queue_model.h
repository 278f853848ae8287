// What the queue promises, in maps: no log, no disk, no groups. A model is a value: a copy of it is
// a state that a crash may leave.
//
// Units: a change is made of parts that are durable as a whole; after each of them `on_unit` is
// called, so that a test can keep every state between. Threads: one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue::model {

inline constexpr int64_t kMillisecond = 1'000'000;
inline constexpr int64_t kWindow = 5'000 * kMillisecond;

struct Hop {
  std::string queue;
  uint64_t lookup_id = 0;
  int64_t delivery_count = 0;
  v1::EndReason reason{};
  bool operator==(const Hop&) const = default;
};

struct Message {
  uint64_t number = 0;  // unlike all others; its bytes are made of it
  std::string order_key;
  std::string source_key;
  int64_t delivery_count = 0;
  uint64_t lease = 0;
  int64_t not_before = 0;
  std::vector<Hop> hops;
};

struct Answer {
  uint64_t lookup_id = 0;
  bool is_repeat = false;
  uint64_t first_number = 0;  // of a repeat: whose verdict is given back, if it is still known
};

struct Producer {
  uint64_t epoch = 0;
  std::vector<Answer> answers;  // by number - 1
};

struct Settings {
  int64_t quota_messages = 0;
  int64_t tries_per_cycle = 6;
  int64_t cycles = 3;
  int64_t cycle_delay = 600'000 * kMillisecond;
  bool has_journal = false;
};

struct SourceKey {
  uint64_t lookup_id = 0;
  uint64_t number = 0;
  int64_t put_at = 0;
};

struct Queue {
  uint64_t made = 0;  // orders queues by when they were made
  Settings settings;
  bool is_put_paused = false, is_receive_paused = false, is_held = false, is_deleting = false;
  uint64_t deletion = 0;  // orders those that are being deleted
  bool is_full = false;
  uint64_t next_lookup_id = 1;
  std::map<uint64_t, Message> messages;
  std::map<std::string, Producer> producers;
  std::map<std::string, SourceKey> source_keys;
  int64_t accepted = 0, committed = 0, repeats = 0, redelivered = 0, moved_in = 0, destroyed = 0;
  std::map<int, int64_t> ended;  // by EndReason
};

struct Lease {
  std::string queue;
  int64_t until = 0;
};

class Model {
 public:
  using Ids = std::vector<uint64_t>;

  std::function<void()> on_unit = [] {};
  int64_t now = 0;
  std::map<std::string, Queue> queues;
  std::map<uint64_t, Lease> leases;

  Queue* find(const std::string& name) {
    const auto it = queues.find(name);
    return it == queues.end() ? nullptr : &it->second;
  }

  // --- operators ---
  Queue& make(const std::string& name) {
    Queue& queue = queues[name];
    queue.made = ++made_count_;
    if (const auto it = retired_.find(name); it != retired_.end()) {
      queue.next_lookup_id = it->second;
      retired_.erase(it);
    }
    on_unit();
    return queue;
  }
  // What is moved goes oldest first; what is leased stays. `to` empty: where each came from.
  void transfer(const std::string& from, const std::string& to, v1::EndReason reason,
                const std::string& order_key = {}, uint64_t up_to = UINT64_MAX) {
    const Ids ids = ids_of(from, [&](const Message& one) {
      return one.lease == 0 && (order_key.empty() || one.order_key == order_key);
    });
    for (const uint64_t id : ids) {
      if (id > up_to) continue;
      const Message& message = queues[from].messages[id];
      const std::string home = message.hops.empty() ? parent(from) : message.hops[0].queue;
      const std::string target = to.empty() ? home : to;
      const bool has_home = find(target) != nullptr && !find(target)->is_deleting && target != from;
      if (!to.empty() || has_home) move(from, id, target, reason);
    }
  }
  void destroy(const std::string& name, const Ids& ids) {
    for (const uint64_t id : ids) queues[name].messages.erase(id);
    queues[name].destroyed += static_cast<int64_t>(ids.size());
    on_unit();
  }
  bool may_destroy(const std::string& name) { return find(name) != nullptr && !is_held(name); }
  bool is_held(const std::string& name) {
    const Queue* queue = find(name);
    const Queue* home = find(parent(name));
    return (queue != nullptr && queue->is_held) || (home != nullptr && home->is_held);
  }
  Ids unleased(const std::string& name) {
    return ids_of(name, [](const Message& one) { return one.lease == 0; });
  }
  void trim(const std::string& journal, uint64_t up_to) {
    const Ids ids = ids_of(journal, [&](const Message& one) { return one.lease == 0; });
    for (const uint64_t id : ids) {
      if (id > up_to) continue;
      queues[journal].messages.erase(id);
      ++queues[journal].committed;
    }
    on_unit();
  }
  void begin_deletion(const std::string& name) {
    if (!queues[name].is_deleting) queues[name].deletion = ++deletion_count_;
    queues[name].is_deleting = true;
    on_unit();
  }

  // --- producers ---
  struct PutMessage {
    uint64_t number = 0;
    std::string order_key;
    std::string source_key;
  };
  struct PutReply {
    v1::RefusalReason refusal{};
    std::vector<Answer> answers;
  };
  PutReply put(const std::string& name, const std::string& producer, uint64_t epoch, uint64_t first,
               const std::vector<PutMessage>& messages) {
    const auto refused = [](v1::RefusalReason reason) { return PutReply{reason, {}}; };
    Queue* queue = find(name);
    if (queue == nullptr) return refused(v1::REFUSAL_REASON_UNKNOWN_QUEUE);
    const auto known = queue->producers.find(producer);
    const bool is_known = known != queue->producers.end();
    if (is_known && epoch < known->second.epoch) return refused(v1::REFUSAL_REASON_FENCED);
    if (is_known ? epoch > known->second.epoch : first > 1) {
      return refused(v1::REFUSAL_REASON_UNKNOWN_PRODUCER);
    }
    const uint64_t last = is_known ? known->second.answers.size() : 0;
    if (first > last + 1) return refused(v1::REFUSAL_REASON_OUT_OF_SEQUENCE);
    PutReply reply;
    size_t i = 0;
    for (; i < messages.size() && first + i <= last; ++i) {
      reply.answers.push_back(known->second.answers[first + i - 1]);
      Answer& answer = reply.answers.back();
      const SourceKey* key = find_key(*queue, messages[i].source_key);
      if (answer.is_repeat) answer.first_number = key != nullptr ? key->number : 0;
    }
    if (i == messages.size()) return reply;
    if (queue->is_put_paused || queue->is_deleting) return refused(v1::REFUSAL_REASON_PAUSED);
    update_full(*queue);
    if (queue->is_full) return refused(v1::REFUSAL_REASON_FULL);
    Producer& stored = queue->producers[producer];
    stored.epoch = epoch;
    for (; i < messages.size(); ++i) {
      stored.answers.push_back(store(*queue, messages[i]));
      reply.answers.push_back(stored.answers.back());
    }
    on_unit();
    return reply;
  }
  bool open_producer(const std::string& name, const std::string& producer, uint64_t epoch) {
    Producer& known = queues[name].producers[producer];
    if (epoch <= known.epoch) return false;
    known = {.epoch = epoch, .answers = {}};
    on_unit();
    return true;
  }

  // --- consumers ---
  // The oldest first, but none whose order key is under a lease that is not named, waits, or has
  // one before those that are out.
  Ids receive(const std::string& name, size_t max_count, uint64_t lease, int64_t lease_time,
              const std::set<uint64_t>& behind = {}) {
    Queue& queue = queues[name];
    Ids taken;
    if (queue.is_receive_paused || queue.is_deleting) return taken;
    std::set<std::string> blocked;
    std::map<std::string, uint64_t> last_out;
    for (const auto& [id, one] : queue.messages) {
      if (one.lease == 0) continue;
      last_out[one.order_key] = id;
      if (!behind.contains(one.lease)) blocked.insert(one.order_key);
    }
    for (auto& [id, one] : queue.messages) {
      if (one.lease != 0) continue;
      if (one.not_before != 0 || id < last_out[one.order_key]) blocked.insert(one.order_key);
      if (taken.size() == max_count || blocked.contains(one.order_key)) continue;
      one.lease = lease;
      if (++one.delivery_count > 1) ++queue.redelivered;
      taken.push_back(id);
    }
    if (taken.empty()) return taken;
    leases[lease] = {.queue = name, .until = now + lease_time};
    on_unit();
    return taken;
  }
  Ids leased(uint64_t lease) {
    return ids_of(leases[lease].queue, [&](const Message& one) { return one.lease == lease; });
  }
  void commit(uint64_t lease, const Ids& ids) {
    const std::string name = leases[lease].queue;
    for (const uint64_t id : ids) {
      Queue& queue = queues[name];
      if (queue.settings.has_journal) {
        copy(queue.messages[id], name, id, sub(name, "journal"), v1::END_REASON_JOURNALED);
      }
      queues[name].messages.erase(id);
      ++queues[name].committed;
      if (queues[name].settings.has_journal) on_unit();
    }
    on_unit();
    forget_lease(lease);
  }
  void abort(uint64_t lease, const Ids& ids, int64_t delay, bool is_untried) {
    give_back(lease, ids, delay, is_untried);
    forget_lease(lease);
  }
  void abandon(uint64_t lease, const Ids& ids) {
    const std::string name = leases[lease].queue;
    for (const uint64_t id : ids) move(name, id, poison_of(name), v1::END_REASON_ABANDONED);
    forget_lease(lease);
  }
  void end_leases(int64_t up_to) {
    std::vector<std::pair<int64_t, uint64_t>> over;
    for (const auto& [id, lease] : leases) {
      if (lease.until <= up_to) over.emplace_back(lease.until, id);
    }
    std::sort(over.begin(), over.end());
    for (const auto& [until, id] : over) {
      give_back(id, leased(id), 0, false);
      leases.erase(id);
    }
  }

  // --- time, and the end of time ---
  void tick() {
    end_leases(now);
    for (auto& [name, queue] : queues) {
      for (auto& [id, one] : queue.messages) {
        if (one.not_before <= now) one.not_before = 0;
      }
      update_full(queue);
    }
    end_poison();
    std::vector<std::pair<uint64_t, std::string>> deleting;
    for (const auto& [name, queue] : queues) {
      if (queue.is_deleting) deleting.emplace_back(queue.deletion, name);
    }
    std::sort(deleting.begin(), deleting.end());
    for (const auto& [deletion, name] : deleting) {
      // What has come into a sub-queue of the service meanwhile stays.
      if (is_held(name) || (parent(name) != name && !queues[name].messages.empty())) {
        queues[name].is_deleting = false;
        on_unit();
        continue;
      }
      transfer(name, sub(name, "dead-letters"), v1::END_REASON_QUEUE_DELETED);
      if (!queues[name].messages.empty()) continue;
      retired_[name] = queues[name].next_lookup_id;
      queues.erase(name);
      on_unit();
    }
  }
  // What has used up its tries.
  void end_poison() {
    for (const auto& [name, id] : std::exchange(poison_, {})) {
      move(name, id, poison_of(name), v1::END_REASON_POISON);
    }
  }
  // A new life of the service: it knows no consumers, and what was out has had its try.
  void reopen() {
    leases.clear();
    poison_.clear();
    std::vector<std::pair<uint64_t, std::string>> by_age;
    for (const auto& [name, queue] : queues) by_age.emplace_back(queue.made, name);
    std::sort(by_age.begin(), by_age.end());
    for (const auto& [made, name] : by_age) {
      Queue& queue = queues[name];
      queue.is_full = false;
      if (queue.is_deleting) queue.deletion = ++deletion_count_;
      for (auto& [id, one] : queue.messages) {
        one.lease = 0;
        if (one.delivery_count >= queue.settings.tries_per_cycle * queue.settings.cycles) {
          poison_.emplace_back(name, id);
        } else if (one.delivery_count > 0 && one.not_before <= now &&
                   one.delivery_count % queue.settings.tries_per_cycle == 0 &&
                   queue.settings.cycle_delay > 0) {
          one.not_before = now + queue.settings.cycle_delay;
        }
      }
    }
  }

  const SourceKey* find_key(const Queue& queue, const std::string& key) const {
    const auto it = queue.source_keys.find(key);
    const bool is_known = it != queue.source_keys.end() && now - it->second.put_at <= kWindow;
    return is_known && !key.empty() ? &it->second : nullptr;
  }
  static std::string parent(const std::string& name) { return name.substr(0, name.find(';')); }
  static std::string sub(const std::string& name, const char* what) {
    return parent(name) + ";" + what;
  }

 private:
  template <class Wanted>
  Ids ids_of(const std::string& name, const Wanted& wanted) {
    Ids ids;
    for (const auto& [id, one] : queues[name].messages) {
      if (wanted(one)) ids.push_back(id);
    }
    return ids;
  }
  static std::string poison_of(const std::string& name) {
    return sub(name, name.ends_with(";poison") ? "dead-letters" : "poison");
  }
  Answer store(Queue& queue, const PutMessage& put) {
    if (const SourceKey* key = find_key(queue, put.source_key)) {
      ++queue.repeats;
      return {.lookup_id = key->lookup_id, .is_repeat = true, .first_number = key->number};
    }
    const Message message{
        .number = put.number, .order_key = put.order_key, .source_key = put.source_key, .hops = {}};
    ++queue.accepted;
    const uint64_t id = add(queue, message);
    // Where it was first: what is moved is no new message.
    queue.source_keys[message.source_key] = {id, message.number, now};
    return {.lookup_id = id};
  }
  uint64_t add(Queue& queue, const Message& message) {
    const uint64_t id = queue.next_lookup_id++;
    queue.messages[id] = message;
    return id;
  }
  void copy(Message message, const std::string& from, uint64_t id, const std::string& to,
            v1::EndReason reason) {
    message.hops.push_back({from, id, message.delivery_count, reason});
    message.delivery_count = 0;
    message.lease = 0;
    message.not_before = 0;
    Queue* target = find(to);
    if (target == nullptr) target = &make(to);
    add(*target, message);
    ++target->moved_in;
  }
  void move(const std::string& from, uint64_t id, const std::string& to, v1::EndReason reason) {
    copy(queues[from].messages[id], from, id, to, reason);
    queues[from].messages.erase(id);
    ++queues[from].ended[reason];
    on_unit();
  }
  void give_back(uint64_t lease, const Ids& ids, int64_t delay, bool is_untried) {
    const std::string name = leases[lease].queue;
    Queue& queue = queues[name];
    for (const uint64_t id : ids) {
      Message& one = queue.messages[id];
      const Settings& settings = queue.settings;
      int64_t wait = delay;
      one.lease = 0;
      if (is_untried) {
        --one.delivery_count;
      } else if (one.delivery_count >= settings.tries_per_cycle * settings.cycles) {
        poison_.emplace_back(name, id);
        wait = 0;
      } else if (one.delivery_count % settings.tries_per_cycle == 0) {
        wait = std::max(delay, settings.cycle_delay);
      }
      if (wait > 0) one.not_before = now + wait;
    }
    on_unit();
  }
  void forget_lease(uint64_t lease) {
    if (leased(lease).empty()) leases.erase(lease);
  }
  // Full from the quota on, until below 95 percent of it.
  static void update_full(Queue& queue) {
    const int64_t quota = queue.settings.quota_messages;
    const auto depth = static_cast<int64_t>(queue.messages.size());
    queue.is_full = quota > 0 && depth >= (queue.is_full ? quota * 95 / 100 : quota);
  }

  uint64_t made_count_ = 0;
  uint64_t deletion_count_ = 0;
  std::map<std::string, uint64_t> retired_;
  std::vector<std::pair<std::string, uint64_t>> poison_;
};

}  // namespace verbatim::queue::model
