#include "queue/put_view.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <utility>

#include "base/utf8.h"

namespace verbatim::queue {
namespace {

// Views that are kept for the next put.
constexpr size_t kKeptMaxCount = 4'096;

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr uint32_t varint_tag(int number) {
  return WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_VARINT);
}
constexpr uint32_t bytes_tag(int number) {
  return WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

// Tags and sizes have five bytes at most for protobuf's parser; CodedInputStream takes ten.
constexpr int kShortVarintMaxBytes = 5;
// Of no field: whoever skips it fails.
constexpr uint32_t kBadTag = 7;

// 0 at the end of the message.
uint32_t read_tag(CodedInputStream& in) {
  const int begin = in.CurrentPosition();
  const uint32_t tag = in.ReadTag();
  return in.CurrentPosition() - begin > kShortVarintMaxBytes ? kBadTag : tag;
}

// Of what follows within the message.
bool read_size(CodedInputStream& in, int& size) {
  const int begin = in.CurrentPosition();
  uint64_t value = 0;
  if (!in.ReadVarint64(&value) || in.CurrentPosition() - begin > kShortVarintMaxBytes ||
      value > static_cast<uint64_t>(in.BytesUntilLimit())) {
    return false;
  }
  size = static_cast<int>(value);
  return true;
}

bool read_bytes(CodedInputStream& in, std::string_view& bytes) {
  int size = 0;
  if (!read_size(in, size)) return false;
  const void* data = nullptr;
  int available = 0;
  in.GetDirectBufferPointerInline(&data, &available);
  if (size > available) return false;
  bytes = {static_cast<const char*>(data), static_cast<size_t>(size)};
  return in.Skip(size);
}

bool skip_group(CodedInputStream& in, int number);

// A field that is not known, read as strictly as the others.
bool skip_field(CodedInputStream& in, uint32_t tag) {
  const int number = WireFormatLite::GetTagFieldNumber(tag);
  if (number == 0) return false;
  switch (WireFormatLite::GetTagWireType(tag)) {
    case WireFormatLite::WIRETYPE_LENGTH_DELIMITED: {
      std::string_view bytes;
      return read_bytes(in, bytes);
    }
    case WireFormatLite::WIRETYPE_START_GROUP:
      return skip_group(in, number);
    default:
      return WireFormatLite::SkipField(&in, tag);
  }
}

bool skip_group(CodedInputStream& in, int number) {
  if (!in.IncrementRecursionDepth()) return false;
  while (const uint32_t tag = read_tag(in)) {
    if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_END_GROUP) {
      in.DecrementRecursionDepth();
      return WireFormatLite::GetTagFieldNumber(tag) == number;
    }
    if (!skip_field(in, tag)) return false;
  }
  return false;
}

// A field of type string must be UTF-8.
bool read_text(CodedInputStream& in, std::string_view& text) {
  return read_bytes(in, text) && base::is_utf8(text);
}

// Calls `read_field(tag)` for each field up to the end of the message.
template <class ReadField>
bool read_fields(CodedInputStream& in, const ReadField& read_field) {
  while (const uint32_t tag = read_tag(in)) {
    if (!read_field(tag)) return false;
  }
  return in.ConsumedEntireMessage();
}

template <class ReadField>
bool read_part(CodedInputStream& in, const ReadField& read_field) {
  int size = 0;
  if (!read_size(in, size)) return false;
  const auto limit = in.PushLimit(size);
  if (!read_fields(in, read_field)) return false;
  in.PopLimit(limit);
  return true;
}

bool read_flag(CodedInputStream& in, bool& flag) {
  uint64_t value = 0;
  if (!in.ReadVarint64(&value)) return false;
  flag = value != 0;
  return true;
}

// By hand: protobuf keeps what it does not know, at many times its size.
bool read_acknowledge_field(CodedInputStream& in, uint32_t tag,
                            v1::AcknowledgementRequest& wanted) {
  using Fields = v1::AcknowledgementRequest;
  std::string_view queue;
  bool flag = false;
  switch (tag) {
    case bytes_tag(Fields::kQueueFieldNumber):
      if (!read_text(in, queue)) return false;
      wanted.set_queue(std::string(queue));
      return true;
    case varint_tag(Fields::kOnReachedFieldNumber):
      if (!read_flag(in, flag)) return false;
      wanted.set_on_reached(flag);
      return true;
    case varint_tag(Fields::kOnConsumedFieldNumber):
      if (!read_flag(in, flag)) return false;
      wanted.set_on_consumed(flag);
      return true;
    default:
      return skip_field(in, tag);
  }
}

bool read_acknowledge(CodedInputStream& in, PutMessageView& message) {
  if (!message.acknowledge) message.acknowledge.emplace();
  return read_part(
      in, [&](uint32_t tag) { return read_acknowledge_field(in, tag, *message.acknowledge); });
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
      return skip_field(in, tag);
  }
}

