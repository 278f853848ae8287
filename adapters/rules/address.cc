#include "adapters/rules/address.h"

#include <unicode/bytestream.h>
#include <unicode/idna.h>

#include <memory>

#include "adapters/rules/text_fold.h"
#include "base/check.h"

namespace verbatim::rules {
namespace {

// Labels such as "xn--mnchen-3ya" as people read them; as they are where they are wrong.
std::string to_unicode(std::string domain) {
  if (domain.find("xn--") == std::string::npos) return domain;
  static const std::unique_ptr<icu::IDNA> idna = [] {
    UErrorCode error = U_ZERO_ERROR;
    std::unique_ptr<icu::IDNA> made(
        icu::IDNA::createUTS46Instance(UIDNA_NONTRANSITIONAL_TO_UNICODE, error));
    CHECK(U_SUCCESS(error) != 0, "ICU has no IDNA");
    return made;
  }();
  std::string text;
  icu::StringByteSink<std::string> sink(&text);
  icu::IDNAInfo info;
  UErrorCode error = U_ZERO_ERROR;
  idna->nameToUnicodeUTF8(icu::StringPiece(domain.data(), static_cast<int32_t>(domain.size())),
                          sink, info, error);
  return U_SUCCESS(error) != 0 && info.hasErrors() == 0 ? text : domain;
}

}  // namespace

std::string fold_domain(std::string_view domain) { return to_unicode(fold(domain)); }

std::string fold_address(std::string_view address) {
  const std::string_view bare = address.substr(0, address.find('/'));
  const size_t at = bare.find('@');
  if (at == std::string_view::npos) return fold_domain(bare);
  return fold(bare.substr(0, at + 1)) + fold_domain(bare.substr(at + 1));
}

std::string_view domain_of(std::string_view bare_address) {
  return bare_address.substr(bare_address.find('@') + 1);  // npos + 1 is 0
}

}  // namespace verbatim::rules
