// verbatim-adapter-xml: Lync-style Conversations documents, one per batch, and their companions.
//
//   verbatim-adapter-xml --config FILE      attaches to the hub and writes
//   verbatim-adapter-xml --validate DIR     checks a folder of documents; exit code 0, 1 or 2
#include <cstdio>
#include <string_view>

#include "adapters/sdk/run_adapter.h"
#include "adapters/xml/validate.h"
#include "adapters/xml/xml_adapter.h"
#include "base/service.h"

namespace {

constexpr const char* kName = "verbatim-adapter-xml";

int validate(const std::string& path) {
  const auto report =
      verbatim::adapters::validate_folder(verbatim::base::posix_file_system(), path);
  if (!report) {
    std::fprintf(stderr, "%s: %s\n", kName, report.error().message().c_str());
    return 2;
  }
  for (const std::string& problem : report->problems) {
    std::fprintf(stderr, "%s\n", problem.c_str());
  }
  std::printf("validated documents=%llu companions=%llu problems=%zu\n",
              static_cast<unsigned long long>(report->documents),
              static_cast<unsigned long long>(report->companions), report->problems.size());
  return report->problems.empty() ? 0 : 1;
}

constexpr const char* kHelp =
    R"(Writes each batch as one XML document of conversations with a companion and a manifest, synced
before it is acknowledged (table [adapter_xml]). `verbatimctl verify DIR` proves that the folder
is whole.

  --validate FILE             says where a document breaks the schema)";

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--validate") return validate(argv[2]);
  verbatim::base::install_signal_handlers();
  const auto start = verbatim::base::start_service(kName, argc, argv, kHelp);
  if (!start.arguments) return start.exit_code;
  const auto& settings = start.arguments->config.adapter_xml();
  verbatim::adapters::XmlAdapter adapter(
      verbatim::base::posix_file_system(),
      {settings.name(), settings.output_dir(), {settings.emit_islogged()}});
  return verbatim::adapters::run_adapter(
      adapter, start.arguments->config,
      {settings.name(), settings.hub_address(), settings.output_dir(), kName});
}
