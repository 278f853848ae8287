// How the core says no: one line a refusal.
#pragma once

#include <string>
#include <utility>

#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {

inline v1::Refused refused(v1::RefusalReason reason, std::string detail) {
  v1::Refused refusal;
  refusal.set_reason(reason);
  refusal.set_detail(std::move(detail));
  return refusal;
}

}  // namespace verbatim::queue
