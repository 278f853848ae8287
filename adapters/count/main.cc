// verbatim-adapter-count: counts what it acknowledged; prints the count after each batch.
#include "adapters/count/count_adapter.h"
#include "adapters/sdk/run_adapter.h"
#include "base/service.h"

namespace {

constexpr const char* kHelp =
    R"(Acknowledges every batch and counts what is in it: for measurements, archives nothing (table
[adapter_count]).)";

}  // namespace

int main(int argc, char** argv) {
  verbatim::base::install_signal_handlers();
  const auto start = verbatim::base::start_service("verbatim-adapter-count", argc, argv, kHelp);
  if (!start.arguments) return start.exit_code;
  const auto& settings = start.arguments->config.adapter_count();
  verbatim::adapters::CountAdapter adapter(verbatim::base::posix_file_system(),
                                           settings.data_dir());
  return verbatim::adapters::run_adapter(
      adapter, start.arguments->config,
      {settings.name(), settings.hub_address(), settings.data_dir(), "verbatim-adapter-count"});
}
