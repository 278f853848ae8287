// The sentences of the contract that a check may find broken: word for word from
// proto/verbatim/v1/adapter.proto, which a test compares.
#pragma once

namespace verbatim::adapters::check::contract {

inline constexpr const char* kHello =
    "First message from the adapter: hello; from the hub: welcome.";
inline constexpr const char* kInstance = "Random per start: tells instances apart.";
inline constexpr const char* kRevision =
    "The newest SchemaRevision the adapter understands; newer events are held with the reason "
    "\"adapter too old\".";
inline constexpr const char* kLastApplied =
    "Number and digest of the last batch that this adapter has applied, as far as it knows; 0 if "
    "unknown.";
inline constexpr const char* kHeartbeat = "At least every heartbeat_ms of the welcome.";
inline constexpr const char* kAtomic =
    "A batch is atomic: acknowledged means all of it took effect and is durable at the adapter; "
    "rejected means nothing of it did.";
inline constexpr const char* kRepeat =
    "A batch that comes again after it took effect changes nothing and is acknowledged again.";
inline constexpr const char* kAckDigest =
    "The batch's digest, 32 bytes: proves that the same bytes are meant.";
inline constexpr const char* kAckEpoch =
    "The store epoch under which it was sent; an older one is refused.";
inline constexpr const char* kSameStream =
    "An answer goes out on the stream that brought the batch, or not at all.";
inline constexpr const char* kAnswer =
    "Each batch is answered by exactly one of ack, retry and reject.";
inline constexpr const char* kDamaged =
    "An adapter that finds another digest applies nothing and answers with a retry, or ends the "
    "stream.";
inline constexpr const char* kRetry =
    "Not now: send it again after retry_after_ms. Nothing of it took effect, or all of it can be "
    "applied again.";
inline constexpr const char* kReject = "Not this content: nothing of it took effect.";
inline constexpr const char* kCulprits =
    "The culprits; empty when unknown: the hub then halves the batch.";
inline constexpr const char* kState = "Did batch n take effect? Asked before a batch is replaced.";
inline constexpr const char* kReplaces =
    "A replacement takes the next number; the number it names was never applied and never will be.";
inline constexpr const char* kActive =
    "This instance is now active (true) or stands by (false). Batches come only while active.";

inline constexpr const char* kFollows =
    "The next batch follows this one, whichever instance has applied it.";

}  // namespace verbatim::adapters::check::contract
