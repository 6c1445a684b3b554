#include "controller/store/pg/pg_artifact_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>

#include "common/status/status.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

constexpr int kPlanned = 1;
constexpr int kStored = 2;

// Digests travel as one array of hex texts.
#define SLIPWAY_PG_DIGESTS                                                                        \
  "SELECT decode(hex, 'hex') AS digest, place FROM unnest($2::text[]) WITH ORDINALITY AS u(hex, " \
  "place)"

// A mark hides stored and referenced holds only: a planned one says nothing about bytes.
constexpr Statement kHeld{"artifacts_held", R"(
WITH asked AS ()" SLIPWAY_PG_DIGESTS R"()
SELECT h.digest IS NOT NULL AND ($3 < 2 OR m.digest IS NULL) AS held
  FROM asked
  LEFT JOIN blob_holds h
    ON h.application_id = $1 AND h.digest = asked.digest AND h.state >= $3
   AND (h.state = 3 OR h.held_until > from_micros($4))
  LEFT JOIN blob_marks m ON m.digest = asked.digest
 ORDER BY place)"};

// In the order of the digests, so that two uploads of the same files cannot deadlock. A hold that
// has ended counts as absent, so its state does not survive.
constexpr Statement kPlan{"artifacts_plan", R"(
WITH asked AS ()" SLIPWAY_PG_DIGESTS R"()
INSERT INTO blob_holds AS h (application_id, digest, state, held_until)
SELECT $1, digest, 1, from_micros($4) FROM (SELECT DISTINCT digest FROM asked) d ORDER BY digest
ON CONFLICT (application_id, digest) DO UPDATE
   SET held_until = greatest(h.held_until, excluded.held_until),
       state = CASE WHEN h.state < 3 AND h.held_until <= from_micros($3) THEN 1 ELSE h.state END)"};

constexpr Statement kMarkStored{"artifacts_mark_stored", R"(
WITH asked AS ()" SLIPWAY_PG_DIGESTS R"(), unmarked AS (
  DELETE FROM blob_marks m USING asked WHERE m.digest = asked.digest
)
INSERT INTO blob_holds AS h (application_id, digest, state, held_until)
SELECT $1, digest, 2, from_micros($3) FROM (SELECT DISTINCT digest FROM asked) d ORDER BY digest
ON CONFLICT (application_id, digest) DO UPDATE
   SET held_until = greatest(h.held_until, excluded.held_until),
       state = greatest(h.state, 2))"};

// The rows that may be counted on, locked against the garbage collection.
constexpr Statement kLockHeld{"artifacts_lock_held", R"(
WITH asked AS ()" SLIPWAY_PG_DIGESTS R"()
SELECT h.digest FROM blob_holds h
 WHERE h.application_id = $1 AND h.digest IN (SELECT digest FROM asked)
   AND (h.state = 3 OR (h.state = 2 AND h.held_until > from_micros($3)))
   AND NOT EXISTS (SELECT 1 FROM blob_marks m WHERE m.digest = h.digest)
 ORDER BY h.digest FOR UPDATE OF h)"};

constexpr Statement kReference{"artifacts_reference", R"(
WITH asked AS ()" SLIPWAY_PG_DIGESTS R"()
UPDATE blob_holds h SET state = 3 FROM asked
 WHERE h.application_id = $1 AND h.digest = asked.digest)"};

constexpr Statement kAddArtifact{"artifacts_add", R"(
INSERT INTO artifacts (application_id, manifest, total_bytes, file_count, created_at)
VALUES ($1, decode($2, 'hex'), $3, $4, from_micros($5)) ON CONFLICT DO NOTHING)"};

#define SLIPWAY_PG_ARTIFACT_QUERY                                                         \
  "SELECT application_id, encode(manifest, 'hex') AS manifest, total_bytes, file_count, " \
  "to_micros(created_at) AS created_at FROM artifacts WHERE application_id = $1 "
constexpr Statement kFind{"artifacts_find",
                          SLIPWAY_PG_ARTIFACT_QUERY "AND manifest = decode($2, 'hex')"};
constexpr Statement kList{"artifacts_list", SLIPWAY_PG_ARTIFACT_QUERY
                          "AND ($2 = 0 OR created_at < from_micros($2)) "
                          "ORDER BY artifacts.created_at DESC, manifest LIMIT $3"};

template <typename Items, typename DigestOf>
std::string HexArray(const Items& items, DigestOf digest_of) {
  std::string text = "{";
  for (const auto& item : items) {
    if (text.size() > 1) text += ',';
    text += digest_of(item).Hex();
  }
  return text + "}";
}

