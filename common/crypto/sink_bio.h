#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/crypto/openssl_ptr.h"

// Functions as OpenSSL's ends of a chain. Only for the .cc files of common/crypto.
namespace slipway::crypto::internal {

// Where bytes go, and the error that it ended with.
struct BioOutput {
  std::function<absl::Status(std::string_view bytes)> sink;
  absl::Status status{};
};
// `output` must outlive it.
BioPtr OutputBio(BioOutput& output);

// Where bytes come from; 0: the end.
struct BioInput {
  std::function<absl::StatusOr<std::size_t>(std::span<char> buffer)> read;
  absl::Status status{};
};
// `input` must outlive it.
BioPtr InputBio(BioInput& input);

}  // namespace slipway::crypto::internal
