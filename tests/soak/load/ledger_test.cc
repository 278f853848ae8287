#include "tests/soak/load/ledger.h"

#include <gtest/gtest.h>

namespace verbatim::soak {
namespace {

constexpr Received kFirst{.number = 1, .order_key = 1, .lookup_id = 11};
constexpr Received kSecond{.number = 2, .order_key = 1, .lookup_id = 12};

TEST(LedgerTest, WhatWasAcceptedAndCommittedIsSettled) {
  Ledger ledger(true);
  ledger.received(kFirst);  // the consumer is faster than the producer's answer
  ledger.accepted(1, 11);
  EXPECT_EQ(ledger.open_count(), 1U);
  ledger.committed(kFirst);
  EXPECT_EQ(ledger.open_count(), 0U);
  const Verdict verdict = ledger.verdict();
  EXPECT_EQ(verdict.consumed, 1U);
  EXPECT_EQ(verdict.lost + verdict.twice + verdict.disordered, 0U);
}

TEST(LedgerTest, WhatWasAcceptedAndNeverCameIsLost) {
  Ledger ledger(true);
  ledger.accepted(1, 11);
  EXPECT_EQ(ledger.verdict().lost, 1U);
}

TEST(LedgerTest, WhatComesAgainAfterItsCommitIsTwice) {
  Ledger ledger(true);
  ledger.received(kFirst);
  ledger.committed(kFirst);
  ledger.received(kFirst);
  EXPECT_EQ(ledger.verdict().twice, 1U);
}

TEST(LedgerTest, WhatIsStoredUnderTwoLookupIdsIsTwice) {
  Ledger ledger(true);
  ledger.received(kFirst);
  ledger.received({.number = 1, .order_key = 1, .lookup_id = 99});
  EXPECT_EQ(ledger.verdict().twice, 1U);
}

TEST(LedgerTest, WhatWasMovedHasAnotherLookupId) {
  Ledger ledger(false);
  ledger.received(kFirst);
  ledger.received({.number = 1, .order_key = 1, .lookup_id = 99, .has_moved = true});
  EXPECT_EQ(ledger.verdict().twice, 0U);
}

TEST(LedgerTest, ACommitInDoubtMayComeAgain) {
  Ledger ledger(true);
  ledger.received(kFirst);
  ledger.maybe_committed(kFirst);
  EXPECT_EQ(ledger.open_count(), 0U);
  ledger.received(kFirst);
  EXPECT_EQ(ledger.open_count(), 1U);
  EXPECT_EQ(ledger.verdict().twice, 0U);
}

TEST(LedgerTest, ANumberBelowTheLastOfItsKeyIsDisordered) {
  Ledger ledger(true);
  for (const Received& message : {kSecond, kFirst}) {
    ledger.received(message);
    ledger.committed(message);
  }
  EXPECT_EQ(ledger.verdict().disordered, 1U);
}

TEST(LedgerTest, WhatIsInASubQueueIsNotLost) {
  Ledger ledger(true);
  ledger.accepted(1, 11);
  ledger.parked(kFirst);
  EXPECT_EQ(ledger.open_count(), 0U);
  ledger.parked(kFirst);
  EXPECT_EQ(ledger.verdict().twice, 1U);
}

}  // namespace
}  // namespace verbatim::soak
