#include "processor/staging/adapter_filter.h"

#include <fnmatch.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace verbatim::processor {
namespace {

// Only * and ? stand for something else.
std::string to_fnmatch(const std::string& pattern) {
  std::string escaped;
  for (const char one : pattern) {
    if (one == '[' || one == '\\') escaped += '\\';
    escaped += one;
  }
  return escaped;
}

// As "message_posted". What the configuration's check let through has a value.
int kind_of(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char one) { return static_cast<char>(std::toupper(one)); });
  v1::EventKind kind = v1::EVENT_KIND_UNSPECIFIED;
  return v1::EventKind_Parse("EVENT_KIND_" + name, &kind) ? kind : -1;
}

std::string domain_of(std::string_view address) {
  const size_t resource = address.find('/');
  if (resource != std::string_view::npos) address = address.substr(0, resource);
  const size_t at = address.rfind('@');
  return std::string(at == std::string_view::npos ? address : address.substr(at + 1));
}

// Addresses are in lower case whatever the configuration has; names of rooms, too, are taken
// however their case is written: a filter must not leave out what was meant.
bool is_like(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), FNM_CASEFOLD) == 0;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char one) { return static_cast<char>(std::tolower(one)); });
  return text;
}

}  // namespace

EventSelector::EventSelector(const v1::AdapterFilter& filter)
    : sources_(filter.sources().begin(), filter.sources().end()) {
  for (const auto& domain : filter.domains()) domains_.insert(lower(domain));
  for (const auto& pattern : filter.conversations()) conversations_.push_back(to_fnmatch(pattern));
  for (const auto& kind : filter.kinds()) kinds_.insert(kind_of(kind));
}

bool EventSelector::takes(const v1::Envelope& envelope) const {
  if (!kinds_.empty() && !kinds_.contains(envelope.kind())) return false;
  if (!sources_.empty() && !sources_.contains(envelope.source())) return false;
  if (!conversations_.empty() && !takes_conversation(envelope)) return false;
  return domains_.empty() || takes_people(envelope);
}

bool EventSelector::takes_conversation(const v1::Envelope& envelope) const {
  return std::any_of(conversations_.begin(), conversations_.end(), [&](const auto& pattern) {
    return is_like(pattern, envelope.conversation_key()) ||
           (!envelope.conversation_name().empty() &&
            is_like(pattern, envelope.conversation_name()));
  });
}

bool EventSelector::takes_people(const v1::Envelope& envelope) const {
  if (domains_.contains(domain_of(envelope.actor().normalised()))) return true;
  return std::any_of(envelope.addresses().begin(), envelope.addresses().end(),
                     [&](const auto& address) { return domains_.contains(domain_of(address)); });
}

bool is_open(const v1::AdapterFilter& filter) {
  return filter.conversations().empty() && filter.kinds().empty() && filter.sources().empty() &&
         filter.domains().empty();
}

bool is_same(const v1::AdapterFilter& one, const v1::AdapterFilter& other) {
  return one.SerializeAsString() == other.SerializeAsString();
}

}  // namespace verbatim::processor
