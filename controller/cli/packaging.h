#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/crypto/package_cms.h"
#include "common/crypto/secret.h"
#include "controller/cli/session.h"
#include "slipway/v1/channel.pb.h"
#include "slipway/v1/package.pb.h"

// What a command says of packages, as the controller is told it.
namespace slipway::cli {

// For whom a package is encrypted.
struct EncryptionFlags {
  std::string cipher;                   // empty: aes-256-gcm, if anything says for whom
  std::vector<std::string> recipients;  // files
  std::string password_file;            // "-": standard input
};
// Anything was said.
[[nodiscard]] bool Encrypts(const EncryptionFlags& flags);
// REQUIRES: Encrypts(flags). Asks for a password when nobody else is named.
[[nodiscard]] absl::Status ReadEncryption(Session& session, const EncryptionFlags& flags,
                                          v1::PackageEncryption& encryption);

// How the packages of a submit's channels are made.
struct PackagingFlags {
  std::string form;  // "zip" or "tar.gz"; empty: zip
  EncryptionFlags encryption;
  std::string page_password_file;  // "-": standard input
};
// Anything was said.
[[nodiscard]] bool SaysPackaging(const PackagingFlags& flags);
[[nodiscard]] absl::Status ReadPackaging(Session& session, const PackagingFlags& flags,
                                         v1::Packaging& packaging);
// Overwrites the passwords of a request.
void ForgetPasswords(v1::Packaging& packaging);

[[nodiscard]] v1::PackageCipher ToProto(crypto::PackageCipher cipher);
// Asks a person; `twice` for one that is new.
[[nodiscard]] absl::StatusOr<crypto::SecretBytes> AskPackagePassword(Session& session, bool twice);

}  // namespace slipway::cli
