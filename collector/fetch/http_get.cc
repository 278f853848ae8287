#include "collector/fetch/http_get.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/check.h"
#include "base/log.h"

namespace verbatim::collector {
namespace {

using Failed = v1::FileTransferFailed;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr long kHttpOk = 200;
constexpr size_t kDiscardedMaxBytes = 1024 * 1024;

struct CurlDelete {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

// libcurl's own state for the process; it is never taken down.
void init_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  CHECK(code == CURLE_OK, "libcurl starts");
}

// What one request has come to; libcurl's callbacks write to it.
class Request {
 public:
  Request(const FetchRules& rules, const HttpSink& sink, steady_clock::time_point end)
      : rules_(rules), sink_(sink), end_(end), curl_(curl_easy_init()) {
    CHECK(curl_ != nullptr, "libcurl has memory");
  }

  HttpResult run(const std::string& url) {
    prepare(url);
    const CURLcode code = curl_easy_perform(curl_.get());
    long status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    HttpResult result = judge(code, status);
    result.http_status = static_cast<int32_t>(status);
    result.media_type = media_type_of(content_type());
    return result;
  }

  // Where the answer points to; empty: nowhere.
  std::string redirect() const {
    char* url = nullptr;
    curl_easy_getinfo(curl_.get(), CURLINFO_REDIRECT_URL, &url);
    return url == nullptr ? std::string() : std::string(url);
  }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(curl_.get(), option, value);
    CHECK(code == CURLE_OK, "libcurl knows the option");
  }

  void prepare(const std::string& url) {
    const auto left = std::chrono::duration_cast<milliseconds>(end_ - steady_clock::now());
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    set(CURLOPT_PROTOCOLS_STR, rules_.config().allow_http() ? "https,http" : "https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    // Whatever the environment says.
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TIMEOUT_MS, std::max<long>(1, left.count()));
    set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(rules_.file_max_bytes()));
    set(CURLOPT_USERAGENT, "verbatim-collector");
    if (!rules_.config().ca_file().empty()) {
      set(CURLOPT_CAINFO, rules_.config().ca_file().c_str());
      set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    }
    set(CURLOPT_OPENSOCKETFUNCTION, &Request::open_socket);
    set(CURLOPT_OPENSOCKETDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Request::take_part);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Request::look);
    set(CURLOPT_XFERINFODATA, this);
  }

  static curl_socket_t open_socket(void* self, curlsocktype, curl_sockaddr* address) {
    auto& request = *static_cast<Request*>(self);
    const auto ip = ip_address_of(address->addr);
    if (!ip || !request.rules_.is_address_allowed(*ip)) {
      request.was_address_refused_ = true;
      return CURL_SOCKET_BAD;
    }
    request.was_address_allowed_ = true;
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  static size_t take_part(const char* bytes, size_t size, size_t count, void* self) {
    const std::string_view part(bytes, size * count);
    return static_cast<Request*>(self)->take(part) ? part.size() : part.size() + 1;
  }

  // False ends the attempt.
  bool take(std::string_view bytes) {
    long status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    // What comes with an error or a redirect is of no interest, and is let pass as far as that is
    // cheaper than another connection.
    if (status != kHttpOk) {
      discarded_bytes_ += bytes.size();
      return discarded_bytes_ <= kDiscardedMaxBytes;
    }
    if (!rules_.is_type_allowed(content_type())) return false;
    taken_bytes_ += static_cast<int64_t>(bytes.size());
    if (taken_bytes_ > rules_.file_max_bytes()) return false;
    store_status_ = sink_.write(bytes);
    return store_status_.ok();
  }

  static int look(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Request*>(self)->sink_.is_over() ? 1 : 0;
  }

  std::string_view content_type() const {
    char* type = nullptr;
    curl_easy_getinfo(curl_.get(), CURLINFO_CONTENT_TYPE, &type);
    return type == nullptr ? std::string_view() : std::string_view(type);
  }

  HttpResult judge(CURLcode code, long status) const {
    if (code == CURLE_FILESIZE_EXCEEDED || taken_bytes_ > rules_.file_max_bytes()) {
      return {Failed::CAUSE_TOO_LARGE, false, "larger than may be fetched"};
    }
    if (!store_status_.ok()) {
      return {Failed::CAUSE_STORE, true, "not stored: " + store_status_.message()};
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
      return {Failed::CAUSE_TIMEOUT, true, "not there in time"};
    }
    if (status != 0 && status != kHttpOk) return judge_status(status);
    if (status == kHttpOk && !rules_.is_type_allowed(content_type())) {
      return {Failed::CAUSE_TYPE_NOT_ALLOWED, false, "of a type that is not fetched"};
    }
    return code == CURLE_OK ? HttpResult() : judge_failure(code);
  }

  static HttpResult judge_status(long status) {
    // Request timeout, too early, too many requests: RFC 9110, 8470, 6585.
    const bool is_transient = status >= 500 || status == 408 || status == 425 || status == 429;
    return {is_transient ? Failed::CAUSE_SERVER_ERROR : Failed::CAUSE_REFUSED_BY_SERVER,
            is_transient, fmt::format("the server answered {}", status)};
  }

  HttpResult judge_failure(CURLcode code) const {
    const std::string reason = curl_easy_strerror(code);
    switch (code) {
      case CURLE_PEER_FAILED_VERIFICATION:
        return {Failed::CAUSE_TLS, false, reason};
      case CURLE_SSL_CONNECT_ERROR:
      case CURLE_SSL_CACERT_BADFILE:
      case CURLE_SSL_CIPHER:
        return {Failed::CAUSE_TLS, true, reason};
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_URL_MALFORMAT:
        return {Failed::CAUSE_BAD_URL, false, reason};
      case CURLE_ABORTED_BY_CALLBACK:
        return {Failed::CAUSE_CONNECTION, true, "the collector is stopping"};
      default:
        break;
    }
    if (was_address_refused_ && !was_address_allowed_) {
      return {Failed::CAUSE_ADDRESS_NOT_ALLOWED, false, "the host's address is not allowed"};
    }
    return {Failed::CAUSE_CONNECTION, true, reason};
  }

  const FetchRules& rules_;
  const HttpSink& sink_;
  const steady_clock::time_point end_;
  const std::unique_ptr<CURL, CurlDelete> curl_;
  int64_t taken_bytes_ = 0;
  size_t discarded_bytes_ = 0;
  Status store_status_;
  bool was_address_refused_ = false;
  bool was_address_allowed_ = false;
};

bool is_redirect(int32_t status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

HttpResult http_get(const FetchRules& rules, const std::string& first_url, const HttpSink& sink) {
  init_curl();
  const auto end = steady_clock::now() + milliseconds(rules.config().attempt_max_ms());
  std::string url = first_url;
  for (int64_t hop = 0;; ++hop) {
    const FetchCause forbidden = rules.check_url(url);
    if (forbidden != Failed::CAUSE_UNSPECIFIED) {
      return {hop == 0 ? forbidden : Failed::CAUSE_REDIRECT_NOT_ALLOWED, false,
              hop == 0 ? "the rules forbid the address" : "it points to where the rules forbid"};
    }
    Request request(rules, sink, end);
    HttpResult result = request.run(url);
    if (!is_redirect(result.http_status)) return result;
    url = request.redirect();
    if (url.empty() || hop >= rules.config().redirects_max_count()) {
      return {Failed::CAUSE_REDIRECT_NOT_ALLOWED, false, "it points on too often, or nowhere",
              result.http_status};
    }
  }
}

}  // namespace verbatim::collector
