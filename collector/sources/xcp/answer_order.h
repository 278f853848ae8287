// AnswerOrder: keeps the answers of each conversation in the order in which its requests came in,
// and lets a repeat of a request share the first one's answer.
//
// I1 Of one conversation no answer leaves before those of earlier requests.
// I2 A request has at most one answer per link.
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collector/sources/xcp/codec/xdb.h"

namespace verbatim::collector {

// One request that waits for its answer.
struct OpenRequest {
  std::string key;           // tells repeats: component, from, id, digest of the payload
  std::string conversation;  // answers keep its order
  Xdb xdb;
  ReplyClass reply_class = ReplyClass::kFree;
  std::vector<uint64_t> links;  // those that asked
  std::optional<Reply> reply;
  // Set once the event is durable: what to name if nobody can be answered.
  std::string event_id;
  std::string about;  // an Event, serialised: thousands may wait at once
};

class AnswerOrder {
 public:
  // Called for each request whose turn has come, answered.
  using Emit = std::function<void(const OpenRequest&)>;

  explicit AnswerOrder(Emit emit) : emit_(std::move(emit)) {}

  // True if the request with this key is open: `link` then shares its answer.
  bool join(const std::string& key, uint64_t link);
  // Gives the request's number.
  uint64_t open(OpenRequest request);
  // Sets the answer and emits all that are due. Ignored for a number that is not open.
  void answer(uint64_t number, Reply reply, const std::string& event_id = {});

  size_t size() const { return requests_.size(); }
  // Requests that `link` waits for.
  size_t count_of(uint64_t link) const;
  const OpenRequest* find(uint64_t number) const;

 private:
  void emit_due(const std::string& conversation);

  Emit emit_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, OpenRequest> requests_;
  std::map<std::string, uint64_t> by_key_;
  // Lists: most conversations have one request, and an empty deque takes half a KiB.
  std::map<std::string, std::list<uint64_t>> by_conversation_;
  std::map<uint64_t, size_t> count_by_link_;
};

}  // namespace verbatim::collector
