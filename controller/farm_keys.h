#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/crypto/pki.h"

namespace slipway::controller {

// The farm's lasting keys, as files below `dir` (0600): ca.key/ca.pem signs the farm's
// certificates, sealing.key/sealing.pem opens credentials. Losing them means joining every agent
// and sealing every credential again, so they belong into the backup.
struct FarmKeys {
  crypto::KeyAndCertificate ca;
  crypto::KeyAndCertificate sealing;
  Sha256Digest ca_fingerprint;
};

enum class MissingKeys {
  kCreate,
  kRefuse,  // agents and credentials depend on keys that were there once
};

// kFailedPrecondition (SECRET_FILE_OPEN_TO_OTHERS); kDataLoss: a key without its certificate, or
// one that does not belong to it (FARM_KEYS_DAMAGED), or none although there must be
// (FARM_KEYS_MISSING).
[[nodiscard]] absl::StatusOr<FarmKeys> LoadOrCreateFarmKeys(const std::string& dir,
                                                            const FarmId& farm, WallTime now,
                                                            MissingKeys missing);

// The API token of the account "admin" in `path` (0600); made when the file is not there.
[[nodiscard]] absl::StatusOr<crypto::SecretBytes> LoadOrCreateToken(const std::string& path);

// The key that signs the tokens of logins. kDataLoss FARM_KEYS_DAMAGED: the file is too short.
absl::StatusOr<crypto::SecretBytes> LoadOrCreateSessionKey(const std::string& path);

}  // namespace slipway::controller
