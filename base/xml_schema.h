// XmlSchema: validates documents against a W3C XML Schema, as a stream, by libxml2.
// read_xml_root(): the outermost element of a document, without reading on.
//
// Documents may be large (a batch holds 64 MiB of events), so libxml2's own size limits are off
// (XML_PARSE_HUGE) and ours stand in their place: bytes, depth, no document type at all (so no
// entities), nothing fetched.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "base/status.h"

namespace verbatim::base {

struct XmlLimits {
  uint64_t file_max_bytes = uint64_t{2} * 1024 * 1024 * 1024;
  int depth_max = 64;
};

// Threads: one at a time.
class XmlSchema {
 public:
  // Takes the schema's text; `name` stands for it in messages. Errors: kInvalidArgument.
  static Result<XmlSchema> parse(std::string_view xsd, const std::string& name);
  ~XmlSchema();
  XmlSchema(XmlSchema&&) noexcept;
  XmlSchema& operator=(XmlSchema&&) noexcept;

  // Reads the whole document. Errors: kInvalidArgument "path:line: what is wrong" (not well-formed,
  // a document type, too large or deep, not valid; the first thing only; never a value of the
  // document), else the file system's.
  Status validate(FileSystem& file_system, const std::string& path,
                  const XmlLimits& limits = {}) const;

 private:
  struct State;
  explicit XmlSchema(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct XmlRoot {
  std::string name;            // without prefix
  std::string namespace_name;  // empty for none
  // Attributes without a namespace.
  std::map<std::string, std::string> attributes;
};

// Reads as far as the root element's start. Errors as validate().
Result<XmlRoot> read_xml_root(FileSystem& file_system, const std::string& path);

}  // namespace verbatim::base
