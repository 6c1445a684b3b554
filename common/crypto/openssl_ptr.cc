#include "common/crypto/openssl_ptr.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include "common/base/check.h"
#include "common/status/status.h"

namespace slipway::crypto::internal {

absl::Status StatusFromOpenSsl(absl::StatusCode code, std::string_view what) {
  std::string details;
  while (const unsigned long error = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(error);
    if (reason == nullptr) continue;
    if (!details.empty()) details += ", ";
    details += reason;
  }
  return MakeError(code, "",
                   details.empty() ? std::string(what) : fmt::format("{}: {}", what, details));
}

BioPtr ReadBio(std::string_view bytes) {
  SLIPWAY_CHECK(bytes.size() <= INT_MAX);
  // A null buffer would be refused even for no bytes at all.
  BioPtr bio(BIO_new_mem_buf(bytes.empty() ? "" : bytes.data(), static_cast<int>(bytes.size())));
  SLIPWAY_CHECK(bio != nullptr);
  return bio;
}

BioPtr MemoryBio(bool secret) {
  // The secure heap is not set up, but its BIO also cleanses every buffer it outgrows or frees.
  BioPtr bio(BIO_new(secret ? BIO_s_secmem() : BIO_s_mem()));
  SLIPWAY_CHECK(bio != nullptr);
  return bio;
}

std::string_view BioView(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size <= 0 ? std::string_view() : std::string_view(data, static_cast<std::size_t>(size));
}

}  // namespace slipway::crypto::internal
