#include "adapters/sdk/batch_assembler.h"

#include <gtest/gtest.h>

#include "tests/support/batch_builder.h"

namespace verbatim::adapters {
namespace {

using ::verbatim::testing::BatchBuilder;
using ::verbatim::testing::room_post;

class BatchAssemblerTest : public ::testing::Test {
 protected:
  BatchAssemblerTest() : batch_(make()) {
    begin_.set_batch(batch_.number());
    begin_.set_store_epoch(7);
    begin_.set_header(batch_.header_bytes());
    begin_.set_event_count(batch_.event_count());
    for (size_t i = 0; i < batch_.event_count(); ++i) {
      begin_.set_body_bytes(begin_.body_bytes() + batch_.event_bytes(i).size());
    }
    end_.set_batch(batch_.number());
    end_.set_digest(batch_.digest());
  }
  static Batch make() {
    BatchBuilder builder("xml");
    for (const char* text : {"a", "b", "c"}) builder.add(room_post("a@x", text));
    return builder.seal();
  }
  v1::BatchChunk chunk(size_t first, size_t count) {
    v1::BatchChunk chunk;
    chunk.set_batch(batch_.number());
    for (size_t i = first; i < first + count; ++i) chunk.add_events(batch_.event_bytes(i));
    return chunk;
  }
  Result<AssembledBatch> all() {
    assembler_.begin(begin_);
    EXPECT_TRUE(assembler_.chunk(chunk(0, 2)).ok());
    EXPECT_TRUE(assembler_.chunk(chunk(2, 1)).ok());
    return assembler_.end(end_);
  }

  Batch batch_;
  v1::BatchBegin begin_;
  v1::BatchEnd end_;
  BatchAssembler assembler_;
};

TEST_F(BatchAssemblerTest, GivesTheBatchThatWasSent) {
  Result<AssembledBatch> assembled = all();
  ASSERT_TRUE(assembled);
  ASSERT_TRUE(assembled->batch) << assembled->batch.error().to_string();
  EXPECT_EQ(assembled->store_epoch, 7U);
  EXPECT_EQ(assembled->batch->digest(), batch_.digest());
  EXPECT_EQ(assembled->batch->event_count(), 3U);
  EXPECT_EQ(assembled->batch->event(2)->event.original_text().plain(), "c");
}

TEST_F(BatchAssemblerTest, RefusesEveryChangedByte) {
  for (size_t i = 0; i < begin_.header().size(); ++i) {
    const std::string kept = begin_.header();
    (*begin_.mutable_header())[i] = static_cast<char>(kept[i] ^ 1);
    Result<AssembledBatch> assembled = all();
    ASSERT_TRUE(assembled);
    EXPECT_FALSE(assembled->batch) << i;
    *begin_.mutable_header() = kept;
  }
  for (size_t i = 0; i < batch_.event_bytes(1).size(); ++i) {
    assembler_.begin(begin_);
    v1::BatchChunk changed = chunk(0, 3);
    (*changed.mutable_events(1))[i] = static_cast<char>(changed.events(1)[i] ^ 0x80);
    ASSERT_TRUE(assembler_.chunk(changed).ok());
    EXPECT_FALSE(assembler_.end(end_)->batch) << i;
  }
}

TEST_F(BatchAssemblerTest, RefusesAWrongDigestAndAMissingOrForeignEvent) {
  end_.set_digest(std::string(32, 'x'));
  EXPECT_FALSE(all()->batch);
  end_.set_digest(batch_.digest());
  assembler_.begin(begin_);
  ASSERT_TRUE(assembler_.chunk(chunk(0, 2)).ok());
  EXPECT_FALSE(assembler_.end(end_)->batch);
  assembler_.begin(begin_);
  ASSERT_TRUE(assembler_.chunk(chunk(0, 3)).ok());
  ASSERT_TRUE(assembler_.chunk(chunk(0, 1)).ok());
  EXPECT_FALSE(assembler_.end(end_)->batch);
}

TEST_F(BatchAssemblerTest, KeepsItsMemoryBound) {
  BatchLimits limits;
  limits.body_max_bytes = begin_.body_bytes() - 1;
  assembler_ = BatchAssembler(limits);
  Result<AssembledBatch> assembled = all();
  EXPECT_EQ(assembled->batch.error().code(), StatusCode::kResourceExhausted);
  limits = {};
  limits.header_max_bytes = begin_.header().size() - 1;
  assembler_ = BatchAssembler(limits);
  EXPECT_EQ(all()->batch.error().code(), StatusCode::kResourceExhausted);
}

TEST_F(BatchAssemblerTest, RefusesPartsOfABatchThatWasNotBegun) {
  EXPECT_EQ(assembler_.chunk(chunk(0, 1)).code(), StatusCode::kFailedPrecondition);
  EXPECT_FALSE(assembler_.end(end_));
}

TEST_F(BatchAssemblerTest, ANewBeginVoidsAnUnfinishedOne) {
  assembler_.begin(begin_);
  ASSERT_TRUE(assembler_.chunk(chunk(0, 2)).ok());
  Result<AssembledBatch> assembled = all();
  ASSERT_TRUE(assembled);
  EXPECT_TRUE(assembled->batch);
}

}  // namespace
}  // namespace verbatim::adapters
