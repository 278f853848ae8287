#include "collector/fetch/file_fetcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>

#include "base/sha256.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

using Failed = v1::FileTransferFailed;
using verbatim::testing::FaultFileSystem;
using verbatim::testing::IoKind;

constexpr std::chrono::seconds kPatience{60};
const std::string kUrl = "https://upload.example.com/a.pdf";

// Keeps what is put, and answers as it is told to.
class FakeBroker final : public Broker {
 public:
  void submit(PendingEvent pending) override {
    Answer answer;
    {
      std::lock_guard lock(mutex_);
      answer.kind = error_count_ > 0 ? Answer::Kind::kError : Answer::Kind::kAccepted;
      if (error_count_ > 0) --error_count_;
      if (answer.kind == Answer::Kind::kAccepted) events_.push_back(pending.event);
    }
    EXPECT_TRUE(pending.is_awaited);
    EXPECT_TRUE(pending.is_resent_after_error);
    changed_.notify_all();
    pending.done(answer);
  }
  void submit_gap(const GapReport&) override {}
  void submit_outcome(const v1::Event&, const std::string&, v1::VerdictOutcome::Outcome,
                      const std::string&) override {}
  const Profile& profile() const override { std::abort(); }
  Roster& roster() override { std::abort(); }
  std::chrono::nanoseconds default_deadline() const override { return {}; }
  const base::Clock& clock() const override { return base::system_clock(); }
  const std::string& collector_name() const override { return name_; }

  std::vector<v1::Event> wait(size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return events_.size() >= count; }));
    return events_;
  }
  void refuse(int count) {
    std::lock_guard lock(mutex_);
    error_count_ = count;
  }

 private:
  const std::string name_ = "collector";
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<v1::Event> events_;
  int error_count_ = 0;
};

v1::Event post(const std::string& id, const std::vector<std::string>& urls,
               const std::string& text = "see the file") {
  v1::Event event;
  event.set_id(id);
  event.set_role(v1::ROLE_RECORD);
  event.mutable_source()->set_name("chat");
  event.mutable_conversation()->set_address("room@x");
  event.mutable_actor()->set_address("a@x");
  event.mutable_original_text()->set_plain(text);
  event.mutable_message_posted();
  for (const std::string& url : urls) {
    event.mutable_message_posted()->add_files()->set_url(url);
  }
  return event;
}

