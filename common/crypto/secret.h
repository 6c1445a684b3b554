#pragma once

#include <cstddef>
#include <ostream>
#include <string_view>

namespace slipway::crypto {

// Bytes that must not outlive their use: keys, tokens, opened credentials. On pages of their own,
// kept out of core dumps and (as far as RLIMIT_MEMLOCK allows) out of swap, overwritten before the
// memory goes back. Not copyable by accident and not printable: writing one to a stream does not
// compile. Whoever copies view() into a string takes over the duty to wipe it.
// Thread-compatible.
class SecretBytes {
 public:
  SecretBytes() = default;
  // `size` zero bytes. Aborts when the system has no memory for them.
  explicit SecretBytes(std::size_t size);
  ~SecretBytes();
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;

  static SecretBytes CopyOf(std::string_view bytes);

  [[nodiscard]] std::string_view view() const { return {data_, size_}; }
  [[nodiscard]] char* data() { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  // Forgets everything behind `size`, wiping it. REQUIRES: size <= this->size().
  void Truncate(std::size_t size);

 private:
  void Clear();

  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
};

std::ostream& operator<<(std::ostream& out, const SecretBytes& secret) = delete;

// Overwrites `size` bytes at `data` in a way the compiler does not drop.
void Wipe(void* data, std::size_t size);

}  // namespace slipway::crypto
