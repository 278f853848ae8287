// The handshake of the link (XEP-0114, section 3): lower-case hexadecimal of SHA-1 over stream id
// and secret. SHA-1 is the protocol's choice; it proves knowledge of the secret and protects
// nothing else.
#pragma once

#include <string>
#include <string_view>

namespace verbatim::collector {

// 40 characters.
std::string handshake_digest(std::string_view stream_id, std::string_view secret);

// True for the right digest of either case, in a time that does not depend on where they differ.
bool is_handshake(std::string_view given, std::string_view stream_id, std::string_view secret);

// 128 random bits, 32 lower-case hexadecimal characters.
std::string make_stream_id();

}  // namespace verbatim::collector
