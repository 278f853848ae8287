// GroupBuffer: the bytes of a group, in memory that can be written past the page cache; and the
// pool that keeps a few of them warm, because the first touch of fresh memory costs more than
// filling it.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/mutex.h"

namespace verbatim::queue {

// Begins at a multiple of base::kDirectAlignment; grows by doubling. What extend() gives is not
// zeroed: everything is written once.
class GroupBuffer {
 public:
  explicit GroupBuffer(size_t capacity) : capacity_(round_up(capacity)), data_(make(capacity_)) {}

  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  std::string_view view() const { return {data_.get(), size_}; }

  // Adds `count` bytes of any content and gives where they stand, until the next extend().
  char* extend(size_t count) {
    if (size_ + count > capacity_) grow(size_ + count);
    char* const at = data_.get() + size_;
    size_ += count;
    return at;
  }
  void append(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(extend(bytes.size()), bytes.data(), bytes.size());
  }
  // Zeros up to a multiple of `alignment`.
  void pad(size_t alignment) {
    const size_t count = (alignment - size_ % alignment) % alignment;
    if (count > 0) std::memset(extend(count), 0, count);
  }
  void clear() { size_ = 0; }

 private:
  struct Free {
    void operator()(char* memory) const {
      ::operator delete[](memory, std::align_val_t{base::kDirectAlignment});
    }
  };
  using Memory = std::unique_ptr<char[], Free>;

  static size_t round_up(size_t size) {
    return (size + base::kDirectAlignment - 1) / base::kDirectAlignment * base::kDirectAlignment;
  }
  static Memory make(size_t capacity) {
    return Memory(
        static_cast<char*>(::operator new[](capacity, std::align_val_t{base::kDirectAlignment})));
  }
  void grow(size_t size) {
    const size_t capacity = round_up(size < 2 * capacity_ ? 2 * capacity_ : size);
    Memory data = make(capacity);
    std::memcpy(data.get(), data_.get(), size_);
    data_ = std::move(data);
    capacity_ = capacity;
  }

  size_t capacity_;
  size_t size_ = 0;
  Memory data_;
};

// Threads: any; a buffer comes back wherever its last user lets go of it.
class GroupBufferPool {
 public:
  // An empty buffer with room for about `size` bytes, most likely one that has been used.
  std::shared_ptr<GroupBuffer> take(size_t size) {
    std::unique_ptr<GroupBuffer> buffer;
    {
      base::MutexLock lock(free_->mutex);
      auto& buffers = free_->buffers;
      for (auto it = buffers.begin(); it != buffers.end() && !buffer; ++it) {
        // Not one much too big: the cache counts whole buffers.
        if ((*it)->capacity() < size || (*it)->capacity() > 4 * size) continue;
        buffer = std::move(*it);
        buffers.erase(it);
      }
    }
    if (!buffer) buffer = std::make_unique<GroupBuffer>(size);
    buffer->clear();
    return {buffer.release(), [free = free_](GroupBuffer* done) { free->put(done); }};
  }

 private:
  static constexpr size_t kKeptCount = 3;

  struct Free {
    base::Mutex mutex;
    std::vector<std::unique_ptr<GroupBuffer>> buffers GUARDED_BY(mutex);

    void put(GroupBuffer* done) {
      std::unique_ptr<GroupBuffer> buffer(done);
      base::MutexLock lock(mutex);
      buffers.push_back(std::move(buffer));
      if (buffers.size() > kKeptCount) buffers.erase(buffers.begin());
    }
  };
  std::shared_ptr<Free> free_ = std::make_shared<Free>();
};

}  // namespace verbatim::queue
