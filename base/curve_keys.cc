#include "base/curve_keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/errno_status.h"
#include "base/file_system.h"

namespace verbatim::base {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kKeyTextBytes = 40;
constexpr size_t kFileMaxBytes = 4096;

// An open descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

Status write_new_file(const std::string& path, const std::string& text, mode_t mode) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (file.fd() < 0 && errno == EEXIST) {
    return already_exists(
        "a key file is never overwritten; take another name or move it away path=" + path);
  }
  if (file.fd() < 0) return errno_status(errno, "create", path);
  if (::write(file.fd(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return errno_status(errno, "write", path);
  }
  return ::fsync(file.fd()) == 0 ? Status() : errno_status(errno, "sync", path);
}

// The first line that is not for people; empty if there is none.
std::string_view key_line(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (!line.empty() && !line.starts_with('#')) return line;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

Status check_is_private(int fd, const std::string& path) {
  struct stat state {};
  if (::fstat(fd, &state) != 0) return errno_status(errno, "stat", path);
  if (!S_ISREG(state.st_mode)) return invalid_argument("not a file of keys path=" + path);
  if ((state.st_mode & (S_IRWXG | S_IRWXO)) == 0) return {};
  return permission_denied("others may read the secret key path=" + path +
                           ": run chmod 600 on it, and make a new key if they may have done so");
}

}  // namespace

Result<CurveKeys> generate_curve_keys() {
  std::array<char, kKeyTextBytes + 1> public_key{};
  std::array<char, kKeyTextBytes + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    return unimplemented("this ZeroMQ was built without CURVE");
  }
  return CurveKeys{public_key.data(), secret_key.data()};
}

Status check_curve_key(std::string_view key) {
  std::array<uint8_t, kKeyBytes> bytes{};
  const bool is_key = key.size() == kKeyTextBytes &&
                      zmq_z85_decode(bytes.data(), std::string(key).c_str()) != nullptr;
  return is_key ? Status() : invalid_argument("a key is 40 characters of Z85");
}

Result<std::string> public_curve_key_of(const std::string& secret_key) {
  RETURN_IF_ERROR(check_curve_key(secret_key));
  std::array<char, kKeyTextBytes + 1> public_key{};
  if (zmq_curve_public(public_key.data(), secret_key.c_str()) != 0) {
    return invalid_argument("not a secret key");
  }
  return std::string(public_key.data());
}

Status write_curve_keys(const std::string& path, const CurveKeys& keys) {
  const std::string public_path = path + ".pub";
  if (::access(public_path.c_str(), F_OK) == 0) {
    return already_exists(
        "a key file is never overwritten; take another name or move it away path=" + public_path);
  }
  RETURN_IF_ERROR(write_new_file(path,
                                 "# A secret key of Verbatim. Keep it where it is, mode 0600; the "
                                 "public one is in the .pub file.\n" +
                                     keys.secret_key + "\n",
                                 S_IRUSR | S_IWUSR));
  RETURN_IF_ERROR(write_new_file(
      public_path,
      "# The public key, for the other side's configuration.\n" + keys.public_key + "\n",
      S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH));
  return posix_file_system().sync_directory(parent_directory(path));
}

Result<std::string> read_curve_secret(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0 && errno == ENOENT) {
    return not_found("no secret key path=" + path + ": make one with verbatimctl keys generate");
  }
  if (file.fd() < 0) return errno_status(errno, "open", path);
  RETURN_IF_ERROR(check_is_private(file.fd(), path));
  std::array<char, kFileMaxBytes> text{};
  const ssize_t size = ::read(file.fd(), text.data(), text.size());
  if (size < 0) return errno_status(errno, "read", path);
  std::string key(key_line(std::string_view(text.data(), static_cast<size_t>(size))));
  if (check_curve_key(key).ok()) return key;
  return invalid_argument("no secret key of 40 characters in the file path=" + path +
                          ": make one with verbatimctl keys generate");
}

}  // namespace verbatim::base
