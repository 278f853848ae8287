// Which events an adapter is given, decided by the envelope alone. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "verbatim/v1/config.pb.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::processor {

class EventSelector {
 public:
  // Takes everything.
  EventSelector() = default;
  explicit EventSelector(const v1::AdapterFilter& filter);

  // Every list of the filter that is not empty has something that fits. People are those of
  // Envelope.addresses and the actor.
  bool takes(const v1::Envelope& envelope) const;

 private:
  bool takes_conversation(const v1::Envelope& envelope) const;
  bool takes_people(const v1::Envelope& envelope) const;

  std::vector<std::string> conversations_;  // as fnmatch(3) reads them
  std::set<int> kinds_;
  std::set<std::string> sources_;
  std::set<std::string> domains_;
};

// True if the filter leaves nothing out.
bool is_open(const v1::AdapterFilter& filter);
bool is_same(const v1::AdapterFilter& one, const v1::AdapterFilter& other);

}  // namespace verbatim::processor
