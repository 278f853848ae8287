// FileFetcher: takes the content behind links of messages (XEP-0066, XEP-0363, XEP-0447) into the
// files folder, when the message is captured, and records what came of it.
//
// I1 A link of a record (a post or an edit) is noted durably before the message is put; from then
//    on it ends in exactly one event about that message, file_downloaded or file_transfer_failed,
//    whatever dies meanwhile. An event that is put twice has the same source key.
// I2 No message waits for a fetch, or fails because of one: note() costs one small synced file, and
//    what cannot be noted is recorded as failed.
// I3 Nothing is asked outside of the rules (fetch_rules.h).
//
// Life cycle: create → start → stop. Threads: note() from any; concurrent_max_count of its own,
// which ask servers and wait for the queue.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/content_store.h"
#include "base/file_system.h"
#include "collector/broker/broker.h"
#include "collector/fetch/fetch_rules.h"
#include "collector/fetch/http_get.h"
#include "verbatim/v1/admin.pb.h"

namespace verbatim::collector {

struct FileFetcherOptions {
  std::string directory;
  std::string collector_name = "collector";
  // For tests; the real one otherwise.
  std::function<HttpResult(const std::string& url, const HttpSink& sink)> get = {};
};

class FileFetcher {
 public:
  // `store` outlives it. Reads what is outstanding. Errors: those of the disk.
  static Result<std::unique_ptr<FileFetcher>> create(base::FileSystem& file_system,
                                                     base::ContentStore& store, FetchRules rules,
                                                     FileFetcherOptions options);
  ~FileFetcher();

  // `broker` outlives stop().
  void start(Broker& broker);
  // What is under way begins anew at the next start. Safe twice and before start().
  void stop();

  // What became of the message: true: it is stored, false: it never will be. Without a word its
  // links are fetched at the next start. At most once.
  using Ticket = std::function<void(bool is_stored)>;
  // Takes a completed event before it is put; an empty ticket: it has no links to fetch.
  Ticket note(const v1::Event& event);

  v1::FetchInfo info() const;

 private:
  class Implementation;
  explicit FileFetcher(std::unique_ptr<Implementation> implementation);
  // Tickets may come after everything else has gone.
  std::shared_ptr<Implementation> implementation_;
};

// The links of a record that are fetched, or are recorded as not to be: those that the message
// marks as files, and a text that is nothing but the address of an allowed host.
std::vector<v1::FileReference> links_of(const v1::Event& event, const FetchRules& rules);

}  // namespace verbatim::collector
