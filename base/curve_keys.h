// Key pairs of CURVE (RFC 26 of rfc.zeromq.org) and the files that hold them. A key is 32 bytes,
// written as 40 characters of Z85 (RFC 32).
//
// FILE has the secret key and is its owner's alone (mode 0600): a file that others may read is
// refused. FILE.pub has the public key, for the other side's configuration. Lines that begin with
// "#" are for people. No error has a key.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace verbatim::base {

struct CurveKeys {
  std::string public_key;
  std::string secret_key;
};

// Errors: kUnimplemented (a ZeroMQ that was built without CURVE).
Result<CurveKeys> generate_curve_keys();

// kInvalidArgument unless it is 40 characters of Z85.
Status check_curve_key(std::string_view key);

// Errors: kInvalidArgument.
Result<std::string> public_curve_key_of(const std::string& secret_key);

// Writes FILE and FILE.pub, both new. Durable at return. Errors: kAlreadyExists (either is there;
// nothing is overwritten), kPermissionDenied, kNotFound (the folder), kUnavailable.
Status write_curve_keys(const std::string& path, const CurveKeys& keys);

// The secret key in FILE. Errors, each with the path and what to do: kNotFound, kPermissionDenied
// (it cannot be read, or others may read it), kInvalidArgument (no key in it).
Result<std::string> read_curve_secret(const std::string& path);

}  // namespace verbatim::base
