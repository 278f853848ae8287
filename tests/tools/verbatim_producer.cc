// verbatim-producer: a load client for tests and benchmarks. Sends generated room posts to the
// collector's grpc or zmq source until every one is answered.
//
//   verbatim-producer --address 127.0.0.1:7420 --count 100000 --rooms 20 --accepted accepted.txt
//
// Exit code: 0 when every event was accepted, 1 when some were refused for good, 3 when the time
// limit ran out.
#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <string>

#include "tests/tools/load_producer.h"

namespace {

using verbatim::tools::LoadOptions;
using verbatim::tools::LoadProducer;
using verbatim::tools::LoadResult;
using verbatim::tools::ProducerLink;

LoadProducer::OpenLink link_opener(const std::string& transport, const std::string& address) {
  if (transport == "grpc") {
    return [address](ProducerLink::Callbacks callbacks) {
      return verbatim::tools::open_grpc_link(address, std::move(callbacks));
    };
  }
  return [address](ProducerLink::Callbacks callbacks) -> std::unique_ptr<ProducerLink> {
    auto link = verbatim::tools::open_zmq_link(address, std::move(callbacks));
    return link.has_value() ? *std::move(link) : nullptr;
  };
}

void print(const LoadResult& result) {
  std::printf("producer: accepted=%" PRIu64 " refused=%" PRIu64 " resent=%" PRIu64
              " reconnects=%" PRIu64 " seconds=%.3f rate=%.0f p50_us=%" PRId64 " p99_us=%" PRId64
              "\n",
              result.accepted, result.refused, result.resent, result.reconnects, result.seconds,
              static_cast<double>(result.accepted) / result.seconds, result.p50_us, result.p99_us);
}

// Null without a path, nothing when it cannot be opened.
std::optional<std::FILE*> open_file(const std::string& path) {
  if (path.empty()) return nullptr;
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file != nullptr) return file;
  std::perror(path.c_str());
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  LoadOptions options;
  std::string transport = "grpc";
  std::string address = "127.0.0.1:7420";
  std::string accepted_path;
  std::string receipts_path;
  int64_t time_limit_s = 600;
  int64_t silence_max_ms = 10'000;
  CLI::App app("Sends generated posts to a collector until every one is answered.");
  app.add_option("--transport", transport, "grpc or zmq")->check(CLI::IsMember({"grpc", "zmq"}));
  app.add_option("--address", address, "host:port for grpc, tcp://host:port for zmq");
  app.add_option("--producer", options.producer, "name of the producer");
  app.add_option("--epoch", options.epoch, "epoch of the numbering")->check(CLI::PositiveNumber);
  app.add_option("--count", options.count, "events")->check(CLI::PositiveNumber);
  app.add_option("--rooms", options.rooms, "rooms, filled in turn")->check(CLI::PositiveNumber);
  app.add_option("--batch", options.batch, "events in a batch")->check(CLI::Range(1, 65'536));
  app.add_option("--payload-bytes", options.payload_bytes, "length of a text at least");
  app.add_option("--window", options.window, "events unanswered at once")
      ->check(CLI::PositiveNumber);
  app.add_option("--rate", options.rate, "events a second; 0: no limit");
  app.add_option("--accepted", accepted_path, "file: room, sequence, SHA-256 of the text");
  app.add_option("--receipts", receipts_path,
                 "file: time of receipts in microseconds, last number");
  app.add_option("--time-limit-s", time_limit_s, "gives up after it");
  app.add_option("--silence-max-ms", silence_max_ms, "connects anew without an answer for so long");
  CLI11_PARSE(app, argc, argv);
  options.time_limit = std::chrono::seconds(time_limit_s);
  options.silence_max = std::chrono::milliseconds(silence_max_ms);

  const auto accepted = open_file(accepted_path);
  const auto receipts = open_file(receipts_path);
  if (!accepted || !receipts) return 2;
  LoadProducer producer(options, link_opener(transport, address), *accepted, *receipts);
  const LoadResult result = producer.run();
  for (std::FILE* file : {*accepted, *receipts}) {
    if (file != nullptr && std::fclose(file) != 0) {
      std::perror("a file of the producer");
      return 2;
    }
  }
  print(result);
  if (!result.is_complete) return 3;
  return result.refused == 0 ? 0 : 1;
}
