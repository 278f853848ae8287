// XMPP addresses in their normal form (RFC 6122): node by Nodeprep, domain by Nameprep (A-labels
// shown as Unicode), resource by Resourceprep. All other addresses too: what does not prepare is
// kept.
#pragma once

#include <string>
#include <string_view>

namespace verbatim::collector {

struct Jid {
  std::string node;    // may be empty
  std::string domain;  // not empty for a valid address
  std::string resource;
  // False where a part could not be prepared (forbidden characters, over 1,023 bytes, no domain).
  // Then the parts are the input's, with ASCII letters of node and domain in lower case: such an
  // address still compares equal to itself however its case is written.
  bool is_valid = false;

  // "node@domain", or "domain".
  std::string bare() const;
  // "node@domain/resource"; bare() where there is no resource.
  std::string full() const;
};

// A URI ("ma-chan://example.com/4711", rooms of producers that are no XMPP servers) is not split:
// it is all domain, in lower case and not valid, so that no two rooms become one.
//
// Else splits at the first "/", then at the first "@" (RFC 6122, section 2.1), and prepares the
// parts.
Jid parse_jid(std::string_view text);

}  // namespace verbatim::collector
