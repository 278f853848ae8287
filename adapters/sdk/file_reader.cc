#include "adapters/sdk/file_reader.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "base/grpc_status.h"
#include "base/sha256.h"
#include "verbatim/v1/adapter.grpc.pb.h"

namespace verbatim::adapters {
namespace {

std::unique_ptr<v1::AdapterHub::Stub> dial(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return v1::AdapterHub::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
}

}  // namespace

FileReader::FileReader(std::function<Result<std::string>()> address,
                       std::chrono::milliseconds deadline)
    : address_(std::move(address)), deadline_(deadline) {}

Result<uint64_t> FileReader::read(std::string_view sha256, const FileRange& range,
                                  const std::function<Status(std::string_view bytes)>& take) const {
  ASSIGN_OR_RETURN(const std::string address, address_());
  const auto stub = dial(address);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + deadline_);
  v1::ReadFileRequest request;
  request.set_sha256(std::string(sha256));
  request.set_offset(static_cast<int64_t>(range.offset));
  request.set_length(static_cast<int64_t>(range.length));
  const auto stream = stub->ReadFile(&context, request);

  base::Sha256 hash;
  uint64_t taken = 0;
  uint64_t size = 0;
  Status status;
  v1::FileChunk chunk;
  while (status.ok() && stream->Read(&chunk)) {
    size = static_cast<uint64_t>(chunk.size_bytes());
    taken += chunk.bytes().size();
    hash.update(chunk.bytes());
    if (!chunk.bytes().empty()) status = take(chunk.bytes());
  }
  if (!status.ok()) context.TryCancel();
  const Status ended = base::from_grpc(stream->Finish());
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(ended);
  const uint64_t wanted = range.length == 0 ? size - range.offset : range.length;
  if (taken != wanted) return data_loss("the hub gave another count of bytes than was asked for");
  if (taken == size && hash.finish() != sha256) {
    return data_loss("the hub gave other content than that of this SHA-256");
  }
  return size;
}

}  // namespace verbatim::adapters
