// The FileSystem of the operating system; the contract is in base/file_system.h.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <optional>

#include "base/errno_status.h"
#include "base/file_system.h"

namespace verbatim::base {
namespace {

// Repeats a system call for as long as a signal interrupts it.
template <class Call>
auto retry_interrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<Descriptor> open_descriptor(const std::string& path, int flags, std::string_view operation) {
  const int fd = retry_interrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0640); });
  if (fd < 0) return errno_status(errno, operation, path);
  return Descriptor(fd);
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path, bool is_writable)
      : descriptor_(std::move(descriptor)), path_(std::move(path)), is_writable_(is_writable) {}

  using File::append;
  using File::read_at;
  using File::write_at;

  Status write_at(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t count = retry_interrupted([&] {
        return ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      });
      if (count < 0) return errno_status(errno, "write", path_);
      if (count == 0) return errno_status(EIO, "write", path_);
      bytes.remove_prefix(static_cast<size_t>(count));
      offset += static_cast<uint64_t>(count);
    }
    return Status::ok_status();
  }

  Status write_durable(uint64_t offset, std::string_view bytes) override {
    const int direct = is_aligned(offset, bytes) ? direct_descriptor() : -1;
    if (direct < 0) return File::write_durable(offset, bytes);
    const ssize_t count = retry_interrupted(
        [&] { return ::pwrite(direct, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (count == static_cast<ssize_t>(bytes.size())) return Status::ok_status();
    // EINVAL: this file system or disk wants another alignment. A short write is written again the
    // common way, which also tells the reason, such as a full disk.
    if (count < 0 && errno != EINVAL) return errno_status(errno, "write", path_);
    return File::write_durable(offset, bytes);
  }

  void advise(uint64_t offset, uint64_t size, Use use) override {
    const int advice = use == Use::kSoon ? POSIX_FADV_WILLNEED : POSIX_FADV_DONTNEED;
    static_cast<void>(::posix_fadvise(descriptor_.get(), static_cast<off_t>(offset),
                                      static_cast<off_t>(size), advice));
  }

  Status append(std::string_view bytes) override {
    ASSIGN_OR_RETURN(const uint64_t end, size());
    return write_at(end, bytes);
  }

  Result<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    size_t done = 0;
    while (done < buffer.size()) {
      const ssize_t count = retry_interrupted([&] {
        return ::pread(descriptor_.get(), buffer.data() + done, buffer.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (count < 0) return errno_status(errno, "read", path_);
      if (count == 0) break;
      done += static_cast<size_t>(count);
    }
    return done;
  }

  // A sync is not repeated after EINTR or anything else: what a failed one has left is unknown.
  Status sync_data() override {
    if (::fdatasync(descriptor_.get()) != 0) return errno_status(errno, "sync_data", path_);
    return Status::ok_status();
  }

  Status sync() override {
    if (::fsync(descriptor_.get()) != 0) return errno_status(errno, "sync", path_);
    return Status::ok_status();
  }

  Result<uint64_t> size() override {
    struct stat facts {};
    if (::fstat(descriptor_.get(), &facts) != 0) return errno_status(errno, "size", path_);
    return static_cast<uint64_t>(facts.st_size);
  }

  Status truncate(uint64_t size) override {
    const int result =
        retry_interrupted([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)); });
    if (result != 0) return errno_status(errno, "truncate", path_);
    return Status::ok_status();
  }

  const std::string& path() const override { return path_; }

 private:
  static bool is_aligned(uint64_t offset, std::string_view bytes) {
    const auto address = reinterpret_cast<uintptr_t>(bytes.data());
    return !bytes.empty() && (offset | bytes.size() | address) % kDirectAlignment == 0;
  }

  // A second descriptor of the same file that writes past the page cache, each write durable on
  // return (open(2): O_DIRECT, O_DSYNC); -1 where the file system has no such thing. By way of
  // /proc/self/fd, because the file may have been renamed since it was opened.
  int direct_descriptor() {
    std::call_once(direct_once_, [this] {
      if (!is_writable_) return;
      const std::string self = "/proc/self/fd/" + std::to_string(descriptor_.get());
      auto direct = open_descriptor(self, O_RDWR | O_DIRECT | O_DSYNC, "open");
      if (direct) direct_.emplace(*std::move(direct));
    });
    return direct_ ? direct_->get() : -1;
  }

  Descriptor descriptor_;
  std::string path_;
  bool is_writable_;
  std::once_flag direct_once_;
  std::optional<Descriptor> direct_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;
};

int to_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreateExclusive:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kCreateOrOpen:
      return O_RDWR | O_CREAT;
  }
  return O_RDONLY;
}

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    ASSIGN_OR_RETURN(Descriptor descriptor, open_descriptor(path, to_flags(mode), "open"));
    struct stat facts {};
    if (::fstat(descriptor.get(), &facts) != 0) return errno_status(errno, "open", path);
    if (S_ISDIR(facts.st_mode)) return errno_status(EISDIR, "open", path);
    return std::unique_ptr<File>(
        std::make_unique<PosixFile>(std::move(descriptor), path, mode != OpenMode::kRead));
  }

  Result<std::vector<std::string>> list_directory(const std::string& path) override {
    DIR* const directory = ::opendir(path.c_str());
    if (directory == nullptr) return errno_status(errno, "list_directory", path);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* found = ::readdir(directory)) {
      const std::string name = found->d_name;
      if (name != "." && name != "..") names.push_back(name);
      errno = 0;
    }
    const int error_number = errno;
    ::closedir(directory);
    if (error_number != 0) return errno_status(error_number, "list_directory", path);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status create_directories(const std::string& path) override {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) == 0) {
      return S_ISDIR(facts.st_mode) ? Status::ok_status()
                                    : errno_status(ENOTDIR, "create_directories", path);
    }
    const std::string parent = parent_directory(path);
    if (parent != path) RETURN_IF_ERROR(create_directories(parent));
    if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) {
      return errno_status(errno, "create_directories", path);
    }
    return sync_directory(parent);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return errno_status(errno, "rename", from);
    return Status::ok_status();
  }

  Status remove(const std::string& path) override {
    if (std::remove(path.c_str()) != 0) return errno_status(errno, "remove", path);
    return Status::ok_status();
  }

  bool exists(const std::string& path) override {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0;
  }

  Result<uint64_t> file_size(const std::string& path) override {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) return errno_status(errno, "file_size", path);
    if (S_ISDIR(facts.st_mode)) return errno_status(EISDIR, "file_size", path);
    return static_cast<uint64_t>(facts.st_size);
  }

  Result<int64_t> modified_unix_ns(const std::string& path) override {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) return errno_status(errno, "modified_unix_ns", path);
    return int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec;
  }

  Status sync_directory(const std::string& path) override {
    ASSIGN_OR_RETURN(const Descriptor descriptor,
                     open_descriptor(path, O_RDONLY | O_DIRECTORY, "sync_directory"));
    if (::fsync(descriptor.get()) != 0) return errno_status(errno, "sync_directory", path);
    return Status::ok_status();
  }

  Result<uint64_t> free_bytes(const std::string& path) override {
    struct statvfs facts {};
    if (::statvfs(path.c_str(), &facts) != 0) return errno_status(errno, "free_bytes", path);
    return static_cast<uint64_t>(facts.f_bavail) * facts.f_frsize;
  }

  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override {
    ASSIGN_OR_RETURN(Descriptor descriptor, open_descriptor(path, O_RDWR | O_CREAT, "lock"));
    // flock belongs to the open file, so a second lock within this process is refused too.
    if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
      return errno_status(errno, "lock", path);
    }
    return std::unique_ptr<FileLock>(std::make_unique<PosixFileLock>(std::move(descriptor)));
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static PosixFileSystem file_system;
  return file_system;
}

}  // namespace verbatim::base
