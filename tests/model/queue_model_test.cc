// Thousands of short random histories against the queue and its model (queue_history.h). What fails
// is made smaller by RapidCheck until no step can be left out, and told as a story.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <sstream>

#include "base/log.h"
#include "tests/model/queue_history.h"
#include "tests/support/test_seed.h"

namespace verbatim::queue::model {
namespace {

using Steps = std::vector<Step>;

Step random_step(std::mt19937_64& random) {
  // How often, in this order: StepKind.
  static std::discrete_distribution<int> kinds{24, 1, 3, 1, 1, 16, 12, 8, 2, 1, 7, 1,
                                               3,  2, 2, 3, 4, 4,  3,  3, 3, 1, 2};
  static std::discrete_distribution<int> dooms{92, 3, 3, 2};
  Step step;
  step.kind = static_cast<StepKind>(kinds(random));
  step.doom = static_cast<Doom>(dooms(random));
  step.a = random() % 64;
  step.b = random() % 64;
  step.c = random() % 64;
  return step;
}

rc::Seq<Step> smaller_steps(const Step& step) {
  std::vector<Step> smaller;
  if (step.doom != Doom::kNone) {
    smaller.push_back(step);
    smaller.back().doom = Doom::kNone;
  }
  for (uint64_t Step::*field : {&Step::a, &Step::b, &Step::c}) {
    if (step.*field == 0) continue;
    for (const uint64_t value : {uint64_t{0}, step.*field / 2}) {
      smaller.push_back(step);
      smaller.back().*field = value;
    }
  }
  return rc::seq::fromContainer(std::move(smaller));
}

rc::Gen<Steps> histories(size_t step_count) {
  return rc::Gen<Steps>([step_count](const rc::Random& seed, int) {
    rc::Random copy = seed;
    std::mt19937_64 random(copy.next());
    Steps steps(1 + random() % step_count);
    for (Step& step : steps) step = random_step(random);
    return rc::shrinkable::shrinkRecur(std::move(steps), [](const Steps& longer) {
      return rc::seq::concat(rc::shrink::removeChunks(longer),
                             rc::shrink::eachElement(longer, smaller_steps));
    });
  });
}

struct Search {
  int history_count = 0;
  size_t step_count = 60;  // at most
  bool shrinks = true;
};
// What was found wrong first, as a story; empty: nothing in all histories.
std::string search(const CoreOptions& options, const Search& how, HistoryTotals& totals) {
  std::string story;
  const auto property = [&] {
    const Steps steps = *histories(how.step_count);
    const HistoryResult result = run_history(steps, options, totals);
    if (result.wrong.empty()) return;
    story = "\n" + result.wrong + "\nThe history:\n";
    for (const std::string& line : result.story) story += line + "\n";
    RC_FAIL(result.wrong);
  };
  // What RapidCheck says of itself is the same seed.
  setenv("RC_PARAMS", fmt::format("seed={}", testing::test_seed()).c_str(), 1);
  rc::detail::TestParams params;
  params.seed = testing::test_seed();
  params.maxSuccess = how.history_count;
  params.disableShrinking = !how.shrinks;
  const auto result = rc::detail::checkTestable(property, rc::detail::TestMetadata(), params);
  if (result.is<rc::detail::SuccessResult>()) return {};
  std::ostringstream out;
  rc::detail::printResultMessage(result, out);
  return out.str() + story;
}

TEST(QueueModel, EveryHistoryOfTheQueueIsOneOfTheModel) {
  ASSERT_TRUE(init_log("queue_model_test", "error").ok());
  HistoryTotals totals;
  const Search how{.history_count = 2'000};
  const std::string wrong = search(history_options(), how, totals);
  EXPECT_TRUE(wrong.empty()) << wrong;
  std::cout << "queue_model: histories=" << how.history_count << " steps=" << totals.step_count
            << " crashes=" << totals.crash_count << " recycled=" << totals.recycled_count
            << " copied_bytes=" << totals.copied_bytes << " summaries=" << totals.summary_count
            << " disk_above_twice_live_max_segments=" << totals.excess_segments_max << "\n";
}

#if defined(VERBATIM_FAULT_POINTS)
struct Planted {
  const char* name;
  bool Canaries::*fault;
};
void PrintTo(const Planted& planted, std::ostream* out) { *out << planted.name; }

class QueueModelCanary : public ::testing::TestWithParam<Planted> {};

TEST_P(QueueModelCanary, IsFound) {
  ASSERT_TRUE(init_log("queue_model_test", "error").ok());
  CoreOptions options = history_options();
  options.canaries.*GetParam().fault = true;
  HistoryTotals totals;
  const std::string wrong = search(options, {.history_count = 3'000, .shrinks = false}, totals);
  EXPECT_FALSE(wrong.empty());
  std::cout << "queue_model_canary: " << GetParam().name << " found after " << totals.history_count
            << " histories\n";
}

constexpr Planted kPlanted[] = {
    {"AnswersBeforeSync", &Canaries::answers_before_sync},
    {"StoresRepeatsOfSourceKeys", &Canaries::stores_repeats_of_source_keys},
    {"TakesPutsOutOfSequence", &Canaries::takes_puts_out_of_sequence},
    {"ForgetsProducers", &Canaries::forgets_producers},
    {"ForgetsDeliveries", &Canaries::forgets_deliveries},
    {"LetsKeysBeOvertaken", &Canaries::lets_keys_be_overtaken},
    {"MovesWithoutRemoval", &Canaries::moves_without_removal},
    {"MovesInTwoGroups", &Canaries::moves_in_two_groups},
    {"PurgesByDropping", &Canaries::purges_by_dropping},
    {"SkipsTheJournal", &Canaries::skips_the_journal},
    {"DestroysInSpiteOfHold", &Canaries::destroys_in_spite_of_hold},
    {"ReusesLookupIds", &Canaries::reuses_lookup_ids},
    {"TakesOlderEpochs", &Canaries::takes_older_epochs},
    {"NeverIsPoison", &Canaries::never_is_poison},
    {"IgnoresQuotas", &Canaries::ignores_quotas},
    {"ForgetsDelays", &Canaries::forgets_delays},
};
INSTANTIATE_TEST_SUITE_P(Planted, QueueModelCanary, ::testing::ValuesIn(kPlanted),
                         [](const auto& one) { return std::string(one.param.name); });
#endif

}  // namespace
}  // namespace verbatim::queue::model
