#include "queue/access_list.h"

#include <algorithm>

#include "queue/state/queue_name.h"

namespace verbatim::queue {
namespace {

// Patterns as base/config_security.h has them.
bool matches(std::string_view pattern, std::string_view queue) {
  if (pattern == "*") return !is_service_queue(queue);
  if (pattern == queue) return true;
  return pattern.ends_with(";*") && queue.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool any_matches(const std::vector<std::string>& patterns, std::string_view queue) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [queue](const std::string& pattern) { return matches(pattern, queue); });
}

}  // namespace

AccessList::AccessList(const v1::QueueSecurity& security) {
  for (const v1::QueueClientKey& client : security.clients()) {
    rights_[client.name()] = {{client.put().begin(), client.put().end()},
                              {client.receive().begin(), client.receive().end()}};
  }
}

const AccessList::Rights* AccessList::find(std::string_view user) const {
  const auto found = rights_.find(user);
  return found != rights_.end() ? &found->second : nullptr;
}

bool AccessList::may_put(std::string_view user, std::string_view queue) const {
  const Rights* const rights = find(user);
  return rights != nullptr && any_matches(rights->put, queue);
}

bool AccessList::may_receive(std::string_view user, std::string_view queue) const {
  const Rights* const rights = find(user);
  return rights != nullptr && any_matches(rights->receive, queue);
}

}  // namespace verbatim::queue
