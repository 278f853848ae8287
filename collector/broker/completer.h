// Completer: turns what a source knows of an event into what is stored: checked, with names, times,
// keys and role, serialised once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "collector/broker/profile.h"
#include "verbatim/v1/event.pb.h"

namespace verbatim::collector {

// An event in its final form. The bytes are what every later hop carries.
struct CompleteEvent {
  v1::Event event;
  v1::Envelope envelope;
  std::string event_bytes;
  std::string envelope_bytes;
  std::string order_key;   // the conversation's key
  std::string source_key;  // at most 512 bytes
};

struct CompleterOptions {
  std::vector<std::string> internal_domains;
  int64_t message_max_bytes = 4 * 1024 * 1024;
  const base::Clock* clock = &base::system_clock();
  std::function<v1::ClockState()> read_clock_state;  // empty: the kernel's
  // Whether content of this digest is stored, durably; empty: none is.
  std::function<bool(std::string_view sha256)> has_file = {};
  // Fills what a directory says of the people of an event whose parties and conversation are
  // complete (Directory::resolve); empty: there is no directory.
  std::function<void(v1::Event& event)> resolve = {};
};

// Threads: any.
class Completer {
 public:
  Completer(Profile profile, CompleterOptions options);

  // Takes an event with its source key set, and the verdict that its sender is answered with; none
  // where nobody asks. Errors: kInvalidArgument (what is missing or wrong, as
  // "field: reason"), kResourceExhausted (larger than a message may be).
  Result<CompleteEvent> complete(v1::Event event, const v1::Verdict* verdict = nullptr) const;

  // The two steps of it, for an event that is decided about in between: all but verdicts and bytes,
  // then the bytes of what prepare() gave, with whatever verdicts and final text it has got.
  Result<v1::Event> prepare(v1::Event event) const;
  Result<CompleteEvent> seal(v1::Event event) const;

  const Profile& profile() const { return profile_; }

 private:
  void complete_party(v1::Party& party, const v1::Conversation& conversation) const;
  void stamp(v1::Event& event) const;
  Status check_file(const v1::FileReference& file) const;
  Status check_files(const v1::Event& event) const;

  v1::ClockState clock_state() const;

  const Profile profile_;
  CompleterOptions options_;
  // As last read, and until when that will do.
  mutable base::Mutex clock_mutex_;
  mutable v1::ClockState clock_state_ GUARDED_BY(clock_mutex_);
  mutable std::chrono::nanoseconds clock_due_ GUARDED_BY(clock_mutex_){INT64_MIN};
};

// SHA-256 of every stored file that the event names.
std::vector<std::string> files_named_by(const v1::Event& event);

// The deterministic bytes that tell a repeat: the serialised SourceKey or, above 512 bytes,
// "sha256:" and its digest.
std::string serialise_source_key(const v1::SourceKey& key);

// A positive 31-bit number for formats that need one: the first 31 bits of SHA-256 of the
// normalised address, 1 for 0. Two of 10,000 people share one with a probability of about 2 %: it
// is a label for legacy documents and never a key.
int64_t numeric_id_of(const std::string& normalised_address);

// See Event.post_key; empty where the event has no ids. Takes a completed conversation and actor.
std::string post_key_of(const v1::Event& event);

// Fills Conversation.key from kind, address, and the people's normalised addresses. Errors:
// kInvalidArgument where one of them is missing.
Status complete_conversation(v1::Event& event);

}  // namespace verbatim::collector
