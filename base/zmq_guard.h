// For base/zmq_*.cc only: who may come in, and who could not.
//
// ZmqGuard stands beside a ROUTER: a thread of its own answers ZeroMQ's questions about keys (ZAP,
// RFC 27 of rfc.zeromq.org) and hears of handshakes that failed. ZmqLinkWatch stands beside a
// DEALER and has no thread.
//
// I1 A CURVE ROUTER listens only while its guard answers: it is made before bind() and ends after
//    the socket. (Without an answer to ZAP, ZeroMQ 4.3 lets every key in.)
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "base/log_limit.h"
#include "base/status.h"
#include "base/zmq_native.h"
#include "base/zmq_socket.h"

namespace verbatim::base {

class ZmqGuard {
 public:
  // `curve`: null for a plain socket. Errors: kAlreadyExists (the context has a guard for keys),
  // kResourceExhausted.
  static Result<std::unique_ptr<ZmqGuard>> start(void* context, void* socket,
                                                 const ZmqCurve* curve);
  // The socket must be closed by now.
  ~ZmqGuard();

  ZmqRefusals refusals() const { return {unknown_key_.load(), bad_handshake_.load()}; }

 private:
  ZmqGuard() = default;
  void run();
  void answer_key();
  void on_event();
  void log_unknown_key(const std::string& address, const std::string& public_key);
  void log_bad_handshake(const std::string& endpoint, const std::string& why);

  std::map<std::string, std::string> names_;  // by the key's 32 bytes
  ZmqHandle keys_;                            // REP; none on a plain socket
  ZmqHandle events_;
  Waker stop_;
  std::atomic<uint64_t> unknown_key_{0};
  std::atomic<uint64_t> bad_handshake_{0};
  LogLimit key_limit_;
  LogLimit handshake_limit_;
  std::thread thread_;
};

class ZmqLinkWatch {
 public:
  static Result<std::unique_ptr<ZmqLinkWatch>> start(void* context, void* socket, bool is_curve);

  ZmqLink link();

 private:
  explicit ZmqLinkWatch(bool is_curve) : is_curve_(is_curve) {}
  void on_event(int event, uint32_t value);

  const bool is_curve_;
  ZmqHandle events_;
  ZmqLink link_ = ZmqLink::kConnecting;
  int silent_end_count_ = 0;
};

}  // namespace verbatim::base
