#include "base/grpc_server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "base/grpc_status.h"
#include "tests/support/temp_dir.h"

namespace verbatim::base {
namespace {

// Calls a method with an empty request; the health service answers with {status: SERVING}, 08 01.
Result<std::string> call(const std::string& address, const std::string& method) {
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  grpc::CompletionQueue queue;
  auto reader = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(nullptr, 0), &queue);
  reader->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  reader->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool is_ok = false;
  queue.Next(&tag, &is_ok);
  if (!status.ok()) return from_grpc(status);
  std::vector<grpc::Slice> slices;
  if (!response.Dump(&slices).ok()) return internal_error("no bytes");
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

TEST(GrpcServerTest, TheHealthServiceAnswers) {
  auto server = GrpcServer::start("127.0.0.1:0", {});
  ASSERT_TRUE(server) << server.error().to_string();
  EXPECT_GT((*server)->port(), 0);
  EXPECT_EQ((*server)->bound_address(), "127.0.0.1:" + std::to_string((*server)->port()));
  const std::string method = "/grpc.health.v1.Health/Check";
  const auto serving = call((*server)->bound_address(), method);
  ASSERT_TRUE(serving) << serving.error().to_string();
  EXPECT_EQ(*serving, "\x08\x01");
  (*server)->set_serving(false);
  EXPECT_EQ(*call((*server)->bound_address(), method), "\x08\x02");
  EXPECT_EQ(call((*server)->bound_address(), "/none/Such").error().code(),
            StatusCode::kUnimplemented);
  (*server)->stop();
  (*server)->stop();
}

TEST(GrpcServerTest, AUnixSocketWorksToo) {
  const testing::TempDir directory;
  auto server = GrpcServer::start("unix:" + directory.file("s"), {});
  ASSERT_TRUE(server) << server.error().to_string();
  EXPECT_TRUE(call((*server)->bound_address(), "/grpc.health.v1.Health/Check"));
}

TEST(GrpcServerTest, APortInUseIsRefused) {
  auto server = GrpcServer::start("127.0.0.1:0", {});
  ASSERT_TRUE(server);
  EXPECT_EQ(GrpcServer::start((*server)->bound_address(), {}).error().code(),
            StatusCode::kUnavailable);
}

TEST(GrpcServerTest, NothingListensBeyondLoopback) {
  for (const char* address : {"0.0.0.0:0", "[::]:0", "example.org:0"}) {
    EXPECT_EQ(GrpcServer::start(address, {}).error().code(), StatusCode::kFailedPrecondition);
  }
  EXPECT_EQ(GrpcServer::start("nonsense", {}).error().code(), StatusCode::kInvalidArgument);
}

TEST(GrpcStatusTest, CodesAndMessagesGoThereAndBack) {
  for (int code = 1; code <= 16; ++code) {
    const Status status(static_cast<StatusCode>(code), "why");
    EXPECT_EQ(from_grpc(to_grpc(status)), status);
  }
  EXPECT_TRUE(to_grpc(Status()).ok());
  EXPECT_TRUE(from_grpc(grpc::Status::OK).ok());
  EXPECT_EQ(from_grpc({grpc::StatusCode::DO_NOT_USE, "x"}).code(), StatusCode::kUnknown);
}

}  // namespace
}  // namespace verbatim::base
