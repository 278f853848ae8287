#include "processor/staging/event_filter.h"

#include <algorithm>
#include <string>

namespace verbatim::processor {
namespace {

bool is_named(const v1::Envelope& envelope, const std::string& person) {
  const auto& addresses = envelope.addresses();
  return envelope.actor().normalised() == person ||
         std::find(addresses.begin(), addresses.end(), person) != addresses.end();
}

bool is_between(int64_t time, int64_t from, int64_t to) {
  return time != 0 && (from == 0 || time >= from) && (to == 0 || time < to);
}

}  // namespace

bool is_in_time(const v1::Envelope& envelope, int64_t from_unix_ns, int64_t to_unix_ns) {
  if (from_unix_ns == 0 && to_unix_ns == 0) return true;
  const int64_t source = envelope.source_time_unix_ns();
  const int64_t accepted = envelope.accept_time_unix_ns();
  // Without any time nobody can say that it is outside.
  if (source == 0 && accepted == 0) return true;
  return is_between(source, from_unix_ns, to_unix_ns) ||
         is_between(accepted, from_unix_ns, to_unix_ns);
}

bool covers(const v1::HoldFilter& filter, const v1::Envelope& envelope) {
  if (!filter.room().empty() && envelope.conversation_key() != filter.room()) return false;
  if (!filter.person().empty() && !is_named(envelope, filter.person())) return false;
  return is_in_time(envelope, filter.from_unix_ns(), filter.to_unix_ns());
}

bool matches(const v1::StagedFilter& filter, const v1::Envelope& envelope) {
  if (!filter.room().empty() && envelope.conversation_key() != filter.room()) return false;
  if (!filter.person().empty() && !is_named(envelope, filter.person())) return false;
  if (!filter.source().empty() && envelope.source() != filter.source()) return false;
  const auto& kinds = filter.kinds();
  const bool is_kind =
      kinds.empty() || std::find(kinds.begin(), kinds.end(), envelope.kind()) != kinds.end();
  return is_kind && is_in_time(envelope, filter.from_unix_ns(), filter.to_unix_ns());
}

Status check_hold_filter(const v1::HoldFilter& filter) {
  const bool has_time = filter.from_unix_ns() != 0 || filter.to_unix_ns() != 0;
  const bool is_something = !filter.person().empty() || !filter.room().empty() || has_time;
  if (is_something == filter.all()) {
    return invalid_argument("a hold needs a person, a room, a time, or 'all' alone");
  }
  if (filter.to_unix_ns() != 0 && filter.to_unix_ns() <= filter.from_unix_ns()) {
    return invalid_argument("the time of a hold ends before it begins");
  }
  return {};
}

}  // namespace verbatim::processor
