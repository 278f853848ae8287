// FileUploads: programs upload the content of files that their events name (service Files,
// ingest.proto), what of uploads never became whole is recorded as failed and removed, and claims
// on content that nobody makes use of are released (base/content_store.h).
//
// I1 An upload is removed only after its FileTransferFailed is durable, in the outbox. A process
//    that is killed between the two records it once more.
//
// Life cycle: constructed → stop(), before the broker's. Threads: one of gRPC's for each upload,
// which waits for the disk, not for the queue; one of its own, "keeper", for what was left behind,
// at the start and once an hour, and claims, more often; one that cuts off who is silent.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/content_store.h"
#include "collector/broker/broker.h"

namespace grpc {
class Service;
}

namespace verbatim::collector {

inline constexpr int kUploadsMaxCount = 8;
inline constexpr size_t kUploadChunkMaxBytes = 1024 * 1024;
// What all of them may have under way in gRPC's buffers.
inline constexpr size_t kUploadsMemoryBytes = kUploadsMaxCount * kUploadChunkMaxBytes;

struct FileUploadsOptions {
  // For the events about uploads that failed.
  std::string source_name = "grpc";
  std::chrono::milliseconds kept{24 * 3'600'000};
  std::chrono::milliseconds silence_max{60'000};
  // How long a claim stands that nothing uses, and ContentStore::release_claims' question; empty:
  // for good.
  std::chrono::milliseconds named_within{24 * 3'600'000};
  std::function<bool()> is_settled = {};
};

class FileUploads {
 public:
  // `store` and `broker` outlive it.
  FileUploads(base::ContentStore& store, Broker& broker, FileUploadsOptions options);
  // Stops. The server that has service() must have ended.
  ~FileUploads();

  // For base::GrpcServer.
  grpc::Service* service();
  // Records and removes nothing any more; safe twice.
  void stop();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace verbatim::collector
