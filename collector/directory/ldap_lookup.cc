#include "collector/directory/ldap_lookup.h"

#include <ldap.h>
#include <sys/stat.h>

#include <array>
#include <ctime>
#include <utility>
#include <vector>

#include "base/errno_status.h"
#include "base/file_system.h"
#include "base/net_address.h"
#include "base/utf8.h"

namespace verbatim::collector {
namespace {

// Two are enough to know that an address is nobody's.
constexpr int kEntriesMaxCount = 2;
constexpr size_t kGroupsMaxCount = 1'000;
constexpr size_t kValueMaxBytes = 1'024;
constexpr std::string_view kKey = "collector.directory.";

Status refuse(std::string_view key, const std::string& reason) {
  return invalid_argument(std::string(kKey) + std::string(key) + ": " + reason);
}

// What libldap says; nothing of what was asked.
Status from_ldap(std::string_view what, int code) {
  return unavailable(std::string(what) + ": " + ldap_err2string(code));
}

Status check_url(const v1::Directory& config) {
  LDAPURLDesc* parsed = nullptr;
  if (ldap_url_parse(config.ldap_url().c_str(), &parsed) != LDAP_URL_SUCCESS) {
    return refuse("ldap_url", "no LDAP address, such as ldaps://host");
  }
  const std::string scheme = parsed->lud_scheme;
  base::NetAddress address;
  address.host = parsed->lud_host == nullptr ? "" : parsed->lud_host;
  ldap_free_urldesc(parsed);
  if (scheme == "ldaps" || scheme == "ldapi") {
    if (!config.ldap_start_tls()) return {};
    return refuse("ldap_start_tls", "is for ldap://, not " + scheme + "://");
  }
  if (address.host.empty()) return refuse("ldap_url", "no host");
  if (config.ldap_start_tls() || base::is_loopback(address)) return {};
  return refuse("ldap_url",
                "beyond loopback nothing is asked in plain text: ldaps://, or ldap_start_tls");
}

Status check_filter(const std::string& filter) {
  const size_t place = filter.find("%s");
  if (place == std::string::npos || filter.find('%', place + 1) != std::string::npos) {
    return refuse("ldap_filter", "needs %s once, and no other %");
  }
  return {};
}

// The file is its owner's alone: whoever reads it can ask the directory anything we can.
Result<std::string> read_password(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return base::errno_status(errno, "stat", path);
  if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return failed_precondition("others may read it: chmod 0600 path=" + path);
  }
  ASSIGN_OR_RETURN(std::string password, base::posix_file_system().read_file(path));
  while (password.ends_with('\n') || password.ends_with('\r')) password.pop_back();
  if (password.empty()) return failed_precondition("no password in the file path=" + path);
  return password;
}

timeval time_of(int64_t ms) {
  return {.tv_sec = static_cast<time_t>(ms / 1'000),
          .tv_usec = static_cast<suseconds_t>(ms % 1'000 * 1'000)};
}

std::string escaped(const std::string& address) {
  berval plain{.bv_len = address.size(), .bv_val = const_cast<char*>(address.data())};
  berval safe{};
  if (ldap_bv2escaped_filter_value(&plain, &safe) != 0) return {};
  std::string text(safe.bv_val, safe.bv_len);
  // Where nothing had to be escaped there is no copy.
  if (safe.bv_val != plain.bv_val) ber_memfree(safe.bv_val);
  return text;
}

// A group is named by its entry (memberOf): "traders" of "cn=traders,ou=groups,dc=example".
std::string group_name(const std::string& value) {
  LDAPDN dn = nullptr;
  if (value.find('=') == std::string::npos ||
      ldap_str2dn(value.c_str(), &dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || dn == nullptr) {
    return value;
  }
  std::string name = value;
  if (dn[0] != nullptr && dn[0][0] != nullptr) {
    const berval& first = dn[0][0]->la_value;
    name.assign(first.bv_val, first.bv_len);
  }
  ldap_dnfree(dn);
  return name;
}

}  // namespace

// An open, bound connection.
class LdapLookup::Connection {
 public:
  static Result<std::unique_ptr<Connection>> open(const v1::Directory& config) {
    std::unique_ptr<Connection> connection(new Connection);
    RETURN_IF_ERROR(connection->prepare(config));
    if (config.ldap_start_tls()) {
      const int code = ldap_start_tls_s(connection->handle_, nullptr, nullptr);
      if (code != LDAP_SUCCESS) return from_ldap("start_tls", code);
    }
    RETURN_IF_ERROR(connection->bind(config));
    return connection;
  }
  ~Connection() {
    if (handle_ != nullptr) ldap_unbind_ext_s(handle_, nullptr, nullptr);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Gives libldap's code beside the entries, which the caller frees.
  int search(const v1::Directory& config, const std::string& filter, LDAPMessage** entries) {
    std::array<std::string, 4> names = {config.ldap_name_attribute(), config.ldap_email_attribute(),
                                        config.ldap_department_attribute(),
                                        config.ldap_group_attribute()};
    std::vector<char*> attributes;
    for (std::string& name : names) {
      if (!name.empty()) attributes.push_back(name.data());
    }
    attributes.push_back(nullptr);
    timeval limit = time_of(config.ldap_timeout_ms());
    return ldap_search_ext_s(handle_, config.ldap_base().c_str(), LDAP_SCOPE_SUBTREE,
                             filter.c_str(), attributes.data(), 0, nullptr, nullptr, &limit,
                             kEntriesMaxCount, entries);
  }

  std::vector<std::string> values(LDAPMessage* entry, const std::string& attribute) const {
    std::vector<std::string> texts;
    berval** values =
        attribute.empty() ? nullptr : ldap_get_values_len(handle_, entry, attribute.c_str());
    if (values == nullptr) return texts;
    for (size_t i = 0; values[i] != nullptr && texts.size() < kGroupsMaxCount; ++i) {
      const std::string_view text(values[i]->bv_val, values[i]->bv_len);
      // Attributes may hold anything, pictures too; the event has room for words.
      if (text.size() <= kValueMaxBytes && base::is_utf8(text)) texts.emplace_back(text);
    }
    ldap_value_free_len(values);
    return texts;
  }

  LDAP* handle() { return handle_; }

 private:
  Connection() = default;

  Status prepare(const v1::Directory& config) {
    const int code = ldap_initialize(&handle_, config.ldap_url().c_str());
    if (code != LDAP_SUCCESS) return from_ldap("connect", code);
    const int version = LDAP_VERSION3;
    const timeval limit = time_of(config.ldap_timeout_ms());
    ldap_set_option(handle_, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option(handle_, LDAP_OPT_NETWORK_TIMEOUT, &limit);
    ldap_set_option(handle_, LDAP_OPT_TIMEOUT, &limit);
    // A referral would send us, and our password, to a server that nobody configured.
    ldap_set_option(handle_, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    const int demand = LDAP_OPT_X_TLS_DEMAND;
    ldap_set_option(handle_, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
    if (!config.ldap_ca_file().empty()) {
      ldap_set_option(handle_, LDAP_OPT_X_TLS_CACERTFILE, config.ldap_ca_file().c_str());
    }
    const int is_server = 0;
    if (ldap_set_option(handle_, LDAP_OPT_X_TLS_NEWCTX, &is_server) != LDAP_OPT_SUCCESS) {
      return unavailable("TLS cannot be set up: is ldap_ca_file a file of certificates?");
    }
    return {};
  }

  Status bind(const v1::Directory& config) {
    if (config.ldap_bind_dn().empty()) return {};
    ASSIGN_OR_RETURN(std::string password, read_password(config.ldap_password_file()));
    berval credentials{.bv_len = password.size(), .bv_val = password.data()};
    const int code = ldap_sasl_bind_s(handle_, config.ldap_bind_dn().c_str(), LDAP_SASL_SIMPLE,
                                      &credentials, nullptr, nullptr, nullptr);
    return code == LDAP_SUCCESS ? Status() : from_ldap("bind", code);
  }

  LDAP* handle_ = nullptr;
};

LdapLookup::LdapLookup(const v1::Directory& config) : config_(config) {}

LdapLookup::~LdapLookup() = default;

Result<std::unique_ptr<LdapLookup>> LdapLookup::create(const v1::Directory& config) {
  RETURN_IF_ERROR(check_url(config));
  RETURN_IF_ERROR(check_filter(config.ldap_filter()));
  // A bind with a name and no password succeeds as nobody (RFC 4513, section 5.1.2).
  if (config.ldap_bind_dn().empty() != config.ldap_password_file().empty()) {
    return refuse("ldap_bind_dn", "is needed with ldap_password_file, and the other way round");
  }
  if (!config.ldap_password_file().empty()) {
    const auto password = read_password(config.ldap_password_file());
    if (!password.has_value()) return refuse("ldap_password_file", password.error().message());
  }
  return std::unique_ptr<LdapLookup>(new LdapLookup(config));
}

Result<std::optional<Person>> LdapLookup::look_up(const std::string& address) {
  std::string filter = config_.ldap_filter();
  filter.replace(filter.find("%s"), 2, escaped(address));
  LDAPMessage* found = nullptr;
  int code = LDAP_SERVER_DOWN;
  // A connection that was kept may have been closed by the server: then a new one, once.
  for (int attempt = connection_ == nullptr ? 1 : 0; attempt < 2 && code == LDAP_SERVER_DOWN;
       ++attempt) {
    if (connection_ == nullptr) {
      ASSIGN_OR_RETURN(connection_, Connection::open(config_));
    }
    code = connection_->search(config_, filter, &found);
    if (code == LDAP_SERVER_DOWN) connection_.reset();
  }
  const std::unique_ptr<LDAPMessage, int (*)(LDAPMessage*)> entries(found, ldap_msgfree);
  if (code != LDAP_SUCCESS && code != LDAP_SIZELIMIT_EXCEEDED) {
    connection_.reset();
    return from_ldap("search", code);
  }
  if (ldap_count_entries(connection_->handle(), found) != 1) return std::optional<Person>();
  LDAPMessage* entry = ldap_first_entry(connection_->handle(), found);
  const auto first = [&](const std::string& attribute) {
    auto values = connection_->values(entry, attribute);
    return values.empty() ? std::string() : std::move(values.front());
  };
  Person person{.name = first(config_.ldap_name_attribute()),
                .email = first(config_.ldap_email_attribute()),
                .department = first(config_.ldap_department_attribute()),
                .groups = {}};
  for (const std::string& value : connection_->values(entry, config_.ldap_group_attribute())) {
    person.groups.push_back(group_name(value));
  }
  return std::optional<Person>(std::move(person));
}

}  // namespace verbatim::collector
