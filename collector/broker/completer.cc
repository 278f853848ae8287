#include "collector/broker/completer.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "collector/broker/clock_state.h"
#include "collector/broker/jid.h"
#include "collector/broker/party.h"
#include "collector/broker/role.h"

namespace verbatim::collector {
namespace {

constexpr size_t kSourceKeyMaxBytes = 512;
constexpr size_t kNameMaxBytes = 128;
// Three parts of 1,023 bytes and their separators (RFC 6122); longer addresses are refused.
constexpr size_t kAddressMaxBytes = 3 * 1'023 + 2;
constexpr int kOthersMaxCount = 10'000;
constexpr std::chrono::milliseconds kClockStateAgeMax{100};

std::string serialise_deterministic(const google::protobuf::MessageLite& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  const bool is_ok = message.SerializeToCodedStream(&coded);
  CHECK(is_ok, "a string cannot refuse bytes");
  coded.Trim();
  return bytes;
}

Status check_source(const v1::Event& event) {
  const std::string& name = event.source().name();
  if (name.empty() || name.size() > kNameMaxBytes) {
    return invalid_argument("source.name: must have 1 to 128 bytes");
  }
  if (event.source_key().form_case() == v1::SourceKey::FORM_NOT_SET) {
    return invalid_argument("source_key: not set");
  }
  return {};
}

Status check_addresses(const v1::Event& event) {
  if (event.others_size() > kOthersMaxCount) return invalid_argument("others: more than 10,000");
  if (event.actor().address().size() > kAddressMaxBytes) {
    return invalid_argument("actor.address: too long");
  }
  for (const v1::Party& other : event.others()) {
    if (other.address().size() > kAddressMaxBytes) {
      return invalid_argument("others.address: too long");
    }
  }
  if (event.conversation().address().size() > kAddressMaxBytes) {
    return invalid_argument("conversation.address: too long");
  }
  return {};
}

Status check(const v1::Event& event) {
  RETURN_IF_ERROR(check_source(event));
  if (event.body_case() == v1::Event::BODY_NOT_SET) return invalid_argument("body: not set");
  if (!v1::Phase_IsValid(event.phase()) || event.phase() == v1::PHASE_UNSPECIFIED) {
    return invalid_argument("phase: not set");
  }
  if (event.source_time_unix_ns() < 0) {
    return invalid_argument("source_time_unix_ns: before 1970");
  }
  return check_addresses(event);
}

v1::Envelope make_envelope(const v1::Event& event, const std::string& source_key) {
  v1::Envelope envelope;
  envelope.set_schema_revision(event.schema_revision());
  envelope.set_event_id(event.id());
  envelope.set_kind(static_cast<v1::EventKind>(event.body_case()));
  envelope.set_phase(event.phase());
  envelope.set_role(event.role());
  envelope.set_conversation_kind(event.conversation().kind());
  envelope.set_conversation_key(event.conversation().key());
  envelope.set_conversation_name(event.conversation().name());
  envelope.set_source(event.source().name());
  envelope.set_source_key(source_key);
  envelope.set_source_time_unix_ns(event.source_time_unix_ns());
  envelope.set_accept_time_unix_ns(event.accept_time_unix_ns());
  *envelope.mutable_actor() = participant_of(event);
  // Nothing of the processor's depends on them, and there may be many.
  envelope.mutable_actor()->clear_groups();
  if (!event.actor().normalised().empty()) envelope.add_addresses(event.actor().normalised());
  for (const v1::Party& other : event.others()) {
    if (!other.normalised().empty()) envelope.add_addresses(other.normalised());
  }
  for (std::string& sha256 : files_named_by(event)) envelope.add_file_sha256(std::move(sha256));
  if (event.has_joined() || event.has_left()) {
    envelope.set_session(envelope.actor().session());
    envelope.set_is_participation_neutral(event.role() == v1::ROLE_EVIDENCE);
  }
  envelope.set_post_key(event.post_key());
  return envelope;
}

// Policies decide by them, so they come from our directory or not at all.
void clear_looked_up(v1::Party& party) {
  party.clear_department();
  party.clear_groups();
  party.clear_resolution();
}

}  // namespace

// Not those of file_transfer_failed: that content never came.
std::vector<std::string> files_named_by(const v1::Event& event) {
  std::vector<std::string> digests;
  const auto add = [&digests](const v1::FileReference& file) {
    if (!file.sha256().empty()) digests.push_back(file.sha256());
  };
  for (const auto& file : event.message_posted().files()) add(file);
  for (const auto& file : event.message_edited().files()) add(file);
  for (const auto& file : event.invited().files()) add(file);
  add(event.file_uploaded().file());
  add(event.file_downloaded().file());
  return digests;
}

std::string serialise_source_key(const v1::SourceKey& key) {
  std::string bytes = serialise_deterministic(key);
  if (bytes.size() > kSourceKeyMaxBytes) bytes = "sha256:" + base::sha256(bytes);
  return bytes;
}

int64_t numeric_id_of(const std::string& normalised_address) {
  if (normalised_address.empty()) return 0;
  const std::string digest = base::sha256(normalised_address);
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) number = (number << 8) | static_cast<unsigned char>(digest[i]);
  number >>= 1;
  return number == 0 ? 1 : number;
}

