// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace verbatim::base {

inline constexpr size_t kSha256Size = 32;

// Gives 32 raw bytes; base/hex.h makes them readable.
std::string sha256(std::string_view bytes);

// The same, in parts. A moved-from object may only be destroyed or assigned to.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  // Gives 32 raw bytes and starts anew.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace verbatim::base
