#include "tests/support/fake_hub.h"

#include <string>

#include "base/check.h"
#include "base/grpc_server.h"
#include "tests/support/fake_stream.h"
#include "verbatim/v1/adapter.grpc.pb.h"

namespace verbatim::testing {

using HubStream = FakeStream<FakeHub::Stream, v1::ToAdapter, v1::FromAdapter>;

struct FakeHub::State {
  FakeAttach<v1::AdapterHub::Service, HubStream, v1::ToAdapter, v1::FromAdapter> service;
  std::unique_ptr<base::GrpcServer> server;
};

FakeHub::FakeHub(int port) : state_(std::make_unique<State>()) {
  base::GrpcServerOptions options;
  options.stop_deadline = std::chrono::milliseconds(0);
  options.message_size_max_bytes = 128 << 20;
  auto server =
      base::GrpcServer::start("127.0.0.1:" + std::to_string(port), {&state_->service}, options);
  CHECK(server.has_value(), "the fake hub could not listen: " + server.error().message());
  state_->server = *std::move(server);
}
FakeHub::~FakeHub() = default;

std::shared_ptr<FakeHub::Stream> FakeHub::wait_stream() { return state_->service.wait_stream(); }
int FakeHub::port() const { return state_->server->port(); }

void FakeHub::Stream::welcome(uint64_t store_epoch, uint64_t acked, const std::string& digest,
                              int64_t heartbeat_ms) {
  v1::ToAdapter message;
  message.mutable_welcome()->set_store_epoch(store_epoch);
  message.mutable_welcome()->set_last_acked_batch(acked);
  message.mutable_welcome()->set_last_acked_digest(digest);
  message.mutable_welcome()->set_heartbeat_ms(heartbeat_ms);
  send(message);
}

void FakeHub::Stream::set_active(bool is_active, uint64_t acked, const std::string& digest) {
  v1::ToAdapter message;
  message.mutable_activity()->set_is_active(is_active);
  message.mutable_activity()->set_last_acked_batch(acked);
  message.mutable_activity()->set_last_acked_digest(digest);
  send(message);
}

void FakeHub::Stream::send_batch(const adapters::Batch& batch, uint64_t store_epoch,
                                 const std::string& digest, size_t chunk_count) {
  v1::ToAdapter message;
  v1::BatchBegin& begin = *message.mutable_begin();
  begin.set_batch(batch.number());
  begin.set_store_epoch(store_epoch);
  begin.set_header(batch.header_bytes());
  begin.set_event_count(batch.event_count());
  for (size_t i = 0; i < batch.event_count(); ++i) {
    begin.set_body_bytes(begin.body_bytes() + batch.event_bytes(i).size());
  }
  send(message);
  for (size_t part = 0; part < chunk_count; ++part) {
    message.mutable_chunk()->set_batch(batch.number());
    message.mutable_chunk()->clear_events();
    for (size_t i = batch.event_count() * part / chunk_count;
         i < batch.event_count() * (part + 1) / chunk_count; ++i) {
      message.mutable_chunk()->add_events(batch.event_bytes(i));
    }
    send(message);
  }
  message.mutable_end()->set_batch(batch.number());
  message.mutable_end()->set_digest(digest.empty() ? batch.digest() : digest);
  send(message);
}

void FakeHub::Stream::ask_state(const adapters::Batch& batch) {
  v1::ToAdapter message;
  message.mutable_batch_state()->set_batch(batch.number());
  message.mutable_batch_state()->set_digest(batch.digest());
  send(message);
}

}  // namespace verbatim::testing
