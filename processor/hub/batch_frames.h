// A sealed batch as the messages of the hub's protocol: begin, chunks, end. Pure.
#pragma once

#include <cstdint>
#include <functional>

#include "processor/staging/sealed_batch.h"
#include "verbatim/v1/adapter.pb.h"

namespace verbatim::processor {

// Calls `write` for each message in order until it gives false; gives false then, too.
bool write_batch(const LoadedBatch& batch, uint64_t store_epoch,
                 const std::function<bool(const v1::ToAdapter&)>& write);

}  // namespace verbatim::processor
