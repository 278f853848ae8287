#include "tests/bench/load/put_frame.h"

#include <random>

namespace verbatim::bench {

std::string make_body(size_t size) {
  std::mt19937 random(42);
  std::uniform_int_distribution<int> letter('a', 'z');
  std::string body(size, ' ');
  for (char& byte : body) byte = static_cast<char>(letter(random));
  return body;
}

PutFrame::PutFrame(const LoadOptions& options, const std::string& producer, uint64_t epoch)
    : order_keys_(options.order_keys) {
  v1::Put& put = *frame_.mutable_put();
  put.set_queue(options.queue);
  put.set_producer(producer);
  put.set_epoch(epoch);
  const std::string body = make_body(options.body_bytes);
  for (int i = 0; i < options.batch; ++i) {
    v1::PutMessage& message = *put.add_messages();
    message.set_source("bench");
    message.set_body(body);
  }
}

v1::QueueFrame& PutFrame::next() {
  v1::Put& put = *frame_.mutable_put();
  put.set_first_sequence(next_sequence_);
  for (v1::PutMessage& message : *put.mutable_messages()) {
    message.set_order_key(std::to_string(next_sequence_++ % order_keys_));
  }
  return frame_;
}

}  // namespace verbatim::bench
