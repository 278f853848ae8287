// All events that the store has, for those who list them: copies of what deletion has passed, then
// what is staged; each once, in order, from one view of the store.
#include <algorithm>
#include <deque>

#include "processor/staging/conversation_rows.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

Result<v1::StoreState> load_state_row(const RocksStore& store, const StoreView& view) {
  v1::StoreState state;
  Status parsed;
  RETURN_IF_ERROR(store.for_each(
      Family::kMeta, "state",
      [&](auto, auto value) {
        parsed = parse_row(value, "default", state);
        return false;
      },
      &view));
  RETURN_IF_ERROR(parsed);
  return state;
}

// Which adapter has a copy of an event in quarantine whose original deletion has passed.
Result<std::map<uint64_t, std::string>> quarantined_between(const RocksStore& store,
                                                            const StoreView& view, uint64_t from,
                                                            uint64_t to) {
  std::map<uint64_t, std::string> adapters;
  if (from > to) return adapters;
  RETURN_IF_ERROR(store.for_each(
      Family::kQuarantine, "",
      [&](auto key, auto) {
        const uint64_t sequence = number_of(key);
        if (sequence >= from && sequence <= to) adapters.try_emplace(sequence, name_of(key));
        return true;
      },
      &view));
  return adapters;
}

// The rows of `kept` or `unrouted`, a few at a time.
class Copies {
 public:
  Copies(const RocksStore& store, const StoreView& view, Family family, uint64_t from)
      : store_(store), view_(view), family_(family), from_(from) {}

  // The first sequence from `from` on that there is a copy of, and its bytes; 0: none is left.
  Result<uint64_t> first_from(uint64_t from) {
    while (!rows_.empty() && rows_.front().first < from) rows_.pop_front();
    if (rows_.empty() && !is_at_end_) RETURN_IF_ERROR(fill(std::max(from, from_)));
    return rows_.empty() ? 0 : rows_.front().first;
  }
  const std::string& bytes() const { return rows_.front().second; }

 private:
  static constexpr size_t kRowsMaxCount = 256;
  static constexpr size_t kRowsMaxBytes = 4 << 20;

  Status fill(uint64_t from) {
    Status parsed;
    size_t bytes = 0;
    is_at_end_ = true;
    RETURN_IF_ERROR(store_.for_each(
        family_, number_key(from),
        [&](auto key, auto value) {
          if (rows_.size() == kRowsMaxCount || bytes > kRowsMaxBytes) {
            is_at_end_ = false;
            return false;
          }
          v1::KeptRow row;
          parsed = parse_row(value, "copies", row);
          from_ = number_of(key) + 1;
          bytes += row.stored_event().size();
          rows_.emplace_back(number_of(key), std::move(*row.mutable_stored_event()));
          return parsed.ok();
        },
        &view_));
    return parsed;
  }

  const RocksStore& store_;
  const StoreView& view_;
  const Family family_;
  uint64_t from_;
  bool is_at_end_ = false;
  std::deque<std::pair<uint64_t, std::string>> rows_;
};

Result<std::string> quarantined_bytes(const RocksStore& store, const StoreView& view,
                                      const std::string& adapter, uint64_t sequence) {
  v1::QuarantineRow row;
  Status parsed;
  RETURN_IF_ERROR(store.for_each(
      Family::kQuarantine, named_key(adapter, sequence),
      [&](auto, auto value) {
        parsed = parse_row(value, "quarantine", row);
        return false;
      },
      &view));
  RETURN_IF_ERROR(parsed);
  return std::move(*row.mutable_stored_event());
}

// The smallest that is not 0 (none).
uint64_t first_of_all(std::initializer_list<uint64_t> sequences) {
  uint64_t first = 0;
  for (const uint64_t one : sequences) {
    if (one != 0 && (first == 0 || one < first)) first = one;
  }
  return first;
}

}  // namespace

Status Staging::for_each_event(uint64_t from, const std::string& conversation,
                               const VisitEvent& visit) const {
  const StoreView view(*store_);
  ASSIGN_OR_RETURN(const v1::StoreState state, load_state_row(*store_, view));
  const uint64_t deleted = state.deleted_through();
  ASSIGN_OR_RETURN(const auto quarantined, quarantined_between(*store_, view, from, deleted));
  Copies kept(*store_, view, Family::kKept, from);
  Copies unrouted(*store_, view, Family::kUnrouted, from);
  while (true) {
    const auto rejected = quarantined.lower_bound(from);
    const uint64_t first_rejected = rejected == quarantined.end() ? 0 : rejected->first;
    ASSIGN_OR_RETURN(const uint64_t first_kept, kept.first_from(from));
    ASSIGN_OR_RETURN(const uint64_t first_unrouted, unrouted.first_from(from));
    const uint64_t sequence = first_of_all({first_rejected, first_kept, first_unrouted});
    if (sequence == 0 || sequence > deleted) break;
    bool goes_on = false;
    if (sequence == first_unrouted) {
      goes_on = visit({sequence, v1::EventInfo::PLACE_UNROUTED, unrouted.bytes()});
    } else if (sequence == first_kept) {
      goes_on = visit({sequence, v1::EventInfo::PLACE_KEPT, kept.bytes()});
    } else {
      ASSIGN_OR_RETURN(const std::string bytes,
                       quarantined_bytes(*store_, view, rejected->second, sequence));
      goes_on = visit({sequence, v1::EventInfo::PLACE_QUARANTINED, bytes});
    }
    if (!goes_on) return {};
    from = sequence + 1;
  }
  Status failed;
  const auto visit_staged = [&](uint64_t sequence, std::string_view bytes) {
    auto place = v1::EventInfo::PLACE_STAGED;
    if (sequence <= state.archived_through()) {
      const auto first_unrouted = unrouted.first_from(sequence);
      failed = first_unrouted.error();
      if (!failed.ok()) return false;
      place = *first_unrouted == sequence ? v1::EventInfo::PLACE_UNROUTED
                                          : v1::EventInfo::PLACE_ARCHIVED;
    }
    return visit({sequence, place, bytes});
  };
  from = std::max(from, deleted + 1);
  if (conversation.empty()) {
    RETURN_IF_ERROR(store_->for_each(
        Family::kEvents, number_key(from),
        [&](auto key, auto value) { return visit_staged(number_of(key), value); }, &view));
    return failed;
  }
  const auto visit_one = [&](uint64_t sequence) {
    const auto bytes = store_->load(Family::kEvents, number_key(sequence));
    failed = bytes.error();
    if (failed.ok() && !*bytes) {
      failed = data_loss("staging: an event is missing sequence=" + std::to_string(sequence));
    }
    return failed.ok() && visit_staged(sequence, **bytes);
  };
  RETURN_IF_ERROR(store_->for_each(
      Family::kConversationEvents, named_key(conversation, from),
      [&](auto key, auto value) {
        if (name_of(key) != conversation) return false;
        const auto sequences = sequences_of(key, value);
        failed = sequences.error();
        if (!failed.ok()) return false;
        const auto first = std::lower_bound(sequences->begin(), sequences->end(), from);
        return std::all_of(first, sequences->end(), visit_one);
      },
      &view));
  return failed;
}

}  // namespace verbatim::processor
