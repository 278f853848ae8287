#include "tests/support/file_system_contract.h"

#include <array>

#include "base/clock.h"

namespace verbatim::testing {

using base::OpenMode;

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FileSystemContract);

void FileSystemContract::SetUp() {
  holder_ = GetParam().set_up();
  file_system_ = &GetParam().file_system(holder_.get());
  directory_ = GetParam().directory(holder_.get());
}

void FileSystemContract::write(const std::string& name, std::string_view bytes) {
  auto file = fs().open(path(name), OpenMode::kCreateOrOpen);
  ASSERT_TRUE(file) << file.error().to_string();
  ASSERT_TRUE((*file)->write_at(0, bytes).ok());
}

TEST_P(FileSystemContract, WrittenBytesAreReadBack) {
  auto file = fs().open(path("a"), OpenMode::kCreateExclusive);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->append(std::string_view("hello ")).ok());
  ASSERT_TRUE((*file)->append(std::string_view("world")).ok());
  ASSERT_TRUE((*file)->write_at(0, std::string_view("J")).ok());
  ASSERT_TRUE((*file)->sync_data().ok());
  ASSERT_TRUE((*file)->sync().ok());
  EXPECT_EQ(*fs().read_file(path("a")), "Jello world");
  EXPECT_EQ(*fs().file_size(path("a")), 11U);
  EXPECT_EQ((*file)->path(), path("a"));
}

TEST_P(FileSystemContract, AFileTellsWhenItWasWritten) {
  const int64_t second_ns = 1'000'000'000;
  const int64_t before = base::system_clock().unix_now_ns();
  write("a", "bytes");
  const auto modified = fs().modified_unix_ns(path("a"));
  ASSERT_TRUE(modified);
  EXPECT_GE(*modified, before - second_ns);
  EXPECT_LE(*modified, base::system_clock().unix_now_ns() + second_ns);
  EXPECT_EQ(fs().modified_unix_ns(path("none")).error().code(), StatusCode::kNotFound);
}

TEST_P(FileSystemContract, DurableWritesAreReadBackWhateverTheirAlignment) {
  auto file = fs().open(path("a"), OpenMode::kCreateExclusive);
  ASSERT_TRUE(file);
  ASSERT_TRUE(fs().rename(path("a"), path("b")).ok());
  constexpr size_t kBlock = base::kDirectAlignment;
  std::string expected(3 * kBlock, '\0');
  std::string memory(3 * kBlock, 'm');
  const size_t misaligned = reinterpret_cast<uintptr_t>(memory.data()) % kBlock;
  const size_t first = misaligned == 0 ? 0 : kBlock - misaligned;
  ASSERT_TRUE((*file)->preallocate(expected.size()).ok());
  // Aligned in all three, which may go past the page cache; then each one off.
  const std::string_view block(memory.data() + first, kBlock);
  for (const auto& [offset, bytes] :
       {std::pair{size_t{kBlock}, block}, std::pair{size_t{7}, block.substr(0, 100)},
        std::pair{2 * kBlock, block.substr(0, kBlock - 1)},
        std::pair{size_t{kBlock}, std::string_view("behind")}}) {
    // Readers have seen the old bytes: no cache may go on showing them.
    EXPECT_EQ(*fs().read_file(path("b")), expected);
    ASSERT_TRUE((*file)->write_durable(offset, bytes).ok());
    expected.replace(offset, bytes.size(), bytes);
  }
  EXPECT_EQ(*fs().read_file(path("b")), expected);
  ASSERT_TRUE((*file)->write_durable(3 * kBlock, block).ok());
  EXPECT_EQ(*fs().read_file(path("b")), expected + std::string(block));
}

TEST_P(FileSystemContract, AdviceChangesNothing) {
  write("a", "12345");
  auto file = fs().open(path("a"), OpenMode::kReadWrite);
  ASSERT_TRUE(file);
  (*file)->advise(0, 100, base::File::Use::kSoon);
  (*file)->advise(0, 100, base::File::Use::kNoMore);
  EXPECT_EQ(*fs().read_file(path("a")), "12345");
}

