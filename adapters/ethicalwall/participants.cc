#include "adapters/ethicalwall/participants.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>

#include "adapters/rules/address.h"
#include "adapters/rules/text_fold.h"

namespace verbatim::wall {
namespace {

constexpr int64_t kAutomatonMaxBytes = 256 << 20;
constexpr size_t kExpressionMaxBytes = 1'024;

RE2::Options options() {
  RE2::Options quiet;
  quiet.set_log_errors(false);
  quiet.set_case_sensitive(false);
  quiet.set_max_mem(kAutomatonMaxBytes);
  return quiet;
}

Status refuse(const char* field, int index, const std::string& reason) {
  return invalid_argument(std::string(field) + "." + std::to_string(index) + ": " + reason);
}

// Of a field of Participants: no blanks, not empty.
Status check_word(const char* field, int index, const std::string& text) {
  if (text.empty()) return refuse(field, index, "must not be empty");
  const bool has_blank = text.find_first_of(" \t\r\n") != std::string::npos;
  return has_blank ? refuse(field, index, "has a blank in it") : Status();
}

}  // namespace

struct ParticipantIndex::Expressions {
  std::vector<std::string> patterns;
  Lists lists;  // of the pattern at the same index
  std::unique_ptr<RE2::Set> set;
  std::vector<std::unique_ptr<RE2>> single;  // for a text that exhausts the set's memory
};

ParticipantIndex::ParticipantIndex() : expressions_(std::make_unique<Expressions>()) {}
ParticipantIndex::~ParticipantIndex() = default;
ParticipantIndex::ParticipantIndex(ParticipantIndex&&) noexcept = default;
ParticipantIndex& ParticipantIndex::operator=(ParticipantIndex&&) noexcept = default;

Result<uint32_t> ParticipantIndex::add(const v1::Participants& participants) {
  if (participants.addresses().empty() && participants.domains().empty() &&
      participants.groups().empty() && participants.expressions().empty()) {
    return kEverybody;
  }
  const auto [known, is_new] = numbers_.emplace(participants.SerializeAsString(), count_);
  if (!is_new) return known->second;
  const uint32_t number = count_++;
  for (int i = 0; i < participants.addresses_size(); ++i) {
    const std::string& text = participants.addresses(i);
    RETURN_IF_ERROR(check_word("addresses", i, text));
    if (text.find('/') != std::string::npos) {
      return refuse("addresses", i, "rules name bare addresses, without a resource");
    }
    addresses_[rules::fold_address(text)].push_back(number);
  }
  for (int i = 0; i < participants.domains_size(); ++i) {
    const std::string& text = participants.domains(i);
    RETURN_IF_ERROR(check_word("domains", i, text));
    if (text.find_first_of("@/") != std::string::npos || text == "*." ||
        text.find('*', text.starts_with("*.") ? 1 : 0) != std::string::npos) {
      return refuse("domains", i, "expected example.com or *.example.com, not \"" + text + "\"");
    }
    const bool is_parent = text.starts_with("*.");
    (is_parent ? parent_domains_ : domains_)[rules::fold_domain(is_parent ? text.substr(2) : text)]
        .push_back(number);
  }
  for (int i = 0; i < participants.groups_size(); ++i) {
    if (participants.groups(i).empty()) return refuse("groups", i, "must not be empty");
    groups_[rules::fold(participants.groups(i))].push_back(number);
  }
  if (!participants.groups().empty()) with_groups_.push_back(number);
  for (int i = 0; i < participants.expressions_size(); ++i) {
    const std::string& pattern = participants.expressions(i);
    const RE2 expression(pattern, options());
    if (!expression.ok()) return refuse("expressions", i, expression.error());
    if (pattern.empty() || pattern.size() > kExpressionMaxBytes) {
      return refuse("expressions", i, "expected 1 to 1,024 bytes");
    }
    expressions_->patterns.push_back(pattern);
    expressions_->lists.push_back(number);
  }
  return number;
}

Status ParticipantIndex::compile() {
  Expressions& all = *expressions_;
  if (all.patterns.empty()) return {};
  all.set = std::make_unique<RE2::Set>(options(), RE2::ANCHOR_BOTH);
  for (const std::string& pattern : all.patterns) {
    std::string error;
    if (all.set->Add(pattern, &error) < 0) return invalid_argument("expressions: " + error);
    all.single.push_back(std::make_unique<RE2>(pattern, options()));
  }
  if (all.set->Compile()) return {};
  return resource_exhausted("the expressions are too much for one automaton count=" +
                            std::to_string(all.patterns.size()));
}

void ParticipantIndex::append(const Index& index, std::string_view key, std::vector<Fit>& found) {
  const auto lists = index.find(key);
  if (lists == index.end()) return;
  for (const uint32_t number : lists->second) found.push_back({number, true});
}

void ParticipantIndex::append_domains(std::string_view domain, std::vector<Fit>& found) const {
  append(domains_, domain, found);
  if (parent_domains_.empty()) return;
  for (size_t dot = domain.find('.'); dot != std::string_view::npos; dot = domain.find('.')) {
    domain.remove_prefix(dot + 1);
    append(parent_domains_, domain, found);
  }
}

std::vector<Fit> ParticipantIndex::find(const Person& person) const {
  std::vector<Fit> found{{kEverybody, true}};
  append(addresses_, person.address, found);
  append_domains(rules::domain_of(person.address), found);
  for (const std::string& group : person.groups) append(groups_, group, found);
  const Expressions& all = *expressions_;
  if (all.set != nullptr) {
    std::vector<int> matches;
    RE2::Set::ErrorInfo error{};
    if (all.set->Match(person.address, &matches, &error)) {
      for (const int match : matches) {
        found.push_back({all.lists[static_cast<size_t>(match)], true});
      }
    } else if (error.kind != RE2::Set::kNoError) {
      for (size_t i = 0; i < all.single.size(); ++i) {
        if (RE2::FullMatch(person.address, *all.single[i])) found.push_back({all.lists[i], true});
      }
    }
  }
  if (person.are_groups_unknown) {
    for (const uint32_t number : with_groups_) found.push_back({number, false});
  }
  // A list that fits for sure stands before itself as one that fits perhaps.
  std::sort(found.begin(), found.end(), [](const Fit& one, const Fit& other) {
    return one.participants != other.participants ? one.participants < other.participants
                                                  : one.is_certain && !other.is_certain;
  });
  const auto is_same = [](const Fit& one, const Fit& other) {
    return one.participants == other.participants;
  };
  found.erase(std::unique(found.begin(), found.end(), is_same), found.end());
  return found;
}

Person person_of(std::string_view address, const std::vector<std::string>& groups) {
  Person person;
  person.address = rules::fold_address(address);
  for (const std::string& group : groups) person.groups.push_back(rules::fold(group));
  return person;
}

Person person_of(const v1::Party& party) {
  Person person = person_of(party.normalised().empty() ? party.address() : party.normalised(),
                            {party.groups().begin(), party.groups().end()});
  person.are_groups_unknown = party.resolution() == v1::Party::RESOLUTION_FAILED;
  return person;
}

}  // namespace verbatim::wall
