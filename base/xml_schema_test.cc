#include "base/xml_schema.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/fault_file_system.h"

namespace verbatim::base {
namespace {

constexpr std::string_view kXsd = R"(<?xml version="1.0"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:element name="list">
    <xs:complexType><xs:sequence>
      <xs:element name="number" type="xs:int" minOccurs="0" maxOccurs="unbounded"/>
      <xs:element name="list" minOccurs="0"/>
    </xs:sequence></xs:complexType>
  </xs:element>
</xs:schema>)";

class XmlSchemaTest : public ::testing::Test {
 protected:
  Status validate(const std::string& document, const XmlLimits& limits = {}) {
    EXPECT_TRUE(write_file_atomically(disk_, "/d.xml", document).ok());
    Result<XmlSchema> schema = XmlSchema::parse(kXsd, "list.xsd");
    if (!schema) return schema.error();
    return schema->validate(disk_, "/d.xml", limits);
  }
  testing::FaultFileSystem disk_;
};

TEST_F(XmlSchemaTest, TakesAValidDocument) {
  EXPECT_EQ(validate("<list>\n<number>1</number>\n</list>"), Status());
}

TEST_F(XmlSchemaTest, NamesFileAndLineButNoValue) {
  const Status status = validate("<list>\n<number>1</number>\n<number>secret</number>\n</list>");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message().find("/d.xml:3: "), 0U) << status.message();
  EXPECT_EQ(status.message().find("secret"), std::string::npos) << status.message();
}

TEST_F(XmlSchemaTest, NamesNoValueOfAnEnumerationEither) {
  constexpr std::string_view xsd = R"(<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
    <xs:element name="e"><xs:simpleType><xs:restriction base="xs:string">
      <xs:enumeration value="CHAT"/></xs:restriction></xs:simpleType></xs:element></xs:schema>)";
  ASSERT_TRUE(write_file_atomically(disk_, "/d.xml", "<e>the 'secret' is not told</e>").ok());
  Result<XmlSchema> schema = XmlSchema::parse(xsd, "e.xsd");
  ASSERT_TRUE(schema);
  const Status status = schema->validate(disk_, "/d.xml");
  EXPECT_NE(status.message().find("CHAT"), std::string::npos) << status.message();
  EXPECT_EQ(status.message().find("secret"), std::string::npos) << status.message();
}

TEST_F(XmlSchemaTest, RefusesUnknownElementsAndWrongOrder) {
  EXPECT_FALSE(validate("<list><other/></list>").ok());
  EXPECT_FALSE(validate("<list><list/><number>1</number></list>").ok());
  EXPECT_FALSE(validate("<other/>").ok());
}

TEST_F(XmlSchemaTest, RefusesEveryCutOfADocument) {
  const std::string whole = "<list>\n<number>1</number>\n</list>";
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(validate(whole.substr(0, size)).ok()) << size;
  }
}

TEST_F(XmlSchemaTest, RefusesADocumentTypeBeforeItsEntitiesAreUsed) {
  std::string bomb = "<!DOCTYPE list [<!ENTITY a0 \"aaaaaaaaaa\">";
  for (int i = 1; i < 12; ++i) {
    const std::string below = "&a" + std::to_string(i - 1) + ";";
    bomb += "<!ENTITY a" + std::to_string(i) + " \"";
    for (int k = 0; k < 10; ++k) bomb += below;
    bomb += "\">";
  }
  bomb += "]><list a=\"&a11;\"/>";
  const Status status = validate(bomb);
  EXPECT_NE(status.message().find("document type"), std::string::npos) << status.message();
}

TEST_F(XmlSchemaTest, KeepsItsLimits) {
  XmlLimits limits;
  limits.depth_max = 3;
  EXPECT_FALSE(validate("<list><list><list><list/></list></list></list>", limits).ok());
  limits.file_max_bytes = 5;
  const Status status = validate("<list/>", limits);
  EXPECT_NE(status.message().find("larger than the limit"), std::string::npos);
}

TEST_F(XmlSchemaTest, TakesAValueBeyondTheLibrarysOwnLimit) {
  // 10 MB is where libxml2 stops without XML_PARSE_HUGE.
  EXPECT_EQ(validate("<list><!--" + std::string(11'000'000, 'x') + "--></list>"), Status());
}

TEST_F(XmlSchemaTest, AWrongSchemaIsRefused) {
  EXPECT_FALSE(XmlSchema::parse("<xs:schema", "x.xsd"));
  Result<XmlSchema> schema = XmlSchema::parse("<a/>", "x.xsd");
  ASSERT_FALSE(schema);
  EXPECT_EQ(schema.error().message().find("x.xsd"), 0U);
}

TEST_F(XmlSchemaTest, ReadsARootWithoutTheRest) {
  ASSERT_TRUE(write_file_atomically(disk_, "/r.xml",
                                    "<?xml version='1.0'?>\n<a xmlns='urn:b' c='d'><broken")
                  .ok());
  Result<XmlRoot> root = read_xml_root(disk_, "/r.xml");
  ASSERT_TRUE(root) << root.error().to_string();
  EXPECT_EQ(root->name, "a");
  EXPECT_EQ(root->namespace_name, "urn:b");
  EXPECT_EQ(root->attributes.at("c"), "d");
  ASSERT_TRUE(write_file_atomically(disk_, "/r.xml", "").ok());
  EXPECT_FALSE(read_xml_root(disk_, "/r.xml"));
  EXPECT_EQ(read_xml_root(disk_, "/none").error().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace verbatim::base
