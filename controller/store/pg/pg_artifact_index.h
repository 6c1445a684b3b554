#pragma once

#include <optional>
#include <span>
#include <vector>

#include "controller/artifacts/artifact_index.h"
#include "controller/store/pg/database.h"

namespace slipway::store::pg {

// The ArtifactIndex in PostgreSQL: one statement for any number of digests, whose rows are locked
// in the order of the digests so that uploads at the same time cannot wait for each other in a
// circle.
//
// Thread-safe. `database` must outlive it.
class PgArtifactIndex final : public artifacts::ArtifactIndex {
 public:
  explicit PgArtifactIndex(Database& database) : database_(database) {}

  absl::StatusOr<std::vector<bool>> Held(const ApplicationId& application,
                                         std::span<const Sha256Digest> digests,
                                         WallTime now) override;
  absl::StatusOr<std::vector<bool>> Planned(const ApplicationId& application,
                                            std::span<const Sha256Digest> digests,
                                            WallTime now) override;
  absl::Status Plan(const ApplicationId& application, std::span<const Sha256Digest> digests,
                    WallTime now, WallTime until) override;
  absl::Status MarkStored(const ApplicationId& application,
                          std::span<const manifest::BlobRef> blobs, WallTime until) override;
  absl::Status Finalize(const artifacts::Artifact& artifact,
                        std::span<const manifest::BlobRef> blobs, WallTime now) override;
  absl::StatusOr<std::optional<artifacts::Artifact>> Find(const ApplicationId& application,
                                                          const Sha256Digest& manifest) override;
  absl::StatusOr<bool> IsWhole(const ApplicationId& application,
                               const Sha256Digest& manifest) override;
  absl::StatusOr<std::vector<artifacts::Artifact>> List(const ApplicationId& application,
                                                        std::optional<WallTime> before,
                                                        std::size_t limit) override;

 private:
  absl::StatusOr<std::vector<bool>> InState(int least, const ApplicationId& application,
                                            std::span<const Sha256Digest> digests, WallTime now);

  Database& database_;
};

}  // namespace slipway::store::pg
