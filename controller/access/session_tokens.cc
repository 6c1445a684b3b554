#include "controller/access/session_tokens.h"

#include <fmt/format.h>
#include <jwt.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "common/base/check.h"
#include "common/crypto/hash.h"
#include "common/crypto/token.h"

namespace slipway::access {
namespace {

constexpr std::string_view kRefreshPrefix = "slr_";
constexpr std::size_t kLongestToken = 1024;

struct Free {
  void operator()(jwt_t* token) const { jwt_free(token); }
  void operator()(char* text) const { std::free(text); }
};
using Jwt = std::unique_ptr<jwt_t, Free>;

long Seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string Text(const char* grant) { return grant == nullptr ? "" : grant; }

const unsigned char* Bytes(std::string_view key) {
  return reinterpret_cast<const unsigned char*>(key.data());
}

}  // namespace

std::string SessionTokens::MakeAccess(const AccessClaims& claims, WallTime now) const {
  jwt_t* made = nullptr;
  SLIPWAY_CHECK(jwt_new(&made) == 0);
  const Jwt token(made);
  const bool filled =
      jwt_add_grant(made, "sub", claims.account.value().c_str()) == 0 &&
      jwt_add_grant(made, "sid", claims.login.value().c_str()) == 0 &&
      jwt_add_grant_int(made, "ep", claims.epoch) == 0 &&
      jwt_add_grant_int(made, "iat", Seconds(now)) == 0 &&
      jwt_add_grant_int(made, "exp", Seconds(claims.expires_at)) == 0 &&
      jwt_set_alg(made, JWT_ALG_HS256, Bytes(key_.view()), static_cast<int>(key_.size())) == 0;
  SLIPWAY_CHECK(filled);
  const std::unique_ptr<char, Free> text(jwt_encode_str(made));
  SLIPWAY_CHECK(text != nullptr);
  return text.get();
}

std::optional<AccessClaims> SessionTokens::ReadAccess(const std::string& token,
                                                      WallTime now) const {
  if (token.size() > kLongestToken || token.find('\0') != std::string::npos) return std::nullopt;
  jwt_t* read = nullptr;
  const int status =
      jwt_decode(&read, token.c_str(), Bytes(key_.view()), static_cast<int>(key_.size()));
  const Jwt owned(read);
  // The token chooses the algorithm, "none" among them; only ours counts.
  if (status != 0 || jwt_get_alg(read) != JWT_ALG_HS256) return std::nullopt;
  AccessClaims claims;
  claims.account = AccountId(Text(jwt_get_grant(read, "sub")));
  claims.login = LoginId(Text(jwt_get_grant(read, "sid")));
  claims.epoch = jwt_get_grant_int(read, "ep");
  claims.expires_at = WallTime(std::chrono::seconds(jwt_get_grant_int(read, "exp")));
  if (claims.account.value().empty() || claims.login.value().empty() || claims.expires_at <= now) {
    return std::nullopt;
  }
  return claims;
}

std::string SessionTokens::MakeRefresh(const RefreshClaims& claims) const {
  const std::string what = fmt::format("{}.{}", claims.login.value(), claims.generation);
  const Sha256Digest seal = crypto::HmacSha256(key_.view(), "refresh " + what);
  return fmt::format("{}{}.{}", kRefreshPrefix, what, seal.Hex());
}

std::optional<RefreshClaims> SessionTokens::ReadRefresh(std::string_view token) const {
  if (token.size() > kLongestToken || token.substr(0, kRefreshPrefix.size()) != kRefreshPrefix) {
    return std::nullopt;
  }
  const std::string_view body = token.substr(kRefreshPrefix.size());
  const auto dot = body.find('.');
  const auto second = body.find('.', dot + 1);
  if (dot == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  RefreshClaims claims;
  claims.login = LoginId(std::string(body.substr(0, dot)));
  const std::string_view number = body.substr(dot + 1, second - dot - 1);
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), claims.generation);
  if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  if (!crypto::ConstantTimeEqual(MakeRefresh(claims), token)) return std::nullopt;
  return claims;
}

bool SessionTokens::LooksLikeAccess(std::string_view token) { return token.substr(0, 3) == "eyJ"; }

}  // namespace slipway::access
