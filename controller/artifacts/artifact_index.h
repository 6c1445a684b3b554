#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/manifest/manifest.h"

namespace slipway::artifacts {

// One artifact: a finished product of an application. The same product of the same application is
// one artifact however often it was built.
struct Artifact {
  ApplicationId application;
  Sha256Digest manifest;
  std::uint64_t total_bytes = 0;  // uncompressed
  std::uint64_t file_count = 0;
  WallTime created{};
};

// Who may count on which blob. Keeps, per (application, digest), a *hold*, in one of three states:
//
//   planned(until)   an upload of the application announced the blob; says nothing about bytes
//   stored(until)    the application sent the bytes and they are durable in the BlobStore
//   referenced       an artifact of the application needs the blob
//
// A hold only moves up (planned → stored → referenced); planning or storing again moves `until` to
// the later time and never lowers the state. Planned and stored holds whose `until` has passed
// count as absent. Holds of other applications are never looked at: whether a blob is known to the
// farm must not be visible. Garbage collection may delete a blob from the BlobStore only when no
// application has a live hold on it; it first marks the blob, and a marked blob counts as absent
// for Held and Finalize until it is stored again.
//
// Every method is one transaction, durable on return, and safe to repeat. Thread-safe.
class ArtifactIndex {
 public:
  virtual ~ArtifactIndex() = default;

  // Which of `digests` the application has in the state stored or referenced at `now`.
  virtual absl::StatusOr<std::vector<bool>> Held(const ApplicationId& application,
                                                 std::span<const Sha256Digest> digests,
                                                 WallTime now) = 0;

  // Which of `digests` the application has in any state at `now`.
  virtual absl::StatusOr<std::vector<bool>> Planned(const ApplicationId& application,
                                                    std::span<const Sha256Digest> digests,
                                                    WallTime now) = 0;

  // At least planned(until) for all of `digests`; extends stored holds that are live at `now`. A
  // stored hold that has ended becomes planned: its blob may be gone.
  virtual absl::Status Plan(const ApplicationId& application, std::span<const Sha256Digest> digests,
                            WallTime now, WallTime until) = 0;

  // At least stored(until) for all of `blobs`. Called only after BlobBatch::Commit; takes a mark of
  // the garbage collection off.
  virtual absl::Status MarkStored(const ApplicationId& application,
                                  std::span<const manifest::BlobRef> blobs, WallTime until) = 0;

  // Makes `artifact` with references to `blobs` (its manifest among them), all or nothing, if each
  // is held at `now`: checked under row locks that the garbage collection takes too. Ok when the
  // artifact exists already and all its blobs are held; its row keeps the first `created`.
  // kFailedPrecondition (BLOBS_MISSING): some are not held, ask for the missing ones again.
  virtual absl::Status Finalize(const Artifact& artifact, std::span<const manifest::BlobRef> blobs,
                                WallTime now) = 0;

  // nullopt: the application has no such artifact.
  virtual absl::StatusOr<std::optional<Artifact>> Find(const ApplicationId& application,
                                                       const Sha256Digest& manifest) = 0;

  // True: the application has this artifact and all its blobs are held. Answered without looking at
  // each of them: an artifact's blobs are referenced as long as it exists, so that only a mark can
  // make one count as absent, and where any blob that the application holds is marked the answer is
  // false.
  virtual absl::StatusOr<bool> IsWhole(const ApplicationId& application,
                                       const Sha256Digest& manifest) = 0;

  // The application's artifacts, newest first (then by digest), at most `limit`, older than
  // `before` (or all).
  virtual absl::StatusOr<std::vector<Artifact>> List(const ApplicationId& application,
                                                     std::optional<WallTime> before,
                                                     std::size_t limit) = 0;
};

}  // namespace slipway::artifacts
