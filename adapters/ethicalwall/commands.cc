#include "adapters/ethicalwall/commands.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "adapters/ethicalwall/wall_rules.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/file_system.h"
#include "base/hex.h"
#include "base/sha256.h"

namespace verbatim::wall {
namespace {

struct Asked {
  std::string check_path;
  std::vector<std::string> explain;  // FROM TO KIND
  std::string rules_path;
  std::string config_path;
  std::vector<std::string> from_groups;
  std::vector<std::string> to_groups;
  int64_t at_unix_s = 0;
};

int refuse(const char* program, const std::string& reason) {
  std::fprintf(stderr, "%s: %s\n", program, reason.c_str());
  return 2;
}

int check(const char* program, const std::string& path) {
  const Result<std::string> text = base::posix_file_system().read_file(path);
  if (!text) return refuse(program, text.error().message());
  const auto wall = CompiledWall::create(*text, path);
  if (!wall) return refuse(program, wall.error().message());
  std::printf("%s: rules=%zu sha256=%s\n", path.c_str(), (*wall)->rule_count(),
              base::to_hex(base::sha256(*text)).c_str());
  return 0;
}

Result<std::string> rules_path_of(const Asked& asked) {
  if (!asked.rules_path.empty()) return asked.rules_path;
  ASSIGN_OR_RETURN(const v1::Config config, base::load_config(asked.config_path));
  return config.policy_ethicalwall().rules_file();
}

WallEvent event_of(const Asked& asked, Kind kind) {
  WallEvent event;
  event.kinds = {kind};
  event.actor = person_of(asked.explain[0], asked.from_groups);
  event.others = {person_of(asked.explain[1], asked.to_groups)};
  if (kind == Kind::kRoom) event.room = event.others.front().address;
  event.unix_ns =
      asked.at_unix_s > 0 ? asked.at_unix_s * 1'000'000'000 : base::system_clock().unix_now_ns();
  return event;
}

int explain(const char* program, const Asked& asked) {
  Kind kind = Kind::kMessage;
  if (!parse_kind(asked.explain[2], kind)) {
    return refuse(program, "no such kind: " + asked.explain[2] +
                               ", known are message, room, invite, presence, file");
  }
  const Result<std::string> path = rules_path_of(asked);
  if (!path) return refuse(program, path.error().message());
  const Result<std::string> text = base::posix_file_system().read_file(*path);
  if (!text) return refuse(program, text.error().message());
  const auto wall = CompiledWall::create(*text, *path);
  if (!wall) return refuse(program, wall.error().message());
  const WallDecision decision = (*wall)->decide(event_of(asked, kind));
  std::printf("%s by=%s\n", decision.is_blocked ? "blocked" : "allowed",
              decision.rule.empty() ? "(no rule matches)" : decision.rule.c_str());
  for (const std::string& name : decision.notified) std::printf("notified by=%s\n", name.c_str());
  if (decision.is_blocked) std::printf("told: %s\n", decision.explanation.c_str());
  return decision.is_blocked ? 1 : 0;
}

}  // namespace

bool is_command(std::string_view first_argument) {
  return first_argument == "--check" || first_argument == "--explain";
}

int run_command(const char* program, int argc, const char* const* argv) {
  Asked asked;
  CLI::App app{std::string(program) + ": looks at a rule file", program};
  app.add_option("--check", asked.check_path, "say what is wrong with this rule file")
      ->type_name("FILE");
  app.add_option("--explain", asked.explain, "say which rule decides")
      ->type_name("FROM TO KIND")
      ->expected(3);
  app.add_option("--rules", asked.rules_path, "the rule file; else the configuration's")
      ->type_name("FILE");
  app.add_option("--config", asked.config_path, "configuration file (TOML)")->type_name("FILE");
  app.add_option("--from-group", asked.from_groups, "a group of FROM; repeatable")
      ->allow_extra_args(false);
  app.add_option("--to-group", asked.to_groups, "a group of TO; repeatable")
      ->allow_extra_args(false);
  app.add_option("--at", asked.at_unix_s, "when, as Unix seconds; now without");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!asked.check_path.empty()) return check(program, asked.check_path);
  return explain(program, asked);
}

}  // namespace verbatim::wall
