#include "controller/farm_keys.h"

#include <filesystem>
#include <functional>
#include <utility>

#include "common/crypto/key_file.h"
#include "common/crypto/token.h"
#include "common/status/status.h"

namespace slipway::controller {
namespace {

constexpr std::size_t kShortestSessionKey = 32;

using Maker = std::function<absl::StatusOr<crypto::KeyAndCertificate>()>;

absl::StatusOr<crypto::KeyAndCertificate> LoadOrCreate(const std::string& stem, MissingKeys missing,
                                                       const Maker& make) {
  const std::string key_path = stem + ".key";
  const std::string certificate_path = stem + ".pem";
  // The certificate is written last: a key alone is left over from a crash in the middle.
  std::error_code unknown;
  if (!std::filesystem::exists(certificate_path, unknown)) {
    if (unknown) return ErrnoError(unknown.value(), certificate_path);
    if (missing == MissingKeys::kRefuse) {
      return MakeError(
          absl::StatusCode::kDataLoss, "FARM_KEYS_MISSING",
          certificate_path + " is not there, but the database is a farm's in use",
          "Put back the folder `keys` of the controller that used this database; for a "
          "new farm use a database of its own. Only when they are lost for good: "
          "--new-keys, and then every agent joins anew and every credential is sealed "
          "anew.");
    }
    SLIPWAY_ASSIGN_OR_RETURN(auto made, make());
    SLIPWAY_RETURN_IF_ERROR(crypto::WriteSecretFile(key_path, made.key_pem.view()));
    SLIPWAY_RETURN_IF_ERROR(crypto::WriteSecretFile(certificate_path, made.certificate_pem));
    return made;
  }
  crypto::KeyAndCertificate loaded;
  SLIPWAY_ASSIGN_OR_RETURN(loaded.key_pem, crypto::ReadSecretFile(key_path));
  SLIPWAY_ASSIGN_OR_RETURN(const auto certificate, crypto::ReadSecretFile(certificate_path));
  loaded.certificate_pem = std::string(certificate.view());
  if (const absl::Status status =
          crypto::CheckKeyMatches(loaded.key_pem.view(), loaded.certificate_pem);
      !status.ok()) {
    return MakeError(absl::StatusCode::kDataLoss, "FARM_KEYS_DAMAGED",
                     stem + ": " + std::string(status.message()),
                     "Restore both files from a backup.");
  }
  return loaded;
}

}  // namespace

absl::StatusOr<FarmKeys> LoadOrCreateFarmKeys(const std::string& dir, const FarmId& farm,
                                              WallTime now, MissingKeys missing) {
  FarmKeys keys;
  SLIPWAY_ASSIGN_OR_RETURN(
      keys.ca, LoadOrCreate(dir + "/ca", missing, [&] { return crypto::CreateCa(farm, now); }));
  SLIPWAY_ASSIGN_OR_RETURN(keys.sealing, LoadOrCreate(dir + "/sealing", missing, [&] {
                             return crypto::CreateEncryptionCertificate(farm, now);
                           }));
  SLIPWAY_ASSIGN_OR_RETURN(const auto facts, crypto::ReadCertificate(keys.ca.certificate_pem));
  keys.ca_fingerprint = facts.fingerprint;
  return keys;
}

absl::StatusOr<crypto::SecretBytes> LoadOrCreateSessionKey(const std::string& path) {
  SLIPWAY_ASSIGN_OR_RETURN(auto key, LoadOrCreateToken(path));
  if (key.view().size() >= kShortestSessionKey) return key;
  return MakeError(absl::StatusCode::kDataLoss, "FARM_KEYS_DAMAGED",
                   path + ": shorter than 32 bytes, so that its tokens could be guessed",
                   "Restore it from a backup, or delete it and start again, which ends every "
                   "login.");
}

absl::StatusOr<crypto::SecretBytes> LoadOrCreateToken(const std::string& path) {
  std::error_code unknown;
  if (!std::filesystem::exists(path, unknown)) {
    if (unknown) return ErrnoError(unknown.value(), path);
    auto token = crypto::NewToken("slt_");
    SLIPWAY_RETURN_IF_ERROR(crypto::WriteSecretFile(path, token.view()));
    return token;
  }
  return crypto::ReadSecretFile(path);
}

}  // namespace slipway::controller
