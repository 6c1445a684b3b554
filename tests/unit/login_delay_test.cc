#include "controller/access/login_delay.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "common/crypto/password.h"

namespace slipway::access {
namespace {

using namespace std::chrono_literals;
using crypto::CheckNewPassword;
using crypto::FitsPassword;
using crypto::HashPassword;
using crypto::NewPassword;

MonoTime At(Duration since) { return MonoTime(1h + since); }

TEST_CASE("LoginDelay: the first failures cost nothing, then each wait is twice the one before",
          "[unit]") {
  LoginDelay delay({.free_tries = 2, .first = 1s, .longest = 10s});
  delay.Failed("mei", At(0s));
  delay.Failed("mei", At(0s));
  CHECK(delay.Left("mei", At(0s)) == 0s);
  for (const Duration wait : {1s, 2s, 4s, 8s, 10s, 10s}) {
    delay.Failed("mei", At(0s));
    CHECK(delay.Left("mei", At(0s)) == wait);
  }
  CHECK(delay.Left("mei", At(4s)) == 6s);
  CHECK(delay.Left("mei", At(10s)) == 0s);
  CHECK(delay.Left("li", At(0s)) == 0s);
}

TEST_CASE("LoginDelay: a success or a quiet while is the end of it", "[unit]") {
  LoginDelay delay({.free_tries = 0, .first = 1s, .longest = 1min, .forgiven_after = 15min});
  for (int i = 0; i < 100; ++i) delay.Failed("mei", At(0s));
  CHECK(delay.Left("mei", At(0s)) == 1min);
  CHECK(delay.Left("mei", At(15min)) == 0s);
  delay.Failed("mei", At(15min));
  CHECK(delay.Left("mei", At(15min)) == 1s);
  delay.Succeeded("mei");
  CHECK(delay.Left("mei", At(15min)) == 0s);
}

TEST_CASE("LoginDelay: so many keys are remembered and no more, the newest ones", "[unit]") {
  LoginDelay delay({.free_tries = 0, .capacity = 100});
  for (int i = 0; i < 10'000; ++i) delay.Failed(std::to_string(i), At(0s));
  CHECK(delay.Left("9999", At(0s)) > 0s);
  CHECK(delay.Left("9900", At(0s)) > 0s);
  CHECK(delay.Left("9899", At(0s)) == 0s);
}

TEST_CASE("Password: fits its own hash only, and no password fits none", "[unit]") {
  const std::string hash = HashPassword("correct horse battery");
  CHECK(hash.substr(0, 10) == "$argon2id$");
  CHECK(FitsPassword(hash, "correct horse battery"));
  CHECK_FALSE(FitsPassword(hash, "correct horse batterz"));
  CHECK_FALSE(FitsPassword(hash, ""));
  CHECK_FALSE(FitsPassword("", "correct horse battery"));
  CHECK_FALSE(FitsPassword("no hash at all", "correct horse battery"));
  CHECK(HashPassword("correct horse battery") != hash);
}

TEST_CASE("Password: new ones are long enough and differ", "[unit]") {
  CHECK(CheckNewPassword(NewPassword()).ok());
  CHECK(NewPassword() != NewPassword());
  CHECK_FALSE(CheckNewPassword("123456789").ok());
  CHECK(CheckNewPassword("1234567890").ok());
  CHECK_FALSE(CheckNewPassword(std::string(1025, 'x')).ok());
}

}  // namespace
}  // namespace slipway::access
