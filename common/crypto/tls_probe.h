#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"

namespace slipway::crypto {

// The certificates (PEM, the server's own first) that a TLS server shows, WITHOUT trusting it:
// nothing is sent to it, and whoever asks must check the chain against something known before. For
// joining a farm by the fingerprint of its CA. kUnavailable, CONTROLLER_UNREACHABLE: no connection
// or no TLS there; kDeadlineExceeded.
[[nodiscard]] absl::StatusOr<std::vector<std::string>> FetchPresentedChain(const std::string& host,
                                                                           std::uint16_t port,
                                                                           Duration timeout);

}  // namespace slipway::crypto
