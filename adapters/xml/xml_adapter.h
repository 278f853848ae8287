// XmlAdapter: writes each batch as a Lync-style Conversations document and its companion.
//
// I1 A batch is applied when its files are durable under their final names (output_dir.h).
// I2 The same batch gives the same bytes, so a repeat finds its files and changes nothing.
// I3 A file of that number with other content is never replaced: the batch is rejected, loudly. But
//    documents that an interrupted attempt at this very batch has left, with other settings or by
//    another version of this program, are kept and become the batch's.
// I4 A refusal of the disk is never the events' fault: it is always retry.
//
// Threads: one at a time (see adapters/sdk/adapter.h).
#pragma once

#include <map>
#include <string>
#include <vector>

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

  // A batch's documents on their way.
  struct Documents {
    DocumentFile shown;
    DocumentFile companion;
    std::vector<OutputFile> files;  // in this order
  };
  Result<Documents> render(const Batch& batch, const BatchPlan& plan) const;
  // Of what stands under the final names, so that publish() makes their names anew, too.
  Result<Documents> copy_present(uint64_t batch) const;
  Result<Outcome> publish(const Batch& batch, Documents documents);

  // What stands under the names of documents that have no manifest.
  enum class Present {
    kNothing,  // or what may be replaced: the same bytes, or this batch's companion alone
    kLeft,     // other bytes, by an interrupted attempt at this batch
    kForeign,
  };
  Result<Present> look(const Batch& batch, const std::vector<OutputFile>& files) const;
  Result<bool> is_other(const OutputFile& file) const;
  // A file that is not this batch's has its name.
  Outcome refuse(const std::string& why, uint64_t batch);

  const XmlAdapterOptions options_;
  ConversationsOptions document_ = options_.document;
  OutputDir folder_;
  // The batch refused last: what stands under its name is not of it.
  uint64_t refused_ = 0;
};

}  // namespace verbatim::adapters
