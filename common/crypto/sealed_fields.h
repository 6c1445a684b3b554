#pragma once

#include <array>
#include <boost/json.hpp>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/crypto/cms.h"
#include "common/crypto/secret.h"
#include "common/status/status.h"

// The small JSON documents that credentials are sealed as. Private to this library: it shows
// Boost.JSON.
namespace slipway::crypto {

// CREDENTIAL_BROKEN, kInvalidArgument. `again`: the command that makes a good one.
absl::Status BrokenCredential(std::string_view why, std::string_view again);

// A document of texts, built or parsed on pages that are wiped, so that no copy of a secret lands
// on the ordinary heap. Confined to one thread.
class SealedFields {
 public:
  // `again`: as in BrokenCredential, for every error.
  explicit SealedFields(std::string_view again);
  SealedFields(const SealedFields&) = delete;
  SealedFields& operator=(const SealedFields&) = delete;

  void Add(std::string_view name, std::string_view text);
  // Its document, sealed. kInvalidArgument: it would be too large, or a text is no UTF-8.
  absl::StatusOr<std::string> SealFor(std::string_view certificate_pem) const;

  // REQUIRES: nothing was added. Errors of Open (cms.h), or CREDENTIAL_BROKEN: no such document.
  absl::Status OpenFrom(std::string_view sealed_pem, std::string_view certificate_pem,
                        std::string_view key_pem);
  [[nodiscard]] bool Has(std::string_view name) const;
  // Lives as long as this. CREDENTIAL_BROKEN: there is no such text.
  [[nodiscard]] absl::StatusOr<std::string_view> Get(std::string_view name) const;
  // Several texts, as Get.
  template <std::size_t kCount>
  [[nodiscard]] absl::StatusOr<std::array<std::string_view, kCount>> GetAll(
      const std::string_view (&names)[kCount]) const {
    std::array<std::string_view, kCount> texts;
    for (std::size_t i = 0; i < kCount; ++i) {
      SLIPWAY_ASSIGN_OR_RETURN(texts[i], Get(names[i]));
    }
    return texts;
  }
  // The first name whose text is not the one that is wanted; "": all are. Errors as Get.
  using Wanted = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  [[nodiscard]] absl::StatusOr<std::string_view> FirstDifference(Wanted wanted) const;

 private:
  absl::Status Parse(std::string_view text);

  const std::string again_;
  SecretBytes scratch_;
  boost::json::monotonic_resource memory_;
  boost::json::value document_;
};

}  // namespace slipway::crypto
