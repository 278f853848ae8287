// What the producers and consumers of the queue's system tests do, and the journals that an
// independent reader (tests/support/queue_actors.py) compares afterwards. Each line is written with
// one call, so that a kill at any moment leaves whole lines only.
//
// A producer's journal:  S n               about to put message n
//                        A n lookup_id r   acknowledged; r is 1 for a repeat
//                        E n CODE text     not stored
// A consumer's journal:  G lookup_id delivery t body   given, in this order, for each of a lease
//                        C t | B t                     about to commit, or to give back, all of
//                        these D t | F t CODE text           that is durable, or has failed X t
//                        CODE text                 nothing could be received
// Times are nanoseconds of the machine's monotonic clock, which all processes share.
//
// A body is "producer:n:key:" and then filling. Messages of one order key ("producer/key") are put
// with ascending n. A producer that starts again puts what it has no acknowledgement for first,
// under the same source keys, and then goes on.
#pragma once

#include <cstdint>
#include <string>

#include "queue/client/zmq_queue_client.h"

namespace verbatim::tools {

struct PutPlan {
  std::string journal;
  std::string producer;
  int64_t count = 0;  // 0: until SIGTERM
  int64_t key_count = 16;
  int64_t body_bytes = 64;
  int64_t window = 256;
  int64_t rate = 0;         // messages a second; 0: no limit
  int64_t deadline_ms = 0;  // 0: none
};

struct ConsumePlan {
  std::string journal;
  int64_t max_count = 64;
  int64_t lease_ms = 5'000;
  int64_t abort_percent = 0;
  int64_t error_max_count = 0;  // ends after so many failed receives; 0: never
};

// Both end at SIGTERM, with nothing under way, or when their plan is done. Give the exit code: 0,
// or 1 if anything was refused for good.
int run_producer(const queue::ZmqQueueClientOptions& options, const PutPlan& plan);
int run_consumer(const queue::ZmqQueueClientOptions& options, const ConsumePlan& plan);

}  // namespace verbatim::tools
