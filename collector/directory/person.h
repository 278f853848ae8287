// Person, and People: where the directory takes them from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "verbatim/v1/admin.pb.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// What a directory says of one address; empty where it says nothing.
struct Person {
  std::string name;
  std::string email;
  std::string department;
  std::vector<std::string> groups;

  bool operator==(const Person&) const = default;
};

// What became of a search. `person` is set with kFound only.
struct Finding {
  enum class Kind { kFound, kUnknown, kFailed };

  Kind kind = Kind::kFailed;
  // Older than it should be, because the directory did not answer.
  bool is_stale = false;
  Person person = {};
};

// Threads: any.
class People {
 public:
  virtual ~People() = default;

  // One finding for each normalised bare address, in their order. Blocks no longer than the
  // configured time limit, all of them together, and fails no one: kFailed is a finding.
  virtual std::vector<Finding> find(const std::vector<std::string>& addresses) = 0;

  // Fills kind, sizes, lookups and the problem, if there is one.
  virtual void describe(v1::DirectoryInfo& info) const = 0;
};

}  // namespace verbatim::collector
