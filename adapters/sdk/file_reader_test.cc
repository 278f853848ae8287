#include "adapters/sdk/file_reader.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "base/grpc_server.h"
#include "base/grpc_status.h"
#include "base/sha256.h"
#include "verbatim/v1/adapter.grpc.pb.h"

namespace verbatim::adapters {
namespace {

// Gives the asked range of `content_` in chunks of 3 bytes, whatever digest is asked for.
class ChunkingHub final : public v1::AdapterHub::Service {
 public:
  grpc::Status ReadFile(grpc::ServerContext*, const v1::ReadFileRequest* request,
                        grpc::ServerWriter<v1::FileChunk>* writer) override {
    const auto offset = static_cast<size_t>(request->offset());
    const auto length =
        request->length() == 0 ? content_.size() - offset : static_cast<size_t>(request->length());
    const std::string range = content_.substr(offset, length);
    v1::FileChunk chunk;
    chunk.set_size_bytes(static_cast<int64_t>(content_.size()));
    for (size_t at = 0; at == 0 || at < range.size(); at += 3) {
      chunk.set_bytes(range.substr(at, 3));
      writer->Write(chunk);
      if (breaks_off_) return base::to_grpc(unavailable("gone"));
    }
    return grpc::Status::OK;
  }

  std::string content_ = "0123456789";
  bool breaks_off_ = false;
};

class FileReaderTest : public ::testing::Test {
 protected:
  Result<uint64_t> read(std::string_view sha256, const FileRange& range = {}) {
    taken_.clear();
    return reader_.read(sha256, range, [this](std::string_view bytes) {
      taken_ += bytes;
      return status_;
    });
  }

  ChunkingHub hub_;
  std::unique_ptr<base::GrpcServer> server_ =
      base::GrpcServer::start("127.0.0.1:0", {&hub_}).value();
  FileReader reader_{[this] { return Result<std::string>(server_->bound_address()); }};
  const std::string digest_ = base::sha256("0123456789");
  std::string taken_;
  Status status_;
};

TEST_F(FileReaderTest, AWholeFileIsProvenByItsDigest) {
  EXPECT_EQ(read(digest_).value(), 10u);
  EXPECT_EQ(taken_, "0123456789");
  EXPECT_EQ(read(base::sha256("another")).error().code(), StatusCode::kDataLoss);
}

TEST_F(FileReaderTest, ARangeIsGivenAsAsked) {
  EXPECT_EQ(read(digest_, {.offset = 4, .length = 5}).value(), 10u);
  EXPECT_EQ(taken_, "45678");
  EXPECT_EQ(read(digest_, {.offset = 8}).value(), 10u);
  EXPECT_EQ(taken_, "89");
  EXPECT_EQ(read(digest_, {.offset = 10}).value(), 10u);
  EXPECT_EQ(taken_, "");
}

TEST_F(FileReaderTest, AnEmptyFileIsWhole) {
  hub_.content_.clear();
  EXPECT_EQ(read(base::sha256("")).value(), 0u);
}

TEST_F(FileReaderTest, WhoTakesNoMoreEndsTheRead) {
  status_ = resource_exhausted("my disk is full");
  EXPECT_EQ(read(digest_).error().message(), "my disk is full");
  EXPECT_EQ(taken_, "012");
}

TEST_F(FileReaderTest, AReadThatBreaksOffIsNoFile) {
  hub_.breaks_off_ = true;
  EXPECT_EQ(read(digest_).error().code(), StatusCode::kUnavailable);
  server_->stop();
  EXPECT_EQ(read(digest_).error().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace verbatim::adapters
