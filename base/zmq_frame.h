// ZmqFrame: the bytes of one ZeroMQ frame, in ZeroMQ's own memory or in a string that it has taken
// over. Nothing is copied on the way in; on the way out, small frames once.
//
// A received frame may share one buffer of 8 KiB with its neighbours and keeps it alive: frames are
// for being read and dropped, not for being kept. Threads: as a value.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace verbatim::base {

class ZmqFrame {
 public:
  // Empty.
  ZmqFrame();
  // Takes over the string's memory where that is cheaper than a copy.
  explicit ZmqFrame(std::string bytes);
  // Room for so many bytes, to be filled through data().
  static ZmqFrame of_size(size_t size);
  ~ZmqFrame();
  ZmqFrame(ZmqFrame&& other) noexcept;
  ZmqFrame& operator=(ZmqFrame&& other) noexcept;

  // Valid until the frame is moved, received into, or gone.
  std::string_view bytes() const;
  char* data();

  // Of a received frame: the name that the sender's CURVE key has in the receiver's list; empty on
  // plain connections. Valid as bytes().
  std::string_view user() const;

 private:
  friend class ZmqSocket;
  void* native();
  const void* native() const;

  // A zmq_msg_t, which public headers do not show; zmq_frame.cc compares sizes.
  alignas(void*) unsigned char storage_[64];
};

}  // namespace verbatim::base
