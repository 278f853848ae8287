#include "collector/sources/xcp/answer_order.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace verbatim::collector {

bool AnswerOrder::join(const std::string& key, uint64_t link) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return false;
  std::vector<uint64_t>& links = requests_.at(found->second).links;
  if (std::find(links.begin(), links.end(), link) == links.end()) {
    links.push_back(link);
    ++count_by_link_[link];
  }
  return true;
}

uint64_t AnswerOrder::open(OpenRequest request) {
  const uint64_t number = ++last_number_;
  by_key_[request.key] = number;
  by_conversation_[request.conversation].push_back(number);
  for (const uint64_t link : request.links) ++count_by_link_[link];
  requests_.emplace(number, std::move(request));
  return number;
}

void AnswerOrder::answer(uint64_t number, Reply reply, const std::string& event_id) {
  const auto found = requests_.find(number);
  if (found == requests_.end()) return;
  CHECK(!found->second.reply, "I2: a request is answered once");
  found->second.reply = std::move(reply);
  found->second.event_id = event_id;
  emit_due(std::string(found->second.conversation));
}

void AnswerOrder::emit_due(const std::string& conversation) {
  const auto waiting = by_conversation_.find(conversation);
  while (!waiting->second.empty() && requests_.at(waiting->second.front()).reply) {
    auto node = requests_.extract(waiting->second.front());
    waiting->second.pop_front();
    const OpenRequest& request = node.mapped();
    by_key_.erase(request.key);
    for (const uint64_t link : request.links) {
      const auto count = count_by_link_.find(link);
      if (--count->second == 0) count_by_link_.erase(count);
    }
    emit_(request);
  }
  if (waiting->second.empty()) by_conversation_.erase(waiting);
}

size_t AnswerOrder::count_of(uint64_t link) const {
  const auto found = count_by_link_.find(link);
  return found == count_by_link_.end() ? 0 : found->second;
}

const OpenRequest* AnswerOrder::find(uint64_t number) const {
  const auto found = requests_.find(number);
  return found == requests_.end() ? nullptr : &found->second;
}

}  // namespace verbatim::collector
