// What lies in the records of the queue's log (docs/formats/log.md) and in its frames
// (docs/formats/frames.md), byte for byte: queue_payloads.txt has a name and the bytes in hex on
// each line. What was written once is read as the same, and is still written so. GOLDEN_WRITE=1 in
// the environment writes the file anew, after a change of format.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

#include "base/file_system.h"
#include "base/frame.h"
#include "base/hex.h"
#include "queue/client/put_frame.h"
#include "queue/put_view.h"
#include "queue/receive_frame.h"
#include "queue/state/message_record.h"
#include "queue/state/named_queue.h"
#include "queue/state/source_key_digest.h"
#include "verbatim/v1/queue_log.pb.h"

namespace verbatim::queue {
namespace {

using Payloads = std::map<std::string, std::string>;

std::string golden_path() {
  const char* directory = std::getenv("VERBATIM_GOLDEN_DIR");
  return std::string(directory == nullptr ? "." : directory) + "/queue_payloads.txt";
}

Payloads golden() {
  const auto text = base::posix_file_system().read_file(golden_path());
  EXPECT_TRUE(text.has_value()) << text.error().to_string();
  Payloads payloads;
  std::istringstream lines(text ? *text : "");
  for (std::string name, hex; lines >> name >> hex;) {
    const auto bytes = base::from_hex(hex);
    EXPECT_TRUE(bytes.has_value()) << name;
    if (bytes) payloads[name] = *bytes;
  }
  return payloads;
}

// --- what is in them ---

v1::LogMessageExtra extra() {
  v1::LogMessageExtra extra;
  extra.set_label("label");
  extra.set_correlation_id("\x01\xff");
  extra.mutable_acknowledge()->set_queue("answers");
  extra.mutable_acknowledge()->set_on_reached(true);
  extra.mutable_acknowledge()->set_on_consumed(true);
  v1::MessageHop& hop = *extra.add_hops();
  hop.set_queue("events");
  hop.set_lookup_id(17);
  hop.set_delivery_count(18);
  hop.set_reason(v1::END_REASON_POISON);
  hop.set_detail("why");
  hop.set_unix_ns(1'700'000'000'000'000'000);
  return extra;
}

MessageRecord record(const std::string& extra_bytes) {
  return {.queue_id = 3,
          .delivery_count = 2,
          .lookup_id = 70'000,
          .put_unix_ns = 1'700'000'000'123'456'789,
          .source_count = 9,
          .source = "source",
          .order_key = "order key",
          .source_key = "source key",
          .verdict = "verdict",
          .extra = extra_bytes,
          .envelope = "envelope",
          .body = "body"};
}

v1::LogRanges ranges() {
  v1::LogRanges ranges;
  ranges.set_queue_id(3);
  for (const uint64_t number : {5u, 2u, 70'000u, 1u}) ranges.add_ranges(number);
  ranges.set_redelivered_count(1);
  ranges.set_end_reason(v1::END_REASON_PURGED);
  ranges.set_is_destroyed(true);
  ranges.set_not_before_unix_ns(1'700'000'001'000'000'000);
  ranges.set_is_untried(true);
  return ranges;
}

v1::LogSourceKey source_key() {
  v1::LogSourceKey key;
  key.set_queue_id(3);
  key.set_source_key("source key");
  key.set_lookup_id(70'000);
  key.set_verdict("verdict");
  key.set_put_unix_ns(1'700'000'000'123'456'789);
  return key;
}

// One entry in each map: protobuf orders them as it likes.
v1::LogSnapshot snapshot() {
  v1::LogSnapshot snapshot;
  snapshot.set_next_queue_id(4);
  (*snapshot.mutable_retired_names())["gone"] = 55;
  v1::LogQueue& queue = *snapshot.add_queues();
  queue.set_queue_id(3);
  queue.set_name("events");
  queue.set_next_lookup_id(70'001);
  queue.set_accepted_count(69'000);
  queue.set_committed_count(68'000);
  queue.set_repeat_count(7);
  queue.set_redelivered_count(8);
  queue.set_moved_in_count(1'000);
  queue.set_destroyed_count(2);
  (*queue.mutable_accepted_by_source())["source"] = 69'000;
  (*queue.mutable_ended_count())[v1::END_REASON_POISON] = 3;
  v1::QueueSettings& settings = *queue.mutable_settings();
  settings.set_quota_messages(100);
  settings.set_quota_bytes(200);
  settings.set_low_mark_percent(90);
  settings.set_retries(1);
  settings.set_retry_cycles(0);
  settings.set_retry_cycle_delay_ms(50);
  settings.set_poison_target(v1::QueueSettings::POISON_TARGET_DEAD_LETTERS);
  settings.set_consumer_mode(v1::QueueSettings::CONSUMER_MODE_EXCLUSIVE);
  settings.set_has_journal(true);
  settings.set_journal_quota_bytes(300);
  queue.mutable_flags()->set_is_put_paused(true);
  queue.mutable_flags()->set_is_receive_paused(true);
  queue.mutable_flags()->set_is_held(true);
  queue.mutable_flags()->set_is_deleting(true);
  v1::LogProducer& producer = *queue.add_producers();
  producer.set_name("producer");
  producer.set_epoch(5);
  producer.set_last_sequence(12);
  producer.set_last_put_unix_ns(1'700'000'000'000'000'000);
  producer.set_owner("key");
  v1::LogPut& put = *producer.add_puts();
  put.set_first_sequence(10);
  v1::LogRun& stored = *put.add_runs();
  stored.set_count(2);
  stored.set_first_lookup_id(69'999);
  v1::LogRun& repeat = *put.add_runs();
  repeat.set_count(1);
  repeat.set_first_lookup_id(17);
  repeat.set_is_repeat(true);
  return snapshot;
}

PutRequest put_request() {
  PutRequest request;
  request.order_key = "order key";
  request.source_key = "source key";
  request.source = "source";
  request.verdict = "verdict";
  request.envelope = "envelope";
  request.body = "body";
  request.label = "label";
  request.correlation_id = "\x01\xff";
  request.acknowledge = {.queue = "answers", .on_reached = true, .on_consumed = true};
  return request;
}

// --- as today's code writes them ---

std::string put_frame() {
  const std::string message = encode_put_message(put_request());
  PutFrameBuilder builder({.request_id = 300,
                           .queue = "events",
                           .producer = "producer",
                           .epoch = 5,
                           .first_sequence = 10},
                          message.size());
  builder.append(message);
  return std::move(builder).finish();
}

std::string receive_frame() {
  const std::string bytes = extra().SerializeAsString();
  StoredMessage stored{.record = record(bytes), .extra = extra()};
  ReceiveFrame frame(301, 7, 0x0123456789abcdef);
  frame.add(stored, 2);
  return frame.finish();
}

std::string settle_frame() {
  v1::QueueFrame frame;
  frame.set_request_id(302);
  v1::Settle& commit = *frame.mutable_commit();
  commit.set_queue("events");
  commit.set_lease_id(7);
  commit.add_lookup_ids(70'000);
  return base::encode_frame(frame);
}

Payloads written() {
  const std::string extra_bytes = extra().SerializeAsString();
  const std::string bytes = message_record_bytes(record(extra_bytes));
  Payloads payloads{{"message_record", bytes},
                    {"ranges", ranges().SerializeAsString()},
                    {"source_key", source_key().SerializeAsString()},
                    {"source_key_digest", encode_source_key_digest(source_key())},
                    {"snapshot", snapshot().SerializeAsString()},
                    {"frame_put", put_frame()},
                    {"frame_receive_reply", receive_frame()},
                    {"frame_settle", settle_frame()}};
  encode_digest(digest_of(record(extra_bytes)), payloads["moved_message_digest"]);
  v1::LogMessageExtra without_hops = extra();
  without_hops.clear_hops();
  const std::string first_bytes = without_hops.SerializeAsString();
  encode_digest(digest_of(record(first_bytes)), payloads["message_digest"]);
  return payloads;
}

// --- the tests ---

TEST(QueuePayloadGolden, TheSameIsWrittenAsTheSameBytes) {
  const Payloads now = written();
  if (std::getenv("GOLDEN_WRITE") != nullptr) {
    std::string text;
    for (const auto& [name, bytes] : now) text += name + " " + base::to_hex(bytes) + "\n";
    ASSERT_TRUE(base::write_file_atomically(base::posix_file_system(), golden_path(), text).ok());
  }
  const Payloads then = golden();
  ASSERT_EQ(then.size(), now.size());
  for (const auto& [name, bytes] : now) {
    ASSERT_TRUE(then.contains(name)) << name;
    EXPECT_EQ(base::to_hex(then.at(name)), base::to_hex(bytes))
        << name << ": a change of format needs a new version";
  }
}

TEST(QueuePayloadGolden, AMessageRecordIsReadInAllItsParts) {
  const std::string bytes = golden()["message_record"];
  const auto read = decode_message_record(bytes);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->queue_id, 3u);
  EXPECT_EQ(read->delivery_count, 2u);
  EXPECT_EQ(read->lookup_id, 70'000u);
  EXPECT_EQ(read->put_unix_ns, 1'700'000'000'123'456'789);
  EXPECT_EQ(read->source_count, 9u);
  EXPECT_EQ(read->source, "source");
  EXPECT_EQ(read->order_key, "order key");
  EXPECT_EQ(read->source_key, "source key");
  EXPECT_EQ(read->verdict, "verdict");
  EXPECT_EQ(read->envelope, "envelope");
  EXPECT_EQ(read->body, "body");
  v1::LogMessageExtra parts;
  ASSERT_TRUE(parts.ParseFromString(std::string(read->extra)));
  EXPECT_EQ(parts.label(), "label");
  EXPECT_EQ(parts.correlation_id(), "\x01\xff");
  EXPECT_EQ(parts.acknowledge().queue(), "answers");
  ASSERT_EQ(parts.hops_size(), 1);
  EXPECT_EQ(parts.hops(0).lookup_id(), 17u);
  EXPECT_EQ(parts.hops(0).reason(), v1::END_REASON_POISON);
}

TEST(QueuePayloadGolden, DigestsAreReadAsTheHashesOfTheSameKeys) {
  Payloads payloads = golden();
  const auto message = decode_digest(payloads["message_digest"]);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->queue_id, 3u);
  EXPECT_EQ(message->delivery_count, 2u);
  EXPECT_EQ(message->lookup_id, 70'000u);
  EXPECT_EQ(message->order_key_hash, order_key_hash("order key"));
  EXPECT_TRUE(message->wants_consumed);
  EXPECT_EQ(message->reason, v1::END_REASON_UNSPECIFIED);
  EXPECT_TRUE(message->has_source_key);
  EXPECT_EQ(message->source_key_hash, source_key_hash("source key"));
  EXPECT_EQ(message->put_unix_ns, 1'700'000'000'123'456'789);
  const auto moved = decode_digest(payloads["moved_message_digest"]);
  ASSERT_TRUE(moved.has_value());
  EXPECT_EQ(moved->lookup_id, 70'000u);
  EXPECT_EQ(moved->reason, v1::END_REASON_POISON);
  EXPECT_FALSE(moved->has_source_key) << "repeats are known by the first record";
  const auto key = decode_source_key_digest(payloads["source_key_digest"]);
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key->queue_id, 3u);
  EXPECT_EQ(key->lookup_id, 70'000u);
  EXPECT_EQ(key->put_unix_ns, 1'700'000'000'123'456'789);
  EXPECT_EQ(key->hash, source_key_hash("source key"));
}

TEST(QueuePayloadGolden, RangesAndSourceKeysAreReadInAllTheirParts) {
  Payloads payloads = golden();
  v1::LogRanges read;
  ASSERT_TRUE(read.ParseFromString(payloads["ranges"]));
  EXPECT_EQ(read.queue_id(), 3u);
  ASSERT_EQ(read.ranges_size(), 4);
  EXPECT_EQ(read.ranges(0), 5u);
  EXPECT_EQ(read.ranges(2), 70'000u);
  EXPECT_EQ(read.redelivered_count(), 1);
  EXPECT_EQ(read.end_reason(), v1::END_REASON_PURGED);
  EXPECT_TRUE(read.is_destroyed());
  EXPECT_EQ(read.not_before_unix_ns(), 1'700'000'001'000'000'000);
  EXPECT_TRUE(read.is_untried());
  v1::LogSourceKey key;
  ASSERT_TRUE(key.ParseFromString(payloads["source_key"]));
  EXPECT_EQ(key.source_key(), "source key");
  EXPECT_EQ(key.verdict(), "verdict");
  EXPECT_EQ(key.lookup_id(), 70'000u);
}

TEST(QueuePayloadGolden, ASnapshotGivesAQueueItsWholeControlState) {
  v1::LogSnapshot read;
  ASSERT_TRUE(read.ParseFromString(golden()["snapshot"]));
  EXPECT_EQ(read.next_queue_id(), 4u);
  EXPECT_EQ(read.retired_names().at("gone"), 55u);
  ASSERT_EQ(read.queues_size(), 1);
  NamedQueue queue(std::chrono::seconds(900), 1'024);
  queue.load(read.queues(0));
  EXPECT_EQ(queue.id, 3u);
  EXPECT_EQ(queue.name, "events");
  EXPECT_EQ(queue.next_lookup_id, 70'001u);
  EXPECT_EQ(queue.accepted_count, 69'000);
  EXPECT_EQ(queue.destroyed_count, 2);
  EXPECT_EQ(queue.accepted_by_source.at("source"), 69'000u);
  EXPECT_EQ(queue.ended_count.at(v1::END_REASON_POISON), 3);
  EXPECT_EQ(tries_max(queue.settings), 2);
  EXPECT_EQ(queue.settings.journal_quota_bytes(), 300);
  EXPECT_TRUE(queue.flags.is_deleting());
  const Producer* producer = queue.producers.find("producer");
  ASSERT_NE(producer, nullptr);
  EXPECT_EQ(producer->epoch, 5u);
  EXPECT_EQ(producer->last_sequence, 12u);
  EXPECT_EQ(producer->owner, "key");
  const auto answers = queue.producers.answers("producer", 10, 3);
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[1].lookup_id, 70'000u);
  EXPECT_EQ(answers[2].lookup_id, 17u);
  EXPECT_TRUE(answers[2].is_repeat);
}

TEST(QueuePayloadGolden, FramesAreReadByServiceAndClient) {
  Payloads payloads = golden();
  const auto body = base::frame_body(payloads["frame_put"]);
  ASSERT_TRUE(body.has_value()) << body.error().to_string();
  PutView put;
  ASSERT_EQ(read_put(*body, 1, put), PutRead::kPut);
  EXPECT_EQ(put.request_id, 300u);
  EXPECT_EQ(put.queue, "events");
  EXPECT_EQ(put.producer, "producer");
  EXPECT_EQ(put.epoch, 5u);
  EXPECT_EQ(put.first_sequence, 10u);
  ASSERT_EQ(put.messages.size(), 1u);
  EXPECT_EQ(put.messages[0].body, "body");
  EXPECT_EQ(put.messages[0].acknowledge->queue(), "answers");
  v1::QueueFrame frame;
  ASSERT_TRUE(base::decode_frame(payloads["frame_receive_reply"], frame).ok());
  EXPECT_EQ(frame.request_id(), 301u);
  EXPECT_EQ(frame.receive_reply().lease_id(), 7u);
  ASSERT_EQ(frame.receive_reply().messages_size(), 1);
  const v1::QueueMessage& message = frame.receive_reply().messages(0);
  EXPECT_EQ(message.lookup_id(), 70'000u);
  EXPECT_EQ(message.body(), "body");
  EXPECT_EQ(message.label(), "label");
  EXPECT_EQ(message.hops(0).detail(), "why");
  ASSERT_TRUE(base::decode_frame(payloads["frame_settle"], frame).ok());
  EXPECT_EQ(frame.commit().lease_id(), 7u);
  EXPECT_EQ(frame.commit().lookup_ids(0), 70'000u);
}

}  // namespace
}  // namespace verbatim::queue
