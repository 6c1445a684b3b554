#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "controller/api/package_convert.h"

namespace slipway::api {
namespace {

TEST_CASE("A package's password is taken out of the request, and its memory is wiped", "[unit]") {
  const std::string text = "a password that is too long to be kept within the string itself";
  v1::PackageEncryption encryption;
  CHECK(TakePassword(encryption).empty());

  encryption.set_cipher(v1::PACKAGE_CIPHER_SM4_CBC);
  encryption.set_password(text);
  const char* const memory = encryption.password().data();
  const crypto::SecretBytes password = TakePassword(encryption);
  CHECK(password.view() == text);
  CHECK(encryption.password().empty());
  // An emptied string keeps its memory.
  CHECK(std::string_view(memory, text.size()) == std::string(text.size(), '\0'));
  CHECK(encryption.cipher() == v1::PACKAGE_CIPHER_SM4_CBC);
  CHECK(TakePassword(encryption).empty());
}

}  // namespace
}  // namespace slipway::api
