// verbatim-queue-bench: the real service and sockets, on a real disk, each case beside a bare loop
// that appends the same bytes to a pre-written file and calls fdatasync.
//
//   verbatim-queue-bench [--seconds S] [--dir FOLDER] [CASE...]
//
// put_1: one message of 1 KiB in flight. put_64: 64 producers with one each. put_batch256: puts of
// 256 messages, four in flight. receive_commit: leases of 256 messages; a lease and its commit are
// two syncs of one block each, and so is its bare loop.
// Prints "bench CASE rate=… p50_us=… p99_us=… floor=… ratio=…": messages a second, time of one
// request, messages a second of the bare loop, rate / floor.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/frame.h"
#include "base/zmq_socket.h"
#include "queue/client/zmq_queue_client.h"
#include "queue/queue_service.h"

namespace verbatim::queue {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kMessageBytes = 1024;
constexpr uint64_t kFloorFileBytes = 256 * 1024 * 1024;

struct Arguments {
  double seconds = 5;
  std::string directory = "var/queue-bench";
  std::vector<std::string> cases;
};

struct Figures {
  double rate = 0;
  std::vector<double> latencies_us;
};

double seconds_since(steady_clock::time_point begin) {
  return duration<double>(steady_clock::now() - begin).count();
}

// Messages a second of a bare loop: `bytes` appended, then fdatasync, for `messages` messages.
double measure_floor(const Arguments& arguments, size_t bytes, double messages) {
  base::FileSystem& files = base::posix_file_system();
  const std::string path = arguments.directory + "/floor";
  auto file = files.open(path, base::OpenMode::kCreateOrOpen);
  CHECK(file && (*file)->preallocate(kFloorFileBytes).ok() && (*file)->sync().ok(),
        "the floor's file is written");
  const std::string block(bytes, 'x');
  const auto begin = steady_clock::now();
  uint64_t offset = 0;
  uint64_t count = 0;
  while (seconds_since(begin) < arguments.seconds / 3) {
    CHECK((*file)->write_at(offset, block).ok() && (*file)->sync_data().ok(), "the disk works");
    offset = (offset + bytes) % (kFloorFileBytes - bytes);
    ++count;
  }
  return static_cast<double>(count) * messages / seconds_since(begin);
}

std::unique_ptr<QueueService> start_service(const Arguments& arguments) {
  std::filesystem::remove_all(arguments.directory + "/log");
  QueueServiceOptions options;
  options.core.log.directory = arguments.directory + "/log";
  options.core.log.spare_count = 8;
  options.core.log.cache_bytes = 256 * 1024 * 1024;
  auto service = QueueService::start(base::posix_file_system(), base::system_clock(), options);
  CHECK(service.has_value(), service.error().message());
  return *std::move(service);
}

// A producer that keeps `window` puts in flight; speaks the frames itself.
class Producer {
 public:
  Producer(base::ZmqContext& context, const std::string& address, int number, int count)
      : name_("producer-" + std::to_string(number)), count_(count) {
    auto socket = base::ZmqSocket::create(context, base::ZmqType::kDealer, {});
    CHECK(socket && socket->connect(address).ok(), "the socket connects");
    socket_ = std::make_unique<base::ZmqSocket>(*std::move(socket));
    v1::QueueFrame frame;
    frame.mutable_hello()->set_client(name_);
    frame.mutable_hello()->set_instance(name_);
    send(frame);
    wait();
  }

  void put() {
    v1::QueueFrame frame;
    v1::Put& put = *frame.mutable_put();
    put.set_queue("events");
    put.set_producer(name_);
    put.set_epoch(1);
    put.set_first_sequence(next_sequence_);
    next_sequence_ += static_cast<uint64_t>(count_);
    for (int i = 0; i < count_; ++i) {
      v1::PutMessage* message = put.add_messages();
      message->set_source("bench");
      message->set_order_key(name_);
      message->set_body(body_);
    }
    sent_[next_id_] = steady_clock::now();
    send(frame);
  }

  // Takes answers that are there; gives how many.
  int take(std::vector<double>& latencies_us) {
    int taken = 0;
    while (true) {
      auto frames = socket_->receive();
      CHECK(frames.has_value(), "the socket works");
      if (!*frames) return taken;
      v1::QueueFrame frame;
      CHECK(base::decode_frame((*frames)->front(), frame).ok() && frame.has_put_reply(),
            "a put is answered: " + frame.ShortDebugString());
      const auto it = sent_.find(frame.request_id());
      latencies_us.push_back(seconds_since(it->second) * 1e6);
      sent_.erase(it);
      ++taken;
    }
  }
  base::PollItem poll_item() { return {.socket = socket_.get()}; }