TEST_P(FileSystemContract, BytesMayBeWrittenAndReadAsSpans) {
  auto file = fs().open(path("a"), OpenMode::kCreateOrOpen);
  ASSERT_TRUE(file);
  const std::array<std::byte, 3> bytes = {std::byte{1}, std::byte{0}, std::byte{255}};
  ASSERT_TRUE((*file)->write_at(0, std::span<const std::byte>(bytes)).ok());
  ASSERT_TRUE((*file)->append(std::span<const std::byte>(bytes)).ok());
  std::array<std::byte, 6> buffer{};
  EXPECT_EQ(*(*file)->read_at(0, std::span<std::byte>(buffer)), 6U);
  EXPECT_EQ(buffer[5], std::byte{255});
}

TEST_P(FileSystemContract, ReadingStopsAtTheEndOfTheFile) {
  write("a", "12345");
  auto file = fs().open(path("a"), OpenMode::kRead);
  ASSERT_TRUE(file);
  std::string buffer(10, 'x');
  EXPECT_EQ(*(*file)->read_at(3, std::span<char>(buffer)), 2U);
  EXPECT_EQ(buffer.substr(0, 3), "45x");
  EXPECT_EQ(*(*file)->read_at(5, std::span<char>(buffer)), 0U);
  EXPECT_EQ(*(*file)->read_at(500, std::span<char>(buffer)), 0U);
}

TEST_P(FileSystemContract, AGapReadsAsZeros) {
  auto file = fs().open(path("a"), OpenMode::kCreateOrOpen);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(3, std::string_view("x")).ok());
  EXPECT_EQ(*fs().read_file(path("a")), std::string("\0\0\0x", 4));
}

TEST_P(FileSystemContract, AFileOpenForReadingRefusesWrites) {
  write("a", "1");
  auto file = fs().open(path("a"), OpenMode::kRead);
  ASSERT_TRUE(file);
  EXPECT_FALSE((*file)->write_at(0, std::string_view("2")).ok());
  EXPECT_FALSE((*file)->write_durable(0, std::string_view("2")).ok());
  EXPECT_FALSE((*file)->truncate(0).ok());
  EXPECT_EQ(*fs().read_file(path("a")), "1");
}

TEST_P(FileSystemContract, OpenModesTellMissingFromPresent) {
  EXPECT_EQ(fs().open(path("a"), OpenMode::kRead).error().code(), StatusCode::kNotFound);
  EXPECT_EQ(fs().open(path("a"), OpenMode::kReadWrite).error().code(), StatusCode::kNotFound);
  EXPECT_FALSE(fs().exists(path("a")));
  EXPECT_TRUE(fs().open(path("a"), OpenMode::kCreateExclusive));
  EXPECT_TRUE(fs().exists(path("a")));
  EXPECT_EQ(fs().open(path("a"), OpenMode::kCreateExclusive).error().code(),
            StatusCode::kAlreadyExists);
  EXPECT_TRUE(fs().open(path("a"), OpenMode::kReadWrite));
  EXPECT_TRUE(fs().open(path("a"), OpenMode::kCreateOrOpen));
  EXPECT_EQ(fs().open(path("no/a"), OpenMode::kCreateOrOpen).error().code(), StatusCode::kNotFound);
  EXPECT_EQ(fs().open(directory_, OpenMode::kRead).error().code(), StatusCode::kFailedPrecondition);
}

TEST_P(FileSystemContract, ErrorsNameThePath) {
  const Status status = fs().open(path("missing"), OpenMode::kRead).error();
  EXPECT_NE(status.message().find("path=" + path("missing")), std::string::npos);
  EXPECT_NE(status.message().find("No such file"), std::string::npos);
}

