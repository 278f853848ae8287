// The accounting cut, from one view of the store: counters, and on request the rows themselves.
#include <algorithm>

#include "base/endian.h"
#include "processor/staging/conversation_rows.h"
#include "processor/staging/event_filter.h"
#include "processor/staging/keys.h"
#include "processor/staging/staging.h"

namespace verbatim::processor {
namespace {

// What one view holds.
struct Cut {
  v1::StoreState state;
  std::map<uint32_t, v1::SourceCounters> sources;
  std::map<std::string, v1::QueuePosition> positions;
  // Messages in the ranges.
  std::map<std::string, int64_t> exceptions;
  std::map<uint32_t, uint64_t> exceptions_by_source;
  std::map<std::string, v1::AdapterRow> adapters;
  std::vector<v1::HoldFilter> holds;
  // Of each adapter: rows, and rows above its cursor.
  std::map<std::string, uint64_t> quarantined;
  std::map<std::string, uint64_t> quarantined_ahead;
  // Sequence to source, of what counts as quarantined.
  std::map<uint64_t, uint32_t> in_quarantine;
};

template <class Message, class Take>
Status scan(const RocksStore& store, Family family, const StoreView& view, Take take) {
  Status parsed;
  RETURN_IF_ERROR(store.for_each(
      family, "",
      [&](auto key, auto value) {
        Message message;
        parsed = parse_row(value, "accounting", message);
        if (parsed.ok()) take(key, message);
        return parsed.ok();
      },
      &view));
  return parsed;
}

Result<Cut> load_cut(const RocksStore& store, const StoreView& view) {
  Cut cut;
  RETURN_IF_ERROR(store.for_each(
      Family::kMeta, "state",
      [&](auto, auto value) {
        cut.state.ParseFromArray(value.data(), static_cast<int>(value.size()));
        return false;
      },
      &view));
  RETURN_IF_ERROR(scan<v1::SourceCounters>(store, Family::kSources, view, [&](auto key, auto& row) {
    cut.sources[base::get_be32(key.data())] = row;
  }));
  RETURN_IF_ERROR(
      scan<v1::QueuePosition>(store, Family::kPositions, view,
                              [&](auto key, auto& row) { cut.positions[std::string(key)] = row; }));
  RETURN_IF_ERROR(
      scan<v1::PositionException>(store, Family::kExceptions, view, [&](auto key, auto& row) {
        const v1::PositionException range = as_range(number_of(key), std::move(row));
        for (const auto& [reference, taken] : range.sources()) {
          cut.exceptions[name_of(key)] += static_cast<int64_t>(taken.count());
          cut.exceptions_by_source[reference] += taken.count();
        }
      }));
  RETURN_IF_ERROR(scan<v1::AdapterRow>(store, Family::kAdapters, view, [&](auto key, auto& row) {
    cut.adapters[std::string(key)] = row;
  }));
  RETURN_IF_ERROR(scan<v1::HoldRow>(store, Family::kHolds, view,
                                    [&](auto, auto& row) { cut.holds.push_back(row.filter()); }));
  RETURN_IF_ERROR(
      scan<v1::QuarantineRow>(store, Family::kQuarantine, view, [&](auto key, auto& row) {
        const std::string name = name_of(key);
        const uint64_t sequence = number_of(key);
        ++cut.quarantined[name];
        const auto adapter = cut.adapters.find(name);
        if (adapter != cut.adapters.end() && sequence > adapter->second.cursor()) {
          ++cut.quarantined_ahead[name];
        }
        if (sequence > cut.state.archived_through() || row.is_final()) {
          cut.in_quarantine[sequence] = row.source_ref();
        }
      }));
  return cut;
}

void add_queues(const Cut& cut, v1::GetAccountingResponse& response) {
  std::map<std::string, v1::QueueCut*> queues;
  for (const auto& [name, position] : cut.positions) {
    v1::QueueCut* queue = queues[name] = response.add_queues();
    queue->set_queue(name);
    queue->set_position(position.prefix());
    const auto exceptions = cut.exceptions.find(name);
    queue->set_exception_count(exceptions == cut.exceptions.end() ? 0 : exceptions->second);
  }
  for (const auto& [reference, counters] : cut.sources) {
    const auto queue = queues.find(counters.queue());
    if (queue == queues.end()) continue;
    v1::SourceCut& source = *queue->second->add_sources();
    source.set_source(counters.source());
    // The stamp tells of the prefix; what lies above it is counted one by one.
    source.set_accepted(counters.carried() + counters.stamp() - counters.base() +
                        counters.exceptions());
    source.set_repeats(counters.repeats());
    source.set_archived(counters.archived());
    source.set_quarantined(counters.quarantined());
    source.set_staged(counters.staged());
    source.set_difference(static_cast<int64_t>(source.accepted() - source.repeats() -
                                               source.archived() - source.quarantined() -
                                               source.staged()));
  }
}

void add_adapters(const Cut& cut, v1::GetAccountingResponse& response) {
  for (const auto& [name, row] : cut.adapters) {
    v1::AdapterAccount& account = *response.add_adapters();
    const auto ahead = cut.quarantined_ahead.find(name);
    account.set_adapter(name);
    account.set_required(row.required());
    account.set_accepted(cut.state.last_sequence() - (row.start_sequence() - 1) +
                         row.owed_before_start());
    account.set_acknowledged(row.acknowledged());
    account.set_pending(cut.state.last_sequence() - row.cursor() - row.filtered_ahead() +
                        row.owed() - (ahead == cut.quarantined_ahead.end() ? 0 : ahead->second));
    account.set_filtered(row.filtered());
    account.set_skipped(row.skipped());
    account.set_quarantined(row.quarantined());
    account.set_difference(static_cast<int64_t>(account.accepted() - account.acknowledged() -
                                                account.pending() - account.filtered() -
                                                account.skipped() - account.quarantined()));
    if (row.required()) response.set_has_required_adapter(true);
  }
  response.set_unrouted_count(static_cast<int64_t>(cut.state.unrouted_count()));
  if (response.has_required_adapter()) return;
  response.set_unrouted_count(0);
  for (const auto& [reference, counters] : cut.sources) {
    response.set_unrouted_count(response.unrouted_count() +
                                static_cast<int64_t>(counters.staged()));
  }
}

// Counts rows and says what the counters say otherwise.
class Recount {
 public:
  Recount(const RocksStore& store, const StoreView& view, const Cut& cut)
      : store_(store), view_(view), cut_(cut) {}

