#include "queue/put_view.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <utility>

#include "base/utf8.h"

namespace verbatim::queue {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr uint32_t varint_tag(int number) {
  return WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_VARINT);
}
constexpr uint32_t bytes_tag(int number) {
  return WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

bool read_bytes(CodedInputStream& in, std::string_view& bytes) {
  uint32_t size = 0;
  if (!in.ReadVarint32(&size)) return false;
  const void* data = nullptr;
  int available = 0;
  in.GetDirectBufferPointerInline(&data, &available);
  if (size > static_cast<uint32_t>(available)) return false;
  bytes = {static_cast<const char*>(data), size};
  return in.Skip(static_cast<int>(size));
}

// A field of type string must be UTF-8.
bool read_text(CodedInputStream& in, std::string_view& text) {
  return read_bytes(in, text) && base::is_utf8(text);
}

// Calls `read_field(tag)` for each field up to the end of the message.
template <class ReadField>
bool read_fields(CodedInputStream& in, const ReadField& read_field) {
  while (const uint32_t tag = in.ReadTag()) {
    if (!read_field(tag)) return false;
  }
  return in.ConsumedEntireMessage();
}

template <class ReadField>
bool read_part(CodedInputStream& in, const ReadField& read_field) {
  uint32_t size = 0;
  if (!in.ReadVarint32(&size) || size > static_cast<uint32_t>(in.BytesUntilLimit())) return false;
  const auto limit = in.PushLimit(static_cast<int>(size));
  if (!read_fields(in, read_field)) return false;
  in.PopLimit(limit);
  return true;
}

bool read_acknowledge(CodedInputStream& in, PutMessageView& message) {
  std::string_view bytes;
  v1::AcknowledgementRequest wanted;
  if (!read_bytes(in, bytes)) return false;
  if (!wanted.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  if (!message.acknowledge) message.acknowledge.emplace();
  message.acknowledge->MergeFrom(wanted);
  return true;
}

bool read_message_field(CodedInputStream& in, uint32_t tag, PutMessageView& message) {
  using Fields = v1::PutMessage;
  switch (tag) {
    case bytes_tag(Fields::kOrderKeyFieldNumber):
      return read_bytes(in, message.order_key);
    case bytes_tag(Fields::kSourceKeyFieldNumber):
      return read_bytes(in, message.source_key);
    case bytes_tag(Fields::kSourceFieldNumber):
      return read_text(in, message.source);
    case bytes_tag(Fields::kVerdictFieldNumber):
      return read_bytes(in, message.verdict);
    case bytes_tag(Fields::kEnvelopeFieldNumber):
      return read_bytes(in, message.envelope);
    case bytes_tag(Fields::kBodyFieldNumber):
      return read_bytes(in, message.body);
    case bytes_tag(Fields::kLabelFieldNumber):
      return read_text(in, message.label);
    case bytes_tag(Fields::kCorrelationIdFieldNumber):
      return read_bytes(in, message.correlation_id);
    case bytes_tag(Fields::kAcknowledgeFieldNumber):
      return read_acknowledge(in, message);
    default:
      return WireFormatLite::SkipField(&in, tag);
  }
}

bool read_put_field(CodedInputStream& in, uint32_t tag, PutView& put) {
  using Fields = v1::Put;
  switch (tag) {
    case bytes_tag(Fields::kQueueFieldNumber):
      return read_text(in, put.queue);
    case bytes_tag(Fields::kProducerFieldNumber):
      return read_text(in, put.producer);
    case varint_tag(Fields::kEpochFieldNumber):
      return in.ReadVarint64(&put.epoch);
    case varint_tag(Fields::kFirstSequenceFieldNumber):
      return in.ReadVarint64(&put.first_sequence);
    case bytes_tag(Fields::kMessagesFieldNumber): {
      PutMessageView& message = put.messages.emplace_back();
      return read_part(in, [&](uint32_t inner) { return read_message_field(in, inner, message); });
    }
    default:
      return WireFormatLite::SkipField(&in, tag);
  }
}

bool is_request_field(uint32_t tag) {
  const int number = WireFormatLite::GetTagFieldNumber(tag);
  return v1::QueueFrame::descriptor()->FindFieldByNumber(number) != nullptr;
}

}  // namespace

bool read_put(std::string_view body, PutView& put) {
  std::vector<PutMessageView> messages = std::move(put.messages);
  messages.clear();
  put = PutView();
  put.messages = std::move(messages);
  CodedInputStream in(reinterpret_cast<const uint8_t*>(body.data()), static_cast<int>(body.size()));
  bool has_put = false;
  const auto limit = in.PushLimit(static_cast<int>(body.size()));
  const bool is_read = read_fields(in, [&](uint32_t tag) {
    if (tag == varint_tag(v1::QueueFrame::kRequestIdFieldNumber)) {
      return in.ReadVarint64(&put.request_id);
    }
    if (tag == bytes_tag(v1::QueueFrame::kPutFieldNumber) && !has_put) {
      has_put = true;
      return read_part(in, [&](uint32_t inner) { return read_put_field(in, inner, put); });
    }
    return !is_request_field(tag) && WireFormatLite::SkipField(&in, tag);
  });
  in.PopLimit(limit);
  return is_read && has_put;
}

}  // namespace verbatim::queue
