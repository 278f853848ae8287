// ParticipantIndex: whom the participants of rules name. Each distinct list of participants has a
// number; find() gives the numbers that fit a person, by hash for addresses, domains and groups,
// and by one pass of one automaton (RE2::Set) for all expressions.
//
// Threads: add() and compile() first, then find() from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "verbatim/v1/event.pb.h"
#include "verbatim/v1/policy_rules.pb.h"

namespace verbatim::wall {

// Somebody, or a room, in the folded form of adapters/rules/address.h.
struct Person {
  std::string address;
  std::vector<std::string> groups;
  // The directory did not answer: any group may be theirs.
  bool are_groups_unknown = false;
};

Person person_of(const v1::Party& party);
Person person_of(std::string_view address, const std::vector<std::string>& groups = {});

// A list that fits, for sure or, where groups are unknown, perhaps.
struct Fit {
  uint32_t participants = 0;
  bool is_certain = true;

  bool operator==(const Fit&) const = default;
};

class ParticipantIndex {
 public:
  // The number of "everybody", which fits every person.
  static constexpr uint32_t kEverybody = 0;

  ParticipantIndex();
  ~ParticipantIndex();
  ParticipantIndex(ParticipantIndex&&) noexcept;
  ParticipantIndex& operator=(ParticipantIndex&&) noexcept;

  // The number of this list. Errors: kInvalidArgument "field.index: reason".
  Result<uint32_t> add(const v1::Participants& participants);
  // Errors: kResourceExhausted where the expressions are too much for one automaton.
  Status compile();

  uint32_t count() const { return count_; }
  // In ascending order, each once; always with kEverybody.
  std::vector<Fit> find(const Person& person) const;

 private:
  using Lists = std::vector<uint32_t>;
  struct Expressions;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Index = std::unordered_map<std::string, Lists, Hash, std::equal_to<>>;
  static void append(const Index& index, std::string_view key, std::vector<Fit>& found);
  void append_domains(std::string_view domain, std::vector<Fit>& found) const;

  uint32_t count_ = 1;
  std::unordered_map<std::string, uint32_t> numbers_;  // of a list as it is serialised
  Index addresses_;
  Index domains_;
  Index parent_domains_;  // of "*.example.com": "example.com"
  Index groups_;
  Lists with_groups_;
  std::unique_ptr<Expressions> expressions_;
};

}  // namespace verbatim::wall
