#include "queue/receive_frame.h"

#include <google/protobuf/io/coded_stream.h>

#include <utility>

#include "base/endian.h"
#include "base/frame.h"
#include "verbatim/v1/queue.pb.h"

namespace verbatim::queue {
namespace {

using google::protobuf::io::CodedOutputStream;

constexpr uint32_t kVarint = 0;
constexpr uint32_t kBytes = 2;
// The length of the reply is written when it is known, as a varint of five bytes whatever its
// value; readers take varints with more bytes than needed.
constexpr size_t kLengthBytes = 5;

constexpr uint32_t tag(int field, uint32_t type) {
  return static_cast<uint32_t>(field) << 3 | type;
}

void put_varint(std::string& to, uint64_t value) {
  uint8_t bytes[10];
  const uint8_t* end = CodedOutputStream::WriteVarint64ToArray(value, bytes);
  to.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(end - bytes));
}

// As proto3 does, a field with its default value is left out.
size_t size_of(int field, uint64_t value) {
  if (value == 0) return 0;
  return CodedOutputStream::VarintSize32(tag(field, kVarint)) +
         CodedOutputStream::VarintSize64(value);
}
size_t size_of(int field, std::string_view value) {
  if (value.empty()) return 0;
  return CodedOutputStream::VarintSize32(tag(field, kBytes)) +
         CodedOutputStream::VarintSize64(value.size()) + value.size();
}
void put(std::string& to, int field, uint64_t value) {
  if (value == 0) return;
  put_varint(to, tag(field, kVarint));
  put_varint(to, value);
}
void put(std::string& to, int field, std::string_view value) {
  if (value.empty()) return;
  put_varint(to, tag(field, kBytes));
  put_varint(to, value.size());
  to.append(value);
}

// Calls `visit(field number, value)` for each plain field.
template <class Visit>
void for_each_field(const StoredMessage& message, uint32_t delivery_count, const Visit& visit) {
  using Out = v1::QueueMessage;
  const MessageRecord& record = message.record;
  visit(Out::kLookupIdFieldNumber, record.lookup_id);
  visit(Out::kDeliveryCountFieldNumber, uint64_t{delivery_count});
  visit(Out::kPutUnixNsFieldNumber, static_cast<uint64_t>(record.put_unix_ns));
  visit(Out::kSourceFieldNumber, record.source);
  visit(Out::kSourceCountFieldNumber, record.source_count);
  visit(Out::kOrderKeyFieldNumber, record.order_key);
  visit(Out::kSourceKeyFieldNumber, record.source_key);
  visit(Out::kVerdictFieldNumber, record.verdict);
  visit(Out::kEnvelopeFieldNumber, record.envelope);
  visit(Out::kBodyFieldNumber, record.body);
  if (record.extra.empty()) return;
  visit(Out::kLabelFieldNumber, std::string_view(message.extra.label()));
  visit(Out::kCorrelationIdFieldNumber, std::string_view(message.extra.correlation_id()));
  for (const v1::MessageHop& hop : message.extra.hops()) {
    visit(Out::kHopsFieldNumber, std::string_view(hop.SerializeAsString()));
  }
}

}  // namespace

ReceiveFrame::ReceiveFrame(uint64_t request_id, uint64_t lease_id, uint64_t log_id) {
  bytes_.append(base::kFrameHeaderSize, '\0');
  put(bytes_, v1::QueueFrame::kRequestIdFieldNumber, request_id);
  put_varint(bytes_, tag(v1::QueueFrame::kReceiveReplyFieldNumber, kBytes));
  length_at_ = bytes_.size();
  bytes_.append(kLengthBytes, '\0');
  put(bytes_, v1::ReceiveReply::kLeaseIdFieldNumber, lease_id);
  std::string log_id_bytes;
  base::put_le64(log_id_bytes, log_id);
  put(bytes_, v1::ReceiveReply::kLogIdFieldNumber, std::string_view(log_id_bytes));
}

void ReceiveFrame::add(const StoredMessage& message, uint32_t delivery_count) {
  size_t size = 0;
  for_each_field(message, delivery_count,
                 [&size](int field, const auto& value) { size += size_of(field, value); });
  put_varint(bytes_, tag(v1::ReceiveReply::kMessagesFieldNumber, kBytes));
  put_varint(bytes_, size);
  for_each_field(message, delivery_count,
                 [this](int field, const auto& value) { put(bytes_, field, value); });
}

std::string ReceiveFrame::finish() {
  uint64_t length = bytes_.size() - length_at_ - kLengthBytes;
  for (size_t i = 0; i < kLengthBytes; ++i, length >>= 7) {
    const bool has_more = i + 1 < kLengthBytes;
    bytes_[length_at_ + i] = static_cast<char>((length & 0x7f) | (has_more ? 0x80 : 0));
  }
  base::finish_frame(bytes_);
  return std::move(bytes_);
}

}  // namespace verbatim::queue
