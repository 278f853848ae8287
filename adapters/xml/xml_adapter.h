// XmlAdapter: writes each batch as a Lync-style Conversations document and its companion.
//
// I1 A batch is applied when its files are durable under their final names (output_dir.h).
// I2 The same batch gives the same bytes, so a repeat finds its files and changes nothing.
// I3 A file of that number with other content is never replaced: the batch is rejected, loudly.
// I4 A refusal of the disk is never the events' fault: it is always retry.
//
// Threads: one at a time (see adapters/sdk/adapter.h).
#pragma once

#include <map>
#include <string>

#include "adapters/sdk/adapter.h"
#include "adapters/xml/conversations_document.h"
#include "adapters/xml/output_dir.h"
#include "base/file_system.h"

namespace verbatim::adapters {

struct XmlAdapterOptions {
  // Name at the hub: a folder that another adapter has written is refused.
  std::string adapter;
  std::string output_dir;
  ConversationsOptions document;
};

class XmlAdapter final : public Adapter {
 public:
  XmlAdapter(base::FileSystem& file_system, XmlAdapterOptions options)
      : options_(std::move(options)), folder_(file_system, options_.output_dir) {}

  // Settings: emit_islogged = true or false. Errors: kInvalidArgument for any other.
  Status configure(const std::map<std::string, std::string>& settings) override;
  // Errors: kFailedPrecondition for another adapter's folder, kDataLoss for a damaged manifest.
  Result<AppliedBatch> last_applied() override;
  Status activate() override { return folder_.lock(); }
  void deactivate() override { folder_.unlock(); }
  Result<Outcome> translate(const Batch& batch) override;
  // Errors: kUnavailable for documents without manifest, which may be a batch on its way.
  Result<BatchState> batch_state(uint64_t number, std::string_view digest) override;

 private:
  Result<Outcome> apply(const Batch& batch);
  // The batch has a manifest already.
  Result<Outcome> recognise(const Batch& batch, const Manifest& manifest);
  Result<Outcome> write(const Batch& batch, const BatchPlan& plan);
  // Is something else under this name? What an interrupted batch has left is the same bytes.
  Result<bool> is_foreign(const std::string& name, const std::string& sha256) const;
  // A file that is not this batch's has its name.
  Outcome refuse(const std::string& why, uint64_t batch);

  const XmlAdapterOptions options_;
  ConversationsOptions document_ = options_.document;
  OutputDir folder_;
  // The batch refused last: what stands under its name is not of it.
  uint64_t refused_ = 0;
};

}  // namespace verbatim::adapters
