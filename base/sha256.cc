#include "base/sha256.h"

#include <openssl/evp.h>

#include "base/check.h"

namespace verbatim::base {

namespace {

// Looked up once: doing so for each digest costs more than the digest of an address.
const EVP_MD* algorithm() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(fetched != nullptr, "SHA-256 is not available");
  return fetched;
}

}  // namespace

struct Sha256::State {
  State() : context(EVP_MD_CTX_new()) {
    CHECK(context != nullptr, "no memory for a digest");
    start();
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void start() {
    CHECK(EVP_DigestInit_ex2(context, algorithm(), nullptr) == 1, "SHA-256 is not available");
  }

  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1, "digest update failed");
}

std::string Sha256::finish() {
  std::string digest(kSha256Size, '\0');
  auto* out = reinterpret_cast<unsigned char*>(digest.data());
  CHECK(EVP_DigestFinal_ex(state_->context, out, nullptr) == 1, "digest failed");
  state_->start();
  return digest;
}

std::string sha256(std::string_view bytes) {
  thread_local Sha256 digest;
  digest.update(bytes);
  return digest.finish();
}

}  // namespace verbatim::base
