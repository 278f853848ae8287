#include "base/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <mutex>

#include "base/net_address.h"

namespace verbatim::base {

struct GrpcServer::State {
  std::unique_ptr<grpc::Server> server;
  std::string bound_address;
  int port = 0;
  std::chrono::milliseconds stop_deadline{};
  std::once_flag stopped;
};

namespace {

// Health and reflection are plugins of the library and apply to every server built later.
void enable_plugins() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

void set_limits(grpc::ServerBuilder& builder, const GrpcServerOptions& options) {
  builder.SetMaxReceiveMessageSize(options.message_size_max_bytes);
  builder.SetMaxSendMessageSize(options.send_size_max_bytes > 0 ? options.send_size_max_bytes
                                                                : options.message_size_max_bytes);
  // The library looks at a message's size only once it has all of it; the quota ends the stream of
  // a peer that sends more than that in one message (gRPC core, "resource quota").
  grpc::ResourceQuota quota("verbatim");
  quota.Resize(options.memory_max_bytes > 0
                   ? options.memory_max_bytes
                   : (4 << 20) + static_cast<size_t>(options.message_size_max_bytes));
  builder.SetResourceQuota(quota);
  // What one read may add before the quota is looked at again.
  builder.AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, 256 << 10);
  // Two services on one port would share its connections by chance; the second must fail to start.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Adapters and clients ping idle streams to notice a dead peer.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
}

}  // namespace

Result<std::unique_ptr<GrpcServer>> GrpcServer::start(const std::string& address,
                                                      const std::vector<grpc::Service*>& services,
                                                      const GrpcServerOptions& options) {
  ASSIGN_OR_RETURN(NetAddress parsed, parse_net_address(address));
  if (!is_loopback(parsed)) {
    return failed_precondition("a listener beyond loopback needs keys address=" + address);
  }
  enable_plugins();
  auto state = std::make_unique<State>();
  grpc::ServerBuilder builder;
  set_limits(builder, options);
  builder.AddListeningPort(parsed.to_grpc(), grpc::InsecureServerCredentials(), &state->port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  state->server = builder.BuildAndStart();
  if (state->server == nullptr || (parsed.kind == NetAddress::Kind::kTcp && state->port == 0)) {
    return unavailable("cannot listen, the address is probably in use address=" + address);
  }
  if (parsed.kind == NetAddress::Kind::kTcp) parsed.port = static_cast<uint16_t>(state->port);
  state->bound_address = parsed.to_grpc();
  state->stop_deadline = options.stop_deadline;
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(state)));
}

GrpcServer::GrpcServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

GrpcServer::~GrpcServer() { stop(); }

void GrpcServer::stop() {
  std::call_once(state_->stopped, [this] {
    set_serving(false);
    state_->server->Shutdown(std::chrono::system_clock::now() + state_->stop_deadline);
    state_->server->Wait();
  });
}

const std::string& GrpcServer::bound_address() const { return state_->bound_address; }

int GrpcServer::port() const { return state_->port; }

void GrpcServer::set_serving(bool is_serving) {
  auto* health = state_->server->GetHealthCheckService();
  if (health != nullptr) health->SetServingStatus(is_serving);
}

}  // namespace verbatim::base
