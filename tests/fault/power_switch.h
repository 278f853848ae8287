// PowerSwitch: a FileSystem over another one that stops the program's world right before its Nth
// sync: that sync and everything after it fail without reaching the disk, so that all that was
// written since is still unsynced when the power goes. (A failed sync of FaultFileSystem is
// different: it marks the pages clean.)
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/file_system.h"

namespace verbatim::testing {

class PowerSwitch final : public base::FileSystem {
 public:
  explicit PowerSwitch(base::FileSystem& disk) : disk_(disk) {}

  // The `nth` sync from now (1 is the next) does not happen any more; 0 switches back on.
  void stop_before_sync(uint64_t nth) {
    state_->left = nth;
    state_->is_off = false;
  }
  bool has_stopped() const { return state_->is_off; }

  Result<std::unique_ptr<base::File>> open(const std::string& path, base::OpenMode mode) override {
    RETURN_IF_ERROR(state_->check());
    ASSIGN_OR_RETURN(auto file, disk_.open(path, mode));
    return std::unique_ptr<base::File>(std::make_unique<SwitchedFile>(std::move(file), state_));
  }
  Result<std::vector<std::string>> list_directory(const std::string& path) override {
    RETURN_IF_ERROR(state_->check());
    return disk_.list_directory(path);
  }
  Status create_directories(const std::string& path) override {
    RETURN_IF_ERROR(state_->check());
    return disk_.create_directories(path);
  }
  Status rename(const std::string& from, const std::string& to) override {
    RETURN_IF_ERROR(state_->check());
    return disk_.rename(from, to);
  }
  Status remove(const std::string& path) override {
    RETURN_IF_ERROR(state_->check());
    return disk_.remove(path);
  }
  bool exists(const std::string& path) override { return disk_.exists(path); }
  Result<uint64_t> file_size(const std::string& path) override { return disk_.file_size(path); }
  Result<int64_t> modified_unix_ns(const std::string& path) override {
    return disk_.modified_unix_ns(path);
  }
  Status sync_directory(const std::string& path) override {
    RETURN_IF_ERROR(state_->before_sync());
    return disk_.sync_directory(path);
  }
  Result<uint64_t> free_bytes(const std::string& path) override { return disk_.free_bytes(path); }
  Result<std::unique_ptr<base::FileLock>> lock_file(const std::string& path) override {
    return disk_.lock_file(path);
  }

 private:
  struct State {
    uint64_t left = 0;
    bool is_off = false;

    Status check() const { return is_off ? unavailable("the power is off") : Status(); }
    Status before_sync() {
      if (left > 0 && --left == 0) is_off = true;
      return check();
    }
  };

  class SwitchedFile final : public base::File {
   public:
    SwitchedFile(std::unique_ptr<base::File> file, std::shared_ptr<State> state)
        : file_(std::move(file)), state_(std::move(state)) {}
    Status write_at(uint64_t offset, std::string_view bytes) override {
      RETURN_IF_ERROR(state_->check());
      return file_->write_at(offset, bytes);
    }
    Status append(std::string_view bytes) override {
      RETURN_IF_ERROR(state_->check());
      return file_->append(bytes);
    }
    Result<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
      return file_->read_at(offset, buffer);
    }
    Status sync_data() override {
      RETURN_IF_ERROR(state_->before_sync());
      return file_->sync_data();
    }
    Status sync() override {
      RETURN_IF_ERROR(state_->before_sync());
      return file_->sync();
    }
    Result<uint64_t> size() override { return file_->size(); }
    Status truncate(uint64_t size) override {
      RETURN_IF_ERROR(state_->check());
      return file_->truncate(size);
    }
    const std::string& path() const override { return file_->path(); }

   private:
    std::unique_ptr<base::File> file_;
    std::shared_ptr<State> state_;
  };

  base::FileSystem& disk_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace verbatim::testing