bool read_put_field(CodedInputStream& in, uint32_t tag, size_t message_max_count, PutView& put) {
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
      if (++put.message_count > message_max_count) return skip_field(in, tag);
      PutMessageView& message = put.messages.emplace_back();
      return read_part(in, [&](uint32_t inner) { return read_message_field(in, inner, message); });
    }
    default:
      return skip_field(in, tag);
  }
}

// One of the kinds of v1::QueueFrame. They all are messages: under another wire type their numbers
// are fields that nobody knows, as they are to protobuf.
bool is_kind(uint32_t tag) {
  if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
    return false;
  }
  const auto* field =
      v1::QueueFrame::descriptor()->FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
  return field != nullptr && field->containing_oneof() != nullptr;
}

bool is_answer(uint32_t tag) {
  return is_kind(tag) &&
         WireFormatLite::GetTagFieldNumber(tag) >= v1::QueueFrame::kHelloReplyFieldNumber;
}

bool is_put(uint32_t tag) { return tag == bytes_tag(v1::QueueFrame::kPutFieldNumber); }

// Looks for what is not read as a request, over all fields of the frame from where `in` stands.
PutRead look_at_rest(CodedInputStream& in, uint32_t tag) {
  for (; tag != 0; tag = read_tag(in)) {
    if (is_put(tag) || is_answer(tag)) return PutRead::kUnreadable;
    if (!skip_field(in, tag)) break;
  }
  return PutRead::kOther;
}

}  // namespace

PutRead read_put(std::string_view body, size_t message_max_count, PutView& put) {
  std::vector<PutMessageView> messages = std::move(put.messages);
  messages.clear();
  if (messages.capacity() > kKeptMaxCount) messages = std::vector<PutMessageView>();
  put = PutView();
  put.messages = std::move(messages);
  CodedInputStream in(reinterpret_cast<const uint8_t*>(body.data()), static_cast<int>(body.size()));
  const auto limit = in.PushLimit(static_cast<int>(body.size()));
  bool has_put = false;
  while (const uint32_t tag = read_tag(in)) {
    bool is_read = false;
    if (tag == varint_tag(v1::QueueFrame::kRequestIdFieldNumber)) {
      is_read = in.ReadVarint64(&put.request_id);
    } else if (is_put(tag) && !has_put) {
      has_put = true;
      is_read = read_part(
          in, [&](uint32_t inner) { return read_put_field(in, inner, message_max_count, put); });
    } else if (!is_kind(tag)) {
      is_read = skip_field(in, tag);
    } else {
      return has_put ? PutRead::kUnreadable : look_at_rest(in, tag);
    }
    if (!is_read) return has_put ? PutRead::kUnreadable : PutRead::kOther;
  }
  const bool is_whole = in.ConsumedEntireMessage();
  in.PopLimit(limit);
  if (!has_put) return PutRead::kOther;
  return is_whole ? PutRead::kPut : PutRead::kUnreadable;
}

}  // namespace verbatim::queue
