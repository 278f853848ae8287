#include "queue/client/put_frame.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <utility>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/frame.h"

namespace verbatim::queue {
namespace {

using google::protobuf::internal::WireFormatLite;

constexpr size_t kTagAndLengthMaxBytes = 10;
constexpr size_t kVarintMaxBytes = 10;

void append_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void append_tag(std::string& out, int number, WireFormatLite::WireType type) {
  append_varint(out, WireFormatLite::MakeTag(number, type));
}

void append_number(std::string& out, int number, uint64_t value) {
  if (value == 0) return;
  append_tag(out, number, WireFormatLite::WIRETYPE_VARINT);
  append_varint(out, value);
}

void append_bytes(std::string& out, int number, std::string_view bytes) {
  if (bytes.empty()) return;
  append_tag(out, number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  append_varint(out, bytes.size());
  out.append(bytes);
}

// The size of append_bytes(); every field of a PutMessage has a tag of one byte.
size_t size_of(std::string_view bytes) {
  if (bytes.empty()) return 0;
  return 1 + google::protobuf::io::CodedOutputStream::VarintSize64(bytes.size()) + bytes.size();
}

std::string encode_acknowledge(const AcknowledgeRequest& acknowledge) {
  std::string out;
  if (acknowledge.queue.empty()) return out;
  using Fields = v1::AcknowledgementRequest;
  append_bytes(out, Fields::kQueueFieldNumber, acknowledge.queue);
  append_number(out, Fields::kOnReachedFieldNumber, acknowledge.on_reached ? 1 : 0);
  append_number(out, Fields::kOnConsumedFieldNumber, acknowledge.on_consumed ? 1 : 0);
  return out;
}

}  // namespace

std::string encode_put_message(const PutRequest& request) {
  using Fields = v1::PutMessage;
  const std::string acknowledge = encode_acknowledge(request.acknowledge);
  const std::pair<int, std::string_view> fields[] = {
      {Fields::kOrderKeyFieldNumber, request.order_key},
      {Fields::kSourceKeyFieldNumber, request.source_key},
      {Fields::kSourceFieldNumber, request.source},
      {Fields::kVerdictFieldNumber, request.verdict},
      {Fields::kEnvelopeFieldNumber, request.envelope},
      {Fields::kBodyFieldNumber, request.body},
      {Fields::kLabelFieldNumber, request.label},
      {Fields::kCorrelationIdFieldNumber, request.correlation_id},
      {Fields::kAcknowledgeFieldNumber, acknowledge},
  };
  size_t size = 0;
  for (const auto& [number, bytes] : fields) size += size_of(bytes);
  std::string out;
  out.reserve(size + kTagAndLengthMaxBytes);
  append_tag(out, v1::Put::kMessagesFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  append_varint(out, size);
  for (const auto& [number, bytes] : fields) append_bytes(out, number, bytes);
  return out;
}

PutFrameBuilder::PutFrameBuilder(const PutFrameHeader& header, size_t messages_bytes) {
  std::string put;
  append_bytes(put, v1::Put::kQueueFieldNumber, header.queue);
  append_bytes(put, v1::Put::kProducerFieldNumber, header.producer);
  append_number(put, v1::Put::kEpochFieldNumber, header.epoch);
  append_number(put, v1::Put::kFirstSequenceFieldNumber, header.first_sequence);
  frame_.reserve(base::kFrameHeaderSize + 2 * (kTagAndLengthMaxBytes + kVarintMaxBytes) +
                 put.size() + messages_bytes);
  frame_.append(base::kFrameMagic);
  frame_.append(4, '\0');
  append_number(frame_, v1::QueueFrame::kRequestIdFieldNumber, header.request_id);
  append_tag(frame_, v1::QueueFrame::kPutFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  append_varint(frame_, put.size() + messages_bytes);
  frame_.append(put);
}

std::string PutFrameBuilder::finish() && {
  base::put_le32(frame_.data() + base::kFrameMagic.size(),
                 base::crc32c(std::string_view(frame_).substr(base::kFrameHeaderSize)));
  return std::move(frame_);
}

}  // namespace verbatim::queue
