// read_file: answers AdapterHub.ReadFile from the files folder, chunk by chunk.
// Threads: any.
#pragma once

#include <functional>

#include "base/content_store.h"
#include "verbatim/v1/adapter.pb.h"

namespace verbatim::processor {

// Gives the chunks of the range to `write`, which says false when its peer takes no more. Errors:
// kInvalidArgument (digest, range), kNotFound, kCancelled (`write` said so), those of the disk.
Status read_file(const base::ContentStore& store, const v1::ReadFileRequest& request,
                 const std::function<bool(const v1::FileChunk&)>& write);

}  // namespace verbatim::processor
