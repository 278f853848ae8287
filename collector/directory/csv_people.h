// CsvPeople: people from a CSV file, all of them in memory; read again when the file changes.
//
// I1 A file that is wrong, gone or unreadable changes nothing: the table before it stays in force,
//    and the problem is named until a good file is there.
// I2 No search touches the disk: a thread of its own looks at the file.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/mutex.h"
#include "collector/directory/people_table.h"
#include "collector/directory/person.h"

namespace verbatim::collector {

struct CsvPeopleOptions {
  std::string path;
  size_t people_max_count = 100'000;
  std::chrono::milliseconds look_interval{1'000};
  const base::Clock* clock = &base::system_clock();
};

class CsvPeople final : public People {
 public:
  // Reads the file. Errors: those of the disk and of parse_people, with the path.
  static Result<std::unique_ptr<CsvPeople>> create(base::FileSystem& file_system,
                                                   CsvPeopleOptions options);
  ~CsvPeople() override;

  std::vector<Finding> find(const std::vector<std::string>& addresses) override;
  void describe(v1::DirectoryInfo& info) const override;

  // Looks at the file once; its thread calls it.
  void look();

 private:
  // Time of the last change and size.
  using Stamp = std::pair<int64_t, uint64_t>;

  CsvPeople(base::FileSystem& file_system, CsvPeopleOptions options);
  Result<Stamp> stamp() const;
  Status read();
  void run();

  base::FileSystem& file_system_;
  const CsvPeopleOptions options_;
  Result<Stamp> seen_;  // of the looking thread

  mutable base::Mutex mutex_;
  base::CondVar wakes_;
  std::shared_ptr<const PeopleTable> table_ GUARDED_BY(mutex_);
  std::string problem_ GUARDED_BY(mutex_);
  int64_t problem_since_unix_ns_ GUARDED_BY(mutex_) = 0;
  bool is_stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace verbatim::collector
