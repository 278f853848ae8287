// LdapLookup: one person from an LDAP server, over a connection that is made when it is needed and
// kept. The only place that speaks LDAP.
//
// The address is escaped in the filter (RFC 4515). Plain ldap is for loopback only; elsewhere the
// connection is encrypted, and the server's certificate must be good for its name. An address that
// several entries have is nobody's: unknown.
// Threads: one. Blocks up to timeout_ms for each of connection, TLS, bind and search.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "collector/directory/person.h"
#include "verbatim/v1/config.pb.h"

namespace verbatim::collector {

class LdapLookup {
 public:
  // Errors: kInvalidArgument "collector.directory.KEY: reason". Nothing is asked yet.
  static Result<std::unique_ptr<LdapLookup>> create(const v1::Directory& config);
  ~LdapLookup();

  // Errors: kUnavailable: no connection, no answer in time, or the server refuses to answer. They
  // name no address.
  Result<std::optional<Person>> look_up(const std::string& address);

 private:
  class Connection;

  explicit LdapLookup(const v1::Directory& config);

  const v1::Directory config_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace verbatim::collector
