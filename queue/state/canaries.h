// Canaries: planted faults, one for each promise, that the model test must find (tests/model). They
// exist only where fault points are compiled in; elsewhere each is a constant false.
#pragma once

namespace verbatim::queue {

#if defined(VERBATIM_FAULT_POINTS)
#define VERBATIM_CANARY(name) bool name = false
#else
#define VERBATIM_CANARY(name) static constexpr bool name = false
#endif

struct Canaries {
  VERBATIM_CANARY(answers_before_sync);
  VERBATIM_CANARY(stores_repeats_of_source_keys);
  VERBATIM_CANARY(takes_puts_out_of_sequence);
  VERBATIM_CANARY(forgets_producers);       // at a restart
  VERBATIM_CANARY(forgets_deliveries);      // at a restart
  VERBATIM_CANARY(lets_keys_be_overtaken);  // each message is alone with its order key
  VERBATIM_CANARY(moves_without_removal);
  VERBATIM_CANARY(moves_in_two_groups);  // when it purges
  VERBATIM_CANARY(purges_by_dropping);
  VERBATIM_CANARY(skips_the_journal);
  VERBATIM_CANARY(destroys_in_spite_of_hold);
  VERBATIM_CANARY(reuses_lookup_ids);  // of a deleted queue
  VERBATIM_CANARY(takes_older_epochs);
  VERBATIM_CANARY(never_is_poison);
  VERBATIM_CANARY(ignores_quotas);
  VERBATIM_CANARY(forgets_delays);  // of an abort
};

#undef VERBATIM_CANARY

}  // namespace verbatim::queue
