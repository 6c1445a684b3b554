#include "agent/artifacts/tree_fetcher.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "common/status/status.h"

namespace slipway::artifacts {

absl::StatusOr<manifest::Manifest> FetchTree(ArtifactSource& source, const Sha256Digest& manifest,
                                             const std::string& path, const WaitFunction& wait,
                                             const RetryOptions& options) {
  std::error_code error;
  if (std::filesystem::symlink_status(path, error).type() !=
      std::filesystem::file_type::not_found) {
    return MakeError(absl::StatusCode::kAlreadyExists, "", fmt::format("{} exists already", path));
  }
  Backoff backoff(options);
  while (true) {
    manifest::TreeReceiver receiver(path, manifest);
    absl::Status status = source.Fetch(manifest, receiver);
    if (status.ok()) {
      absl::StatusOr<manifest::Manifest> received = receiver.Finish();
      if (received.ok()) return received;
      status = received.status();
    }
    std::filesystem::remove_all(path, error);
    if (!IsTransient(status)) return status;
    if (!wait(backoff.Next())) {
      return MakeError(absl::StatusCode::kCancelled, "", "fetching the product was cancelled");
    }
  }
}

}  // namespace slipway::artifacts