std::string HexArray(std::span<const Sha256Digest> digests) {
  return HexArray(digests, [](const Sha256Digest& digest) { return digest; });
}

std::string HexArray(std::span<const manifest::BlobRef> blobs) {
  return HexArray(blobs, [](const manifest::BlobRef& blob) { return blob.digest; });
}

artifacts::Artifact ArtifactFromRow(const pqxx::row& row) {
  return {.application = ApplicationId(row["application_id"].as<std::string>()),
          .manifest = Sha256Digest::Parse(row["manifest"].as<std::string>()).value(),
          .total_bytes = row["total_bytes"].as<std::uint64_t>(),
          .file_count = row["file_count"].as<std::uint64_t>(),
          .created = TimeOf(row["created_at"])};
}

}  // namespace

absl::StatusOr<std::vector<bool>> PgArtifactIndex::AtLeast(int state,
                                                           const ApplicationId& application,
                                                           std::span<const Sha256Digest> digests,
                                                           WallTime now) {
  std::vector<bool> held;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    for (const pqxx::row& row :
         transaction.Run(kHeld, application.value(), HexArray(digests), state, ToUnixMicros(now))) {
      held.push_back(row["held"].as<bool>());
    }
    return absl::OkStatus();
  }));
  return held;
}

absl::StatusOr<std::vector<bool>> PgArtifactIndex::Held(const ApplicationId& application,
                                                        std::span<const Sha256Digest> digests,
                                                        WallTime now) {
  return AtLeast(kStored, application, digests, now);
}

absl::StatusOr<std::vector<bool>> PgArtifactIndex::Planned(const ApplicationId& application,
                                                           std::span<const Sha256Digest> digests,
                                                           WallTime now) {
  return AtLeast(kPlanned, application, digests, now);
}

absl::Status PgArtifactIndex::Plan(const ApplicationId& application,
                                   std::span<const Sha256Digest> digests, WallTime now,
                                   WallTime until) {
  return database_.Write([&](Transaction& transaction) {
    transaction.Run(kPlan, application.value(), HexArray(digests), ToUnixMicros(now),
                    ToUnixMicros(until));
    return absl::OkStatus();
  });
}

absl::Status PgArtifactIndex::MarkStored(const ApplicationId& application,
                                         std::span<const manifest::BlobRef> blobs, WallTime until) {
  return database_.Write([&](Transaction& transaction) {
    transaction.Run(kMarkStored, application.value(), HexArray(blobs), ToUnixMicros(until));
    return absl::OkStatus();
  });
}

absl::Status PgArtifactIndex::Finalize(const artifacts::Artifact& artifact,
                                       std::span<const manifest::BlobRef> blobs, WallTime now) {
  return database_.Write([&](Transaction& transaction) {
    std::vector<Sha256Digest> needed;
    for (const manifest::BlobRef& blob : blobs) needed.push_back(blob.digest);
    std::sort(needed.begin(), needed.end());
    needed.erase(std::unique(needed.begin(), needed.end()), needed.end());
    const std::string digests = HexArray(std::span<const Sha256Digest>(needed));
    const std::string& application = artifact.application.value();
    const auto locked = transaction.Run(kLockHeld, application, digests, ToUnixMicros(now));
    if (locked.size() != needed.size()) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "BLOBS_MISSING",
                       fmt::format("{} of {} blobs of the product are missing",
                                   needed.size() - locked.size(), needed.size()),
                       "Ask for the missing ones again and send them.");
    }
    transaction.Run(kReference, application, digests);
    transaction.Run(kAddArtifact, application, artifact.manifest.Hex(), artifact.total_bytes,
                    artifact.file_count, ToUnixMicros(artifact.created));
    return absl::OkStatus();
  });
}

absl::StatusOr<std::optional<artifacts::Artifact>> PgArtifactIndex::Find(
    const ApplicationId& application, const Sha256Digest& manifest) {
  std::optional<artifacts::Artifact> found;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    const auto rows = transaction.Run(kFind, application.value(), manifest.Hex());
    if (!rows.empty()) found = ArtifactFromRow(rows[0]);
    return absl::OkStatus();
  }));
  return found;
}

absl::StatusOr<std::vector<artifacts::Artifact>> PgArtifactIndex::List(
    const ApplicationId& application, std::optional<WallTime> before, std::size_t limit) {
  std::vector<artifacts::Artifact> found;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    for (const pqxx::row& row :
         transaction.Run(kList, application.value(), before ? ToUnixMicros(*before) : 0,
                         static_cast<std::int64_t>(limit))) {
      found.push_back(ArtifactFromRow(row));
    }
    return absl::OkStatus();
  }));
  return found;
}

}  // namespace slipway::store::pg
