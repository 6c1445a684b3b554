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

constexpr int kPlanned = 0;
constexpr int kStored = 1;

// $1 application, $2 digests in hex, $3 now, $4 least state.
constexpr Statement kInState{"artifact_in_state", R"(
SELECT h.digest IS NOT NULL
  FROM unnest($2::text[]) WITH ORDINALITY AS d(digest, n)
  LEFT JOIN blob_holds h
    ON h.application_id = $1 AND h.digest = decode(d.digest, 'hex') AND h.state >= $4
   AND (h.state = 2 OR h.until > from_micros($3))
   AND ($4 = 0 OR NOT EXISTS (SELECT FROM blob_marks m WHERE m.digest = h.digest))
 ORDER BY d.n)"};

// $3 now, $4 until. A hold that has ended starts anew.
constexpr Statement kPlan{"artifact_plan", R"(
INSERT INTO blob_holds AS h (application_id, digest, state, until)
SELECT DISTINCT $1, decode(d, 'hex'), 0, from_micros($4) FROM unnest($2::text[]) AS d ORDER BY 2
ON CONFLICT (application_id, digest) DO UPDATE
   SET state = CASE WHEN h.state = 2 OR h.until > from_micros($3) THEN h.state ELSE 0 END,
       until = CASE WHEN h.state = 2 OR h.until > from_micros($3)
                    THEN greatest(h.until, excluded.until) ELSE excluded.until END)"};

constexpr Statement kMarkStored{"artifact_mark_stored", R"(
WITH unmarked AS (
  DELETE FROM blob_marks WHERE digest IN (SELECT decode(d, 'hex') FROM unnest($2::text[]) AS d)
)
INSERT INTO blob_holds AS h (application_id, digest, state, until)
SELECT DISTINCT $1, decode(d, 'hex'), 1, from_micros($3) FROM unnest($2::text[]) AS d ORDER BY 2
ON CONFLICT (application_id, digest) DO UPDATE
   SET state = greatest(h.state, 1), until = greatest(h.until, excluded.until))"};

constexpr Statement kLockHolds{"artifact_lock_holds", R"(
SELECT FROM blob_holds
 WHERE application_id = $1 AND digest IN (SELECT decode(d, 'hex') FROM unnest($2::text[]) AS d)
 ORDER BY digest
   FOR UPDATE)"};
constexpr Statement kReference{"artifact_reference", R"(
UPDATE blob_holds
   SET state = 2
 WHERE application_id = $1 AND state < 2
   AND digest IN (SELECT decode(d, 'hex') FROM unnest($2::text[]) AS d))"};
constexpr Statement kInsert{"artifact_insert", R"(
INSERT INTO artifacts (application_id, manifest, total_bytes, file_count, created_at)
VALUES ($1, decode($2, 'hex'), $3, $4, coalesce(from_micros($5), 'epoch'))
ON CONFLICT DO NOTHING)"};

#define SLIPWAY_PG_ARTIFACT_QUERY                                                         \
  "SELECT application_id, encode(manifest, 'hex') AS manifest, total_bytes, file_count, " \
  "to_micros(created_at) AS created_at FROM artifacts WHERE application_id = $1 "
constexpr Statement kFind{"artifact_find",
                          SLIPWAY_PG_ARTIFACT_QUERY "AND manifest = decode($2, 'hex')"};
constexpr Statement kIsWhole{"artifact_is_whole", R"(
SELECT EXISTS (SELECT FROM artifacts WHERE application_id = $1 AND manifest = decode($2, 'hex'))
   AND NOT EXISTS (SELECT FROM blob_marks m JOIN blob_holds h USING (digest)
                    WHERE h.application_id = $1))"};
constexpr Statement kList{"artifact_list", SLIPWAY_PG_ARTIFACT_QUERY R"(
   AND ($2::bigint IS NULL OR created_at < timestamptz 'epoch' + $2 * interval '1 microsecond')
 ORDER BY created_at DESC, manifest
 LIMIT $3)"};

std::string HexArray(std::span<const Sha256Digest> digests) {
  std::string text = "{";
  text.reserve(digests.size() * (2 * Sha256Digest::kSize + 1) + 2);
  for (const Sha256Digest& digest : digests) {
    if (text.size() > 1) text += ',';
    text += digest.Hex();
  }
  return text + "}";
}

std::vector<Sha256Digest> DigestsOf(std::span<const manifest::BlobRef> blobs) {
  std::vector<Sha256Digest> digests;
  digests.reserve(blobs.size());
  for (const manifest::BlobRef& blob : blobs) digests.push_back(blob.digest);
  return digests;
}

artifacts::Artifact ArtifactFromRow(const pqxx::row& row) {
  return {
      .application = ApplicationId(row["application_id"].as<std::string>()),
      .manifest = Sha256Digest::Parse(row["manifest"].as<std::string>()).value_or(Sha256Digest()),
      .total_bytes = row["total_bytes"].as<std::uint64_t>(),
      .file_count = row["file_count"].as<std::uint64_t>(),
      .created = TimeOf(row["created_at"])};
}

