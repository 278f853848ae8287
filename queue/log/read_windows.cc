#include "queue/log/read_windows.h"

#include <algorithm>

namespace verbatim::queue {

std::optional<std::string_view> ReadWindows::look(const Window& window, LogPosition position,
                                                  uint64_t size) {
  if (!window.bytes || window.begin.generation != position.generation ||
      position.offset < window.begin.offset) {
    return std::nullopt;
  }
  const uint64_t at = position.offset - window.begin.offset;
  if (at + size > window.bytes->size()) return std::nullopt;
  return window.bytes->view().substr(at, size);
}

std::optional<std::string_view> ReadWindows::find(LogPosition position, uint64_t size) {
  if (const auto bytes = look(*last_, position, size)) return bytes;
  for (Window& window : windows_) {
    if (const auto bytes = look(window, position, size)) {
      window.last_use = ++use_;
      last_ = &window;
      return bytes;
    }
  }
  return std::nullopt;
}

Result<std::string_view> ReadWindows::load(base::File& file, LogPosition position, uint64_t size,
                                           uint64_t end) {
  const LogPosition begin{position.generation, position.offset / kBlockSize * kBlockSize};
  const uint64_t wanted = std::min(kWindowBytes, end - begin.offset);
  // The disk reads the next window while this one is used, where they are taken in order.
  const bool is_in_order =
      last_->bytes && last_->begin < begin &&
      begin <= LogPosition{last_->begin.generation, last_->begin.offset + last_->bytes->size()};
  Window& window = least_used();
  if (!window.bytes) window.bytes.emplace(kWindowBytes);
  window.begin = begin;
  window.last_use = ++use_;
  window.bytes->clear();
  char* const to = window.bytes->extend(wanted);
  const auto count = file.read_at(begin.offset, std::span<char>(to, wanted));
  window.bytes->clear();
  if (!count) return count.error();
  window.bytes->extend(*count);
  if (is_in_order) file.advise(begin.offset + wanted, kWindowBytes, base::File::Use::kSoon);
  last_ = &window;
  const uint64_t at = position.offset - begin.offset;
  return window.bytes->view().substr(std::min<uint64_t>(at, *count), size);
}

void ReadWindows::forget_below(uint64_t generation) {
  for (Window& window : windows_) {
    if (window.begin.generation < generation) window.bytes.reset();
  }
}

ReadWindows::Window& ReadWindows::least_used() {
  Window* found = &windows_.front();
  for (Window& window : windows_) {
    if (!window.bytes) return window;
    if (window.last_use < found->last_use) found = &window;
  }
  return *found;
}

}  // namespace verbatim::queue