std::string post_key_of(const v1::Event& event) {
  const v1::References& references = event.references();
  const std::string& conversation = event.conversation().key();
  // The sender's id first: a node that asks before it delivers asks before the room has given its
  // own id, so only the copies that are delivered afterwards bear that one. All captures bear the
  // sender's.
  if (!references.message_id().empty()) {
    return conversation + " from=" + event.actor().normalised() + " id=" + references.message_id();
  }
  if (event.conversation().kind() == v1::CONVERSATION_KIND_ROOM &&
      !references.stanza_id().empty()) {
    return conversation + " stanza=" + references.stanza_id();
  }
  return {};
}

Status complete_conversation(v1::Event& event) {
  v1::Conversation& conversation = *event.mutable_conversation();
  const std::string& actor = event.actor().normalised();
  switch (conversation.kind()) {
    case v1::CONVERSATION_KIND_ROOM:
      if (conversation.address().empty()) {
        return invalid_argument("conversation.address: not set for a room");
      }
      conversation.set_key(parse_jid(conversation.address()).bare());
      return {};
    case v1::CONVERSATION_KIND_DIRECT: {
      if (actor.empty())
        return invalid_argument("actor.address: not set for a direct conversation");
      if (event.others_size() == 0 || event.others(0).normalised().empty()) {
        return invalid_argument("others: empty for a direct conversation");
      }
      const auto [first, second] = std::minmax(actor, event.others(0).normalised());
      conversation.set_key(first + " " + second);
      return {};
    }
    case v1::CONVERSATION_KIND_PERSON:
      if (actor.empty()) return invalid_argument("actor.address: not set for a person");
      conversation.set_key(actor);
      return {};
    case v1::CONVERSATION_KIND_SOURCE:
      conversation.set_key(event.source().name());
      return {};
    default:
      return invalid_argument("conversation.kind: not set");
  }
}

Completer::Completer(Profile profile, CompleterOptions options)
    : profile_(std::move(profile)), options_(std::move(options)) {
  if (!options_.read_clock_state) options_.read_clock_state = [] { return read_clock_state(); };
  for (std::string& domain : options_.internal_domains) domain = parse_jid(domain).domain;
}

void Completer::complete_party(v1::Party& party, const v1::Conversation& conversation) const {
  const std::string domain = normalise_party(party, conversation);
  party.set_numeric_id(numeric_id_of(party.normalised()));
  party.clear_affinity();
  if (options_.internal_domains.empty() || domain.empty()) return;
  const auto& domains = options_.internal_domains;
  const bool is_internal = std::find(domains.begin(), domains.end(), domain) != domains.end();
  party.set_affinity(is_internal ? v1::AFFINITY_INTERNAL : v1::AFFINITY_FEDERATED);
}

