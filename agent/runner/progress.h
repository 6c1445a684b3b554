#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/time.h"

namespace slipway::runner {

// What the thread of an attempt must know again after the agent died: <attempt>/progress, replaced
// as a whole. Everything that can be found out anew is left out.
struct Progress {
  WallTime started_at;
  // Of a build, once resolved: the ref may name another commit by now.
  std::string commit;
  // In which life of the machine it was created; empty: an older agent did not say.
  std::string boot = {};
  // Once created: Docker's id. Before a step runs in it, this is saved.
  std::string container;
  // Name and id; the name as slipway.yaml says it, unless the image was prepared.
  std::string image = {};
  std::string image_id;
  // The same of the builder image that it was prepared of; empty: it is that one itself.
  std::string base_image = {};
  std::string base_image_id = {};
  // The container whose network it has joined; empty: it has its own.
  std::string network = {};
  // Once the product is an artifact, and something of it may be gone from the tree: its manifest.
  struct Archived {
    Sha256Digest manifest;
    std::uint64_t bytes = 0;
    std::uint32_t files = 0;

    friend bool operator==(const Archived&, const Archived&) = default;
  };
  std::optional<Archived> archived = {};
  // When the script or client was started.
  WallTime step_started_at;

  friend bool operator==(const Progress&, const Progress&) = default;
};

// What a saved progress has to outlive. A build's container does not outlive the machine, and an
// attempt of which nothing is known begins anew; where the client of a publish was started must not
// be forgotten.
enum class Survives { kProcess, kMachine };

[[nodiscard]] absl::Status SaveProgress(const std::string& attempt_dir, const Progress& progress,
                                        Survives survives);
// kNotFound: nothing was saved.
[[nodiscard]] absl::StatusOr<Progress> LoadProgress(const std::string& attempt_dir);

}  // namespace slipway::runner
