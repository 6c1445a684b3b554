#include "common/crypto/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/check.h"

namespace slipway::crypto {

void Wipe(void* data, std::size_t size) { OPENSSL_cleanse(data, size); }

SecretBytes::SecretBytes(std::size_t size) : size_(size) {
  if (size == 0) return;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  mapped_ = (size + page - 1) / page * page;
  void* memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  SLIPWAY_CHECK(memory != MAP_FAILED);
  // Both are best effort: neither a small memlock limit nor an old kernel makes the secret
  // unusable.
  static_cast<void>(madvise(memory, mapped_, MADV_DONTDUMP));
  static_cast<void>(mlock(memory, mapped_));
  data_ = static_cast<char*>(memory);
}

SecretBytes::~SecretBytes() { Clear(); }

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    Clear();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    mapped_ = std::exchange(other.mapped_, 0);
  }
  return *this;
}

SecretBytes SecretBytes::CopyOf(std::string_view bytes) {
  SecretBytes secret(bytes.size());
  std::copy(bytes.begin(), bytes.end(), secret.data_);
  return secret;
}

void SecretBytes::Truncate(std::size_t size) {
  SLIPWAY_CHECK(size <= size_);
  if (data_ != nullptr) Wipe(data_ + size, size_ - size);
  size_ = size;
}

void SecretBytes::Clear() {
  if (data_ != nullptr) {
    Wipe(data_, mapped_);
    munmap(data_, mapped_);
  }
  data_ = nullptr;
  size_ = mapped_ = 0;
}

}  // namespace slipway::crypto