class FileFetcherTest : public ::testing::Test {
 protected:
  FileFetcherTest() {
    fetch_.add_allowed_hosts("upload.example.com");
    fetch_.set_file_max_bytes(1'000);
    fetch_.set_retry_min_ms(1);
    fetch_.set_retry_max_ms(2);
    fetch_.set_attempts_max_count(3);
    fetch_.set_concurrent_max_count(2);
    fetch_.set_outstanding_max_count(100);
    open_store();
  }
  ~FileFetcherTest() override { fetcher_.reset(); }

  void open_store() {
    store_ = base::ContentStore::open(disk_, {.directory = "/files", .is_writer = true}).value();
  }
  FetchRules rules() const { return FetchRules::create(fetch_, 1'000'000).value(); }
  void open() {
    fetcher_.reset();
    FileFetcherOptions options;
    options.directory = "/fetches";
    options.get = [this](const std::string& url, const HttpSink& sink) {
      ++asked_count_;
      return get_(url, sink);
    };
    fetcher_ = FileFetcher::create(disk_, *store_, rules(), std::move(options)).value();
  }
  void start() {
    open();
    fetcher_->start(broker_);
  }
  void post_and_tell(const v1::Event& event, bool is_stored = true) {
    auto ticket = fetcher_->note(event);
    ASSERT_TRUE(ticket);
    ticket(is_stored);
  }
  size_t job_count() {
    size_t count = 0;
    const auto names = disk_.list_directory("/fetches").value();
    for (const std::string& name : names) {
      if (name.starts_with("job-")) ++count;
    }
    return count;
  }
  void wait_until_done() {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (fetcher_->info().outstanding_count() > 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
    EXPECT_EQ(fetcher_->info().outstanding_count(), 0);
  }
  static HttpResult give(const HttpSink& sink, const std::string& bytes) {
    if (const Status status = sink.write(bytes); !status.ok()) {
      return {Failed::CAUSE_STORE, true, status.message()};
    }
    HttpResult result;
    result.http_status = 200;
    result.media_type = "application/pdf";
    return result;
  }

  FaultFileSystem disk_;
  v1::FileFetch fetch_;
  FakeBroker broker_;
  std::unique_ptr<base::ContentStore> store_;
  std::function<HttpResult(const std::string&, const HttpSink&)> get_ =
      [](const std::string&, const HttpSink& sink) { return give(sink, "content"); };
  std::atomic<int> asked_count_{0};
  std::unique_ptr<FileFetcher> fetcher_;
};

TEST_F(FileFetcherTest, WhatIsFetchedIsStoredAndNamedByAnEventAboutTheMessage) {
  start();
  post_and_tell(post("event-1", {kUrl}));
  const v1::Event event = broker_.wait(1).front();
  EXPECT_EQ(event.references().event_id(), "event-1");
  EXPECT_EQ(event.conversation().address(), "room@x");
  EXPECT_EQ(event.phase(), v1::PHASE_NOTICE);
  ASSERT_TRUE(event.has_file_downloaded());
  EXPECT_TRUE(event.file_downloaded().by_collector());
  const v1::FileReference& file = event.file_downloaded().file();
  EXPECT_EQ(file.sha256(), base::sha256("content"));
  EXPECT_EQ(file.size_bytes(), 7);
  EXPECT_EQ(file.media_type(), "application/pdf");
  EXPECT_EQ(file.url(), kUrl);
  EXPECT_TRUE(store_->has(base::sha256("content")));
  wait_until_done();
  EXPECT_EQ(job_count(), 0u);
  EXPECT_EQ(fetcher_->info().downloaded_count(), 1);
  EXPECT_EQ(fetcher_->info().downloaded_bytes(), 7);
}

TEST_F(FileFetcherTest, APermanentFailureIsRecordedAtOnceATransientOneAfterTheLastAttempt) {
  get_ = [](const std::string& url, const HttpSink&) -> HttpResult {
    if (url == kUrl)
      return {Failed::CAUSE_REFUSED_BY_SERVER, false, "the server answered 404", 404};
    return {Failed::CAUSE_SERVER_ERROR, true, "the server answered 503", 503};
  };
  start();
  post_and_tell(post("event-1", {kUrl, kUrl + "2"}));
  std::map<int, Failed> by_status;
  for (const v1::Event& event : broker_.wait(2)) {
    by_status[event.file_transfer_failed().http_status()] = event.file_transfer_failed();
  }
  EXPECT_EQ(by_status[404].attempt_count(), 1);
  EXPECT_FALSE(by_status[404].is_transient());
  EXPECT_EQ(by_status[404].cause(), Failed::CAUSE_REFUSED_BY_SERVER);
  EXPECT_EQ(by_status[503].attempt_count(), 3);
  EXPECT_TRUE(by_status[503].is_transient());
  wait_until_done();
  EXPECT_EQ(asked_count_, 4);
  EXPECT_EQ(fetcher_->info().retry_count(), 2);
  EXPECT_EQ(fetcher_->info().failed_count(), 2);
  EXPECT_EQ(job_count(), 0u);
}

TEST_F(FileFetcherTest, WhatPassesIsFetchedByALaterAttempt) {
  get_ = [this](const std::string&, const HttpSink& sink) -> HttpResult {
    if (asked_count_ == 1) return {Failed::CAUSE_TIMEOUT, true, "late"};
    return give(sink, "content");
  };
  start();
  post_and_tell(post("event-1", {kUrl}));
  EXPECT_TRUE(broker_.wait(1).front().has_file_downloaded());
}

TEST_F(FileFetcherTest, AKilledCollectorFetchesAtTheNextStartUnderTheSameSourceKey) {
  start();
  post_and_tell(post("event-1", {kUrl}));
  const v1::Event first = broker_.wait(1).front();
  wait_until_done();
  // Noted, and killed before anybody said what became of the message.
  const auto ticket = fetcher_->note(post("event-1", {kUrl}));
  EXPECT_EQ(job_count(), 1u);
  fetcher_.reset();
  store_.reset();
  disk_.power_cut_dropping_all();
  open_store();
  start();
  const v1::Event second = broker_.wait(2).back();
  EXPECT_EQ(second.source_key().SerializeAsString(), first.source_key().SerializeAsString());
  wait_until_done();
  EXPECT_EQ(job_count(), 0u);
}

TEST_F(FileFetcherTest, AMessageThatIsNeverStoredLeavesNoLinkBehind) {
  start();
  post_and_tell(post("event-1", {kUrl}), /*is_stored=*/false);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (job_count() > 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(job_count(), 0u);
  EXPECT_EQ(asked_count_, 0);
}

TEST_F(FileFetcherTest, AQueueThatIsAwayIsWaitedForAndTheClaimStands) {
  broker_.refuse(1);
  start();
  post_and_tell(post("event-1", {kUrl}));
  broker_.wait(1);
  wait_until_done();
  EXPECT_EQ(asked_count_, 1) << "the content is not fetched twice";
}

TEST_F(FileFetcherTest, MoreThanMayWaitIsRecordedAsFailed) {
  fetch_.set_outstanding_max_count(1);
  open();
  post_and_tell(post("event-1", {kUrl, kUrl + "2"}));
  fetcher_->start(broker_);
  int too_many_count = 0;
  for (const v1::Event& event : broker_.wait(2)) {
    if (event.file_transfer_failed().cause() == Failed::CAUSE_TOO_MANY) ++too_many_count;
  }
  EXPECT_EQ(too_many_count, 1);
}

TEST_F(FileFetcherTest, OnlyLinksOfRecordsAreTakenAndTextsThatAreNothingButOne) {
  const FetchRules all = rules();
  EXPECT_EQ(links_of(post("1", {kUrl, kUrl}), all).size(), 1u);
  // Not allowed, but marked as a file: recorded as not fetched.
  EXPECT_EQ(links_of(post("1", {"https://other.test/a"}), all).size(), 1u);
  v1::Event evidence = post("1", {kUrl});
  evidence.set_role(v1::ROLE_EVIDENCE);
  EXPECT_TRUE(links_of(evidence, all).empty());
  v1::Event stored = post("1", {kUrl});
  stored.mutable_message_posted()->mutable_files(0)->set_sha256(std::string(32, 'x'));
  EXPECT_TRUE(links_of(stored, all).empty());
  EXPECT_EQ(links_of(post("1", {}, kUrl), all).front().url(), kUrl);
  EXPECT_TRUE(links_of(post("1", {}, "https://other.test/page"), all).empty());
  EXPECT_TRUE(links_of(post("1", {}, "see " + kUrl), all).empty());
  EXPECT_TRUE(links_of(post("1", {}, kUrl + "\n"), all).empty());
  v1::Event edited = post("1", {});
  edited.mutable_message_edited()->add_files()->set_url(kUrl);
  EXPECT_EQ(links_of(edited, all).size(), 1u);
  EXPECT_TRUE(links_of(v1::Event(), all).empty());
}

// Whatever operation fails: the link ends in an event, now or after a restart, and never in none.
TEST_F(FileFetcherTest, NoFaultForgetsALink) {
  bool was_hit = true;
  uint64_t nth = 1;
  for (; was_hit; ++nth) {
    FaultFileSystem disk;
    FakeBroker broker;
    const auto run = [&](const std::function<void(FileFetcher&)>& act) {
      auto store =
          base::ContentStore::open(disk, {.directory = "/files", .is_writer = true}).value();
      FileFetcherOptions options;
      options.directory = "/fetches";
      options.get = [](const std::string&, const HttpSink& sink) { return give(sink, "content"); };
      auto fetcher = FileFetcher::create(disk, *store, rules(), std::move(options)).value();
      fetcher->start(broker);
      act(*fetcher);
      fetcher->stop();
    };
    run([&](FileFetcher& fetcher) {
      disk.fail({.nth = nth});
      auto ticket = fetcher.note(post("event-1", {kUrl}));
      ASSERT_TRUE(ticket);
      ticket(true);
      const v1::Event event = broker.wait(1).front();
      // A link that could not be noted, or content that could not be stored, in three attempts.
      ASSERT_TRUE(event.has_file_downloaded() ||
                  event.file_transfer_failed().cause() == Failed::CAUSE_STORE);
    });
    was_hit = disk.has_failed();
    disk.clear_faults();
    if (broker.wait(1).front().has_file_downloaded()) {
      run([&](FileFetcher&) {});
      auto store = base::ContentStore::open(disk, {.directory = "/files", .is_writer = true});
      ASSERT_TRUE((*store)->has(base::sha256("content"))) << nth;
    }
  }
  EXPECT_GT(nth, 8u);
}

TEST_F(FileFetcherTest, ADamagedJobIsSetAside) {
  open();
  auto ticket = fetcher_->note(post("event-1", {kUrl}));
  fetcher_.reset();
  disk_.flip_byte("/fetches/job-event-1-0", 10);
  start();
  EXPECT_EQ(fetcher_->info().outstanding_count(), 0);
  EXPECT_TRUE(disk_.exists("/fetches/bad-event-1-0"));
}

}  // namespace
}  // namespace verbatim::collector
