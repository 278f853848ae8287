// Addresses as rules compare them: bare, folded, domains of IDNA in Unicode. The collector has
// normalised those of events already; rules are written by people.
#pragma once

#include <string>
#include <string_view>

namespace verbatim::rules {

// Of "Ann@Example.COM/phone": "ann@example.com".
std::string fold_address(std::string_view address);
// "Example.COM", "xn--mnchen-3ya.example": "example.com", "münchen.example".
std::string fold_domain(std::string_view domain);
// The part behind the "@", or all of it.
std::string_view domain_of(std::string_view bare_address);

}  // namespace verbatim::rules
