#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/mask/secret_forms.h"

namespace slipway::mask {

// Replaces every occurrence of a secret (in any form of SecretForms) in a byte stream by "***",
// leftmost first and then longest. The output depends on the stream alone, never on how it was cut
// into chunks. Holds back only an end of the input that may be the beginning of a secret: less than
// the longest form.
//
// Standard library only: process 1 of every container uses it too. Secrets are wiped on
// destruction. Thread-compatible.
class SecretMasker {
 public:
  static constexpr std::string_view kReplacement = "***";

  SecretMasker() : SecretMasker(std::vector<std::string>{}) {}
  // Values shorter than kMinSecret are ignored.
  explicit SecretMasker(const std::vector<std::string>& secrets);
  SecretMasker(const SecretMasker&) = delete;
  SecretMasker& operator=(const SecretMasker&) = delete;
  SecretMasker(SecretMasker&&) = default;
  SecretMasker& operator=(SecretMasker&& other) noexcept;
  ~SecretMasker();

  // No secret: Feed copies. A caller in a hurry may skip it.
  [[nodiscard]] bool empty() const { return patterns_.empty(); }
  // Bytes held back now.
  [[nodiscard]] std::size_t held() const { return held_.size(); }

  // Appends to *out what is decided by now.
  void Feed(std::string_view chunk, std::string* out);
  // The stream ends here: appends what was held back. The masker is as new afterwards.
  void Flush(std::string* out);

  // Masks one complete text.
  [[nodiscard]] std::string Mask(std::string_view text) const;

 private:
  struct Match {
    std::size_t begin;
    std::size_t size;
  };

  // Handles `data` from its start; returns how many bytes are done. With `final` that is all.
  std::size_t Scan(std::string_view data, bool final, std::string* out) const;
  // The first position in [from, data.size()) where a pattern lies, with the longest one there.
  bool FindMatch(std::string_view data, std::size_t from, Match* match) const;
  // The first position in [from, data.size()) whose rest is a proper beginning of a pattern.
  std::size_t FindPartial(std::string_view data, std::size_t from) const;
  void WipeAll();

  // Constant after construction. A hash of the four bytes at a position names the bucket of
  // patterns (numbers in patterns_, longest first) that may begin there; bucket 0 is empty.
  std::vector<std::string> patterns_;
  std::size_t longest_ = 0;
  std::vector<std::uint8_t> bucket_of_;  // empty without patterns
  std::vector<std::vector<std::uint32_t>> buckets_;
  std::array<std::vector<std::uint32_t>, 256> by_first_;  // by first byte of the pattern

  std::string held_;
};

}  // namespace slipway::mask
