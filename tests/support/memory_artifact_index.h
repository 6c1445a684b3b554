#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/status/status.h"
#include "controller/artifacts/artifact_index.h"

namespace slipway::testing {

// ArtifactIndex in memory, by the rules in its header. Thread-safe.
class MemoryArtifactIndex final : public artifacts::ArtifactIndex {
 public:
  absl::StatusOr<std::vector<bool>> Held(const ApplicationId& application,
                                         std::span<const Sha256Digest> digests,
                                         WallTime now) override {
    return AtLeast(State::kStored, application, digests, now);
  }

  absl::StatusOr<std::vector<bool>> Planned(const ApplicationId& application,
                                            std::span<const Sha256Digest> digests,
                                            WallTime now) override {
    return AtLeast(State::kPlanned, application, digests, now);
  }

  absl::Status Plan(const ApplicationId& application, std::span<const Sha256Digest> digests,
                    WallTime now, WallTime until) override {
    const std::lock_guard lock(mu_);
    for (const Sha256Digest& digest : digests) {
      if (!Has(State::kPlanned, application, digest, now)) holds_.erase({application, digest});
    }
    for (const Sha256Digest& digest : digests) Raise(State::kPlanned, application, digest, until);
    return absl::OkStatus();
  }

  absl::Status MarkStored(const ApplicationId& application,
                          std::span<const manifest::BlobRef> blobs, WallTime until) override {
    const std::lock_guard lock(mu_);
    for (const manifest::BlobRef& blob : blobs) {
      Raise(State::kStored, application, blob.digest, until);
      marked_.erase(blob.digest);
    }
    return absl::OkStatus();
  }

  absl::Status Finalize(const artifacts::Artifact& artifact,
                        std::span<const manifest::BlobRef> blobs, WallTime now) override {
    const std::lock_guard lock(mu_);
    for (const manifest::BlobRef& blob : blobs) {
      if (!Has(State::kStored, artifact.application, blob.digest, now)) {
        return MakeError(absl::StatusCode::kFailedPrecondition, "BLOBS_MISSING",
                         "blobs of the product are missing");
      }
    }
    for (const manifest::BlobRef& blob : blobs) {
      Raise(State::kReferenced, artifact.application, blob.digest, now);
    }
    artifacts_.try_emplace({artifact.application, artifact.manifest}, artifact);
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<artifacts::Artifact>> Find(const ApplicationId& application,
                                                          const Sha256Digest& manifest) override {
    const std::lock_guard lock(mu_);
    const auto found = artifacts_.find({application, manifest});
    if (found == artifacts_.end()) return std::optional<artifacts::Artifact>();
    return std::optional(found->second);
  }

  absl::StatusOr<bool> IsWhole(const ApplicationId& application,
                               const Sha256Digest& manifest) override {
    const std::lock_guard lock(mu_);
    if (!artifacts_.contains({application, manifest})) return false;
    return std::none_of(holds_.begin(), holds_.end(), [&](const auto& hold) {
      return hold.first.first == application && marked_.contains(hold.first.second);
    });
  }

  absl::StatusOr<std::vector<artifacts::Artifact>> List(const ApplicationId& application,
                                                        std::optional<WallTime> before,
                                                        std::size_t limit) override {
    const std::lock_guard lock(mu_);
    std::vector<artifacts::Artifact> found;
    for (const auto& [key, artifact] : artifacts_) {
      if (key.first == application && (!before || artifact.created < *before)) {
        found.push_back(artifact);
      }
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.created > b.created; });
    if (found.size() > limit) found.resize(limit);
    return found;
  }

  // What the garbage collection does first: the blob counts as absent until stored again.
  void Mark(const Sha256Digest& digest) {
    const std::lock_guard lock(mu_);
    marked_.insert(digest);
  }

 private:
  enum class State { kPlanned, kStored, kReferenced };
  struct Hold {
    State state;
    WallTime until;
  };

  bool Has(State least, const ApplicationId& application, const Sha256Digest& digest,
           WallTime now) const {
    const auto found = holds_.find({application, digest});
    if (found == holds_.end() || found->second.state < least) return false;
    if (least >= State::kStored && marked_.contains(digest)) return false;
    return found->second.state == State::kReferenced || found->second.until > now;
  }

  std::vector<bool> AtLeast(State least, const ApplicationId& application,
                            std::span<const Sha256Digest> digests, WallTime now) {
    const std::lock_guard lock(mu_);
    std::vector<bool> result;
    for (const Sha256Digest& digest : digests) {
      result.push_back(Has(least, application, digest, now));
    }
    return result;
  }

  void Raise(State state, const ApplicationId& application, const Sha256Digest& digest,
             WallTime until) {
    Hold& hold = holds_.try_emplace({application, digest}, Hold{state, until}).first->second;
    hold.state = std::max(hold.state, state);
    hold.until = std::max(hold.until, until);
  }

  std::mutex mu_;
  // Guarded by mu_.
  std::map<std::pair<ApplicationId, Sha256Digest>, Hold> holds_;
  std::map<std::pair<ApplicationId, Sha256Digest>, artifacts::Artifact> artifacts_;
  std::set<Sha256Digest> marked_;
};

}  // namespace slipway::testing
