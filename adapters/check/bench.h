// Bench: the plugin, the hub it is attached to, and what it must have done so far. The checks are
// written in its words.
//
// I1 Every wait has an end (`patience`); what does not come in time is a failure of the check.
// I2 What broke is told with the sentence of the contract that it breaks.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "adapters/check/check_hub.h"
#include "adapters/check/plugin_process.h"
#include "adapters/check/test_batches.h"

namespace verbatim::adapters::check {

struct BenchOptions {
  // Empty: somebody else starts the plugin, so it cannot be killed.
  std::vector<std::string> command;
  std::string log_path;
  std::map<std::string, std::string> settings;
  // Prints how many events have taken effect; empty: only the plugin's own word counts.
  std::string count_command;
  // Make the plugin's target refuse, and accept again.
  std::string down_command;
  std::string up_command;
  milliseconds patience{20'000};
  milliseconds heartbeat{1'000};
};

class Bench {
 public:
  Bench(CheckHub& hub, BenchOptions options)
      : hub_(hub), options_(std::move(options)), plugin_(options_.command, options_.log_path) {}

  const BenchOptions& options() const { return options_; }
  bool can_kill() const { return !options_.command.empty(); }
  BatchChain& chain() { return chain_; }
  HubStream& stream() { return *stream_; }
  uint64_t epoch() const { return epoch_; }
  const v1::AdapterHello& hello() const { return hello_; }

  // The plugin runs, is attached, welcomed and active.
  Status be_ready();
  // Runs the plugin and takes its next stream and hello.
  Status take_hello();
  // Welcomes the stream that take_hello() took.
  void welcome();
  // The plugin is now the active instance.
  void activate();
  // The hub goes away and opens its store anew: the next stream is of a newer epoch.
  void cut();
  void kill();
  void stop();
  // After a failed check: the plugin begins anew, and its word on the batch sent last counts, so
  // that one fault does not fail what follows.
  Status recover();

  // Sends and expects the acknowledgement; `forget` leaves the hub as if it had never come.
  Status apply(const TestBatch& batch);
  void send(const TestBatch& batch, Damage damage = Damage::kNone);
  // The answer to this batch. Errors: also for whatever does not fit batch, digest and epoch.
  Result<v1::FromAdapter> take_answer(const TestBatch& batch);
  Status expect_ack(const TestBatch& batch);
  void note_applied(const TestBatch& batch);

  // What the plugin says of a batch.
  Result<v1::BatchStateAnswer::State> ask_state(uint64_t batch, const std::string& digest);
  Status expect_state(const TestBatch& batch, v1::BatchStateAnswer::State expected);
  // Compares what has taken effect with what must have; nothing without a command to count.
  Status expect_effects(const std::string& when);
  Status begin_counting();

  // An error that tells which sentence of the contract is broken.
  Status broken(const char* sentence, std::string reason);
  const std::string& broken_sentence() const { return sentence_; }
  void forget_broken() { sentence_.clear(); }

 private:
  Result<std::shared_ptr<HubStream>> wait_stream();
  Status check_hello(const v1::AdapterHello& hello);
  Result<int64_t> count_effects();
  // The error of a wait that had no answer: why.
  Status no_answer(const char* sentence, const std::string& what, const Status& error);

  CheckHub& hub_;
  const BenchOptions options_;
  PluginProcess plugin_;
  BatchChain chain_;
  std::shared_ptr<HubStream> stream_;
  v1::AdapterHello hello_;
  std::string earlier_instance_;
  bool is_new_process_ = false;
  uint64_t epoch_ = 1;
  // By number: digests of all batches sent, so that a hello can be judged.
  std::map<uint64_t, std::string> sent_;
  TestBatch last_sent_;
  std::optional<int64_t> effects_;
  std::string sentence_;
};

}  // namespace verbatim::adapters::check
