#include "collector/broker/jid.h"

#include <idna.h>
#include <stringprep.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>

namespace verbatim::collector {
namespace {

constexpr size_t kPartMaxBytes = 1'023;  // RFC 6122, sections 2.2 to 2.4

struct Freer {
  void operator()(char* text) const { std::free(text); }
};
using CString = std::unique_ptr<char, Freer>;

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// Most addresses: the profiles leave such characters alone, except that node and domain are folded
// to lower case. Saves three quarters of what an event's addresses cost.
bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

// Code points that Unicode 3.2 had not assigned pass (flags 0): people use newer scripts and emoji.
std::optional<std::string> prepare(std::string_view text, const Stringprep_profile* profile) {
  if (text.empty()) return std::string();
  if (text.size() > kPartMaxBytes || text.find('\0') != std::string_view::npos) return std::nullopt;
  if (is_plain(text)) {
    return profile == stringprep_xmpp_resourceprep ? std::string(text) : ascii_lower(text);
  }
  std::string buffer(text);
  buffer.resize(kPartMaxBytes * 4 + 1, '\0');
  const int code =
      stringprep(buffer.data(), buffer.size(), static_cast<Stringprep_profile_flags>(0), profile);
  if (code != STRINGPREP_OK) return std::nullopt;
  buffer.resize(buffer.find('\0'));
  if (buffer.empty() || buffer.size() > kPartMaxBytes) return std::nullopt;
  return buffer;
}

std::optional<std::string> prepare_domain(std::string_view text) {
  if (!text.empty() && text.back() == '.') text.remove_suffix(1);
  if (text.empty() || text.size() > kPartMaxBytes) return std::nullopt;
  const std::string lower = ascii_lower(text);
  if (is_plain(text) && lower.find("xn--") == std::string::npos) return lower;
  std::string unicode(text);
  char* output = nullptr;
  if (unicode.find('\0') != std::string::npos) return std::nullopt;
  const int code = idna_to_unicode_8z8z(unicode.c_str(), &output, 0);
  const CString owner(output);
  if (code == IDNA_SUCCESS && output != nullptr) unicode = output;
  return prepare(unicode, stringprep_nameprep);
}

// A scheme and "://" (RFC 3986, section 3.1). No XMPP address has one: "a:" is no domain.
bool is_uri(std::string_view text) {
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view scheme = text.substr(0, colon);
  return scheme.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.") ==
         std::string_view::npos;
}

}  // namespace

std::string Jid::bare() const { return node.empty() ? domain : node + "@" + domain; }

std::string Jid::full() const { return resource.empty() ? bare() : bare() + "/" + resource; }

Jid parse_jid(std::string_view text) {
  if (is_uri(text)) return {{}, ascii_lower(text), {}, false};
  std::string_view rest = text;
  std::string_view resource;
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    resource = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  std::string_view node;
  std::string_view domain = rest;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    node = rest.substr(0, at);
    domain = rest.substr(at + 1);
  }
  const auto prepared_node = prepare(node, stringprep_xmpp_nodeprep);
  const auto prepared_domain = prepare_domain(domain);
  const auto prepared_resource = prepare(resource, stringprep_xmpp_resourceprep);
  const bool is_node_missing = node.empty() && rest.size() != domain.size();
  if (!prepared_node || !prepared_domain || !prepared_resource || is_node_missing) {
    return {ascii_lower(node), ascii_lower(domain), std::string(resource), false};
  }
  return {*prepared_node, *prepared_domain, *prepared_resource, true};
}

}  // namespace verbatim::collector
