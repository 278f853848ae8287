// AdminService: what verbatimctl asks the processor. Reads staging and the hub; shows no chat text.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "processor/hub/hub.h"
#include "processor/staging/staging.h"

namespace grpc {
class Service;
}

namespace verbatim::processor {

class AdminService {
 public:
  // `staging` and `hub` outlive it; `notices` is called from any thread.
  AdminService(Staging& staging, Hub& hub, std::function<std::vector<std::string>()> notices);
  ~AdminService();
  grpc::Service* service();
  // Ends the calls that follow new events; later ones too.
  void stop();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace verbatim::processor