  Result<std::vector<std::string>> run() {
    RETURN_IF_ERROR(count_events());
    RETURN_IF_ERROR(count_kept());
    RETURN_IF_ERROR(count_unrouted());
    for (const auto& [sequence, reference] : cut_.in_quarantine) ++quarantined_[reference];
    for (const auto& [reference, counters] : cut_.sources) compare_source(reference, counters);
    for (const auto& [name, row] : cut_.adapters) {
      const auto found = cut_.quarantined.find(name);
      // Rows from an earlier life of a removed adapter of this name lie below its start.
      expect("quarantine rows of " + name,
             found == cut_.quarantined.end() ? 0 : std::min(found->second, row.quarantined()),
             row.quarantined());
      expect("filtered rows above the cursor of " + name, left_out_[name].count,
             row.filtered_ahead());
      expect("their bytes of " + name, left_out_[name].bytes, row.filtered_ahead_bytes());
    }
    return std::move(differences_);
  }

 private:
  // Index rows and event rows must be the same sequences, contiguous to the last.
  Status count_events() {
    std::map<uint64_t, uint64_t> sizes;
    uint64_t previous = cut_.state.deleted_through();
    const std::string first = number_key(previous + 1);
    Status decoded;
    RETURN_IF_ERROR(store_.for_each(
        Family::kIndex, first,
        [&](auto key, auto value) {
          const uint64_t sequence = number_of(key);
          const auto index = decode_index(value);
          if (!index) {
            decoded = index.error();
            return false;
          }
          expect("next index row", sequence, previous + 1);
          previous = sequence;
          sizes[sequence] = index->size;
          count_left_out(sequence, *index);
          const bool is_open = sequence > cut_.state.archived_through();
          if (is_open && !cut_.in_quarantine.contains(sequence)) ++staged_[index->source_ref];
          return true;
        },
        &view_));
    RETURN_IF_ERROR(decoded);
    expect("last index row", previous, cut_.state.last_sequence());
    uint64_t bytes = 0;
    RETURN_IF_ERROR(store_.for_each(
        Family::kEvents, first,
        [&](auto key, auto value) {
          const auto found = sizes.find(number_of(key));
          const uint64_t indexed = found == sizes.end() ? 0 : found->second;
          expect("size of event " + std::to_string(number_of(key)), value.size(), indexed);
          if (found != sizes.end()) sizes.erase(found);
          bytes += value.size();
          return true;
        },
        &view_));
    expect("index rows without an event", sizes.size(), 0);
    uint64_t by_conversation = 0;
    RETURN_IF_ERROR(store_.for_each(
        Family::kConversationEvents, "",
        [&](auto key, auto value) {
          const auto sequences = sequences_of(key, value);
          decoded = sequences.error();
          if (!decoded.ok()) return false;
          by_conversation += static_cast<uint64_t>(std::count_if(
              sequences->begin(), sequences->end(),
              [&](uint64_t sequence) { return sequence > cut_.state.deleted_through(); }));
          return true;
        },
        &view_));
    RETURN_IF_ERROR(decoded);
    expect("rows by conversation", by_conversation,
           cut_.state.last_sequence() - cut_.state.deleted_through());
    expect("bytes staged", bytes, cut_.state.total_bytes() - cut_.state.deleted_bytes());
    return {};
  }