TEST_P(FileSystemContract, TruncateShrinksAndGrows) {
  write("a", "12345");
  auto file = fs().open(path("a"), OpenMode::kReadWrite);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->truncate(2).ok());
  ASSERT_TRUE((*file)->truncate(4).ok());
  EXPECT_EQ(*fs().read_file(path("a")), std::string("12\0\0", 4));
  EXPECT_EQ(*(*file)->size(), 4U);
}

TEST_P(FileSystemContract, PreallocateWritesZerosAndKeepsWhatIsThere) {
  write("a", "12");
  auto file = fs().open(path("a"), OpenMode::kReadWrite);
  ASSERT_TRUE(file);
  const uint64_t size = 2 * 1024 * 1024 + 7;
  ASSERT_TRUE((*file)->preallocate(size).ok());
  ASSERT_TRUE((*file)->preallocate(10).ok());
  EXPECT_EQ(*(*file)->size(), size);
  EXPECT_EQ(*fs().read_file(path("a")), "12" + std::string(size - 2, '\0'));
}

TEST_P(FileSystemContract, RenameReplacesTheTarget) {
  write("a", "new");
  write("b", "old");
  ASSERT_TRUE(fs().rename(path("a"), path("b")).ok());
  EXPECT_FALSE(fs().exists(path("a")));
  EXPECT_EQ(*fs().read_file(path("b")), "new");
  EXPECT_EQ(fs().rename(path("a"), path("c")).code(), StatusCode::kNotFound);
}

TEST_P(FileSystemContract, AnOpenFileOutlivesItsName) {
  write("a", "still here");
  auto file = fs().open(path("a"), OpenMode::kRead);
  ASSERT_TRUE(file);
  ASSERT_TRUE(fs().remove(path("a")).ok());
  std::string buffer(10, '\0');
  EXPECT_EQ(*(*file)->read_at(0, std::span<char>(buffer)), 10U);
  EXPECT_EQ(buffer, "still here");
  EXPECT_EQ(fs().remove(path("a")).code(), StatusCode::kNotFound);
}

TEST_P(FileSystemContract, FoldersAreListedSorted) {
  ASSERT_TRUE(fs().create_directories(path("d/e/f")).ok());
  ASSERT_TRUE(fs().create_directories(path("d/e/f")).ok());
  write("d/b", "");
  write("d/a", "");
  EXPECT_EQ(*fs().list_directory(path("d")), (std::vector<std::string>{"a", "b", "e"}));
  EXPECT_EQ(fs().list_directory(path("x")).error().code(), StatusCode::kNotFound);
  EXPECT_FALSE(fs().remove(path("d")).ok());
  EXPECT_TRUE(fs().remove(path("d/e/f")).ok());
  EXPECT_TRUE(fs().sync_directory(path("d/e")).ok());
  EXPECT_EQ(fs().sync_directory(path("x")).code(), StatusCode::kNotFound);
  EXPECT_EQ(fs().create_directories(path("d/a/x")).code(), StatusCode::kFailedPrecondition);
}

TEST_P(FileSystemContract, ALockIsHeldOnce) {
  auto first = fs().lock_file(path("lock"));
  ASSERT_TRUE(first);
  EXPECT_EQ(fs().lock_file(path("lock")).error().code(), StatusCode::kFailedPrecondition);
  first->reset();
  EXPECT_TRUE(fs().lock_file(path("lock")));
}

TEST_P(FileSystemContract, AtomicWritesReplaceTheWholeFile) {
  ASSERT_TRUE(base::write_file_atomically(fs(), path("a"), "first").ok());
  ASSERT_TRUE(base::write_file_atomically(fs(), path("a"), "2nd").ok());
  EXPECT_EQ(*fs().read_file(path("a")), "2nd");
  EXPECT_EQ(*fs().list_directory(directory_), (std::vector<std::string>{"a"}));
}

TEST_P(FileSystemContract, SpaceIsReported) { EXPECT_GT(*fs().free_bytes(directory_), 0U); }

}  // namespace verbatim::testing
