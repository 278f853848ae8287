#include "queue/client/queue_client.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/log.h"
#include "base/utf8.h"
#include "queue/client/waiter.h"

namespace verbatim::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr size_t kNameMaxBytes = 128;
constexpr size_t kSourceKeyMaxBytes = 512;
constexpr size_t kSmallFieldMaxBytes = 4096;
constexpr size_t kLabelMaxBytes = 249;
constexpr size_t kCorrelationMaxBytes = 64;
constexpr size_t kDetailMaxBytes = 256;
constexpr int64_t kCreditMaxMessages = 1'048'576;
constexpr milliseconds kDelayMax = std::chrono::hours(24);

Status too_long(std::string_view field, size_t max_bytes) {
  return invalid_argument(fmt::format("{} is longer than {} bytes or not UTF-8", field, max_bytes));
}

bool is_text(std::string_view text, size_t max_bytes) {
  return text.size() <= max_bytes && base::is_utf8(text);
}

}  // namespace

Status check(const PutRequest& request) {
  if (request.source.empty()) return invalid_argument("source is empty");
  // One wrong byte in a text field would cost the whole frame.
  if (!is_text(request.source, kNameMaxBytes)) return too_long("source", kNameMaxBytes);
  if (!is_text(request.label, kLabelMaxBytes)) return too_long("label", kLabelMaxBytes);
  if (!is_text(request.acknowledge.queue, kNameMaxBytes)) {
    return too_long("acknowledge.queue", kNameMaxBytes);
  }
  const auto bytes = [](std::string_view field, size_t size, size_t max_bytes) -> Status {
    if (size <= max_bytes) return {};
    return invalid_argument(fmt::format("{} has {} bytes, at most {}", field, size, max_bytes));
  };
  RETURN_IF_ERROR(bytes("source_key", request.source_key.size(), kSourceKeyMaxBytes));
  RETURN_IF_ERROR(bytes("order_key", request.order_key.size(), kSmallFieldMaxBytes));
  RETURN_IF_ERROR(bytes("verdict", request.verdict.size(), kSmallFieldMaxBytes));
  return bytes("correlation_id", request.correlation_id.size(), kCorrelationMaxBytes);
}

Status check_size(size_t size, int64_t message_max_bytes) {
  if (message_max_bytes <= 0 || size <= static_cast<size_t>(message_max_bytes)) return {};
  return invalid_argument(fmt::format(
      "the message is too large message_bytes={} message_max_bytes={}", size, message_max_bytes));
}

Status check(const SubscribeOptions& options) {
  if (options.credit_messages < 1 || options.credit_messages > kCreditMaxMessages ||
      options.credit_bytes < 1 || options.batch_max_messages < 0 ||
      options.lease <= milliseconds(0)) {
    return invalid_argument("a subscription has a credit of 1 to 1048576 messages, and a lease");
  }
  return {};
}

Status check(const Settlement& settlement) {
  if (settlement.delay < milliseconds(0) || settlement.delay > kDelayMax) {
    return invalid_argument("delay is 0 to 24 hours");
  }
  if (!is_text(settlement.detail, kDetailMaxBytes)) return too_long("detail", kDetailMaxBytes);
  return {};
}

Result<PutOutcome> QueueClient::put_and_wait(PutRequest request, nanoseconds deadline) {
  Waiter<Result<PutOutcome>> waiter;
  RETURN_IF_ERROR(put(std::move(request), deadline, waiter.callback()));
  return waiter.wait();
}

std::future<Result<Lease>> QueueClient::receive_later(const ReceiveOptions& options) {
  return std::async(std::launch::async, [this, options] { return receive(options); });
}

Status QueueClient::settle_and_wait(Settlement settlement) {
  Waiter<Status> waiter;
  RETURN_IF_ERROR(settle(std::move(settlement), waiter.callback()));
  return waiter.wait();
}

Status QueueClient::settle_named(Settlement settlement) {
  if (settlement.lookup_ids.empty()) return invalid_argument("no message is named");
  return settle_and_wait(std::move(settlement));
}

Status QueueClient::commit(uint64_t lease_id) { return settle_and_wait({.lease_id = lease_id}); }

Status QueueClient::commit(uint64_t lease_id, std::vector<uint64_t> lookup_ids) {
  return settle_named({.lease_id = lease_id, .lookup_ids = std::move(lookup_ids)});
}

Status QueueClient::abort(uint64_t lease_id, const AbortOptions& options) {
  return settle_and_wait({.kind = Settlement::Kind::kAbort,
                          .lease_id = lease_id,
                          .delay = options.delay,
                          .is_untried = options.is_untried});
}

Status QueueClient::abort(uint64_t lease_id, std::vector<uint64_t> lookup_ids,
                          const AbortOptions& options) {
  return settle_named({.kind = Settlement::Kind::kAbort,
                       .lease_id = lease_id,
                       .lookup_ids = std::move(lookup_ids),
                       .delay = options.delay,
                       .is_untried = options.is_untried});
}

Status QueueClient::abandon(uint64_t lease_id, std::string detail) {
  return settle_and_wait(
      {.kind = Settlement::Kind::kAbandon, .lease_id = lease_id, .detail = std::move(detail)});
}

Status QueueClient::abandon(uint64_t lease_id, std::vector<uint64_t> lookup_ids,
                            std::string detail) {
  return settle_named({.kind = Settlement::Kind::kAbandon,
                       .lease_id = lease_id,
                       .lookup_ids = std::move(lookup_ids),
                       .detail = std::move(detail)});
}

Result<milliseconds> QueueClient::extend(uint64_t lease_id, milliseconds time) {
  Waiter<Result<milliseconds>> waiter;
  RETURN_IF_ERROR(extend(lease_id, time, waiter.callback()));
  return waiter.wait();
}

bool QueueClient::is_connected() const {
  const ClientCondition condition = state().condition;
  return condition == ClientCondition::kReady || condition == ClientCondition::kFull ||
         condition == ClientCondition::kPaused;
}

}  // namespace verbatim::queue
