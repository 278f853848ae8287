// AdminService: what verbatimctl asks the processor. Reads staging, hub and operations; shows chat
// text on demand only, audited.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/content_store.h"
#include "processor/hub/hub.h"
#include "processor/ops/processor_operations.h"
#include "processor/staging/staging.h"

namespace grpc {
class Service;
}

namespace verbatim::processor {

class AdminService {
 public:
  // All outlive it; `notices` is called from any thread.
  struct Parts {
    Staging& staging;
    Hub& hub;
    ProcessorOperations& operations;
    const base::ContentStore& files;
    std::function<std::vector<std::string>()> notices;
  };
  explicit AdminService(Parts parts);
  ~AdminService();
  grpc::Service* service();
  // Ends the calls that follow new events; later ones too.
  void stop();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace verbatim::processor
