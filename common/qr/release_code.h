#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/ids.h"

namespace slipway::qr {

// What the QR code of a release says: enough to find the release in its farm and the exact product
// in any copy of the archive.
struct ReleaseCode {
  ReleaseId release;
  std::string application;  // its name
  std::string platform;
  std::string version;
  Sha256Digest digest;  // of the product's manifest

  friend bool operator==(const ReleaseCode&, const ReleaseCode&) = default;
};

// "slipway:release/<id>?app=…&platform=…&version=…&digest=sha256:<hex>", or, when the farm has a
// public address, "<base URL>/r/<id>?…", which a phone's camera opens. Values percent-encoded.
std::string FormatReleaseCode(const ReleaseCode& code, std::string_view base_url = "");

// Reads either form, whatever the base URL. kInvalidArgument (NOT_A_RELEASE_CODE) names what is
// missing, doubled or malformed. Parameters it does not know are skipped.
absl::StatusOr<ReleaseCode> ParseReleaseCode(std::string_view text);

}  // namespace slipway::qr
