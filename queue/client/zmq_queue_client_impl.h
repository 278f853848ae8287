// ZmqQueueClient: the class behind create_zmq_queue_client(). Callers (zmq_queue_client.cc) leave
// work under `mutex_` and wake the thread; the thread (zmq_queue_thread.cc) owns the socket and the
// four parts that know the protocol.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/zmq_socket.h"
#include "queue/client/consumer_calls.h"
#include "queue/client/link_report.h"
#include "queue/client/producer_session.h"
#include "queue/client/put_pipeline.h"
#include "queue/client/subscription.h"
#include "queue/client/zmq_queue_client.h"

namespace verbatim::queue {

class ZmqQueueClient final : public QueueClient {
 public:
  explicit ZmqQueueClient(const ZmqQueueClientOptions& options);
  ~ZmqQueueClient() override { stop(); }

  // Errors: kInvalidArgument (address), kResourceExhausted (sockets).
  Status start();

  Status put(PutRequest request, std::chrono::nanoseconds deadline, PutCallback done) override;
  Result<Lease> receive(const ReceiveOptions& options) override;
  std::future<Result<Lease>> receive_later(const ReceiveOptions& options) override;
  Status subscribe(const SubscribeOptions& options, LeaseCallback on_lease) override;
  void unsubscribe() override;
  Status settle(Settlement settlement, SettleCallback done) override;
  Status extend(uint64_t lease_id, std::chrono::milliseconds time, ExtendCallback done) override;
  ClientState state() const override;
  void stop() override;

 private:
  // What a caller wants of the subscription; taken by the client's thread.
  struct Wish {
    SubscribeOptions options;
    LeaseCallback on_lease;  // empty: end it
  };

  Status call(v1::QueueFrame frame, std::chrono::milliseconds wait, ConsumerCall::Callback done);
  void wish(Wish wish, bool must_wait);

  // The rest is the client's thread's.
  void run();
  void wait_for_work();
  std::chrono::milliseconds poll_timeout() const;
  bool take_work();
  void apply_wish();
  void run_callbacks();
  void publish_state();
  ClientState current_state() const;

  Status connect();
  void reconnect(std::string_view why);
  void watch();
  std::string obstacle() const;
  void watch_answers(std::chrono::nanoseconds now);
  uint64_t send_step(v1::QueueFrame frame);
  bool send(std::string frame);
  void send_all();
  void read_frames();
  void on_frame(v1::QueueFrame& frame);
  void on_hello_answer(const v1::QueueFrame& frame);
  void on_push_answer(v1::QueueFrame& frame);
  void give_back(uint64_t lease_id);

  const ZmqQueueClientOptions options_;
  base::Clock& clock_;
  LinkReport link_;
  base::Waker waker_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<PipelinePut> incoming_puts_ GUARDED_BY(mutex_);
  std::vector<ConsumerCall> incoming_calls_ GUARDED_BY(mutex_);
  size_t held_bytes_ GUARDED_BY(mutex_) = 0;
  size_t call_count_ GUARDED_BY(mutex_) = 0;
  int64_t message_max_bytes_ GUARDED_BY(mutex_) = 0;
  std::optional<Wish> wish_ GUARDED_BY(mutex_);
  uint64_t wish_count_ GUARDED_BY(mutex_) = 0;
  uint64_t wish_taken_count_ GUARDED_BY(mutex_) = 0;
  ClientState state_ GUARDED_BY(mutex_);
  size_t incoming_bytes_ GUARDED_BY(mutex_) = 0;
  // The thread is in poll(), or about to be: who brings work wakes it. Puts that could not be sent
  // yet do so only if they are due before it wakes by itself.
  bool is_asleep_ GUARDED_BY(mutex_) = false;
  std::chrono::nanoseconds asleep_until_ GUARDED_BY(mutex_){};
  PutPipeline::Wanted wanted_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  bool has_ended_ GUARDED_BY(mutex_) = false;

  // Of the client's thread.
  base::ZmqContext context_;
  std::unique_ptr<base::ZmqSocket> socket_;
  base::ZmqMessage message_;  // its memory is used again
  PutPipeline pipeline_;
  ProducerSession producer_;
  ConsumerCalls consumer_calls_;
  Subscription subscription_;
  bool is_known_ = false;       // hello was answered
  bool is_redialling_ = false;  // from retry_at_ on
  bool is_barred_ = false;      // hello was refused as not permitted
  uint64_t next_request_id_ = 1;
  uint64_t step_id_ = 0;  // the hello or the producer's step that is unanswered; 0: none
  std::chrono::nanoseconds step_sent_{};
  std::chrono::nanoseconds last_heartbeat_{};
  std::chrono::milliseconds retry_;
  std::chrono::nanoseconds retry_at_{};
  std::string trouble_ = "no answer";
  ClientState published_;
  // Kept for their memory.
  std::vector<PipelinePut> puts_;
  std::vector<ConsumerCall> calls_;
  std::vector<PutPipeline::Ended> ended_puts_;
  std::vector<ConsumerCalls::Ended> ended_calls_;

  base::Mutex join_mutex_;
  std::thread thread_;
};

}  // namespace verbatim::queue
