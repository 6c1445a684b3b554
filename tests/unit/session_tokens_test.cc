#include "controller/access/session_tokens.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

namespace slipway::access {
namespace {

using namespace std::chrono_literals;

const WallTime kNow(std::chrono::seconds(1'800'000'000));

SessionTokens Tokens(const std::string& key = std::string(32, 'k')) {
  return SessionTokens(crypto::SecretBytes::CopyOf(key));
}

AccessClaims Claims() {
  return {.account = AccountId("acct-1"),
          .login = LoginId("login-1"),
          .epoch = 3,
          .expires_at = kNow + 10min};
}

// Base64url of a text, as a forger would write it.
std::string Encode(const std::string& text) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) out += kDigits[bits >> (count - 6) & 63];
  }
  if (count > 0) out += kDigits[bits << (6 - count) & 63];
  return out;
}

TEST_CASE("SessionTokens: an access token says whose it is until it expires", "[unit]") {
  const SessionTokens tokens = Tokens();
  const std::string token = tokens.MakeAccess(Claims(), kNow);
  CHECK(SessionTokens::LooksLikeAccess(token));
  const auto read = tokens.ReadAccess(token, kNow + 9min);
  REQUIRE(read);
  CHECK(read->account == AccountId("acct-1"));
  CHECK(read->login == LoginId("login-1"));
  CHECK(read->epoch == 3);
  CHECK(read->expires_at == kNow + 10min);
  CHECK_FALSE(tokens.ReadAccess(token, kNow + 10min));
}

TEST_CASE("SessionTokens: what another key has signed, or what was changed, is refused", "[unit]") {
  const SessionTokens tokens = Tokens();
  const std::string token = tokens.MakeAccess(Claims(), kNow);
  CHECK_FALSE(Tokens(std::string(32, 'x')).ReadAccess(token, kNow));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const auto read = tokens.ReadAccess(changed, kNow);
    // The last digit of a base64 text has bits that count for nothing.
    if (read) CHECK(i + 1 == token.size());
  }
  for (const std::size_t size : {0, 3, 40}) {
    CHECK_FALSE(tokens.ReadAccess(token.substr(0, size), kNow));
  }
  CHECK_FALSE(tokens.ReadAccess(token + std::string(4096, 'A'), kNow));
  CHECK_FALSE(tokens.ReadAccess(token + std::string(1, '\0'), kNow));
}

TEST_CASE("SessionTokens: a token that asks for no signature or another algorithm is refused",
          "[unit]") {
  const SessionTokens tokens = Tokens();
  const std::string body = Encode(R"({"sub":"acct-1","sid":"login-1","ep":3,"exp":1900000000})");
  for (const char* algorithm : {"none", "None", "NONE", "HS512", "RS256", ""}) {
    CAPTURE(algorithm);
    const std::string head = Encode(std::string(R"({"alg":")") + algorithm + R"(","typ":"JWT"})");
    CHECK_FALSE(tokens.ReadAccess(head + "." + body + ".", kNow));
    CHECK_FALSE(tokens.ReadAccess(head + "." + body, kNow));
    CHECK_FALSE(tokens.ReadAccess(head + "." + body + "." + Encode("signature"), kNow));
  }
}

TEST_CASE("SessionTokens: a refresh token names login and generation, and bears no change",
          "[unit]") {
  const SessionTokens tokens = Tokens();
  const std::string token = tokens.MakeRefresh({.login = LoginId("login-1"), .generation = 7});
  CHECK_FALSE(SessionTokens::LooksLikeAccess(token));
  const auto read = tokens.ReadRefresh(token);
  REQUIRE(read);
  CHECK(read->login == LoginId("login-1"));
  CHECK(read->generation == 7);
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == '1' ? '2' : '1';
    CHECK_FALSE(tokens.ReadRefresh(changed));
  }
  CHECK_FALSE(Tokens(std::string(32, 'x')).ReadRefresh(token));
  for (const char* nonsense : {"", "slr_", "slr_..", "slr_login-1.7", "slr_login-1.x.00"}) {
    CHECK_FALSE(tokens.ReadRefresh(nonsense));
  }
}

}  // namespace
}  // namespace slipway::access
