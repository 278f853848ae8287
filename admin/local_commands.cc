#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "admin/commands.h"
#include "admin/config_paths.h"
#include "admin/status_report.h"
#include "base/config.h"
#include "base/curve_keys.h"
#include "base/service.h"
#include "verbatim/v1/report.pb.h"

namespace verbatim::admin {

int check_config_file(const OutputStyle& style, const std::string& path) {
  v1::ConfigReport report;
  report.set_file(path);
  base::ConfigOrigin origin;
  const Result<v1::Config> config = base::load_config(path, &origin);
  if (!config) {
    report.add_problems(config.error().message());
  } else {
    for (std::string& problem : unusable_paths(*config, origin))
      report.add_problems(std::move(problem));
  }
  report.set_is_good(report.problems().empty());
  if (style.is_json) {
    print_json(report);
  } else if (report.is_good()) {
    print_text(fmt::format("{}: good\n", path.empty() ? "built-in defaults" : path));
  } else {
    for (const auto& problem : report.problems()) print_text(problem + "\n");
  }
  return report.is_good() ? kExitOk : kExitAttention;
}

int show_version(const OutputStyle& style) {
  v1::VersionReport report;
  report.set_version(std::string(base::version()));
  if (style.is_json) {
    print_json(report);
  } else {
    print_text(fmt::format("verbatimctl {}\n", report.version()));
  }
  return kExitOk;
}

int generate_keys(const OutputStyle& style, const std::string& path) {
  const Result<base::CurveKeys> keys = base::generate_curve_keys();
  if (!keys) return report_error(keys.error());
  const Status written = base::write_curve_keys(path, *keys);
  if (!written.ok()) return report_error(written);
  v1::KeysReport report;
  report.set_public_key(keys->public_key);
  report.set_secret_key_file(path);
  report.set_public_key_file(path + ".pub");
  if (style.is_json) {
    print_json(report);
  } else {
    print_text(fmt::format("public key  {}\nsecret key  {} (keep it there, mode 0600)\n",
                           report.public_key(), path));
  }
  return kExitOk;
}

}  // namespace verbatim::admin
