// LoadProducer: sends N generated room posts and does not rest before every one is answered, over
// any number of lost connections: what is unanswered goes again under the same numbers.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "tests/tools/producer_link.h"
#include "verbatim/v1/ingest.pb.h"

namespace verbatim::tools {

struct LoadOptions {
  std::string producer = "load";
  uint64_t epoch = 1;
  uint64_t count = 1'000;
  uint64_t rooms = 10;
  uint64_t batch = 64;
  uint64_t payload_bytes = 200;
  uint64_t window = 4'096;  // numbers unanswered at once; the collector's credit bounds it too
  double rate = 0;          // events a second, 0: as fast as it goes
  std::chrono::milliseconds silence_max{10'000};  // without an answer for so long: connect anew
  std::chrono::seconds time_limit{600};
};

struct LoadResult {
  uint64_t accepted = 0;
  uint64_t refused = 0;  // for good
  uint64_t resent = 0;
  uint64_t reconnects = 0;
  bool is_complete = false;
  double seconds = 0;
  int64_t p50_us = 0;
  int64_t p99_us = 0;
};

// One post as it was generated.
struct LoadPost {
  std::string room;
  uint64_t sequence = 0;  // within the room, from 1
  std::string text;
};
LoadPost make_post(const LoadOptions& options, uint64_t number);

class LoadProducer {
 public:
  using OpenLink = std::function<std::unique_ptr<ProducerLink>(ProducerLink::Callbacks)>;

  // `accepted`: receives one line for each accepted event: room, sequence, SHA-256 of the text.
  // `receipts`: one for each message of receipts: Unix time in microseconds, last number. Both may
  // be null.
  LoadProducer(LoadOptions options, OpenLink open_link, std::FILE* accepted,
               std::FILE* receipts = nullptr);
  LoadResult run();

 private:
  enum class State : uint8_t { kNew, kSent, kAgain, kAccepted, kRefused };

  void connect();
  bool send_due();
  bool send_batch(uint64_t first, uint64_t count);
  void on_reply(uint64_t generation, const v1::SendReply& reply);
  void on_down(uint64_t generation, const std::string& why);
  void on_receipts(const v1::ReceiptBatch& receipts) REQUIRES(mutex_);
  void settle(uint64_t number, State state) REQUIRES(mutex_);
  bool is_done() REQUIRES(mutex_);
  LoadResult result(std::chrono::steady_clock::time_point begin);

  const LoadOptions options_;
  const OpenLink open_link_;
  std::FILE* const accepted_file_;
  std::FILE* const receipts_file_;
  std::unique_ptr<ProducerLink> link_;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<State> states_ GUARDED_BY(mutex_);  // by number - 1
  std::vector<std::chrono::steady_clock::time_point> first_sent_ GUARDED_BY(mutex_);
  std::vector<int64_t> latencies_us_ GUARDED_BY(mutex_);
  std::set<uint64_t> again_ GUARDED_BY(mutex_);  // to be sent again, before anything new
  uint64_t next_ GUARDED_BY(mutex_) = 1;         // the first number never sent
  uint64_t in_flight_ GUARDED_BY(mutex_) = 0;    // sent on this link and not answered
  uint64_t credit_ GUARDED_BY(mutex_) = 0;       // 0 before the welcome
  uint64_t answered_ GUARDED_BY(mutex_) = 0;
  uint64_t resent_ GUARDED_BY(mutex_) = 0;
  uint64_t generation_ GUARDED_BY(mutex_) = 0;
  uint64_t reconnects_ GUARDED_BY(mutex_) = 0;
  bool is_down_ GUARDED_BY(mutex_) = true;
  std::chrono::steady_clock::time_point retry_at_ GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point last_reply_ GUARDED_BY(mutex_);
};

}  // namespace verbatim::tools
