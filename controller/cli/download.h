#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/manifest/manifest.h"
#include "controller/cli/client.h"
#include "controller/cli/stream_retry.h"

namespace slipway::cli {

// Brings the product `name` into the new directory `path`, every byte checked against `digest`, the
// digest of its manifest. Begins anew, as `retry` says, when the controller goes away meanwhile.
// `progress` hears how many bytes of the product are there so far. kDataLoss: the controller's
// bytes are not the product's. After an error whatever is at `path` is of no use.
[[nodiscard]] absl::StatusOr<manifest::Manifest> Download(
    const Client& client, const std::string& name, const Sha256Digest& digest,
    const std::string& path, const RetryOptions& retry,
    const std::function<void(std::uint64_t received)>& progress);

}  // namespace slipway::cli
