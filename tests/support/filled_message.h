// fill_every_field(): a protobuf message in which nothing is left at its default, for tests that
// prove that every field is carried.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <vector>

namespace verbatim::testing {

// Sets every field of every message below. Of a oneof: `choice` where it belongs to it, else the
// first. `marks` gets the text values, each of them unique.
inline void fill_every_field(google::protobuf::Message& message,
                             const google::protobuf::FieldDescriptor* choice,
                             std::vector<std::string>* marks) {
  using google::protobuf::FieldDescriptor;
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (const auto* oneof = field->real_containing_oneof()) {
      const bool is_theirs = choice != nullptr && choice->containing_oneof() == oneof;
      if (field != (is_theirs ? choice : oneof->field(0))) continue;
    }
    const auto mark = [&] {
      marks->push_back("mark" + std::to_string(marks->size()) + "." + field->name() + ".");
      return marks->back();
    };
    const bool is_text = field->type() == FieldDescriptor::TYPE_STRING;
    if (field->is_map()) {
      auto* pair = reflection.AddMessage(&message, field);
      fill_every_field(*pair, nullptr, marks);
    } else if (field->is_repeated()) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        fill_every_field(*reflection.AddMessage(&message, field), nullptr, marks);
      } else {
        reflection.AddString(&message, field, is_text ? mark() : std::string(32, '\x5A'));
      }
    } else {
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_MESSAGE:
          fill_every_field(*reflection.MutableMessage(&message, field), nullptr, marks);
          break;
        case FieldDescriptor::CPPTYPE_STRING:
          reflection.SetString(&message, field, is_text ? mark() : std::string(32, '\x5A'));
          break;
        case FieldDescriptor::CPPTYPE_BOOL:
          reflection.SetBool(&message, field, true);
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          reflection.SetEnumValue(&message, field, 1);
          break;
        case FieldDescriptor::CPPTYPE_INT32:
          reflection.SetInt32(&message, field, 7);
          break;
        case FieldDescriptor::CPPTYPE_INT64:
          reflection.SetInt64(&message, field, 1'768'467'600'000'000'007);
          break;
        case FieldDescriptor::CPPTYPE_UINT32:
          reflection.SetUInt32(&message, field, 7);
          break;
        case FieldDescriptor::CPPTYPE_UINT64:
          reflection.SetUInt64(&message, field, 7);
          break;
        default:
          break;
      }
    }
  }
}

}  // namespace verbatim::testing
