#include "processor/staging/event_filter.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace verbatim::processor {
namespace {

// Who is in a room is known by "room/nickname" where the address is hidden, else without a session.
bool is_named(const v1::Envelope& envelope, const std::string& person) {
  const std::string_view bare = std::string_view(person).substr(0, person.find('/'));
  const auto is_meant = [&](const std::string& one) { return one == person || one == bare; };
  const auto& addresses = envelope.addresses();
  return is_meant(envelope.actor().normalised()) ||
         std::any_of(addresses.begin(), addresses.end(), is_meant);
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

std::string typed_address(const std::string& text) {
  const bool is_uri = text.find("://") != std::string::npos;  // its key is all of it
  if (!is_uri && text.find('@') == std::string::npos) return text;
  std::string address = text;
  for (char& one : address) {
    if (one == '/' && !is_uri) break;
    if (one >= 'A' && one <= 'Z') one = static_cast<char>(one - 'A' + 'a');
  }
  return address;
}

std::string typed_room(const std::string& text) {
  const std::string address = typed_address(text);
  const bool has_session =
      address.find('@') != std::string::npos && address.find("://") == std::string::npos;
  if (!has_session) return address;
  const auto bare = [](const std::string& one) { return one.substr(0, one.find('/')); };
  const size_t space = address.find(' ');
  if (space == std::string::npos || address.find('@', space) == std::string::npos) {
    return bare(address);
  }
  // The two of a direct conversation; its key has them in order.
  const std::string one = bare(address.substr(0, space));
  const std::string other = bare(typed_address(address.substr(space + 1)));
  return std::min(one, other) + " " + std::max(one, other);
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
