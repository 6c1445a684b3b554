#include "common/crypto/ssh_key.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/crypto/hash.h"
#include "common/crypto/secret.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

constexpr std::string_view kBegin = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view kEnd = "-----END OPENSSH PRIVATE KEY-----";
constexpr std::string_view kMagic("openssh-key-v1\0", 15);
constexpr std::size_t kMaxKey = 16 * 1024;
constexpr std::array<std::string_view, 5> kTypes = {"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256",
                                                    "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};

absl::Status Bad(std::string_view why, std::string_view remedy = "") {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_SSH_KEY",
                   "the SSH key is not usable: " + std::string(why),
                   remedy.empty()
                       ? "Make one with `ssh-keygen -t ed25519 -N '' -f FILE` and give FILE."
                       : remedy);
}

absl::Status Damaged() { return Bad("it is damaged or cut"); }

// Lengths and strings as RFC 4251 writes them.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  std::optional<std::uint32_t> Number() {
    if (rest_.size() < 4) return std::nullopt;
    std::uint32_t number = 0;
    for (int i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(4);
    return number;
  }
  std::optional<std::string_view> String() {
    const auto size = Number();
    if (!size || *size > rest_.size()) return std::nullopt;
    const std::string_view text = rest_.substr(0, *size);
    rest_.remove_prefix(*size);
    return text;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// What stands between the two lines. Empty: there is none.
std::string_view Armored(std::string_view text) {
  const std::size_t begin = text.find(kBegin);
  if (begin == std::string_view::npos) return "";
  text.remove_prefix(begin + kBegin.size());
  return text.substr(0, std::min(text.find(kEnd), text.size()));
}

std::optional<SecretBytes> DecodeBase64(std::string_view text) {
  SecretBytes digits(text.size() + 1);
  std::size_t count = 0;
  for (const char c : text) {
    if (c != '\n' && c != '\r' && c != ' ' && c != '\t') digits.data()[count++] = c;
  }
  if (count == 0 || count % 4 != 0) return std::nullopt;
  SecretBytes bytes(count / 4 * 3 + 1);
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(digits.data()),
                                   static_cast<int>(count));
  if (size < 0) return std::nullopt;
  // The last characters may stand for no bytes.
  std::size_t used = static_cast<std::size_t>(size);
  for (std::size_t i = count; i > count - 2 && digits.data()[i - 1] == '='; --i) --used;
  bytes.Truncate(used);
  return bytes;
}

std::string Fingerprint(std::string_view public_key) {
  const std::string digest = Sha256Of(public_key).Bytes();
  std::array<unsigned char, 64> text{};
  const int size =
      EVP_EncodeBlock(text.data(), reinterpret_cast<const unsigned char*>(digest.data()),
                      static_cast<int>(digest.size()));
  std::string words(reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(size));
  while (!words.empty() && words.back() == '=') words.pop_back();
  return "SHA256:" + words;
}

absl::Status WhyNoKey(std::string_view text) {
  const auto has = [&](std::string_view part) { return text.find(part) != std::string_view::npos; };
  if (has("PRIVATE KEY-----")) {
    return Bad("it is a private key, but not in OpenSSH's own form",
               "`ssh-keygen -p -N '' -f FILE` writes it in that form.");
  }
  if (text.rfind("ssh-", 0) == 0 || text.rfind("ecdsa-", 0) == 0 || has("PUBLIC KEY")) {
    return Bad("it is the public key", "Give the file without \".pub\".");
  }
  return Bad("there is no private key in it");
}

// The unencrypted part repeats the type behind two equal numbers.
bool IsWhole(std::string_view secret_part, std::string_view type) {
  WireReader inner(secret_part);
  const auto first = inner.Number();
  const auto second = inner.Number();
  const auto inner_type = inner.String();
  return first && second && *first == *second && inner_type && *inner_type == type &&
         inner.rest().size() >= 32;
}

}  // namespace

absl::StatusOr<SshKey> ReadSshKey(std::string_view text) {
  if (text.size() > kMaxKey) return Bad("it is larger than 16 KiB");
  const std::string_view armored = Armored(text);
  if (armored.empty()) return WhyNoKey(text);
  if (text.find(kEnd) == std::string_view::npos) return Damaged();
  const auto bytes = DecodeBase64(armored);
  if (!bytes || bytes->view().substr(0, kMagic.size()) != kMagic) return Damaged();
  WireReader reader(bytes->view().substr(kMagic.size()));
  const auto cipher = reader.String();
  const auto kdf = reader.String();
  const auto kdf_options = reader.String();
  const auto count = reader.Number();
  const auto public_key = reader.String();
  const auto secret_part = reader.String();
  if (!cipher || !kdf || !kdf_options || !count || !public_key || !secret_part) return Damaged();
  if (*cipher != "none" || *kdf != "none") {
    return Bad("it is behind a passphrase, which nobody could type at a build",
               "`ssh-keygen -p -N '' -f FILE` takes the passphrase off a copy of it.");
  }
  if (*count != 1) return Bad("the file holds several keys");
  const auto type = WireReader(*public_key).String();
  if (!type) return Damaged();
  if (type->rfind("sk-", 0) == 0) return Bad("it is on a security key, which somebody must touch");
  if (std::find(kTypes.begin(), kTypes.end(), *type) == kTypes.end()) {
    return Bad("its type is none of ssh-ed25519, ssh-rsa, ecdsa-sha2-nistp256/384/521");
  }
  if (!IsWhole(*secret_part, *type)) return Damaged();
  return SshKey{std::string(*type), Fingerprint(*public_key)};
}

}  // namespace slipway::crypto
