#include "processor/hub/hub.h"

namespace verbatim::processor {

Hub::Hub(Staging& staging, const std::vector<ChannelOptions>& adapters, const base::Clock& clock)
    : staging_(staging) {
  for (const auto& options : adapters) {
    lanes_[options.adapter].channel = std::make_unique<AdapterChannel>(staging, options, clock);
  }
}

Hub::~Hub() { stop(); }

void Hub::start() {
  for (auto& [name, lane] : lanes_) {
    AdapterChannel& channel = *lane.channel;
    lane.thread = std::jthread([&channel](const std::stop_token& stop) {
      while (!stop.stop_requested()) channel.wait(channel.step());
      // Once more, to tell the sessions that it ends.
      channel.step();
    });
  }
}

void Hub::stop() {
  for (auto& [name, lane] : lanes_) {
    lane.thread.request_stop();
    lane.channel->close_all(unavailable("the processor stops"));
  }
  for (auto& [name, lane] : lanes_) {
    if (lane.thread.joinable()) lane.thread.join();
  }
}

AdapterChannel* Hub::find(const std::string& adapter) const {
  const auto found = lanes_.find(adapter);
  return found == lanes_.end() ? nullptr : found->second.channel.get();
}

void Hub::poke() {
  for (auto& [name, lane] : lanes_) lane.channel->poke();
}

void Hub::set_draining(bool is_draining) {
  for (auto& [name, lane] : lanes_) lane.channel->set_draining(is_draining);
}

std::vector<v1::AdapterInfo> Hub::adapters() const {
  std::vector<v1::AdapterInfo> infos = staging_.adapters();
  for (auto& info : infos) {
    const AdapterChannel* channel = find(info.name());
    if (channel == nullptr) continue;
    const ChannelStatus status = channel->status();
    if (info.state() != "paused") info.set_state(status.state);
    info.set_instance(status.instance);
    info.set_software(status.software);
    info.set_retry_count(status.retry_count);
    if (!status.last_reason.empty()) info.set_last_reason(status.last_reason);
  }
  return infos;
}

std::vector<std::string> Hub::notices() const {
  std::vector<std::string> sentences;
  for (const auto& info : adapters()) {
    const AdapterChannel* channel = find(info.name());
    if (channel != nullptr && channel->status().is_damaged) {
      sentences.push_back("adapter '" + info.name() +
                          "' gets nothing: a sealed batch is damaged in the store");
    }
    if (info.state() == "adapter too old") {
      sentences.push_back("adapter '" + info.name() +
                          "' is too old for the next event: newer events wait for a newer adapter");
    } else if (info.required() && info.state() == "detached" && info.pending_count() > 0) {
      sentences.push_back("required adapter '" + info.name() + "' is not attached and " +
                          std::to_string(info.pending_count()) + " events wait for it");
    }
  }
  return sentences;
}

}  // namespace verbatim::processor
