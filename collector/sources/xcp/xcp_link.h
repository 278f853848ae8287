// XcpLink: one connection of a chat node, without its socket: bytes in, bytes out, time in.
//
//   kConnected --handshake--> kActive --either side closes--> kDraining --all answered--> kClosed
//
// I1 Before the handshake it reads at most kHandshakeMaxBytes and lives at most the handshake
//    timeout.
// I2 No request reaches the observer before the link is active.
// I3 What waits to be written is bounded; a peer that does not read loses the link.
// I4 After kClosed nothing more is read; what is in output() may still be written.
//
// Threads: one.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/xml_element.h"
#include "base/xml_stream_parser.h"

namespace verbatim::collector {

class XcpLink;

// What a link asks of its owner.
class XcpLinkObserver {
 public:
  virtual ~XcpLinkObserver() = default;
  // The peer knows the secret. False: another link of the name stays, this one is refused.
  virtual bool admit(XcpLink& link) = 0;
  virtual void on_active(XcpLink& link) = 0;
  // An <xdb/>; `raw`: its bytes as received.
  virtual void on_xdb(XcpLink& link, const base::XmlElement& xdb, std::string_view raw) = 0;
  // False: too much is unanswered; pump() is called again when there is room.
  virtual bool has_room(const XcpLink& link) const = 0;
};

struct XcpLinkOptions {
  std::string component;
  std::string secret;
  std::string payload_ns;  // of the events; xdb of other namespaces are not events
  size_t stanza_max_bytes = 1 << 20;
  size_t output_max_bytes = 8 << 20;
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(10);
  // Silence after which a peer with a stream id of its own is sent a digest.
  std::chrono::nanoseconds reverse_delay = std::chrono::seconds(1);
  bool is_reverse_allowed = false;
  bool send_component_presence = false;
};

class XcpLink {
 public:
  enum class State { kConnected, kActive, kDraining, kClosed };
  static constexpr size_t kHandshakeMaxBytes = 10'000;

  XcpLink(uint64_t number, XcpLinkOptions options, std::chrono::nanoseconds now,
          XcpLinkObserver& observer);

  // Bytes from the peer. Ignored once draining.
  void on_bytes(std::string_view bytes);
  // Goes on with what was read, as far as the observer has room.
  void pump();
  // The peer will send no more.
  void on_end_of_input();
  void on_tick(std::chrono::nanoseconds now);

  // Queues one stanza; dropped where the link is closed.
  void send(std::string_view xml);
  // Stops reading; the owner calls finish() once all is answered.
  void drain(const std::string& reason);
  // Closes the stream in good order.
  void finish();
  // Ends it with a stream error (RFC 6120, section 4.9).
  void fail(const std::string& condition, const std::string& reason);

  uint64_t number() const { return number_; }
  State state() const { return state_; }
  // Why it is in that state, for people.
  const std::string& reason() const { return reason_; }
  // Namespace of the stream as the peer opened it.
  const std::string& stream_ns() const { return stream_ns_; }
  bool was_active() const { return was_active_; }
  // What to write; the owner removes what it has written.
  std::string& output() { return output_; }
  bool wants_input() const { return state_ == State::kConnected || state_ == State::kActive; }
  // True where the peer did something wrong: for the counters.
  bool has_failed() const { return has_failed_; }

 private:
  void on_header(const base::XmlStreamItem& header);
  void on_stanza(const base::XmlStreamItem& stanza);
  void on_handshake(const base::XmlElement& element);
  void on_active_stanza(const base::XmlStreamItem& stanza);
  void on_iq(const base::XmlElement& iq);
  void on_foreign_xdb(const base::XmlElement& xdb);
  void open_stream(const std::string& role_attribute, bool wants_features);
  void activate();
  void write(std::string_view bytes);

  const uint64_t number_;
  const XcpLinkOptions options_;
  XcpLinkObserver& observer_;
  base::XmlStreamParser parser_;
  State state_ = State::kConnected;
  std::string reason_ = "waiting for the handshake";
  std::string stream_id_;
  std::string stream_ns_;
  std::string peer_stream_id_;
  std::string output_;
  std::chrono::nanoseconds handshake_deadline_;
  std::chrono::nanoseconds now_;
  std::chrono::nanoseconds header_time_{0};
  size_t received_bytes_ = 0;
  bool has_header_ = false;  // the peer's
  bool has_opened_ = false;  // our own
  bool has_sent_digest_ = false;
  bool was_active_ = false;
  bool has_failed_ = false;
};

}  // namespace verbatim::collector
