// http_get: one attempt to fetch what is behind a URL, by the rules. The only place that asks
// foreign servers anything.
//
// The rules hold for the URL and for each redirect; the address of each socket is judged before it
// is connected. Proxies, cookies, credentials and compressed contents are not used.
// Threads: any; blocks up to attempt_max_ms.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "collector/fetch/fetch_rules.h"

namespace verbatim::collector {

struct HttpResult {
  // CAUSE_UNSPECIFIED: all of the content was given to the sink.
  FetchCause cause = v1::FileTransferFailed::CAUSE_UNSPECIFIED;
  // Trying again may help.
  bool is_transient = false;
  // For people; no part of the URL.
  std::string reason = {};
  int32_t http_status = 0;
  // Of the content, as the server says it, without parameters; may be empty.
  std::string media_type = {};
};

struct HttpSink {
  // Takes bytes of the content, in order. An error ends the attempt (CAUSE_STORE).
  std::function<Status(std::string_view)> write;
  // Asked now and then: true ends the attempt, as transient.
  std::function<bool()> is_over;
};

HttpResult http_get(const FetchRules& rules, const std::string& url, const HttpSink& sink);

}  // namespace verbatim::collector
