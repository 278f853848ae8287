#include "adapters/ethicalwall/wall_rules.h"

#include <algorithm>
#include <optional>

#include "adapters/rules/explanation.h"
#include "base/config.h"

namespace verbatim::wall {
namespace {

constexpr const char* kNoneAllows = "(none allows)";

const rules::Placeholders& known_placeholders() {
  static const rules::Placeholders known = {
      {"sender", ""}, {"recipient", ""}, {"room", ""}, {"kind", ""}, {"rule", ""}};
  return known;
}

// "field: reason" of the file, or of the table `key` in it, with its place.
Status at(const base::ConfigOrigin& origin, const Status& status, const std::string& key = {}) {
  const std::string& text = status.message();
  const size_t colon = text.find(": ");
  const std::string field = text.substr(0, colon);
  return origin.refuse(key.empty() ? field : key + "." + field, text.substr(colon + 2));
}

size_t cost_of(const std::vector<Fit>& side, const std::vector<std::vector<uint32_t>>& lists) {
  size_t cost = 0;
  for (const Fit& fit : side) cost += lists[fit.participants].size();
  return cost;
}

}  // namespace

// What matches one pair in one kind.
struct CompiledWall::Found {
  struct Best {
    uint32_t rule = 0;
    bool is_certain = true;
  };
  std::optional<Best> block;
  std::optional<Best> allow;
  std::vector<uint32_t> notify;
};

Result<std::shared_ptr<const CompiledWall>> CompiledWall::create(const std::string& toml,
                                                                 const std::string& name) {
  v1::WallRules read;
  base::ConfigOrigin origin;
  RETURN_IF_ERROR(base::read_toml(toml, name, read, origin));
  auto wall = std::make_shared<CompiledWall>();
  wall->is_by_order_ = read.precedence() == "order";
  wall->blocks_unknown_groups_ = read.groups_unknown() == "block";
  wall->time_zone_ = read.time_zone();
  wall->explanation_ = read.explanation();
  if (const auto zone = rules::CivilDays::create(read.time_zone()); !zone) {
    return at(origin, zone.error());
  }
  const Status text = rules::check_explanation(read.explanation(), known_placeholders());
  if (!text.ok()) return origin.refuse("explanation", text.message());
  for (int i = 0; i < read.rules_size(); ++i) RETURN_IF_ERROR(wall->add(read, i, origin));
  if (const Status status = wall->participants_.compile(); !status.ok()) {
    return origin.refuse("rules", status.message());
  }
  wall->by_a_.resize(wall->participants_.count());
  wall->by_b_.resize(wall->participants_.count());
  for (uint32_t i = 0; i < wall->rules_.size(); ++i) {
    wall->by_a_[wall->rules_[i].a].push_back(i);
    wall->by_b_[wall->rules_[i].b].push_back(i);
  }
  return std::shared_ptr<const CompiledWall>(std::move(wall));
}

Status CompiledWall::add(const v1::WallRules& read, int index, const base::ConfigOrigin& origin) {
  const v1::WallRule& from = read.rules(index);
  const std::string key = "rules." + std::to_string(index);
  Rule rule;
  rule.name = from.name();
  rule.action = from.action() == "block"   ? Action::kBlock
                : from.action() == "allow" ? Action::kAllow
                                           : Action::kNotify;
  rule.is_a_to_b = from.direction() != "b_to_a";
  rule.is_b_to_a = from.direction() != "a_to_b";
  for (const bool is_a : {true, false}) {
    const std::string side = key + (is_a ? ".a" : ".b");
    const Result<uint32_t> number = participants_.add(is_a ? from.a() : from.b());
    if (!number) return at(origin, number.error(), side);
    // A list that a program has left empty must not mean everybody.
    if (*number == ParticipantIndex::kEverybody && origin.is_written(side)) {
      return origin.refuse(side, "names nobody; leave it out for everybody");
    }
    (is_a ? rule.a : rule.b) = *number;
  }
  if (from.kinds().empty()) rule.kinds.fill(true);
  for (const std::string& name : from.kinds()) {
    Kind kind = Kind::kMessage;
    CHECK(parse_kind(name, kind), "the kinds of the schema are those of wall_event.h");
    rule.kinds[static_cast<size_t>(kind)] = true;
  }
  RETURN_IF_ERROR(add_windows(from, key, origin, rule));
  const Status text = rules::check_explanation(from.explanation(), known_placeholders());
  if (!text.ok()) return origin.refuse(key + ".explanation", text.message());
  rule.explanation = from.explanation();
  for (size_t kind = 0; kind < kKindCount; ++kind) {
    if (rule.action == Action::kAllow && rule.kinds[kind]) has_allow_[kind] = true;
  }
  rules_.push_back(std::move(rule));
  return {};
}

Status CompiledWall::add_windows(const v1::WallRule& from, const std::string& key,
                                 const base::ConfigOrigin& origin, Rule& rule) const {
  for (int i = 0; i < from.windows_size(); ++i) {
    auto window = rules::TimeWindow::create(from.windows(i), time_zone_);
    if (!window) return at(origin, window.error(), key + ".windows." + std::to_string(i));
    rule.windows.push_back(*std::move(window));
  }
  return {};
}

bool CompiledWall::is_in_force(const Rule& rule, int64_t unix_ns) const {
  return rule.windows.empty() ||
         std::any_of(rule.windows.begin(), rule.windows.end(),
                     [unix_ns](const auto& window) { return window.is_open(unix_ns); });
}

void CompiledWall::consider(uint32_t index, bool is_certain, const WallEvent& event, Kind kind,
                            Found& found) const {
  const Rule& rule = rules_[index];
  if (!rule.kinds[static_cast<size_t>(kind)]) return;
  // A group that somebody may have blocks, and neither allows nor notifies.
  const bool counts_perhaps =
      rule.action == Action::kBlock && blocks_unknown_groups_ && kind != Kind::kPresence;
  if (!is_certain && !counts_perhaps) return;
  if (rule.action == Action::kNotify) {
    if (is_in_force(rule, event.unix_ns)) found.notify.push_back(index);
    return;
  }
  auto& best = rule.action == Action::kBlock ? found.block : found.allow;
  if (best && best->rule <= index) return;
  if (is_in_force(rule, event.unix_ns)) best = Found::Best{index, is_certain};
}

void CompiledWall::search(const std::vector<Fit>& a_side, const std::vector<Fit>& b_side,
                          bool is_forward, const WallEvent& event, Kind kind, Found& found) const {
  // Goes through the rules of the side that has fewer, and looks the other side up.
  const bool is_by_a = cost_of(a_side, by_a_) <= cost_of(b_side, by_b_);
  const std::vector<Fit>& side = is_by_a ? a_side : b_side;
  const std::vector<Fit>& other = is_by_a ? b_side : a_side;
  const auto& lists = is_by_a ? by_a_ : by_b_;
  thread_local Marks marks;  // 0: does not fit, 1: perhaps, 2: for sure
  marks.resize(std::max<size_t>(marks.size(), participants_.count()), 0);
  for (const Fit& fit : other) marks[fit.participants] = fit.is_certain ? 2 : 1;
  for (const Fit& fit : side) {
    for (const uint32_t index : lists[fit.participants]) {
      const Rule& rule = rules_[index];
      if (!(is_forward ? rule.is_a_to_b : rule.is_b_to_a)) continue;
      const uint8_t mark = marks[is_by_a ? rule.b : rule.a];
      if (mark != 0) consider(index, fit.is_certain && mark == 2, event, kind, found);
    }
  }
  for (const Fit& fit : other) marks[fit.participants] = 0;
}

std::string CompiledWall::explain(const Rule* rule, const WallEvent& event, Kind kind,
                                  const Person& other) const {
  const bool has_own = rule != nullptr && !rule->explanation.empty();
  // Who sits in a room behind which name is not for the sender to learn.
  const bool is_in_room = !event.room.empty() && kind == Kind::kRoom;
  return rules::fill_explanation(has_own ? rule->explanation : explanation_,
                                 {{"sender", event.actor.address},
                                  {"recipient", is_in_room ? event.room : other.address},
                                  {"room", event.room},
                                  {"kind", std::string(kind_name(kind))},
                                  {"rule", rule == nullptr ? kNoneAllows : rule->name}});
}

void CompiledWall::judge(const WallEvent& event, Kind kind, const Person& other, const Found& found,
                         WallDecision& decision) const {
  const bool is_blocked_by_rule =
      found.block && (!is_by_order_ || !found.allow || found.block->rule < found.allow->rule);
  const bool is_blocked =
      is_blocked_by_rule || (!found.allow && has_allow_[static_cast<size_t>(kind)]);
  if (!is_blocked) {
    if (found.allow && decision.rule.empty()) decision.rule = rules_[found.allow->rule].name;
    return;
  }
  const Rule* rule = is_blocked_by_rule ? &rules_[found.block->rule] : nullptr;
  decision.is_blocked = true;
  decision.kind = kind;
  decision.rule = rule == nullptr ? kNoneAllows : rule->name;
  decision.is_by_unknown_groups = is_blocked_by_rule && !found.block->is_certain;
  decision.explanation = explain(rule, event, kind, other);
}

WallDecision CompiledWall::decide(const WallEvent& event) const {
  WallDecision decision;
  if (rules_.empty() || event.kinds.empty()) return decision;
  const std::vector<Fit> actor = participants_.find(event.actor);
  std::vector<uint32_t> notify;
  for (const Person& other : event.others) {
    const std::vector<Fit> concerned = participants_.find(other);
    for (const Kind kind : event.kinds) {
      Found found;
      search(actor, concerned, true, event, kind, found);
      search(concerned, actor, false, event, kind, found);
      notify.insert(notify.end(), found.notify.begin(), found.notify.end());
      if (!decision.is_blocked) judge(event, kind, other, found, decision);
    }
  }
  std::sort(notify.begin(), notify.end());
  notify.erase(std::unique(notify.begin(), notify.end()), notify.end());
  for (const uint32_t index : notify) decision.notified.push_back(rules_[index].name);
  return decision;
}

}  // namespace verbatim::wall
