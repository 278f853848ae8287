#include "collector/directory/csv_people.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace verbatim::collector {
namespace {

constexpr const char* kPath = "/etc/people.csv";

class CsvPeopleTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk_.create_directories("/etc").ok()); }

  void write(const std::string& text) {
    ASSERT_TRUE(base::write_file_atomically(disk_, kPath, text).ok());
  }
  Result<std::unique_ptr<CsvPeople>> create() {
    CsvPeopleOptions options;
    options.path = kPath;
    options.look_interval = std::chrono::hours(1);  // the tests call look()
    options.clock = &clock_;
    return CsvPeople::create(disk_, options);
  }
  static std::string name_of(CsvPeople& people, const std::string& address) {
    const Finding finding = people.find({address}).at(0);
    return finding.kind == Finding::Kind::kFound ? finding.person.name : "unknown";
  }
  static v1::DirectoryInfo info(const CsvPeople& people) {
    v1::DirectoryInfo info;
    people.describe(info);
    return info;
  }

  testing::FakeClock clock_;
  testing::FaultFileSystem disk_;
};

TEST_F(CsvPeopleTest, FindingsStandInTheOrderOfTheAddresses) {
  write("address,name\na@x,Ann\nb@x,Bob\n");
  const auto people = create().value();
  const auto findings = people->find({"b@x", "nobody@x", "a@x", "b@x"});
  ASSERT_EQ(findings.size(), 4u);
  EXPECT_EQ(findings[0].person.name, "Bob");
  EXPECT_EQ(findings[1].kind, Finding::Kind::kUnknown);
  EXPECT_EQ(findings[2].person.name, "Ann");
  EXPECT_EQ(findings[3].person.name, "Bob");
  EXPECT_EQ(info(*people).kind(), "csv");
  EXPECT_EQ(info(*people).person_count(), 2);
}

TEST_F(CsvPeopleTest, AFileThatChangesIsReadAgain) {
  write("address,name\na@x,Ann\n");
  const auto people = create().value();
  write("address,name\na@x,Ann Other\n");
  people->look();
  EXPECT_EQ(name_of(*people, "a@x"), "Ann Other");
}

TEST_F(CsvPeopleTest, ABadFileNamesItsLinesAndTheTableBeforeItStays) {
  write("address,name\na@x,Ann\n");
  const auto people = create().value();
  write("address,name\na@x,Ann,more\n");
  people->look();
  EXPECT_EQ(name_of(*people, "a@x"), "Ann");
  EXPECT_EQ(info(*people).problem(), std::string(kPath) + ": line 2: 3 fields, not 2");
  EXPECT_EQ(info(*people).problem_since_unix_ns(), clock_.unix_now_ns());
  write("address,name\na@x,Ann the third\n");
  people->look();
  EXPECT_EQ(name_of(*people, "a@x"), "Ann the third");
  EXPECT_EQ(info(*people).problem(), "");
}

TEST_F(CsvPeopleTest, AFileThatIsGoneChangesNothing) {
  write("address,name\na@x,Ann\n");
  const auto people = create().value();
  ASSERT_TRUE(disk_.remove(kPath).ok());
  people->look();
  EXPECT_EQ(name_of(*people, "a@x"), "Ann");
  EXPECT_NE(info(*people).problem(), "");
  write("address,name\na@x,Back\n");
  people->look();
  EXPECT_EQ(name_of(*people, "a@x"), "Back");
}

TEST_F(CsvPeopleTest, AtTheStartAFileMustBeThereAndGood) {
  EXPECT_EQ(create().error().code(), StatusCode::kNotFound);
  write("address\nnobody\n");
  EXPECT_EQ(create().error().message(), std::string(kPath) + ": line 2: no address of a person");
}

}  // namespace
}  // namespace verbatim::collector
