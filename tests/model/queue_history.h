// Random histories of the queue: one list of steps is done to a QueueCore over a disk that fails,
// and to the model. After each step the two are compared.
//
// A step may be doomed: the service is dropped before its group is sealed, or the power goes before
// a sync, or a write fails. Then the next start must show one of the model's states between the
// step's beginning and its end, and none before what was answered.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "queue/queue_core.h"

namespace verbatim::queue::model {

enum class StepKind {
  kPut,
  kPutOutOfSequence,
  kPutAgain,
  kPutStale,
  kOpenProducer,
  kReceive,
  kCommit,
  kAbort,
  kAbandon,
  kExtend,
  kWait,
  kRestartConsumer,
  kPurge,
  kMove,
  kRedrive,
  kDelete,
  kCreate,
  kConfigure,
  kSwitch,
  kAskToken,
  kDestroy,
  kTrimJournal,
  kRestart,
  kCount,
};
enum class Doom { kNone, kDropped, kPowerCut, kDiskFails };

struct Step {
  StepKind kind = StepKind::kWait;
  Doom doom = Doom::kNone;
  // What they mean depends on the kind; every number means something.
  uint64_t a = 0, b = 0, c = 0;
};
std::ostream& operator<<(std::ostream& out, const Step& step);

// Over all histories.
struct HistoryTotals {
  int64_t history_count = 0;
  int64_t step_count = 0;
  int64_t crash_count = 0;
  int64_t recycled_count = 0;
  int64_t copied_bytes = 0;
  int64_t summary_count = 0;
  double excess_segments_max = -100;  // disk space above twice the live bytes
};

struct HistoryResult {
  std::string wrong;               // empty: nothing
  std::vector<std::string> story;  // what was done, for people
};
HistoryResult run_history(const std::vector<Step>& steps, const CoreOptions& options,
                          HistoryTotals& totals);
CoreOptions history_options();

}  // namespace verbatim::queue::model
