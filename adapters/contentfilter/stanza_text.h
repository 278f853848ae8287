// Which texts of a stanza people may see, and how to change them.
//
// Everything written in an element counts, whatever the element: what no client of today shows, one
// of tomorrow may. Left out is what machines read: encrypted content, thread ids, hashes, binary
// data. XHTML-IM is one text, since its mark-up may split words.
//
// A change touches the bytes of the texts that change, and leaves all others as received. What was
// made is read again; where it does not mean what it should, the stanza is written anew from its
// tree, and means the same though its bytes differ.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/xml_element.h"

namespace verbatim::content {

struct StanzaText {
  enum class Kind {
    kText,       // directly in an element
    kBody,       // the same, of the <body/> of a message
    kHtml,       // all of an XHTML-IM <html/>, without mark-up
    kAttribute,  // the reason of a direct invitation (XEP-0249)
  };
  Kind kind = Kind::kText;
  // Elements are counted from 0 in the order in which they begin.
  size_t element = 0;
  std::string text;
  // kHtml: with a blank for each tag, for phrases that lie in two paragraphs, and with what
  // pictures and links say in their attributes.
  std::string spaced_text;
};

std::vector<StanzaText> texts_of(const base::XmlElement& stanza);

// Announces itself as encrypted end to end: XEP-0380 and what came before it.
bool is_encrypted(const base::XmlElement& stanza);

struct StanzaEdit {
  enum class Kind { kSetText, kRemove, kRemoveReason };
  Kind kind = Kind::kSetText;
  size_t element = 0;
  std::string text;
};

// `raw` is what `stanza` was read from (adapters/rules/stanza.h). At most one edit an element.
std::string edit_stanza(std::string_view raw, const base::XmlElement& stanza,
                        const std::vector<StanzaEdit>& edits);

}  // namespace verbatim::content
