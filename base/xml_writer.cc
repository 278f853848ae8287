#include "base/xml_writer.h"

#include <libxml/xmlwriter.h>

#include <string>
#include <utility>

#include "base/check.h"
#include "base/xml_text.h"

namespace verbatim::base {
namespace {

const xmlChar* as_xml(const std::string& text) {
  return reinterpret_cast<const xmlChar*>(text.c_str());
}

// `value` itself where XML can carry it, else a copy in `changed`.
const std::string& legal_text(const std::string& value, std::string& changed) {
  if (is_xml_text(value)) return value;
  changed = to_xml_text(value).text;
  return changed;
}

void ignore_library_message(void*, const char*, ...) {}

}  // namespace

struct XmlWriter::State {
  Sink sink;
  Status status;
  xmlTextWriterPtr writer = nullptr;
  int depth = 0;
  bool has_ended = false;

  ~State() {
    // What was not finished is not wanted: the library would hand it to the sink now.
    if (status.ok()) status = cancelled("the writer was given up");
    xmlFreeTextWriter(writer);
  }

  // libxml2's output callbacks; -1 tells it to stop.
  static int write(void* context, const char* bytes, int size) {
    State& state = *static_cast<State*>(context);
    if (!state.status.ok()) return -1;
    state.status = state.sink(std::string_view(bytes, static_cast<size_t>(size)));
    return state.status.ok() ? size : -1;
  }
  static int close(void*) { return 0; }

  void note(int result) {
    // With a working sink only memory can fail.
    if (result < 0 && status.ok()) status = resource_exhausted("writing XML failed");
  }
};

XmlWriter::XmlWriter(Sink sink) : state_(std::make_unique<State>()) {
  state_->sink = std::move(sink);
  // The library would print the sink's errors, which finish() tells.
  xmlSetGenericErrorFunc(nullptr, &ignore_library_message);
  xmlOutputBufferPtr buffer =
      xmlOutputBufferCreateIO(&State::write, &State::close, state_.get(), nullptr);
  if (buffer != nullptr) state_->writer = xmlNewTextWriter(buffer);
  if (state_->writer == nullptr) {
    if (buffer != nullptr) xmlOutputBufferClose(buffer);
    state_->note(-1);
    return;
  }
  xmlTextWriterSetIndent(state_->writer, 1);
  xmlTextWriterSetIndentString(state_->writer, as_xml("  "));
  state_->note(xmlTextWriterStartDocument(state_->writer, "1.0", "UTF-8", nullptr));
}

XmlWriter::~XmlWriter() = default;
XmlWriter::XmlWriter(XmlWriter&&) noexcept = default;
XmlWriter& XmlWriter::operator=(XmlWriter&&) noexcept = default;

void XmlWriter::start_element(const std::string& name) {
  ++state_->depth;
  if (!state_->status.ok()) return;
  state_->note(xmlTextWriterStartElement(state_->writer, as_xml(name)));
}

void XmlWriter::attribute(const std::string& name, const std::string& value) {
  CHECK(state_->depth > 0, "invariant I2: an attribute needs an element");
  if (!state_->status.ok()) return;
  std::string changed;
  const std::string& legal = legal_text(value, changed);
  state_->note(xmlTextWriterWriteAttribute(state_->writer, as_xml(name), as_xml(legal)));
}

void XmlWriter::text(const std::string& value) {
  CHECK(state_->depth > 0, "invariant I2: text needs an element");
  if (!state_->status.ok()) return;
  std::string changed;
  state_->note(xmlTextWriterWriteString(state_->writer, as_xml(legal_text(value, changed))));
}

void XmlWriter::end_element() {
  CHECK(state_->depth > 0, "invariant I2: end without start");
  --state_->depth;
  if (!state_->status.ok()) return;
  state_->note(xmlTextWriterEndElement(state_->writer));
}

Status XmlWriter::finish() {
  CHECK(state_->depth == 0, "invariant I2: an element has not ended");
  if (state_->status.ok() && !state_->has_ended) {
    state_->note(xmlTextWriterEndDocument(state_->writer));
    state_->note(xmlTextWriterFlush(state_->writer));
    state_->has_ended = true;
  }
  return state_->status;
}

const Status& XmlWriter::status() const { return state_->status; }

}  // namespace verbatim::base
