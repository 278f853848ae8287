// Which stored files the events of the store name: rows of `file_names`, written with the event and
// removed once the store has the event nowhere any more.
#include "base/log.h"
#include "base/sha256.h"
#include "processor/staging/event_info.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

// Rows of a store that had none are made in writes of so many.
constexpr size_t kWriteMaxCount = 4'096;

bool is_digest(std::string_view bytes) { return bytes.size() == base::kSha256Size; }

}  // namespace

void Staging::name_files(const v1::Envelope& envelope, uint64_t sequence, Changes& changes) {
  for (const std::string& digest : envelope.file_sha256()) {
    if (!is_digest(digest)) continue;
    changes.writes.put(Family::kFileNames, digest + number_key(sequence), std::string_view());
  }
}

Result<std::set<std::string>> Staging::unnamed_files(const std::vector<std::string>& digests) {
  base::MutexLock lock(mutex_);
  RETURN_IF_ERROR(fatal_);
  // What is deleted must stay deleted: an event that a power cut brought back would name its files.
  Changes nothing(*store_);
  if (Status status = commit(nothing, /*is_synced=*/true); !status.ok()) return spoil(status);
  std::set<uint64_t> quarantined;
  RETURN_IF_ERROR(store_->for_each(Family::kQuarantine, "", [&](auto key, auto) {
    quarantined.insert(number_of(key));
    return true;
  }));
  std::set<std::string> unnamed;
  Changes changes(*store_);
  for (const std::string& digest : digests) {
    ASSIGN_OR_RETURN(const bool is_named, drop_old_names(digest, quarantined, changes));
    if (!is_named) unnamed.insert(digest);
  }
  // A crash leaves the rows to the next call.
  if (Status status = commit(changes, /*is_synced=*/false); !status.ok()) return spoil(status);
  return unnamed;
}

// Looks at the rows of one file; gives whether one of them is of an event that is still here.
Result<bool> Staging::drop_old_names(const std::string& digest,
                                     const std::set<uint64_t>& quarantined, Changes& changes) {
  bool is_named = false;
  Status looked;
  RETURN_IF_ERROR(
      store_->for_each(Family::kFileNames, digest, [&](auto key, auto) REQUIRES(mutex_) {
        if (!key.starts_with(digest)) return false;
        const auto has_event = this->has_event(number_of(key), quarantined);
        looked = has_event.error();
        if (!looked.ok()) return false;
        is_named = *has_event;
        if (!is_named) changes.writes.remove(Family::kFileNames, key);
        return !is_named;
      }));
  RETURN_IF_ERROR(looked);
  return is_named;
}

Result<bool> Staging::has_event(uint64_t sequence, const std::set<uint64_t>& quarantined) const {
  if (sequence > state_.deleted_through() || quarantined.contains(sequence)) return true;
  for (const Family family : {Family::kKept, Family::kUnrouted}) {
    ASSIGN_OR_RETURN(const auto copy, store_->load(family, number_key(sequence)));
    if (copy) return true;
  }
  return false;
}

// For a store of format 1, which has no rows of files and none by conversation: from all events and
// copies.
Status Staging::add_rows_of_format_2() {
  uint64_t count = 0;
  auto changes = std::make_unique<Changes>(*store_);
  Status status;
  const auto take = [&](uint64_t sequence, std::string_view stored_event) REQUIRES(mutex_) {
    const auto event = open_event(stored_event);
    status = event.error();
    if (!status.ok()) return false;
    name_files(event->envelope, sequence, *changes);
    if (++count % kWriteMaxCount != 0) return true;
    status = commit(*changes, /*is_synced=*/false);
    changes = std::make_unique<Changes>(*store_);
    return status.ok();
  };
  const auto take_staged = [&](auto key, auto value) REQUIRES(mutex_) {
    if (const auto event = open_event(value)) {
      changes->writes.put(Family::kConversationEvents,
                          named_key(event->envelope.conversation_key(), number_of(key)),
                          std::string_view());
    }
    return take(number_of(key), value);
  };
  RETURN_IF_ERROR(
      store_->for_each(Family::kEvents, number_key(state_.deleted_through() + 1), take_staged));
  RETURN_IF_ERROR(status);
  for (const Family family : {Family::kKept, Family::kUnrouted}) {
    RETURN_IF_ERROR(store_->for_each(family, "", [&](auto key, auto value) REQUIRES(mutex_) {
      v1::KeptRow row;
      status = parse_row(value, "kept", row);
      return status.ok() && take(number_of(key), row.stored_event());
    }));
    RETURN_IF_ERROR(status);
  }
  RETURN_IF_ERROR(
      store_->for_each(Family::kQuarantine, "", [&](auto key, auto value) REQUIRES(mutex_) {
        v1::QuarantineRow row;
        status = parse_row(value, "quarantine", row);
        return status.ok() && take(number_of(key), row.stored_event());
      }));
  RETURN_IF_ERROR(status);
  LOG_INFO("rows of files and by conversation were added event_count={}", count);
  return commit(*changes, /*is_synced=*/false);
}

}  // namespace verbatim::processor
