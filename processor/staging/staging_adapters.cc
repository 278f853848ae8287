// The required set: durable, compared with the configuration, changed only by audited commands.
#include <algorithm>
#include <ctime>

#include "base/fault_point.h"
#include "base/log.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

Result<int64_t> parse_start_time(const std::string& text) {
  std::tm parts{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (rest == nullptr || *rest != '\0') {
    return invalid_argument("processor.adapters.start_time is not as 2026-01-31T00:00:00Z: '" +
                            text + "'");
  }
  return int64_t{timegm(&parts)} * 1'000'000'000;
}

}  // namespace

Result<std::vector<std::string>> Staging::reconcile(
    const std::vector<v1::AdapterSettings>& configured) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  std::vector<std::string> sentences;
  std::set<std::string> names;
  Changes changes(*store_);
  for (const auto& settings : configured) {
    const std::string& name = settings.name();
    if (!names.insert(name).second) {
      return invalid_argument("processor.adapters names an adapter twice adapter=" + name);
    }
    const auto found = adapters_.find(name);
    if (found != adapters_.end()) {
      const bool is_required = found->second.row.required();
      if (is_required && !settings.required()) {
        sentences.push_back("adapter '" + name +
                            "' is required in staging although the configuration says optional: "
                            "nothing is deleted before it acknowledges; put required = true into "
                            "the configuration, or make it optional with 'verbatimctl adapters'");
      }
      if (!is_required && settings.required()) {
        sentences.push_back("adapter '" + name +
                            "' is optional in staging although the configuration says required: "
                            "make it required with 'verbatimctl adapters'");
      }
      if (!is_same(found->second.row.filter(), settings.filter())) {
        RETURN_IF_ERROR(set_filter(name, settings.filter(), changes));
        v1::AuditRow audit;
        audit.set_action("filter changed");
        audit.set_adapter(name);
        audit.set_reason("configuration");
        audit.set_first_sequence(found->second.row.cursor() + 1);
        RETURN_IF_ERROR(put_audit(audit, changes.writes));
        sentences.push_back("the filter of adapter '" + name +
                            "' is another since the last start: it holds for what the adapter had "
                            "not been given yet");
      }
      continue;
    }
    RETURN_IF_ERROR(add_adapter(settings, changes));
  }
  for (const auto& [name, adapter] : adapters_) {
    if (names.contains(name)) continue;
    sentences.push_back("adapter '" + name + "' is not in the configuration but " +
                        (adapter.row.required()
                             ? "stays required: nothing is deleted before it "
                               "acknowledges; remove it with 'verbatimctl adapters'"
                             : "stays known as optional"));
    LOG_WARN("an adapter of the store is not in the configuration adapter={} required={}", name,
             adapter.row.required());
  }
  if (!changes.adapters.empty()) {
    Status status = commit(changes, /*is_synced=*/true);
    FAULT_POINT("processor.filter_set_before_rows");
    if (status.ok()) status = apply_new_filters();
    if (status.ok()) status = apply_new_routes();
    if (status.ok()) status = settle_quarantined();
    if (!status.ok()) return spoil(status);
  }
  return sentences;
}

Status Staging::add_adapter(const v1::AdapterSettings& settings, Changes& changes) {
  const std::string& name = settings.name();
  ASSIGN_OR_RETURN(const uint64_t cursor, start_cursor(settings));
  v1::AdapterRow& row = adapters_[name].row;
  row.set_required(settings.required());
  row.set_is_route_new(settings.required() && state_.unrouted_count() > 0);
  if (settings.start() == "now") row.set_takes_from_unix_ns(options_.clock->unix_now_ns());
  if (settings.start() == "time") {
    ASSIGN_OR_RETURN(const int64_t start_unix_ns, parse_start_time(settings.start_time()));
    row.set_takes_from_unix_ns(start_unix_ns);
  }
  row.set_start_sequence(cursor + 1);
  row.set_cursor(cursor);
  row.set_last_acked_digest(no_digest());
  row.set_cursor_bytes(state_.deleted_bytes());
  if (cursor > state_.deleted_through()) {
    ASSIGN_OR_RETURN(const EventIndex index, index_of(cursor));
    row.set_cursor_bytes(index.total_bytes);
  }
  if (!is_open(settings.filter())) {
    RETURN_IF_ERROR(set_filter(name, settings.filter(), changes));
  }
  changes.adapters.insert(name);
  ASSIGN_OR_RETURN(const uint64_t ended_count, end_earlier_quarantine(name, cursor + 1, changes));
  v1::AuditRow audit;
  if (ended_count > 0) {
    audit.set_detail("quarantine of an earlier adapter of this name ended, events given again: " +
                     std::to_string(ended_count));
  }
  audit.set_action("adapter added");
  audit.set_adapter(name);
  audit.set_reason(settings.required() ? "configuration: required" : "configuration: optional");
  audit.set_first_sequence(cursor + 1);
  LOG_INFO("an adapter is added adapter={} required={} start={}", name, settings.required(),
           cursor + 1);
  return put_audit(audit, changes.writes);
}

// What an earlier adapter of this name has in quarantine ends where the new one is given the event
// in its stream; there it is staged still. Below its start rows stay, and are none of its own.
Result<uint64_t> Staging::end_earlier_quarantine(const std::string& name, uint64_t start,
                                                 Changes& changes) {
  uint64_t count = 0;
  Status parsed;
  RETURN_IF_ERROR(store_->for_each(Family::kQuarantine, named_key(name, start),
                                   [&](auto key, auto value) REQUIRES(mutex_) {
                                     if (name_of(key) != name) return false;
                                     v1::QuarantineRow row;
                                     parsed = parse_row(value, "quarantine", row);
                                     if (!parsed.ok()) return false;
                                     changes.writes.remove(Family::kQuarantine, key);
                                     drop_holder(name, number_of(key), row.source_ref(), changes);
                                     ++count;
                                     return true;
                                   }));
  RETURN_IF_ERROR(parsed);
  return count;
}

