#include "controller/api/package_call.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

namespace slipway::api {
namespace {

TEST_CASE("A package's password is taken out of the request, and its memory is wiped", "[unit]") {
  const std::string text = "a password that is too long to be kept within the string itself";
  v1::DownloadPackageRequest request;
  CHECK(TakePassword(request).empty());
  CHECK_FALSE(request.has_encryption());

  request.mutable_encryption()->set_cipher(v1::PACKAGE_CIPHER_SM4_CBC);
  request.mutable_encryption()->set_password(text);
  const char* const memory = request.encryption().password().data();
  const crypto::SecretBytes password = TakePassword(request);
  CHECK(password.view() == text);
  CHECK(request.encryption().password().empty());
  // An emptied string keeps its memory.
  CHECK(std::string_view(memory, text.size()) == std::string(text.size(), '\0'));
  CHECK(request.encryption().cipher() == v1::PACKAGE_CIPHER_SM4_CBC);
  CHECK(TakePassword(request).empty());
}

}  // namespace
}  // namespace slipway::api
