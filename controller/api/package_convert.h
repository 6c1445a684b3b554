#pragma once

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/crypto/package_cms.h"
#include "common/crypto/pki.h"
#include "common/crypto/secret.h"
#include "controller/domain/task.h"
#include "controller/packaging/package_file.h"
#include "slipway/v1/channel.pb.h"
#include "slipway/v1/package.pb.h"

namespace slipway::api {

[[nodiscard]] v1::PackageCipher ToProto(crypto::PackageCipher cipher);

// The password of an encryption, which is overwritten in the message.
[[nodiscard]] crypto::SecretBytes TakePassword(v1::PackageEncryption& encryption);

// Overwrites the passwords of a request of gRPC's own at the end of its work: nobody reads it
// again, and they must not outlive their use. `packaging` outlives this.
class ForgettingPasswords {
 public:
  explicit ForgettingPasswords(const v1::Packaging& packaging)
      : packaging_(const_cast<v1::Packaging&>(packaging)) {}
  ~ForgettingPasswords();
  ForgettingPasswords(const ForgettingPasswords&) = delete;
  ForgettingPasswords& operator=(const ForgettingPasswords&) = delete;

 private:
  v1::Packaging& packaging_;
};

// How a package is to be made, checked. `encryption`: null for none; its password is given beside
// it. kInvalidArgument, reason BAD_FIELD or BAD_PASSWORD.
[[nodiscard]] absl::StatusOr<packaging::PackageOrder> OrderFrom(
    v1::PackageForm form, const v1::PackageEncryption* encryption, crypto::SecretBytes password,
    WallTime now);

// What a submit says of packages, as it is kept with `run`: its passwords sealed for the farm, or
// hashed, which takes some ten milliseconds. kInvalidArgument names the field.
[[nodiscard]] absl::StatusOr<domain::Packaging> PackagingFrom(const v1::Packaging& packaging,
                                                              const domain::Run& run,
                                                              const FarmId& farm,
                                                              const std::string& farm_certificate,
                                                              WallTime now);

}  // namespace slipway::api
