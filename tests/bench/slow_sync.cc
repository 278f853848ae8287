// slow_sync.so, preloaded (LD_PRELOAD): makes a process's disk one whose flush takes milliseconds.
// Each sync, and each write to a file opened with O_DSYNC, ends VERBATIM_SLOW_SYNC_US later than it
// would. The program under test is the one that is shipped.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace {

std::chrono::microseconds delay() {
  static const char* const text = std::getenv("VERBATIM_SLOW_SYNC_US");
  return std::chrono::microseconds(text == nullptr ? 2'000 : std::atol(text));
}

int slow(int result) {
  std::this_thread::sleep_for(delay());
  return result;
}

ssize_t slow_if_synchronous(int file, ssize_t result) {
  if ((::fcntl(file, F_GETFL) & O_DSYNC) != 0) std::this_thread::sleep_for(delay());
  return result;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int fsync(int file) { return slow(next<int(int)>("fsync")(file)); }
int fdatasync(int file) { return slow(next<int(int)>("fdatasync")(file)); }
ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  static auto* const real = next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return slow_if_synchronous(file, real(file, bytes, size, offset));
}
ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  static auto* const real = next<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return slow_if_synchronous(file, real(file, bytes, size, offset));
}
ssize_t pwritev(int file, const struct iovec* parts, int count, off_t offset) {
  static auto* const real = next<ssize_t(int, const struct iovec*, int, off_t)>("pwritev");
  return slow_if_synchronous(file, real(file, parts, count, offset));
}

}  // extern "C"