  // Copies lie behind deletion, and only where a hold covers them.
  Status count_kept() {
    uint64_t count = 0;
    uint64_t bytes = 0;
    RETURN_IF_ERROR(scan<v1::KeptRow>(store_, Family::kKept, view_, [&](auto key, auto& row) {
      ++count;
      bytes += row.stored_event().size();
      const std::string name = "copy of event " + std::to_string(number_of(key));
      expect(name + " ahead of deletion", number_of(key) > cut_.state.deleted_through(), 0);
      v1::StoredEvent stored;
      v1::Envelope envelope;
      const bool is_sound =
          stored.ParseFromString(row.stored_event()) && envelope.ParseFromString(stored.envelope());
      const bool is_covered =
          is_sound && std::any_of(cut_.holds.begin(), cut_.holds.end(),
                                  [&](const auto& hold) { return covers(hold, envelope); });
      expect(name + " without a hold", is_covered, 1);
    }));
    expect("copies for holds", count, cut_.state.kept_count());
    expect("bytes of copies for holds", bytes, cut_.state.kept_bytes());
    return {};
  }

  void count_left_out(uint64_t sequence, const EventIndex& index) {
    for (const auto& [name, row] : cut_.adapters) {
      if (sequence <= row.cursor() || !is_left_out(row, sequence, index)) continue;
      ++left_out_[name].count;
      left_out_[name].bytes += index.size;
    }
  }

  // Behind the archive's front, and still staged.
  Status count_unrouted() {
    uint64_t count = 0;
    RETURN_IF_ERROR(scan<v1::KeptRow>(store_, Family::kUnrouted, view_, [&](auto key, auto& row) {
      ++count;
      // It may be owed to others when one has rejected it.
      if (!cut_.in_quarantine.contains(number_of(key))) ++staged_[row.source_ref()];
      for (const auto& name : row.owed_to()) ++owed_[name];
      expect("unrouted event ahead of the archive", number_of(key) > cut_.state.archived_through(),
             0);
    }));
    expect("unrouted rows", count, cut_.state.unrouted_count());
    for (const auto& [name, row] : cut_.adapters) {
      expect("unrouted rows owed to " + name, owed_[name], row.owed());
    }
    return {};
  }

  void compare_source(uint32_t reference, const v1::SourceCounters& counters) {
    const std::string name = counters.queue() + "/" + counters.source();
    expect("staged rows of " + name, staged_[reference], counters.staged());
    expect("quarantined rows of " + name, quarantined_[reference], counters.quarantined());
    const auto exceptions = cut_.exceptions_by_source.find(reference);
    expect("exceptions of " + name,
           exceptions == cut_.exceptions_by_source.end() ? 0 : exceptions->second,
           counters.exceptions());
    // Archived rows are gone: what is left of the accepted ones must be the counter.
    expect("archived of " + name,
           counters.carried() + counters.stamp() - counters.base() + counters.exceptions() -
               counters.repeats() - staged_[reference] - quarantined_[reference],
           counters.archived());
  }

  void expect(const std::string& what, uint64_t counted, uint64_t expected) {
    constexpr size_t kDifferencesMaxCount = 100;
    if (counted == expected || differences_.size() >= kDifferencesMaxCount) return;
    differences_.push_back(what + ": counted " + std::to_string(counted) + ", expected " +
                           std::to_string(expected));
  }

  const RocksStore& store_;
  const StoreView& view_;
  const Cut& cut_;
  struct LeftOut {
    uint64_t count = 0;
    uint64_t bytes = 0;
  };
  std::map<std::string, LeftOut> left_out_;
  std::map<std::string, uint64_t> owed_;
  std::map<uint32_t, uint64_t> staged_;
  std::map<uint32_t, uint64_t> quarantined_;
  std::vector<std::string> differences_;
};

}  // namespace

Result<v1::GetAccountingResponse> Staging::accounting(bool recount) {
  RETURN_IF_ERROR(fatal());
  const StoreView view(*store_);
  ASSIGN_OR_RETURN(const Cut cut, load_cut(*store_, view));
  v1::GetAccountingResponse response;
  add_queues(cut, response);
  add_adapters(cut, response);
  if (!recount) return response;
  ASSIGN_OR_RETURN(const auto differences, Recount(*store_, view, cut).run());
  for (const auto& one : differences) response.add_recount_differences(one);
  return response;
}

}  // namespace verbatim::processor
