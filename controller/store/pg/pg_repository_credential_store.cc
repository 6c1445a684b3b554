#include "controller/store/pg/pg_repository_credential_store.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "controller/store/pg/access_sql.h"
#include "controller/store/pg/catalog_sql.h"
#include "controller/store/pg/rows.h"

namespace slipway::store::pg {
namespace {

// Locks the application, so that what was before is what is replaced.
constexpr Statement kLock{"repository_credentials_lock", R"(
SELECT coalesce(c.digest, '') AS digest
  FROM applications a LEFT JOIN repository_credentials c ON c.application_id = a.id
 WHERE a.id = $1 FOR NO KEY UPDATE OF a)"};
constexpr Statement kPut{"repository_credentials_put", R"(
INSERT INTO repository_credentials (application_id, access, username, fingerprint, pinned_hosts,
                                    sealed, digest, set_at, set_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, from_micros($8), $9)
ON CONFLICT (application_id) DO UPDATE
   SET access = excluded.access, username = excluded.username, fingerprint = excluded.fingerprint,
       pinned_hosts = excluded.pinned_hosts, sealed = excluded.sealed, digest = excluded.digest,
       set_at = excluded.set_at, set_by = excluded.set_by)"};
constexpr Statement kRemove{"repository_credentials_remove",
                            "DELETE FROM repository_credentials WHERE application_id = $1"};
constexpr Statement kFind{"repository_credentials_find", R"(
SELECT access, username, fingerprint, pinned_hosts, digest, to_micros(set_at) AS set_at, set_by
  FROM repository_credentials WHERE application_id = $1)"};
constexpr Statement kSealed{"repository_credentials_sealed",
                            "SELECT sealed FROM repository_credentials WHERE application_id = $1"};

// Leaves a change that changes nothing, so that nothing is recorded of it.
constexpr char kNothingThere[] = "NO_REPOSITORY_CREDENTIAL";

const char* NameOf(domain::RepositoryAccess access) {
  return access == domain::RepositoryAccess::kSsh ? "ssh" : "https";
}

domain::RepositoryCredential FromRow(const pqxx::row& row) {
  return {.access = row["access"].as<std::string>() == "ssh" ? domain::RepositoryAccess::kSsh
                                                             : domain::RepositoryAccess::kHttps,
          .username = row["username"].as<std::string>(),
          .fingerprint = row["fingerprint"].as<std::string>(),
          .pinned_hosts = row["pinned_hosts"].as<bool>(),
          .digest = row["digest"].as<std::string>(),
          .set_at = TimeOf(row["set_at"]),
          .set_by = row["set_by"].as<std::string>()};
}

}  // namespace

absl::Status PgRepositoryCredentialStore::Set(const domain::Application& application,
                                              const domain::RepositoryCredential& about,
                                              const std::string& sealed, const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({application.id.value(), application.name, about.username,
                                         about.fingerprint, about.digest, about.set_by, sealed}));
  Details details = {{"id", application.id.value()}, {"kind", std::string(NameOf(about.access))}};
  if (!about.fingerprint.empty()) details.emplace_back("fingerprint", about.fingerprint);
  return ChangeAudited(
      database_, cause, "set_repository_credential", "application", application.name,
      std::move(details), [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        const pqxx::result before = transaction.Run(kLock, application.id.value());
        if (before.empty()) return NoSuch("NO_SUCH_APPLICATION", "application", application.name);
        entry.before = before[0]["digest"].as<std::string>();
        entry.after = about.digest;
        transaction.Run(kPut, application.id.value(), NameOf(about.access), about.username,
                        about.fingerprint, about.pinned_hosts, sealed, about.digest,
                        ToUnixMicros(about.set_at), about.set_by);
        return absl::OkStatus();
      });
}

absl::StatusOr<bool> PgRepositoryCredentialStore::Remove(const domain::Application& application,
                                                         const Cause& cause) {
  const absl::Status status =
      ChangeAudited(database_, cause, "remove_repository_credential", "application",
                    application.name, {{"id", application.id.value()}},
                    [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
                      const pqxx::result before = transaction.Run(kLock, application.id.value());
                      if (before.empty())
                        return NoSuch("NO_SUCH_APPLICATION", "application", application.name);
                      entry.before = before[0]["digest"].as<std::string>();
                      if (entry.before.empty()) {
                        return NoSuch(kNothingThere, "repository credential of", application.name);
                      }
                      transaction.Run(kRemove, application.id.value());
                      return absl::OkStatus();
                    });
  if (GetErrorInfo(status).reason == kNothingThere) return false;
  SLIPWAY_RETURN_IF_ERROR(status);
  return true;
}

absl::StatusOr<std::optional<domain::RepositoryCredential>> PgRepositoryCredentialStore::Find(
    const ApplicationId& application) {
  std::vector<domain::RepositoryCredential> found;
  if (IsStorableText(application.value())) {
    SLIPWAY_ASSIGN_OR_RETURN(found, Select<domain::RepositoryCredential>(database_, kFind, FromRow,
                                                                         application.value()));
  }
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

absl::StatusOr<std::string> PgRepositoryCredentialStore::Sealed(const ApplicationId& application) {
  return SelectOne<std::string>(
      database_, kSealed, [](const pqxx::row& row) { return row["sealed"].as<std::string>(); },
      application.value(),
      fmt::format("repository credential of the application '{}'", application.value()),
      kNothingThere);
}

}  // namespace slipway::store::pg
