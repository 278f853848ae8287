// XcpSource: the listener of one configured chat link and the thread that serves it.
//
// The node dials; one link of the component name is active at a time. Before the handshake a link
// is bounded in bytes and time, and only kWaitingMaxCount of them are kept: one more ends the
// oldest, so that idle connections cannot keep the node out. Outages of the link are recorded as
// capture gaps.
//
// Threads: one of its own for all connections; start, stop and info as Source says.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "collector/broker/broker.h"
#include "collector/sources/source.h"
#include "collector/sources/xcp/codec/event_codec.h"
#include "collector/sources/xcp/event_flow.h"
#include "collector/sources/xcp/tcp.h"
#include "collector/sources/xcp/xcp_link.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::collector {

class XcpSource final : public Source, private XcpLinkObserver {
 public:
  static constexpr size_t kWaitingMaxCount = 64;

  // `broker` outlives the source. `codec`: null takes our own.
  XcpSource(const v1::XcpSource& config, Broker& broker,
            std::unique_ptr<EventCodec> codec = nullptr);
  ~XcpSource() override;

  Status start() override;
  void stop(std::chrono::milliseconds patience) override;
  std::vector<v1::SourceInfo> info() const override;
  const std::string& name() const override { return config_.name(); }
  const std::string& protocol() const override;
  std::string bound_address() const override { return bound_address_; }

 private:
  struct Connection {
    FileDescriptor socket;
    std::unique_ptr<XcpLink> link;
    uint32_t interest = 0;  // what the poll is asked for
    bool is_broken = false;
    bool has_input_ended = false;
    bool is_counted_closed = false;
    // Set once all is written: until then the peer may still read our last words.
    std::optional<std::chrono::nanoseconds> close_at;
    bool is_shut_down = false;
  };

  // XcpLinkObserver.
  bool admit(XcpLink& link) override;
  void on_active(XcpLink& link) override;
  void on_xdb(XcpLink& link, const base::XmlElement& xdb, std::string_view raw) override;
  bool has_room(const XcpLink& link) const override;

  void run();
  bool is_finished();
  void wait_and_read();
  void accept_all();
  // Ends the oldest link without a handshake where there are `limit` or more.
  void end_oldest_waiting(size_t limit);
  void log_refusal(const std::string& reason);
  void read(Connection& connection);
  void serve_all();
  // False once the connection is over.
  bool serve(Connection& connection);
  void write_output(Connection& connection);
  void set_interest(Connection& connection);
  void begin_stop();
  void note_closed(Connection& connection);
  void report_outage(const std::string& detail);
  void publish_info();
  bool send(uint64_t link, const Xdb& xdb, const Reply& reply);
  void wake() const;

  const v1::XcpSource config_;
  Broker& broker_;
  const std::unique_ptr<EventCodec> codec_;
  std::string bound_address_;
  FileDescriptor listener_;
  FileDescriptor poll_;
  FileDescriptor wake_;
  std::thread thread_;

  // The thread's own.
  std::unique_ptr<EventFlow> flow_;
  std::map<uint64_t, Connection> connections_;
  uint64_t last_number_ = 0;
  uint64_t active_ = 0;  // number of the active link, 0 for none
  std::optional<int64_t> down_since_unix_ns_;
  std::string state_reason_ = "waiting for the node";
  int64_t state_since_unix_ns_ = 0;
  int64_t outage_count_ = 0;
  int64_t unlogged_refusals_ = 0;
  std::chrono::nanoseconds next_refusal_log_{0};
  bool is_stopping_ = false;
  bool is_finishing_ = false;
  std::chrono::nanoseconds stop_at_{0};

  mutable base::Mutex mutex_;
  v1::SourceInfo info_ GUARDED_BY(mutex_);
  bool is_stop_asked_ GUARDED_BY(mutex_) = false;
  std::chrono::milliseconds patience_ GUARDED_BY(mutex_){0};
};

}  // namespace verbatim::collector
