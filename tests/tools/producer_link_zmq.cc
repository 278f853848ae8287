#include <array>
#include <deque>
#include <thread>
#include <utility>

#include "base/frame.h"
#include "base/mutex.h"
#include "base/zmq_socket.h"
#include "tests/tools/producer_link.h"

namespace verbatim::tools {
namespace {

class ZmqLink final : public ProducerLink {
 public:
  explicit ZmqLink(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}
  ~ZmqLink() override {
    {
      base::MutexLock lock(mutex_);
      is_stopping_ = true;
    }
    waker_.wake();
    if (thread_.joinable()) thread_.join();
  }

  Status connect(const std::string& endpoint) {
    ASSIGN_OR_RETURN(auto socket, base::ZmqSocket::create(context_, base::ZmqType::kDealer));
    RETURN_IF_ERROR(socket.connect(endpoint));
    socket_.emplace(std::move(socket));
    thread_ = std::thread([this] { run(); });
    return {};
  }

  bool send(const v1::SendRequest& request) override {
    v1::ZmqSourceFrame frame;
    *frame.mutable_request() = request;
    base::MutexLock lock(mutex_);
    if (is_down_) return false;
    outgoing_.push_back(base::encode_frame(frame));
    waker_.wake();
    return true;
  }

 private:
  void run() {
    while (true) {
      std::array<base::PollItem, 2> items{};
      items[0].fd = waker_.fd();
      items[1].socket = &*socket_;
      ignore_error(base::poll(items, std::chrono::milliseconds(50)), "the next round sees it");
      waker_.clear();
      if (!send_all() || !receive_all()) {
        base::MutexLock lock(mutex_);
        is_down_ = true;
        return;
      }
    }
  }

  bool send_all() {
    while (true) {
      std::string frame;
      {
        base::MutexLock lock(mutex_);
        if (is_stopping_) return false;
        if (outgoing_.empty()) return true;
        frame = outgoing_.front();
      }
      if (!socket_->send("", {frame}).ok()) return true;  // full: again in the next round
      base::MutexLock lock(mutex_);
      outgoing_.pop_front();
    }
  }

  bool receive_all() {
    while (true) {
      auto message = socket_->receive();
      if (!message.has_value() || !*message) return true;
      v1::ZmqSourceFrame frame;
      if (!base::decode_frame((**message)[0], frame).ok()) continue;
      if (frame.has_reply()) callbacks_.on_reply(frame.reply());
      if (frame.has_hello_wanted()) {
        callbacks_.on_down("hello wanted: " + frame.hello_wanted().reason());
        return false;
      }
    }
  }

  const Callbacks callbacks_;
  base::ZmqContext context_;
  base::Waker waker_;
  std::optional<base::ZmqSocket> socket_;
  base::Mutex mutex_;
  std::deque<std::string> outgoing_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  bool is_down_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<ProducerLink>> open_zmq_link(const std::string& endpoint,
                                                    ProducerLink::Callbacks callbacks) {
  auto link = std::make_unique<ZmqLink>(std::move(callbacks));
  RETURN_IF_ERROR(link->connect(endpoint));
  return std::unique_ptr<ProducerLink>(std::move(link));
}

}  // namespace verbatim::tools