// What is archived already is no longer given to anyone; what is unrouted is owed, see route_all().
Result<uint64_t> Staging::start_cursor(const v1::AdapterSettings& settings) const {
  if (settings.start() == "now") return state_.last_sequence();
  if (settings.start() != "time") return state_.archived_through();
  ASSIGN_OR_RETURN(const int64_t start_unix_ns, parse_start_time(settings.start_time()));
  // The start is a place among what is staged: nothing would hold back what comes until then.
  if (start_unix_ns > options_.clock->unix_now_ns()) {
    return invalid_argument("processor.adapters.start_time is in the future: '" +
                            settings.start_time() + "' adapter=" + settings.name() +
                            ": set a time that has passed, or start = \"now\"");
  }
  uint64_t cursor = state_.archived_through();
  Status decoded;
  RETURN_IF_ERROR(
      store_->for_each(Family::kIndex, number_key(cursor + 1), [&](auto key, auto value) {
        const auto index = decode_index(value);
        decoded = index.error();
        if (!decoded.ok() || index->staged_unix_ns >= start_unix_ns) return false;
        cursor = number_of(key);
        return true;
      }));
  RETURN_IF_ERROR(decoded);
  return cursor;
}

Status Staging::update_adapter(const v1::UpdateAdapterRequest& request,
                               const base::Caller& caller) {
  static const std::map<int, std::string> kActions = {
      {v1::UpdateAdapterRequest::ACTION_MAKE_REQUIRED, "required"},
      {v1::UpdateAdapterRequest::ACTION_MAKE_OPTIONAL, "optional"},
      {v1::UpdateAdapterRequest::ACTION_REMOVE, "removed"},
      {v1::UpdateAdapterRequest::ACTION_RESUME, "resumed"},
      {v1::UpdateAdapterRequest::ACTION_PAUSE, "paused"}};
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  ASSIGN_OR_RETURN(const Adapter* adapter, find_adapter(request.adapter()));
  const auto action = kActions.find(request.action());
  if (action == kActions.end()) return invalid_argument("no such action on an adapter");
  v1::AuditRow audit;
  audit.set_action(action->second);
  audit.set_adapter(request.adapter());
  audit.set_reason(request.reason());
  audit.set_peer(caller.peer);
  audit.set_user(caller.user);
  audit.set_last_sequence(adapter->row.cursor());
  Changes before(*store_);
  RETURN_IF_ERROR(put_audit(audit, before.writes));
  Status status = commit(before, /*is_synced=*/true);
  Changes changes(*store_);
  if (status.ok()) status = change_adapter(request, changes);
  if (status.ok()) status = advance_archive(changes);
  if (status.ok()) status = commit(changes, /*is_synced=*/true);
  if (status.ok()) status = apply_new_routes();
  if (!status.ok()) return spoil(status);
  LOG_INFO("an adapter was changed adapter={} action={}", request.adapter(), action->second);
  return {};
}

Status Staging::change_adapter(const v1::UpdateAdapterRequest& request, Changes& changes) {
  const std::string& name = request.adapter();
  if (request.action() == v1::UpdateAdapterRequest::ACTION_REMOVE) {
    return remove_adapter(name, changes);
  }
  v1::AdapterRow& row = adapters_.at(name).row;
  changes.adapters.insert(name);
  switch (request.action()) {
    case v1::UpdateAdapterRequest::ACTION_MAKE_REQUIRED:
      if (!row.required()) {
        row.set_is_route_new(state_.unrouted_count() > 0);
        row.set_not_owed_through(std::max(row.cursor(), state_.archived_through()));
      }
      row.set_required(true);
      break;
    case v1::UpdateAdapterRequest::ACTION_MAKE_OPTIONAL:
      row.set_required(false);
      // An optional adapter is owed nothing: its answer must not let go of what no other takes.
      row.set_is_route_new(row.owed() > 0);
      break;
    case v1::UpdateAdapterRequest::ACTION_PAUSE:
      row.set_is_paused(true);
      break;
    default:
      row.set_is_paused(false);
      row.set_rejected_in_a_row(0);
  }
  return {};
}

// Its quarantine stays, see end_earlier_quarantine(): what it holds may have nowhere else to be
// seen.
Status Staging::remove_adapter(const std::string& name, Changes& changes) {
  RETURN_IF_ERROR(route_all(name, /*is_withdrawn=*/true));
  Status parsed;
  RETURN_IF_ERROR(
      store_->for_each(Family::kQuarantine, named_key(name, 0), [&](auto key, auto value) {
        if (name_of(key) != name) return false;
        v1::QuarantineRow row;
        parsed = parse_row(value, "quarantine", row);
        if (!parsed.ok() || !row.was_owed()) return parsed.ok();
        // An adapter that gets this name later has not rejected it.
        row.set_was_owed(false);
        changes.writes.put(Family::kQuarantine, key, row);
        return true;
      }));
  RETURN_IF_ERROR(parsed);
  adapters_.erase(name);
  changes.writes.remove(Family::kAdapters, name);
  return store_->for_each(Family::kSeals, named_key(name, 0), [&](auto key, auto) {
    if (name_of(key) != name) return false;
    changes.writes.remove(Family::kSeals, key);
    return true;
  });
}

}  // namespace verbatim::processor
