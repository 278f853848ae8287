#include "collector/policy/link/link_servers.h"

#include <algorithm>
#include <utility>

namespace verbatim::collector {
namespace {

constexpr std::chrono::milliseconds kInterval{200};

// By name; of a server with several assignments the first one's component.
std::map<std::string, LinkServerOptions> wanted_of(const v1::ComplianceState& state) {
  std::map<std::string, LinkServerOptions> wanted;
  for (const v1::ComplianceServer& server : state.servers()) {
    if (server.kind() != v1::ComplianceServer::KIND_LINK) continue;
    const auto& all = state.assignments();
    const auto assigned = std::find_if(all.begin(), all.end(), [&](const auto& assignment) {
      return assignment.server() == server.name();
    });
    if (assigned == all.end()) continue;
    LinkServerOptions options;
    options.name = server.name();
    options.host = server.host();
    options.port = server.port();
    options.secret_file = server.secret_file();
    options.component = assigned->component();
    wanted.emplace(server.name(), std::move(options));
  }
  return wanted;
}

}  // namespace

LinkServers::LinkServers(PolicyChain& chain, const ComplianceSource& compliance,
                         std::chrono::milliseconds heartbeat)
    : chain_(chain), compliance_(compliance), heartbeat_(heartbeat) {}

LinkServers::~LinkServers() { stop(); }

void LinkServers::start() {
  thread_ = std::thread([this] { run(); });
}

void LinkServers::stop() {
  {
    base::MutexLock lock(mutex_);
    is_stopping_ = true;
    wakes_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  servers_.clear();
}

void LinkServers::run() {
  std::shared_ptr<const RoutingTable> table;
  while (true) {
    if (auto now = compliance_.routing(); now != table) {
      table = std::move(now);
      follow(*table);
    }
    base::MutexLock lock(mutex_);
    if (wakes_.wait_for(mutex_, kInterval, [this]() REQUIRES(mutex_) { return is_stopping_; })) {
      return;
    }
  }
}

void LinkServers::follow(const RoutingTable& table) {
  auto wanted = wanted_of(table.state());
  for (auto& [name, options] : wanted) options.heartbeat = heartbeat_;
  std::erase_if(servers_, [&](const auto& server) {
    const auto found = wanted.find(server.first);
    return found == wanted.end() || found->second != server.second->options();
  });
  for (auto& [name, options] : wanted) {
    if (servers_.contains(name)) continue;
    servers_.emplace(name, std::make_unique<LinkServer>(std::move(options), chain_));
  }
}

}  // namespace verbatim::collector
