#include "collector/compliance/compliance_store.h"

#include <utility>

#include "base/log.h"
#include "collector/compliance/compliance_file.h"
#include "collector/compliance/state_rules.h"

namespace verbatim::collector {
namespace {

Status unusable(const std::string& path, const Status& why) {
  return {why.code(),
          "the file of compliance profiles cannot be used path=" + path + ": " + why.message() +
              "; put back a copy of it, or move it away to begin anew, node-based and without "
              "servers: then no policy is asked about anything until an export is brought back, "
              "by verbatimctl cluster enable --yes if it was cluster-wide, then profiles import"};
}

}  // namespace

Result<std::unique_ptr<ComplianceStore>> ComplianceStore::open(
    base::FileSystem& file_system, const std::string& path, const ComplianceStoreOptions& options) {
  std::unique_ptr<ComplianceStore> store(new ComplianceStore(file_system, path));
  RETURN_IF_ERROR(store->load(options));
  return store;
}

Status ComplianceStore::load(const ComplianceStoreOptions& options) {
  base::MutexLock change_lock(change_mutex_);
  v1::ComplianceState state;
  const auto bytes = file_system_.read_file(path_);
  if (bytes) {
    auto decoded = decode_compliance(*bytes);
    if (!decoded) return unusable(path_, decoded.error());
    if (const Status status = check_state(*decoded); !status.ok()) {
      return unusable(path_, data_loss("it breaks a rule: " + status.message()));
    }
    state = *std::move(decoded);
  } else if (bytes.error().code() == StatusCode::kNotFound) {
    state = initial_compliance(!options.is_upgrade);
    RETURN_IF_ERROR(write(state));
    LOG_INFO("compliance begins mode={}", options.is_upgrade ? "node-based" : "cluster-wide");
  } else {
    return bytes.error();
  }
  ASSIGN_OR_RETURN(auto table, RoutingTable::create(std::move(state)));
  base::MutexLock lock(mutex_);
  table_ = std::move(table);
  return {};
}

std::shared_ptr<const RoutingTable> ComplianceStore::routing() const {
  base::MutexLock lock(mutex_);
  return table_;
}

Result<ComplianceChange> ComplianceStore::change(const v1::ChangeComplianceRequest& request) {
  base::MutexLock change_lock(change_mutex_);
  const auto before = routing();
  ASSIGN_OR_RETURN(ComplianceChange change, apply_change(before->state(), request));
  ASSIGN_OR_RETURN(auto table, RoutingTable::create(change.state));
  const Status status = write(change.state);
  // Whichever of the two a failed write has left: the one in force is what a restart should find.
  const bool is_doubtful = !status.ok() && !write(before->state()).ok();
  base::MutexLock lock(mutex_);
  is_doubtful_ = is_doubtful;
  if (!status.ok()) {
    LOG_ERROR("compliance: a change could not be written revision={}: {}", change.state.revision(),
              status.to_string());
    return status;
  }
  table_ = std::move(table);
  return change;
}

Status ComplianceStore::write(const v1::ComplianceState& state) {
  return base::write_file_atomically(file_system_, path_, encode_compliance(state));
}

std::vector<base::AlarmCondition> ComplianceStore::alarm_conditions() const {
  base::MutexLock lock(mutex_);
  if (!is_doubtful_) return {};
  return {{"compliance-disk", "compliance",
           "a change of profiles or servers could not be written, nor the state before: after a "
           "restart either may be in force; free the disk and make the change again"}};
}

}  // namespace verbatim::collector
