#include "queue/receive_frame.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/endian.h"
#include "base/frame.h"
#include "tests/support/test_seed.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {
namespace {

constexpr uint64_t kLogId = 0x8000000000000001;

// What a record holds; StoredMessage has views only.
struct Content {
  uint64_t lookup_id = 0;
  uint32_t delivery_count = 0;
  int64_t put_unix_ns = 0;
  uint64_t source_count = 0;
  std::string source;
  std::string order_key;
  std::string source_key;
  std::string verdict;
  std::string envelope;
  std::string body;
  v1::LogMessageExtra extra;
};

void write(const Content& content, ReceiveFrame& frame) {
  const std::string extra = content.extra.SerializeAsString();
  StoredMessage stored;
  stored.record = {.lookup_id = content.lookup_id,
                   .put_unix_ns = content.put_unix_ns,
                   .source_count = content.source_count,
                   .source = content.source,
                   .order_key = content.order_key,
                   .source_key = content.source_key,
                   .verdict = content.verdict,
                   .extra = extra,
                   .envelope = content.envelope,
                   .body = content.body};
  stored.extra = content.extra;
  frame.add(stored, content.delivery_count);
}

void fill(const Content& content, v1::QueueMessage& message) {
  message.set_lookup_id(content.lookup_id);
  message.set_delivery_count(content.delivery_count);
  message.set_put_unix_ns(content.put_unix_ns);
  message.set_source(content.source);
  message.set_source_count(content.source_count);
  message.set_order_key(content.order_key);
  message.set_source_key(content.source_key);
  message.set_verdict(content.verdict);
  message.set_envelope(content.envelope);
  message.set_body(content.body);
  message.set_label(content.extra.label());
  message.set_correlation_id(content.extra.correlation_id());
  *message.mutable_hops() = content.extra.hops();
}

// Both ways of saying the same.
void expect_same(uint64_t request_id, uint64_t lease_id, const std::vector<Content>& contents) {
  v1::QueueFrame expected;
  expected.set_request_id(request_id);
  v1::ReceiveReply& reply = *expected.mutable_receive_reply();
  reply.set_lease_id(lease_id);
  std::string log_id;
  base::put_le64(log_id, kLogId);
  reply.set_log_id(log_id);
  ReceiveFrame frame(request_id, lease_id, kLogId);
  for (const Content& content : contents) {
    write(content, frame);
    fill(content, *reply.add_messages());
  }
  v1::QueueFrame parsed;
  ASSERT_TRUE(base::decode_frame(frame.finish(), parsed).ok());
  EXPECT_TRUE(parsed.SerializeAsString() == expected.SerializeAsString())
      << contents.size() << " messages are read as others";
  EXPECT_EQ(parsed.receive_reply()
                .GetReflection()
                ->GetUnknownFields(parsed.receive_reply())
                .field_count(),
            0);
}

Content full_content() {
  Content content{.lookup_id = 300,
                  .delivery_count = 2,
                  .put_unix_ns = 1'700'000'000'000'000'000,
                  .source_count = 77,
                  .source = "source",
                  .order_key = "key",
                  .source_key = std::string("\0key", 4),
                  .verdict = "verdict",
                  .envelope = "envelope",
                  .body = std::string(100'000, 'b'),
                  .extra = {}};
  content.extra.set_label("label");
  content.extra.set_correlation_id("about");
  for (const char* queue : {"events", "events;poison"}) {
    v1::MessageHop* hop = content.extra.add_hops();
    hop->set_queue(queue);
    hop->set_lookup_id(5);
    hop->set_detail("why");
  }
  return content;
}

TEST(ReceiveFrame, ProtobufReadsEveryFieldOfAMessage) { expect_same(9, 10, {full_content()}); }

TEST(ReceiveFrame, FieldsWithTheirDefaultAreLeftOut) {
  expect_same(0, 0, {});
  expect_same(1, 0, {Content{}});
  Content content = full_content();
  content.extra.clear_label();
  content.body.clear();
  expect_same(1, 2, {content, Content{}, full_content()});
}

TEST(ReceiveFrame, TheLargestNumbersAreReadBack) {
  Content content = full_content();
  content.lookup_id = content.source_count = std::numeric_limits<uint64_t>::max();
  content.delivery_count = std::numeric_limits<uint32_t>::max();
  content.put_unix_ns = std::numeric_limits<int64_t>::min();
  expect_same(std::numeric_limits<uint64_t>::max(), std::numeric_limits<uint64_t>::max(),
              {content});
}

TEST(ReceiveFrame, RandomMessagesAreReadBack) {
  std::mt19937_64 random(testing::test_seed());
  const auto text = [&random] {
    return std::string(random() % 4 == 0 ? 0 : random() % 300,
                       static_cast<char>('a' + random() % 26));
  };
  const auto number = [&random] { return random() >> random() % 64; };
  for (int round = 0; round < 200; ++round) {
    std::vector<Content> contents(random() % 5);
    for (Content& content : contents) {
      content = {.lookup_id = number(),
                 .delivery_count = static_cast<uint32_t>(number()),
                 .put_unix_ns = static_cast<int64_t>(number()),
                 .source_count = number(),
                 .source = text(),
                 .order_key = text(),
                 .source_key = text(),
                 .verdict = text(),
                 .envelope = text(),
                 .body = text(),
                 .extra = {}};
      content.extra.set_label(text());
      content.extra.set_correlation_id(text());
      for (uint64_t i = random() % 3; i > 0; --i)
        content.extra.add_hops()->set_queue("from " + text());
    }
    expect_same(number(), number(), contents);
  }
}

}  // namespace
}  // namespace verbatim::queue
