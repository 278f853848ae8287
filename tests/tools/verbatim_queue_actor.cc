// verbatim-queue-actor: a producer or a consumer of the queue's system tests, which may be killed
// at any moment; tests/tools/queue_actor.h has its journal.
//
//   verbatim-queue-actor put --address tcp://127.0.0.1:7410 --name p1 --journal p1.txt
//   verbatim-queue-actor consume --address tcp://127.0.0.1:7410 --name c1 --journal c1.txt
//
// Exit code: 0 done, or stopped with nothing under way; 1 something was refused for good; 2 wrong
// usage or keys.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/log.h"
#include "base/signals.h"
#include "queue/client/queue_access.h"
#include "tests/tools/queue_actor.h"

int main(int argc, char** argv) {
  namespace tools = verbatim::tools;
  verbatim::queue::ZmqQueueClientOptions options;
  verbatim::v1::QueueAccess access;
  tools::PutPlan put;
  tools::ConsumePlan consume;
  std::string secret_key_file;
  std::string server_public_key;
  std::string journal;
  CLI::App app("A producer or a consumer of the queue's system tests.");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--address", options.address, "the queue service")->required();
  app.add_option("--name", options.client_name, "client and producer")->required();
  app.add_option("--queue", options.queue, "the queue");
  app.add_option("--journal", journal, "file, appended to")->required();
  app.add_option("--secret-key-file", secret_key_file, "CURVE; with --server-public-key");
  app.add_option("--server-public-key", server_public_key, "40 characters of Z85");
  CLI::App* const put_command = app.add_subcommand("put", "Puts numbered messages");
  put_command->add_option("--producer", put.producer, "another producer name");
  put_command->add_option("--count", put.count, "messages; 0: until SIGTERM");
  put_command->add_option("--order-keys", put.key_count, "order keys")->check(CLI::PositiveNumber);
  put_command->add_option("--body-bytes", put.body_bytes, "length of a message at least");
  put_command->add_option("--window", put.window, "messages unanswered at once");
  put_command->add_option("--rate", put.rate, "messages a second; 0: no limit");
  put_command->add_option("--deadline-ms", put.deadline_ms, "gives up after it; 0: never");
  CLI::App* const consume_command = app.add_subcommand("consume", "Receives and commits");
  consume_command->add_option("--max-count", consume.max_count, "messages of a lease");
  consume_command->add_option("--lease-ms", consume.lease_ms, "length of a lease");
  consume_command->add_option("--abort-percent", consume.abort_percent, "leases given back");
  consume_command->add_option("--error-max-count", consume.error_max_count,
                              "ends after so many failed receives; 0: never");
  CLI11_PARSE(app, argc, argv);

  verbatim::base::install_signal_handlers();
  const verbatim::Status logging = verbatim::init_log("verbatim-queue-actor", "debug");
  access.set_secret_key_file(secret_key_file);
  access.set_server_public_key(server_public_key);
  auto curve = verbatim::queue::read_queue_access(access);
  if (!logging.ok() || !curve) {
    std::fprintf(stderr, "verbatim-queue-actor: %s\n", curve.error().to_string().c_str());
    return 2;
  }
  LOG_INFO("ready pid={}", ::getpid());
  options.curve = *std::move(curve);
  if (consume_command->parsed()) {
    consume.journal = journal;
    return tools::run_consumer(options, consume);
  }
  put.journal = journal;
  if (put.producer.empty()) put.producer = options.client_name;
  options.producer = put.producer;
  return tools::run_producer(options, put);
}
