// ReadWindows: pieces of segments as read from the disk, so that what is consumed in order costs
// one read for many records.
// I1 A window holds only what was written and synced when it was read, which never changes.
// Threads: one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/file_system.h"
#include "base/status.h"
#include "queue/log/group_buffer.h"
#include "queue/log/log_format.h"

namespace verbatim::queue {

class ReadWindows {
 public:
  static constexpr uint64_t kWindowBytes = 256 * 1024;
  static constexpr size_t kWindowCount = 8;

  // The bytes at `position`, if a window has them. Valid until the next load().
  std::optional<std::string_view> find(LogPosition position, uint64_t size);
  // Reads the window that begins at the position's block and ends at `end` at the latest; gives
  // what of `size` bytes is there.
  Result<std::string_view> load(base::File& file, LogPosition position, uint64_t size,
                                uint64_t end);
  // Frees what lies in segments below.
  void forget_below(uint64_t generation);

 private:
  struct Window {
    LogPosition begin;
    uint64_t last_use = 0;
    std::optional<GroupBuffer> bytes;
  };
  static std::optional<std::string_view> look(const Window& window, LogPosition position,
                                              uint64_t size);
  Window& least_used();

  std::array<Window, kWindowCount> windows_;
  Window* last_ = &windows_.front();
  uint64_t use_ = 0;
};

}  // namespace verbatim::queue
