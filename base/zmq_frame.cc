#include "base/zmq_frame.h"

#include <zmq.h>

#include <cstring>
#include <utility>

#include "base/check.h"

namespace verbatim::base {
namespace {

// Up to here a copy is cheaper than a second block of memory and its counted owner.
constexpr size_t kCopyMaxBytes = 4096;

zmq_msg_t* as_message(void* storage) { return static_cast<zmq_msg_t*>(storage); }

void delete_string(void* /*data*/, void* hint) { delete static_cast<std::string*>(hint); }

}  // namespace

ZmqFrame::ZmqFrame() {
  static_assert(sizeof(zmq_msg_t) == sizeof(storage_) && alignof(zmq_msg_t) <= alignof(void*));
  zmq_msg_init(as_message(native()));
}

ZmqFrame::ZmqFrame(std::string bytes) {
  if (bytes.size() <= kCopyMaxBytes) {
    CHECK(zmq_msg_init_size(as_message(native()), bytes.size()) == 0, "no memory for a frame");
    std::memcpy(data(), bytes.data(), bytes.size());
    return;
  }
  auto* const owned = new std::string(std::move(bytes));
  CHECK(zmq_msg_init_data(as_message(native()), owned->data(), owned->size(), delete_string,
                          owned) == 0,
        "no memory for a frame");
}

ZmqFrame ZmqFrame::of_size(size_t size) {
  ZmqFrame frame;
  CHECK(zmq_msg_init_size(as_message(frame.native()), size) == 0, "no memory for a frame");
  return frame;
}

ZmqFrame::~ZmqFrame() { zmq_msg_close(as_message(native())); }

ZmqFrame::ZmqFrame(ZmqFrame&& other) noexcept : ZmqFrame() { *this = std::move(other); }

ZmqFrame& ZmqFrame::operator=(ZmqFrame&& other) noexcept {
  if (this != &other) zmq_msg_move(as_message(native()), as_message(other.native()));
  return *this;
}

std::string_view ZmqFrame::bytes() const {
  // ZeroMQ's accessors take no const, and change nothing.
  auto* const message = as_message(const_cast<void*>(native()));
  return {static_cast<const char*>(zmq_msg_data(message)), zmq_msg_size(message)};
}

char* ZmqFrame::data() { return static_cast<char*>(zmq_msg_data(as_message(native()))); }

std::string_view ZmqFrame::user() const {
  const char* const user = zmq_msg_gets(as_message(const_cast<void*>(native())), "User-Id");
  return user != nullptr ? std::string_view(user) : std::string_view();
}

void* ZmqFrame::native() { return storage_; }
const void* ZmqFrame::native() const { return storage_; }

}  // namespace verbatim::base
