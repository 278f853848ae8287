#include "tests/bench/load/wire.h"

#include <poll.h>

#include <algorithm>
#include <ctime>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "base/frame.h"

namespace verbatim::bench {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{30};

// Header and body straight into ZeroMQ's buffer: one copy.
zmq::message_t encode(const v1::QueueFrame& frame) {
  const size_t size = frame.ByteSizeLong();
  zmq::message_t message(base::kFrameHeaderSize + size);
  char* const bytes = message.data<char>();
  frame.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(bytes + base::kFrameHeaderSize));
  std::copy(base::kFrameMagic.begin(), base::kFrameMagic.end(), bytes);
  base::put_le32(bytes + base::kFrameMagic.size(),
                 base::crc32c(std::string_view(bytes + base::kFrameHeaderSize, size)));
  return message;
}

}  // namespace

Wire::Wire(zmq::context_t& context, const std::string& address, const std::string& client)
    : socket_(context, zmq::socket_type::dealer) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.connect(address);
  v1::QueueFrame frame;
  frame.mutable_hello()->set_client(client);
  frame.mutable_hello()->set_instance(
      std::to_string(steady_clock::now().time_since_epoch().count()));
  send(frame);
  wait(frame);
}

uint64_t Wire::open_producer(const std::string& queue, const std::string& producer) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto epoch = static_cast<uint64_t>(std::chrono::duration_cast<nanoseconds>(now).count());
  v1::QueueFrame frame;
  frame.mutable_open_producer()->set_queue(queue);
  frame.mutable_open_producer()->set_producer(producer);
  frame.mutable_open_producer()->set_epoch(epoch);
  send(frame);
  wait(frame);
  return epoch;
}

uint64_t Wire::send(v1::QueueFrame& frame) {
  frame.set_request_id(next_id_++);
  zmq::message_t message = encode(frame);
  CHECK(socket_.send(message, zmq::send_flags::none).has_value(), "the socket takes a frame");
  return frame.request_id();
}

bool Wire::take(v1::QueueFrame& answer) {
  zmq::message_t message;
  if (!socket_.recv(message, zmq::recv_flags::dontwait)) return false;
  read(message, answer);
  return true;
}

void Wire::wait(v1::QueueFrame& answer) {
  CHECK(wait_until(answer, steady_clock::now() + kPatience), "the server answers");
}

// ZeroMQ's own poll knows only milliseconds.
bool Wire::wait_until(v1::QueueFrame& answer, SteadyTime until) {
  while (!take(answer)) {
    const auto left = until - steady_clock::now();
    if (left <= nanoseconds::zero()) return false;
    const auto count = std::chrono::duration_cast<nanoseconds>(left).count();
    const timespec timeout{.tv_sec = count / 1'000'000'000, .tv_nsec = count % 1'000'000'000};
    pollfd item{.fd = socket_.get(zmq::sockopt::fd), .events = POLLIN, .revents = 0};
    // The descriptor tells of a change once, so what is there is looked for first.
    if ((socket_.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0) continue;
    ::ppoll(&item, 1, &timeout, nullptr);
  }
  return true;
}

void Wire::read(const zmq::message_t& message, v1::QueueFrame& answer) const {
  const std::string_view bytes(message.data<char>(), message.size());
  CHECK(base::decode_frame(bytes, answer).ok(), "an answer can be read");
  CHECK(!answer.has_refused(), "a request is not refused: " + answer.refused().ShortDebugString());
}

}  // namespace verbatim::bench
