#include <grpcpp/grpcpp.h>

#include <thread>
#include <utility>

#include "tests/tools/producer_link.h"
#include "verbatim/v1/ingest.grpc.pb.h"

namespace verbatim::tools {
namespace {

class GrpcLink final : public ProducerLink {
 public:
  GrpcLink(const std::string& address, Callbacks callbacks) : callbacks_(std::move(callbacks)) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(64 * 1024 * 1024);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel =
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    stub_ = v1::Ingest::NewStub(channel);
    stream_ = stub_->Send(&context_);
    reader_ = std::thread([this] { read(); });
  }

  ~GrpcLink() override {
    context_.TryCancel();
    if (reader_.joinable()) reader_.join();
  }

  bool send(const v1::SendRequest& request) override { return stream_->Write(request); }

 private:
  void read() {
    v1::SendReply reply;
    while (stream_->Read(&reply)) callbacks_.on_reply(reply);
    callbacks_.on_down(stream_->Finish().error_message());
  }

  const Callbacks callbacks_;
  grpc::ClientContext context_;
  std::unique_ptr<v1::Ingest::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SendRequest, v1::SendReply>> stream_;
  std::thread reader_;
};

}  // namespace

std::unique_ptr<ProducerLink> open_grpc_link(const std::string& address,
                                             ProducerLink::Callbacks callbacks) {
  return std::make_unique<GrpcLink>(address, std::move(callbacks));
}

}  // namespace verbatim::tools
