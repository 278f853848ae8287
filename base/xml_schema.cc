#include "base/xml_schema.h"

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlschemas.h>

#include <functional>
#include <utility>

namespace verbatim::base {
namespace {

constexpr size_t kChunkSize = size_t{64} * 1024;

std::string to_text(const xmlChar* text) {
  return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text));
}

// The library quotes values of the document, which may be what somebody wrote: they are cut out.
// Its messages read "Element 'a': 'x' is not a valid value of ..." or "...: [facet 'enumeration']
// The value 'x' is not ...".
std::string without_value(std::string message) {
  while (!message.empty() && message.back() == '\n') message.pop_back();
  for (const std::string_view mark : {": '", "value '"}) {
    const size_t found = message.find(mark);
    if (found == std::string::npos) continue;
    const size_t begin = found + mark.size();
    size_t end = message.rfind("' is not");
    if (end == std::string::npos || end < begin) end = message.size();
    message.replace(begin, end - begin, "...");
  }
  return message;
}

// One pass over one document: a push parser with our checks and, where there is one, the schema's
// validator plugged in before it.
class DocumentPass {
 public:
  DocumentPass(const std::string& path, const XmlLimits& limits) : path_(path), limits_(limits) {
    sax_.initialized = XML_SAX2_MAGIC;
    sax_.startElementNs = &DocumentPass::on_start;
    sax_.endElementNs = &DocumentPass::on_end;
    sax_.internalSubset = &DocumentPass::on_document_type;
    sax_.serror = &DocumentPass::on_error;
    parser_ = xmlCreatePushParserCtxt(&sax_, this, nullptr, 0, nullptr);
    if (parser_ == nullptr) return;
    // NOENT: attribute values come with their character references replaced. There are no other
    // entities, as a document type ends the pass.
    xmlCtxtUseOptions(parser_, XML_PARSE_NONET | XML_PARSE_HUGE | XML_PARSE_NOENT);
  }
  ~DocumentPass() {
    xmlSchemaSAXUnplug(plug_);
    if (parser_ != nullptr && parser_->myDoc != nullptr) {
      xmlFreeDoc(parser_->myDoc);
      parser_->myDoc = nullptr;
    }
    xmlFreeParserCtxt(parser_);
  }
  DocumentPass(const DocumentPass&) = delete;
  DocumentPass& operator=(const DocumentPass&) = delete;

  void plug(xmlSchemaValidCtxtPtr validator) {
    if (parser_ == nullptr) return;
    xmlSchemaSetValidStructuredErrors(validator, &DocumentPass::on_error, this);
    plug_ = xmlSchemaSAXPlug(validator, &parser_->sax, &parser_->userData);
  }

  // Called with the first element; the pass ends there.
  std::function<void(XmlRoot)> on_root;

