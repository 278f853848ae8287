// verbatim-null-queue ENDPOINT FILE: what the sockets and the disk alone can do. A ROUTER that
// drains its socket, writes all frames with one write and one fdatasync to a pre-written file, and
// then answers each with a small frame. No queue, no check, no memory of anything.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "base/check.h"
#include "base/frame.h"
#include "verbatim/v1/queue.pb.h"

constexpr size_t kFileBytes = size_t{256} * 1024 * 1024;
constexpr size_t kChunkBytes = size_t{1024} * 1024;

int main(int argc, char** argv) {
  CHECK(argc == 3, "usage: verbatim-null-queue ENDPOINT FILE");
  const int file = ::open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::string zeros(kChunkBytes, '\0');
  for (size_t at = 0; at < kFileBytes; at += kChunkBytes) {
    CHECK(::pwrite(file, zeros.data(), zeros.size(), static_cast<off_t>(at)) > 0, "disk");
  }
  CHECK(::fsync(file) == 0, "disk");
  verbatim::v1::QueueFrame answer;
  answer.mutable_put_reply();
  const std::string reply = verbatim::base::encode_frame(answer);
  zmq::context_t context;
  zmq::socket_t router(context, zmq::socket_type::router);
  router.bind(argv[1]);
  std::string group;
  std::vector<zmq::message_t> peers;
  size_t offset = 0;
  while (true) {
    zmq::message_t peer;
    zmq::message_t frame;
    for (auto flags = zmq::recv_flags::none; router.recv(peer, flags);
         flags = zmq::recv_flags::dontwait) {
      CHECK(router.recv(frame).has_value(), "a message is whole");
      group.append(frame.data<char>(), frame.size());
      peers.push_back(std::move(peer));
    }
    if (offset + group.size() > kFileBytes) offset = 0;
    const ssize_t count = ::pwrite(file, group.data(), group.size(), static_cast<off_t>(offset));
    CHECK(count == static_cast<ssize_t>(group.size()) && ::fdatasync(file) == 0, "disk");
    offset += group.size();
    for (zmq::message_t& to : peers) {
      router.send(to, zmq::send_flags::sndmore);
      router.send(zmq::buffer(reply), zmq::send_flags::none);
    }
    group.clear();
    peers.clear();
  }
}