// An event whose content is not stored would name what no archive can ever show.
Status Completer::check_file(const v1::FileReference& file) const {
  const std::string& sha256 = file.sha256();
  if (sha256.empty()) return {};
  if (sha256.size() != base::kSha256Size) {
    return invalid_argument("file.sha256: " + std::to_string(sha256.size()) + " bytes, not 32");
  }
  if (options_.has_file && options_.has_file(sha256)) return {};
  return invalid_argument("file.sha256: not stored; upload it first (Files.Upload)");
}

Status Completer::check_files(const v1::Event& event) const {
  for (const auto& file : event.message_posted().files()) RETURN_IF_ERROR(check_file(file));
  for (const auto& file : event.message_edited().files()) RETURN_IF_ERROR(check_file(file));
  for (const auto& file : event.invited().files()) RETURN_IF_ERROR(check_file(file));
  RETURN_IF_ERROR(check_file(event.file_uploaded().file()));
  return check_file(event.file_downloaded().file());
}

// It is a system call, and what it tells changes over seconds.
v1::ClockState Completer::clock_state() const {
  const auto now = options_.clock->monotonic();
  base::MutexLock lock(clock_mutex_);
  if (now >= clock_due_) {
    clock_state_ = options_.read_clock_state();
    clock_due_ = now + kClockStateAgeMax;
  }
  return clock_state_;
}

void Completer::stamp(v1::Event& event) const {
  event.set_id(base::make_uuid_v7(*options_.clock));
  event.set_schema_revision(v1::SCHEMA_REVISION_CURRENT);
  event.set_accept_time_unix_ns(options_.clock->unix_now_ns());
  *event.mutable_clock() = clock_state();
  event.set_profile(profile_.name());
  event.clear_verdicts();
  // What we say ourselves of an event is about people as they were when that was captured; and
  // nobody may wait for a directory on the queue's threads, where we say it.
  if (event.source_key().has_made()) return;
  if (event.has_actor()) clear_looked_up(*event.mutable_actor());
  for (v1::Party& other : *event.mutable_others()) clear_looked_up(other);
}

Result<v1::Event> Completer::prepare(v1::Event event) const {
  RETURN_IF_ERROR(check(event));
  RETURN_IF_ERROR(check_files(event));
  stamp(event);
  if (event.has_actor()) complete_party(*event.mutable_actor(), event.conversation());
  for (v1::Party& other : *event.mutable_others()) complete_party(other, event.conversation());
  RETURN_IF_ERROR(complete_conversation(event));
  if (options_.resolve) options_.resolve(event);
  event.set_role(choose_role(profile_, event));
  event.set_post_key(post_key_of(event));
  return event;
}

Result<CompleteEvent> Completer::seal(v1::Event event) const {
  CompleteEvent complete;
  complete.source_key = serialise_source_key(event.source_key());
  complete.order_key = event.conversation().key();
  complete.envelope = make_envelope(event, complete.source_key);
  complete.envelope_bytes = complete.envelope.SerializeAsString();
  complete.event_bytes = event.SerializeAsString();
  const size_t size = complete.event_bytes.size() + complete.envelope_bytes.size();
  if (size > static_cast<size_t>(options_.message_max_bytes)) {
    return resource_exhausted("event: larger than a message may be size_bytes=" +
                              std::to_string(size));
  }
  complete.event = std::move(event);
  return complete;
}

Result<CompleteEvent> Completer::complete(v1::Event event, const v1::Verdict* verdict) const {
  ASSIGN_OR_RETURN(v1::Event prepared, prepare(std::move(event)));
  if (verdict != nullptr) *prepared.add_verdicts() = *verdict;
  return seal(std::move(prepared));
}

}  // namespace verbatim::collector
