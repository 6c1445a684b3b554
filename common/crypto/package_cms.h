#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/time.h"
#include "common/crypto/secret.h"

// Files of any size for people outside of the farm: CMS (RFC 5652, RFC 5083) as BER, for
// certificates or a password, which `openssl cms -decrypt -inform DER` opens too. cms.h, its
// neighbour, seals small documents for the farm itself and knows one kind only. Neither end holds
// the content in memory.
namespace slipway::crypto {

enum class PackageCipher { kAes256Gcm, kAes256Cbc, kSm4Cbc };

// "aes-256-gcm" and so on.
[[nodiscard]] std::string_view PackageCipherName(PackageCipher cipher);
[[nodiscard]] std::optional<PackageCipher> PackageCipherOf(std::string_view name);
// False: a changed file may open, to something else.
[[nodiscard]] bool IsAuthenticated(PackageCipher cipher);

inline constexpr std::size_t kMaxPackageRecipients = 16;

// Bytes on their way; an error ends the work and is returned to whoever feeds it.
using PackageSink = std::function<absl::Status(std::string_view bytes)>;

// For whom a package is: certificates or a password, not both.
struct PackageRecipients {
  // PEM, one certificate in each and no other block. Keys: RSA from 2048 to 8192 bits, EC on P-256,
  // P-384 or P-521.
  std::vector<std::string> certificates{};
  SecretBytes password{};
};

// Ok: a package can be made for them, at `now`. kInvalidArgument, reason BAD_FIELD or BAD_PASSWORD:
// what is wrong with which one. Thread-safe.
[[nodiscard]] absl::Status CheckPackageRecipients(const PackageRecipients& recipients,
                                                  WallTime now);

// The certificate of a text that has one, in PEM and without what stands around it: what may be
// given to others. kInvalidArgument (BAD_FIELD): there is none, there are further PEM blocks, which
// nobody would encrypt for, or a private key. Thread-safe.
[[nodiscard]] absl::StatusOr<std::string> OnlyCertificate(std::string_view text);

// SHA-256 of each certificate's DER. REQUIRES: each is one. Thread-safe.
[[nodiscard]] std::vector<Sha256Digest> FingerprintsOf(const PackageRecipients& recipients);

// Encrypts a package while it is written. The file is whole only after Finish.
// Thread-compatible.
class PackageSealer {
 public:
  // Derives the key from a password, which takes about a second of one core. REQUIRES:
  // CheckPackageRecipients is ok.
  static absl::StatusOr<PackageSealer> Create(PackageCipher cipher,
                                              const PackageRecipients& recipients,
                                              PackageSink sink);
  ~PackageSealer();
  PackageSealer(PackageSealer&&) noexcept;
  PackageSealer& operator=(PackageSealer&&) = delete;

  // The sink's own error when there is one; after any the sealer is of no use. Finish REQUIRES:
  // something was appended.
  absl::Status Append(std::string_view bytes);
  absl::Status Finish();

 private:
  struct Parts;
  explicit PackageSealer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// What a package says of itself. None of it is proved.
struct PackageFacts {
  PackageCipher cipher = PackageCipher::kAes256Gcm;
  bool for_password = false;
};

// Reads over the whole file, so that one that is cut is found before anything is opened.
// kInvalidArgument (PACKAGE_BROKEN): not a package, cut, of a kind that Slipway does not make, with
// more recipients or rounds of password derivation than it may have, or with a shortened
// authentication tag. REQUIRES: `fd` is a regular file. Thread-safe.
[[nodiscard]] absl::StatusOr<PackageFacts> ReadPackageFacts(int fd);

// What opens a package: a private key in PEM, without passphrase, or the password.
struct PackageKey {
  SecretBytes private_key{};
  SecretBytes password{};
};

// Hands the content to `sink`, all of which must be thrown away unless the end is ok.
// kInvalidArgument (PACKAGE_BROKEN) as ReadPackageFacts; kPermissionDenied (PACKAGE_KEY): neither
// key nor password fits; kDataLoss (PACKAGE_CHANGED): the content was changed, or the RSA key is
// not the recipient's, which OpenSSL does not tell apart so that nobody learns from it. An
// unauthenticated package may be changed and ok. REQUIRES: `fd` is a regular file that nobody
// writes. Thread-safe.
[[nodiscard]] absl::Status OpenPackage(int fd, const PackageKey& key, const PackageSink& sink);

}  // namespace slipway::crypto
