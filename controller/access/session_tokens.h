#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/crypto/secret.h"

namespace slipway::access {

// What an access token says: a JWT (RFC 7519), signed with HS256.
struct AccessClaims {
  AccountId account;
  LoginId login;
  std::int64_t epoch = 0;  // of the account
  WallTime expires_at;     // whole seconds
};

// What a refresh token says.
struct RefreshClaims {
  LoginId login;
  std::int64_t generation = 0;
};

// Makes and reads the two tokens of a login. Both are good for who holds the farm's session key, so
// nothing of them is stored: the generation of a login tells a spent refresh token from the newest.
// Thread-safe.
class SessionTokens {
 public:
  // 32 bytes or more.
  explicit SessionTokens(crypto::SecretBytes key) : key_(std::move(key)) {}

  [[nodiscard]] std::string MakeAccess(const AccessClaims& claims, WallTime now) const;
  // nullopt: not one of ours, of another algorithm, or expired.
  [[nodiscard]] std::optional<AccessClaims> ReadAccess(const std::string& token,
                                                       WallTime now) const;

  [[nodiscard]] std::string MakeRefresh(const RefreshClaims& claims) const;
  // nullopt: not one of ours.
  [[nodiscard]] std::optional<RefreshClaims> ReadRefresh(std::string_view token) const;

  // Whether a bearer token is an access token by its form.
  [[nodiscard]] static bool LooksLikeAccess(std::string_view token);

 private:
  crypto::SecretBytes key_;
};

}  // namespace slipway::access