 private:
  void send(v1::QueueFrame& frame) {
    frame.set_request_id(next_id_++);
    CHECK(socket_->send("", {base::encode_frame(frame)}).ok(), "the socket takes a frame");
  }
  void wait() {
    std::vector<base::PollItem> items{poll_item()};
    while (true) {
      CHECK(base::poll(items, milliseconds(5'000)).has_value(), "the socket can be polled");
      auto frames = socket_->receive();
      CHECK(frames.has_value(), "the socket works");
      if (*frames) return;
    }
  }

  const std::string name_;
  const int count_;
  const std::string body_ = std::string(kMessageBytes, 'x');
  std::unique_ptr<base::ZmqSocket> socket_;
  uint64_t next_id_ = 1;
  uint64_t next_sequence_ = 1;
  std::map<uint64_t, steady_clock::time_point> sent_;
};

struct Load {
  int producer_count = 1;
  int window = 1;
  int batch_count = 1;
};

Figures measure_put(const Arguments& arguments, const Load& load) {
  auto service = start_service(arguments);
  base::ZmqContext context;
  std::vector<std::unique_ptr<Producer>> producers;
  for (int i = 0; i < load.producer_count; ++i) {
    producers.push_back(
        std::make_unique<Producer>(context, service->bound_endpoint(), i, load.batch_count));
  }
  Figures figures;
  const auto begin = steady_clock::now();
  for (auto& producer : producers) {
    for (int i = 0; i < load.window; ++i) producer->put();
  }
  std::vector<base::PollItem> items;
  for (auto& producer : producers) items.push_back(producer->poll_item());
  while (seconds_since(begin) < arguments.seconds) {
    CHECK(base::poll(items, milliseconds(1'000)).has_value(), "the sockets can be polled");
    for (size_t i = 0; i < producers.size(); ++i) {
      if (!items[i].is_readable) continue;
      for (int left = producers[i]->take(figures.latencies_us); left > 0; --left) {
        producers[i]->put();
      }
    }
  }
  figures.rate =
      static_cast<double>(figures.latencies_us.size()) * load.batch_count / seconds_since(begin);
  producers.clear();
  return figures;
}

Figures measure_receive(const Arguments& arguments) {
  constexpr int kLeaseCount = 256;
  auto service = start_service(arguments);
  ZmqQueueClientOptions options;
  options.address = service->bound_endpoint();
  options.client_name = "bench";
  auto client = create_zmq_queue_client(options);
  CHECK(client.has_value(), "the client starts");
  base::ZmqContext context;
  Producer producer(context, service->bound_endpoint(), 0, kLeaseCount);
  std::vector<base::PollItem> items{producer.poll_item()};
  std::vector<double> ignored;
  Figures figures;
  double busy = 0;
  uint64_t count = 0;
  while (busy < arguments.seconds) {
    // Refilled outside the time measured.
    for (int i = 0; i < 64; ++i) producer.put();
    for (int left = 64; left > 0; left -= producer.take(ignored)) {
      CHECK(base::poll(items, milliseconds(5'000)).has_value(), "the socket can be polled");
    }
    for (int i = 0; i < 64; ++i) {
      const auto begin = steady_clock::now();
      ReceiveOptions receive;
      receive.max_count = kLeaseCount;
      const auto lease = (*client)->receive(receive);
      CHECK(lease && lease->id != 0, "a lease is given");
      CHECK((*client)->commit(lease->id).ok(), "a lease is committed");
      const double taken = seconds_since(begin);
      figures.latencies_us.push_back(taken * 1e6);
      busy += taken;
      count += lease->messages.size();
    }
  }
  (*client)->stop();
  figures.rate = static_cast<double>(count) / busy;
  return figures;
}

void print(const std::string& name, Figures figures, double floor) {
  auto& all = figures.latencies_us;
  std::sort(all.begin(), all.end());
  const auto at = [&all](double part) {
    return all.empty() ? 0
                       : all[std::min(all.size() - 1,
                                      static_cast<size_t>(part * static_cast<double>(all.size())))];
  };
  std::printf("bench %s rate=%.0f p50_us=%.0f p99_us=%.0f floor=%.0f ratio=%.2f\n", name.c_str(),
              figures.rate, at(0.5), at(0.99), floor, figures.rate / floor);
  std::fflush(stdout);
}

bool run_case(const Arguments& arguments, const std::string& name) {
  const double kBatch = 256;
  if (name == "put_1") {
    const double floor = measure_floor(arguments, kMessageBytes, 1);
    print(name, measure_put(arguments, {}), floor);
  } else if (name == "put_64") {
    const double floor = measure_floor(arguments, 64 * kMessageBytes, 64);
    print(name, measure_put(arguments, {.producer_count = 64}), floor);
  } else if (name == "put_batch256") {
    const double floor = measure_floor(arguments, 256 * kMessageBytes, kBatch);
    print(name, measure_put(arguments, {.window = 4, .batch_count = 256}), floor);
  } else if (name == "receive_commit") {
    const double floor = measure_floor(arguments, kBlockSize, kBatch / 2);
    print(name, measure_receive(arguments), floor);
  } else {
    std::fprintf(stderr, "no such case: %s\n", name.c_str());
    return false;
  }
  return true;
}

int run(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--seconds" && i + 1 < argc) {
      arguments.seconds = std::atof(argv[++i]);
    } else if (argument == "--dir" && i + 1 < argc) {
      arguments.directory = argv[++i];
    } else {
      arguments.cases.push_back(argument);
    }
  }
  if (arguments.cases.empty()) {
    arguments.cases = {"put_1", "put_64", "put_batch256", "receive_commit"};
  }
  std::filesystem::create_directories(arguments.directory);
  bool is_ok = true;
  for (const std::string& name : arguments.cases) is_ok = run_case(arguments, name) && is_ok;
  std::filesystem::remove_all(arguments.directory);
  return is_ok ? 0 : 2;
}

}  // namespace
}  // namespace verbatim::queue

int main(int argc, char** argv) { return verbatim::queue::run(argc, argv); }