absl::Status CheckApplication(const ApplicationId& application) {
  if (IsStorableText(application.value())) return absl::OkStatus();
  return absl::InvalidArgumentError("the id of the application is no text");
}

}  // namespace

absl::StatusOr<std::vector<bool>> PgArtifactIndex::InState(int least,
                                                           const ApplicationId& application,
                                                           std::span<const Sha256Digest> digests,
                                                           WallTime now) {
  SLIPWAY_RETURN_IF_ERROR(CheckApplication(application));
  std::vector<bool> found;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    for (const pqxx::row& row : transaction.Run(kInState, application.value(), HexArray(digests),
                                                ToUnixMicros(now), least)) {
      found.push_back(row[0].as<bool>());
    }
    return absl::OkStatus();
  }));
  return found;
}

absl::StatusOr<std::vector<bool>> PgArtifactIndex::Held(const ApplicationId& application,
                                                        std::span<const Sha256Digest> digests,
                                                        WallTime now) {
  return InState(kStored, application, digests, now);
}

absl::StatusOr<std::vector<bool>> PgArtifactIndex::Planned(const ApplicationId& application,
                                                           std::span<const Sha256Digest> digests,
                                                           WallTime now) {
  return InState(kPlanned, application, digests, now);
}

absl::Status PgArtifactIndex::Plan(const ApplicationId& application,
                                   std::span<const Sha256Digest> digests, WallTime now,
                                   WallTime until) {
  SLIPWAY_RETURN_IF_ERROR(CheckApplication(application));
  return database_.Write([&](Transaction& transaction) {
    transaction.Run(kPlan, application.value(), HexArray(digests), ToUnixMicros(now),
                    ToUnixMicros(until));
    return absl::OkStatus();
  });
}

absl::Status PgArtifactIndex::MarkStored(const ApplicationId& application,
                                         std::span<const manifest::BlobRef> blobs, WallTime until) {
  SLIPWAY_RETURN_IF_ERROR(CheckApplication(application));
  return database_.Write([&](Transaction& transaction) {
    transaction.Run(kMarkStored, application.value(), HexArray(DigestsOf(blobs)),
                    ToUnixMicros(until));
    return absl::OkStatus();
  });
}

absl::Status PgArtifactIndex::Finalize(const artifacts::Artifact& artifact,
                                       std::span<const manifest::BlobRef> blobs, WallTime now) {
  SLIPWAY_RETURN_IF_ERROR(CheckApplication(artifact.application));
  const std::string& application = artifact.application.value();
  const std::string digests = HexArray(DigestsOf(blobs));
  return database_.Write([&](Transaction& transaction) -> absl::Status {
    transaction.Run(kLockHolds, application, digests);
    std::size_t missing = 0;
    for (const pqxx::row& row :
         transaction.Run(kInState, application, digests, ToUnixMicros(now), kStored)) {
      if (!row[0].as<bool>()) ++missing;
    }
    if (missing > 0) {
      return MakeError(
          absl::StatusCode::kFailedPrecondition, "BLOBS_MISSING",
          fmt::format("{} of {} blobs of the product are missing", missing, blobs.size()),
          "Ask which ones are missing and send them.");
    }
    transaction.Run(kReference, application, digests);
    transaction.Run(kInsert, application, artifact.manifest.Hex(), artifact.total_bytes,
                    artifact.file_count, ToUnixMicros(artifact.created));
    return absl::OkStatus();
  });
}

absl::StatusOr<std::optional<artifacts::Artifact>> PgArtifactIndex::Find(
    const ApplicationId& application, const Sha256Digest& manifest) {
  SLIPWAY_RETURN_IF_ERROR(CheckApplication(application));
  std::optional<artifacts::Artifact> found;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    const pqxx::result rows = transaction.Run(kFind, application.value(), manifest.Hex());
    if (!rows.empty()) found = ArtifactFromRow(rows[0]);
    return absl::OkStatus();
  }));
  return found;
}

absl::StatusOr<bool> PgArtifactIndex::IsWhole(const ApplicationId& application,
                                              const Sha256Digest& manifest) {
  SLIPWAY_RETURN_IF_ERROR(CheckApplication(application));
  bool whole = false;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    whole = transaction.Run(kIsWhole, application.value(), manifest.Hex())[0][0].as<bool>();
    return absl::OkStatus();
  }));
  return whole;
}

absl::StatusOr<std::vector<artifacts::Artifact>> PgArtifactIndex::List(
    const ApplicationId& application, std::optional<WallTime> before, std::size_t limit) {
  SLIPWAY_RETURN_IF_ERROR(CheckApplication(application));
  const std::string micros = before ? fmt::format("{}", ToUnixMicros(*before)) : std::string();
  const auto rows_wanted = static_cast<std::int64_t>(
      std::min<std::size_t>(limit, std::numeric_limits<std::int32_t>::max()));
  std::vector<artifacts::Artifact> found;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    for (const pqxx::row& row : transaction.Run(kList, application.value(),
                                                before ? micros.c_str() : nullptr, rows_wanted)) {
      found.push_back(ArtifactFromRow(row));
    }
    return absl::OkStatus();
  }));
  return found;
}

}  // namespace slipway::store::pg
