// RocksDB's status as ours; the only place that maps it.
#pragma once

#include <string_view>

#include "base/status.h"

namespace rocksdb {
class Status;
}

namespace verbatim::processor {

// `what` says what was tried ("write of a batch"). Codes: kNotFound, kDataLoss (corruption),
// kResourceExhausted (disk full), kFailedPrecondition (the store is open elsewhere, or refused
// after an earlier error), else kUnavailable.
Status from_rocks(const rocksdb::Status& status, std::string_view what);

}  // namespace verbatim::processor
