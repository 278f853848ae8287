// MessageTrace: finds all events of one message among those of the store, and puts its versions in
// order. Pure; the caller hands the events over, in order of their sequence.
//
// Edits and deletions name the first version's id, or that of another version; captures of one post
// have the same ids; what became of it names an event. So the passes over the store go on until one
// finds nothing new. Ids that a sender chooses are the sender's own: they link within one
// conversation and one sender only; ids that the room gave link within the conversation. An edit or
// a deletion that names another sender's message is shown, marked, and is no version.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "processor/staging/event_info.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::processor {

class MessageTrace {
 public:
  // An empty conversation: in all of them.
  MessageTrace(std::string id, std::string conversation)
      : id_(std::move(id)), conversation_(std::move(conversation)) {}

  // First: passes over everything, until it is settled.
  bool is_settled() const { return pass_count_ > 0 && !has_grown_; }
  void begin_pass();
  void look_at(const OpenedEvent& event);

  // Then: one pass over what was found, and what concerns all of the conversation; conversations
  // may come one after the other.
  bool is_empty() const { return sequences_.empty(); }
  uint64_t first_sequence() const { return *sequences_.begin(); }
  const std::set<std::string>& conversations() const { return conversations_; }
  bool has(const OpenedEvent& event) const;
  void take(const OpenedEvent& event, v1::EventInfo info);
  v1::TraceMessageResponse finish(bool with_content);

 private:
  struct Found {
    v1::TracedEvent traced;
    v1::Event event;
    std::string group;
  };

  bool is_of_message(const v1::Envelope& envelope, const v1::Event& event) const;
  bool names(const std::string& conversation, const std::string& sender,
             const std::string& id) const;
  void learn(const v1::Envelope& envelope, const v1::Event& event);
  void number_versions();
  void link(Found& found);

  const std::string id_;
  const std::string conversation_;
  int pass_count_ = 0;
  bool has_grown_ = false;
  std::set<uint64_t> sequences_;
  std::set<std::string> ids_;
  std::set<std::string> event_ids_;
  std::set<std::string> conversations_;
  std::vector<Found> found_;
  std::string author_;
};

}  // namespace verbatim::processor
