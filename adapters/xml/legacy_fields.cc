#include "adapters/xml/legacy_fields.h"

#include <algorithm>
#include <limits>

#include "base/endian.h"
#include "base/sha256.h"

namespace verbatim::adapters {
namespace {

constexpr uint64_t kIdMax = std::numeric_limits<int32_t>::max();
constexpr size_t kExtensionMax = 16;

// Keeps unreserved characters, sub-delimiters, "@" and what is not ASCII (xs:anyURI takes IRIs);
// the rest, ":" and "/" among it, is percent-encoded (RFC 3986, section 2.1).
std::string encode_uri_part(std::string_view text) {
  constexpr std::string_view kept = "-._~!$&'()*+,;=@";
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_alphanumeric =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (is_alphanumeric || byte >= 0x80 || kept.find(c) != std::string_view::npos) {
      result.push_back(c);
      continue;
    }
    result.push_back('%');
    result.push_back(digits[byte >> 4]);
    result.push_back(digits[byte & 15]);
  }
  return result;
}

const std::string& address_of(const v1::Party& party) {
  return party.normalised().empty() ? party.address() : party.normalised();
}

const v1::FileReference& file_of(const v1::Event& event) {
  return event.has_file_uploaded() ? event.file_uploaded().file() : event.file_downloaded().file();
}

// The letters and digits after the last point of the name, or of the URL's last part; else "bin".
std::string extension_of(const v1::FileReference& file) {
  std::string_view name = file.name();
  if (name.empty()) {
    name = file.url();
    name = name.substr(0, name.find_first_of("?#"));
    name = name.substr(name.rfind('/') + 1);
  }
  const size_t point = name.rfind('.');
  if (point == std::string_view::npos) return "bin";
  const std::string_view extension = name.substr(point + 1);
  const bool is_plain = std::all_of(extension.begin(), extension.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  if (extension.empty() || extension.size() > kExtensionMax || !is_plain) return "bin";
  return std::string(extension);
}

std::string_view first_of_pair(std::string_view key) { return key.substr(0, key.find(' ')); }
std::string_view second_of_pair(std::string_view key) {
  const size_t blank = key.find(' ');
  return blank == std::string_view::npos ? std::string_view() : key.substr(blank + 1);
}

}  // namespace

std::string_view legacy_name(LegacyType type) {
  switch (type) {
    case LegacyType::kJoin:
      return "JOIN";
    case LegacyType::kPart:
      return "PART";
    case LegacyType::kChat:
      return "CHAT";
    case LegacyType::kBackchat:
      return "BACKCHAT";
    case LegacyType::kFileUpload:
      return "FILEUPLOAD";
    case LegacyType::kFileDownload:
      return "FILEDOWNLOAD";
  }
  return "";
}

bool is_stopped(const v1::Event& event) {
  if (event.verdicts().empty()) return false;
  const v1::Decision last = event.verdicts().rbegin()->decision();
  return last == v1::DECISION_HANDLE || last == v1::DECISION_ERROR;
}

std::optional<LegacyType> legacy_type(const v1::Envelope& envelope, const v1::Event& event) {
  if (envelope.role() == v1::ROLE_EVIDENCE || is_stopped(event)) return std::nullopt;
  switch (event.body_case()) {
    case v1::Event::kJoined:
    case v1::Event::kLeft:
      if (envelope.is_participation_neutral()) return std::nullopt;
      return event.has_joined() ? LegacyType::kJoin : LegacyType::kPart;
    case v1::Event::kMessagePosted:
      return LegacyType::kChat;
    case v1::Event::kMessageDeleted:
      // Its fallback text is what many clients show; what it says is the sender's choice.
      if (event.original_text().plain().empty()) return std::nullopt;
      return LegacyType::kChat;
    case v1::Event::kHistoryRead:
      return LegacyType::kBackchat;
    case v1::Event::kFileUploaded:
      return LegacyType::kFileUpload;
    case v1::Event::kFileDownloaded:
      // Nobody downloaded anything.
      if (event.file_downloaded().by_collector()) return std::nullopt;
      return LegacyType::kFileDownload;
    default:
      return std::nullopt;
  }
}

std::string legacy_content(LegacyType type, const v1::Event& event) {
  switch (type) {
    case LegacyType::kJoin:
    case LegacyType::kPart:
      return "";
    case LegacyType::kChat:
      return event.has_final_text() ? event.final_text().plain() : event.original_text().plain();
    case LegacyType::kBackchat:
      return "backchatcontent";
    case LegacyType::kFileUpload:
    case LegacyType::kFileDownload:
      return event.id() + "." + extension_of(file_of(event));
  }
  return "";
}

int32_t legacy_message_id(uint64_t sequence) {
  return sequence == 0 ? 0 : static_cast<int32_t>((sequence - 1) % kIdMax + 1);
}

int32_t legacy_sender_id(const v1::Party& party) {
  const int64_t id = party.numeric_id();
  if (id > 0 && id <= static_cast<int64_t>(kIdMax)) return static_cast<int32_t>(id);
  const std::string digest = base::sha256(address_of(party));
  return legacy_message_id(1 + uint64_t{base::get_be32(digest.data())});
}

std::string legacy_user_name(const v1::Party& party) {
  return party.display_name().empty() ? address_of(party) : party.display_name();
}

std::string legacy_sender_uri(const v1::Party& party) { return encode_uri_part(address_of(party)); }

std::string legacy_channel_uri(v1::ConversationKind kind, const std::string& key) {
  if (kind == v1::CONVERSATION_KIND_DIRECT) {
    return "urn:x-verbatim:direct:" + encode_uri_part(first_of_pair(key)) + ":" +
           encode_uri_part(second_of_pair(key));
  }
  if (const size_t scheme = key.find("://"); scheme != std::string::npos) {
    const size_t slash = std::min(key.find('/', scheme + 3), key.size());
    const std::string id = slash < key.size() ? "/" + encode_uri_part(key.substr(slash + 1)) : "";
    return key.substr(0, scheme + 3) + encode_uri_part(key.substr(scheme + 3, slash - scheme - 3)) +
           id;
  }
  const size_t at = key.find('@');
  if (at == std::string::npos) return "ma-chan://" + encode_uri_part(key) + "/";
  return "ma-chan://" + encode_uri_part(key.substr(at + 1)) + "/" +
         encode_uri_part(key.substr(0, at));
}

std::string legacy_channel_name(v1::ConversationKind kind, const std::string& key,
                                const std::string& name) {
  if (!name.empty()) return name;
  if (kind != v1::CONVERSATION_KIND_DIRECT) return key;
  return std::string(first_of_pair(key)) + ", " + std::string(second_of_pair(key));
}

int64_t legacy_time_unix_ns(const v1::Event& event) {
  return event.source_time_unix_ns() != 0 ? event.source_time_unix_ns()
                                          : event.accept_time_unix_ns();
}

const v1::Party& legacy_sender(LegacyType type, const v1::Envelope& envelope,
                               const v1::Event& event) {
  const bool is_participation = type == LegacyType::kJoin || type == LegacyType::kPart;
  return is_participation && envelope.has_actor() ? envelope.actor() : event.actor();
}

}  // namespace verbatim::adapters