  Status run(FileSystem& file_system) {
    if (parser_ == nullptr) return resource_exhausted("no memory for an XML parser");
    ASSIGN_OR_RETURN(auto file, file_system.open(path_, OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->size());
    if (size > limits_.file_max_bytes) refuse(0, "larger than the limit");
    std::string chunk(kChunkSize, '\0');
    uint64_t offset = 0;
    while (error_.ok() && !is_done_) {
      ASSIGN_OR_RETURN(const size_t count, file->read_at(offset, std::span<char>(chunk)));
      offset += count;
      const bool is_last = count < chunk.size();
      xmlParseChunk(parser_, chunk.data(), static_cast<int>(count), is_last ? 1 : 0);
      if (is_last) break;
    }
    if (error_.ok() && !is_done_ && parser_->wellFormed == 0) refuse(line(), "not well-formed");
    return error_;
  }

 private:
  static void on_start(void* context, const xmlChar* name, const xmlChar*, const xmlChar* ns, int,
                       const xmlChar**, int count, int, const xmlChar** attributes) {
    DocumentPass& pass = *static_cast<DocumentPass*>(context);
    if (++pass.depth_ > pass.limits_.depth_max) pass.refuse(pass.line(), "nested too deeply");
    if (!pass.on_root || pass.depth_ != 1) return;
    XmlRoot root{to_text(name), to_text(ns), {}};
    // Five pointers an attribute: name, prefix, namespace, begin and end of the value.
    for (int i = 0; i < count; ++i, attributes += 5) {
      if (attributes[2] != nullptr) continue;
      root.attributes[to_text(attributes[0])] =
          std::string(reinterpret_cast<const char*>(attributes[3]),
                      static_cast<size_t>(attributes[4] - attributes[3]));
    }
    pass.on_root(std::move(root));
    pass.is_done_ = true;
    xmlStopParser(pass.parser_);
  }
  static void on_end(void* context, const xmlChar*, const xmlChar*, const xmlChar*) {
    --static_cast<DocumentPass*>(context)->depth_;
  }
  static void on_document_type(void* context, const xmlChar*, const xmlChar*, const xmlChar*) {
    DocumentPass& pass = *static_cast<DocumentPass*>(context);
    pass.refuse(pass.line(), "a document type is not allowed");
  }
  static void on_error(void* context, xmlErrorPtr error) {
    DocumentPass& pass = *static_cast<DocumentPass*>(context);
    if (pass.is_done_ || error->level < XML_ERR_ERROR) return;
    // The validator does not know the line; the parser does.
    const int line = error->domain == XML_FROM_SCHEMASV ? pass.line() : error->line;
    const std::string what = error->message == nullptr ? "invalid" : error->message;
    pass.refuse(line, without_value(what));
  }

  int line() const {
    return parser_ != nullptr && parser_->input != nullptr ? parser_->input->line : 0;
  }
  void refuse(int line, const std::string& what) {
    if (!error_.ok()) return;
    error_ = invalid_argument(path_ + ":" + std::to_string(line) + ": " + what);
    xmlStopParser(parser_);
  }

  const std::string path_;
  const XmlLimits limits_;
  xmlSAXHandler sax_{};
  xmlParserCtxtPtr parser_ = nullptr;
  xmlSchemaSAXPlugPtr plug_ = nullptr;
  Status error_;
  int depth_ = 0;
  bool is_done_ = false;
};

}  // namespace

struct XmlSchema::State {
  xmlSchemaPtr schema = nullptr;
  ~State() { xmlSchemaFree(schema); }
};

XmlSchema::XmlSchema(std::unique_ptr<State> state) : state_(std::move(state)) {}
XmlSchema::~XmlSchema() = default;
XmlSchema::XmlSchema(XmlSchema&&) noexcept = default;
XmlSchema& XmlSchema::operator=(XmlSchema&&) noexcept = default;

Result<XmlSchema> XmlSchema::parse(std::string_view xsd, const std::string& name) {
  xmlSchemaParserCtxtPtr parser =
      xmlSchemaNewMemParserCtxt(xsd.data(), static_cast<int>(xsd.size()));
  if (parser == nullptr) return resource_exhausted("no memory for a schema parser");
  std::string first_error;
  const xmlStructuredErrorFunc note = [](void* context, xmlErrorPtr error) {
    auto& text = *static_cast<std::string*>(context);
    if (!text.empty() || error->message == nullptr) return;
    text = ":" + std::to_string(error->line) + ": " + error->message;
    while (text.back() == '\n') text.pop_back();
  };
  xmlSchemaSetParserStructuredErrors(parser, note, &first_error);
  auto state = std::make_unique<State>();
  state->schema = xmlSchemaParse(parser);
  xmlSchemaFreeParserCtxt(parser);
  if (state->schema == nullptr) return invalid_argument(name + first_error);
  return XmlSchema(std::move(state));
}

Status XmlSchema::validate(FileSystem& file_system, const std::string& path,
                           const XmlLimits& limits) const {
  xmlSchemaValidCtxtPtr validator = xmlSchemaNewValidCtxt(state_->schema);
  if (validator == nullptr) return resource_exhausted("no memory for a validator");
  Status status;
  {
    DocumentPass pass(path, limits);
    pass.plug(validator);
    status = pass.run(file_system);
  }
  xmlSchemaFreeValidCtxt(validator);
  return status;
}

Result<XmlRoot> read_xml_root(FileSystem& file_system, const std::string& path) {
  DocumentPass pass(path, {});
  XmlRoot root;
  pass.on_root = [&root](XmlRoot found) { root = std::move(found); };
  RETURN_IF_ERROR(pass.run(file_system));
  if (root.name.empty()) return invalid_argument(path + ":0: no element");
  return root;
}

}  // namespace verbatim::base
