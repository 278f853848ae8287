#include "processor/hub/file_reads.h"

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::processor {
namespace {

class FileReadsTest : public ::testing::Test {
 protected:
  FileReadsTest() {
    const auto writer =
        base::ContentStore::open(disk_, {.directory = "/files", .is_writer = true}).value();
    for (const std::string& bytes : {content_, std::string()}) {
      const auto upload =
          writer->begin_upload(base::sha256(bytes), static_cast<int64_t>(bytes.size())).value();
      EXPECT_TRUE(upload->append(bytes).ok());
      EXPECT_TRUE(upload->finish().ok());
    }
    store_ = base::ContentStore::open(disk_, {.directory = "/files"}).value();
  }

  Status read(const std::string& sha256, int64_t offset, int64_t length) {
    v1::ReadFileRequest request;
    request.set_sha256(sha256);
    request.set_offset(offset);
    request.set_length(length);
    taken_.clear();
    chunk_sizes_.clear();
    return read_file(*store_, request, [this](const v1::FileChunk& chunk) {
      taken_ += chunk.bytes();
      chunk_sizes_.push_back(chunk.bytes().size());
      size_bytes_ = chunk.size_bytes();
      return takes_more_;
    });
  }

  static constexpr int64_t kSize = 2'500'000;
  static std::string make_content() {
    std::string bytes;
    while (bytes.size() < kSize) bytes += base::sha256(std::to_string(bytes.size()));
    bytes.resize(kSize);
    return bytes;
  }

  testing::FaultFileSystem disk_;
  const std::string content_ = make_content();
  const std::string digest_ = base::sha256(content_);
  std::unique_ptr<base::ContentStore> store_;
  std::string taken_;
  std::vector<size_t> chunk_sizes_;
  int64_t size_bytes_ = -1;
  bool takes_more_ = true;
};

TEST_F(FileReadsTest, AFileComesInChunksOfAtMostOneMebibyte) {
  ASSERT_TRUE(read(digest_, 0, 0).ok());
  EXPECT_EQ(taken_, content_);
  EXPECT_EQ(chunk_sizes_, (std::vector<size_t>{1'048'576, 1'048'576, 402'848}));
  EXPECT_EQ(size_bytes_, kSize);
}

TEST_F(FileReadsTest, RangesAreGivenToTheByte) {
  ASSERT_TRUE(read(digest_, 1'048'575, 2).ok());
  EXPECT_EQ(taken_, content_.substr(1'048'575, 2));
  ASSERT_TRUE(read(digest_, kSize - 1, 0).ok());
  EXPECT_EQ(taken_, content_.substr(kSize - 1));
  ASSERT_TRUE(read(digest_, 0, kSize).ok());
  EXPECT_EQ(taken_, content_);
}

TEST_F(FileReadsTest, AnEmptyRangeIsOneChunkThatTellsTheSize) {
  ASSERT_TRUE(read(digest_, kSize, 0).ok());
  EXPECT_EQ(chunk_sizes_, (std::vector<size_t>{0}));
  EXPECT_EQ(size_bytes_, kSize);
  ASSERT_TRUE(read(base::sha256(""), 0, 0).ok());
  EXPECT_EQ(size_bytes_, 0);
}

TEST_F(FileReadsTest, WhatCannotBeReadIsSaid) {
  for (const auto& [offset, length] : std::vector<std::pair<int64_t, int64_t>>{
           {-1, 0}, {0, -1}, {kSize + 1, 0}, {0, kSize + 1}, {kSize, 1}, {1, INT64_MAX}}) {
    EXPECT_EQ(read(digest_, offset, length).code(), StatusCode::kInvalidArgument) << offset;
  }
  EXPECT_EQ(read("short", 0, 0).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(read(base::sha256("nothing"), 0, 0).code(), StatusCode::kNotFound);
  EXPECT_TRUE(chunk_sizes_.empty());
}

TEST_F(FileReadsTest, WhoTakesNoMoreEndsTheRead) {
  takes_more_ = false;
  EXPECT_EQ(read(digest_, 0, 0).code(), StatusCode::kCancelled);
  EXPECT_EQ(chunk_sizes_.size(), 1u);
}

}  // namespace
}  // namespace verbatim::processor
