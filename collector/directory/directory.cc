#include "collector/directory/directory.h"

#include <string>
#include <utility>
#include <vector>

#include "collector/directory/cached_people.h"
#include "collector/directory/csv_people.h"
#include "collector/directory/ldap_lookup.h"

namespace verbatim::collector {
namespace {

using std::chrono::milliseconds;

// Of people, those that were looked up before are left as they were then.
bool is_wanted(const v1::Party& party, const v1::Conversation& conversation) {
  if (party.resolution() != v1::Party::RESOLUTION_UNSPECIFIED) return false;
  const std::string& address = party.normalised();
  if (address.find('@') == std::string::npos || address.find('/') != std::string::npos)
    return false;
  return conversation.kind() != v1::CONVERSATION_KIND_ROOM || address != conversation.key();
}

Result<std::unique_ptr<People>> open_ldap(const v1::Directory& config, milliseconds event_deadline,
                                          const base::Clock& clock) {
  if (config.ldap_timeout_ms() * 2 > event_deadline.count()) {
    return invalid_argument(
        "collector.directory.ldap_timeout_ms: more than half of collector.event_deadline_ms");
  }
  CachedPeopleOptions options;
  options.kind = "ldap";
  options.timeout = milliseconds(config.ldap_timeout_ms());
  options.fresh = milliseconds(config.fresh_ms());
  options.stale_max = milliseconds(config.stale_max_ms());
  options.cache_max_count = static_cast<size_t>(config.cache_max_count());
  options.clock = &clock;
  std::vector<std::shared_ptr<LdapLookup>> lookups;
  for (int i = 0; i < options.thread_count; ++i) {
    ASSIGN_OR_RETURN(lookups.emplace_back(), LdapLookup::create(config));
  }
  const auto make_lookup = [&lookups]() -> PersonLookup {
    std::shared_ptr<LdapLookup> lookup = std::move(lookups.back());
    lookups.pop_back();
    return [lookup](const std::string& address) { return lookup->look_up(address); };
  };
  return std::unique_ptr<People>(std::make_unique<CachedPeople>(std::move(options), make_lookup));
}

Result<std::unique_ptr<People>> open_csv(base::FileSystem& file_system, const v1::Directory& config,
                                         const base::Clock& clock) {
  CsvPeopleOptions options;
  options.path = config.csv_file();
  options.people_max_count = static_cast<size_t>(config.cache_max_count());
  options.clock = &clock;
  auto people = CsvPeople::create(file_system, std::move(options));
  if (people.has_value()) return std::unique_ptr<People>(*std::move(people));
  return Status(people.error().code(), "collector.directory.csv_file: " + people.error().message());
}

}  // namespace

Result<std::unique_ptr<Directory>> Directory::create(base::FileSystem& file_system,
                                                     const v1::Directory& config,
                                                     milliseconds event_deadline,
                                                     const base::Clock& clock) {
  std::unique_ptr<People> people;
  if (!config.csv_file().empty() && !config.ldap_url().empty()) {
    return invalid_argument("collector.directory.ldap_url: not beside csv_file");
  }
  if (!config.csv_file().empty()) {
    ASSIGN_OR_RETURN(people, open_csv(file_system, config, clock));
  } else if (!config.ldap_url().empty()) {
    ASSIGN_OR_RETURN(people, open_ldap(config, event_deadline, clock));
  }
  return std::make_unique<Directory>(std::move(people));
}

void Directory::resolve(v1::Event& event) {
  if (people_ == nullptr) return;
  std::vector<v1::Party*> parties;
  std::vector<std::string> addresses;
  const auto add = [&](v1::Party& party) {
    if (!is_wanted(party, event.conversation())) return;
    parties.push_back(&party);
    addresses.push_back(party.normalised());
  };
  if (event.has_actor()) add(*event.mutable_actor());
  for (v1::Party& other : *event.mutable_others()) add(other);
  if (parties.empty()) return;
  const std::vector<Finding> findings = people_->find(addresses);
  for (size_t i = 0; i < parties.size(); ++i) apply(findings[i], *parties[i]);
}

void Directory::apply(const Finding& finding, v1::Party& party) {
  if (finding.is_stale) ++stale_count_;
  switch (finding.kind) {
    case Finding::Kind::kFailed:
      ++failed_count_;
      return party.set_resolution(v1::Party::RESOLUTION_FAILED);
    case Finding::Kind::kUnknown:
      ++unknown_count_;
      return party.set_resolution(v1::Party::RESOLUTION_UNKNOWN);
    case Finding::Kind::kFound:
      break;
  }
  ++found_count_;
  const Person& person = finding.person;
  party.set_resolution(v1::Party::RESOLUTION_FOUND);
  if (!person.name.empty()) party.set_display_name(person.name);
  if (!person.email.empty()) party.set_email(person.email);
  party.set_department(person.department);
  party.mutable_groups()->Assign(person.groups.begin(), person.groups.end());
}

v1::DirectoryInfo Directory::info() const {
  v1::DirectoryInfo info;
  if (people_ != nullptr) people_->describe(info);
  info.set_found_count(found_count_);
  info.set_unknown_count(unknown_count_);
  info.set_failed_count(failed_count_);
  info.set_stale_count(stale_count_);
  return info;
}

}  // namespace verbatim::collector
