#include "controller/store/pg/pg_release_page_store.h"

#include <fmt/format.h>

#include <utility>

#include "common/status/status.h"
#include "controller/store/pg/access_sql.h"
#include "controller/store/pg/catalog_sql.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

using domain::ReleasePage;

// The page of a publish that failed is closed; its own word that it did not may still come.
constexpr Duration kFailedPageFor = std::chrono::hours(24);

constexpr Statement kPut{"release_pages_put", R"(
INSERT INTO release_pages AS p (task_id, token_hash, file, file_name, sha256, bytes, language,
                                made_at, expires_at, password_hash)
SELECT id, decode($2, 'hex'), $3, $4, decode($5, 'hex'), $6, $7, from_micros($8), from_micros($9),
       $10
  FROM tasks WHERE id = $1
ON CONFLICT (task_id) DO UPDATE
   SET token_hash = excluded.token_hash, file = excluded.file, file_name = excluded.file_name,
       sha256 = excluded.sha256, bytes = excluded.bytes, language = excluded.language,
       made_at = excluded.made_at, expires_at = excluded.expires_at,
       password_hash = excluded.password_hash
RETURNING task_id)"};
constexpr Statement kFind{"release_pages_find", R"(
SELECT p.task_id, encode(p.token_hash, 'hex') AS token_hash, p.file, p.file_name,
       encode(p.sha256, 'hex') AS sha256, p.bytes, p.language, to_micros(p.made_at) AS made_at,
       to_micros(p.expires_at) AS expires_at, p.password_hash
  FROM release_pages p JOIN tasks t ON t.id = p.task_id
 WHERE p.token_hash = decode($1, 'hex') AND p.expires_at > from_micros($2)
   AND t.state IN ('running', 'unknown', 'succeeded'))"};
constexpr Statement kClose{"release_pages_close", R"(
UPDATE release_pages p SET expires_at = least(p.expires_at, from_micros($2))
  FROM release_pages before
 WHERE p.task_id = $1 AND before.task_id = p.task_id
RETURNING to_micros(p.expires_at) AS closed_at, before.expires_at > p.expires_at AS now_closed)"};
constexpr Statement kForget{"release_pages_forget",
                            R"(
DELETE FROM release_pages p
 USING tasks t
 WHERE t.id = p.task_id
   AND (p.expires_at <= from_micros($1)
        OR t.state IN ('failed', 'canceled', 'skipped') AND t.finished_at <= from_micros($2)))"};
constexpr Statement kFiles{"release_pages_files", "SELECT DISTINCT file FROM release_pages"};

Sha256Digest DigestOf(const pqxx::field& field) {
  auto digest = Sha256Digest::Parse(field.as<std::string>());
  return digest ? *digest : Sha256Digest();
}

}  // namespace

absl::Status PgReleasePageStore::Put(const ReleasePage& page) {
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({page.task.value(), page.file, page.file_name, page.language}));
  return database_.Write([&](Transaction& transaction) -> absl::Status {
    const pqxx::result rows =
        transaction.Run(kPut, page.task.value(), page.token_hash.Hex(), page.file, page.file_name,
                        page.sha256.Hex(), page.bytes, page.language, ToUnixMicros(page.made_at),
                        ToUnixMicros(page.expires_at), page.password_hash);
    if (!rows.empty()) return absl::OkStatus();
    return NoSuch("NO_SUCH_TASK", "task", page.task.value());
  });
}

absl::StatusOr<ReleasePage> PgReleasePageStore::Find(const Sha256Digest& token_hash, WallTime now) {
  SLIPWAY_ASSIGN_OR_RETURN(
      auto found, Select<ReleasePage>(
                      database_, kFind,
                      [](const pqxx::row& row) {
                        return ReleasePage{.task = TaskId(row["task_id"].as<std::string>()),
                                           .token_hash = DigestOf(row["token_hash"]),
                                           .file = row["file"].as<std::string>(),
                                           .file_name = row["file_name"].as<std::string>(),
                                           .sha256 = DigestOf(row["sha256"]),
                                           .bytes = row["bytes"].as<std::uint64_t>(),
                                           .language = row["language"].as<std::string>(),
                                           .password_hash = row["password_hash"].as<std::string>(),
                                           .made_at = TimeOf(row["made_at"]),
                                           .expires_at = TimeOf(row["expires_at"])};
                      },
                      token_hash.Hex(), ToUnixMicros(now)));
  if (!found.empty()) return std::move(found.front());
  return MakeError(absl::StatusCode::kNotFound, "NO_SUCH_PAGE",
                   "there is no such page, or its time is over", "Ask who sent it for a new one.");
}

absl::StatusOr<WallTime> PgReleasePageStore::Close(const TaskId& task, WallTime now,
                                                   const Cause& cause) {
  WallTime closed_at;
  SLIPWAY_RETURN_IF_ERROR(ChangeAudited(
      database_, cause, "close_page", "task", task.value(), {},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        const pqxx::result rows = transaction.Run(kClose, task.value(), ToUnixMicros(now));
        if (rows.empty()) {
          return MakeError(absl::StatusCode::kNotFound, "NO_SUCH_PAGE",
                           fmt::format("task {} has no page", task.value()),
                           "Name the publish to a channel that made it.");
        }
        closed_at = TimeOf(rows[0]["closed_at"]);
        if (!rows[0]["now_closed"].as<bool>()) entry.action.clear();
        return absl::OkStatus();
      }));
  return closed_at;
}

absl::StatusOr<std::set<std::string>> PgReleasePageStore::ForgetExpired(WallTime now) {
  std::set<std::string> files;
  SLIPWAY_RETURN_IF_ERROR(database_.Write([&](Transaction& transaction) {
    files.clear();
    transaction.Run(kForget, ToUnixMicros(now), ToUnixMicros(now - kFailedPageFor));
    for (const pqxx::row& row : transaction.Run(kFiles)) files.insert(row[0].as<std::string>());
    return absl::OkStatus();
  }));
  return files;
}

}  // namespace slipway::store::pg
