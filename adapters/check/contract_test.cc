#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include "adapters/check/test_batches.h"
#include "adapters/sdk/batch.h"

namespace verbatim::adapters::check {
namespace {

std::string read(const std::string& name) {
  const char* root = std::getenv("VERBATIM_SOURCE_DIR");
  std::ifstream file(std::string(root == nullptr ? "." : root) + "/" + name);
  EXPECT_TRUE(file) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Comments as running text.
std::string prose(const std::string& proto) {
  return std::regex_replace(std::regex_replace(proto, std::regex("\n *//"), ""), std::regex(" +"),
                            " ");
}

TEST(ContractTest, EverySentenceStandsInTheProto) {
  const std::string proto = prose(read("proto/verbatim/v1/adapter.proto"));
  // Adjacent literals are one; the formatter breaks them anywhere.
  const std::string header =
      std::regex_replace(read("adapters/check/contract.h"), std::regex("\"\\n *\""), "");
  const std::regex literal("=\\s*\"((?:[^\"\\\\]|\\\\.)*)\";");
  int count = 0;
  for (std::sregex_iterator it(header.begin(), header.end(), literal), end; it != end; ++it) {
    const std::string sentence = std::regex_replace((*it)[1].str(), std::regex("\\\\\""), "\"");
    EXPECT_NE(proto.find(sentence), std::string::npos) << sentence;
    ++count;
  }
  EXPECT_EQ(count, 19);
}

TEST(BatchChainTest, BatchesFollowWhatWasApplied) {
  BatchChain chain;
  chain.set_adapter("x");
  const TestBatch first = chain.next(2);
  EXPECT_EQ(first.header.previous_digest(), std::string(32, '\0'));
  EXPECT_EQ(first.digest, batch_digest(first.header_bytes, body_digest(first.events)));
  chain.apply(first);
  const TestBatch rejected = chain.next(3, true);
  EXPECT_EQ(rejected.header.previous_digest(), first.digest);
  EXPECT_EQ(rejected.broken_sequence, 4U);
  const TestBatch replacement = chain.replacement(rejected);
  EXPECT_EQ(replacement.number(), 3U);
  EXPECT_EQ(replacement.header.replaces(), 2U);
  EXPECT_EQ(replacement.header.previous_digest(), first.digest);
  EXPECT_EQ(replacement.event_count(), 2U);
  EXPECT_EQ(replacement.header.running_event_count(), 4U);
  chain.apply(replacement);
  EXPECT_EQ(chain.next(1).header.running_event_count(), 5U);
}

}  // namespace
}  // namespace verbatim::adapters::check
