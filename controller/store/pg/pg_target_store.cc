#include "controller/store/pg/pg_target_store.h"

#include <fmt/format.h>

#include <utility>

#include "controller/store/pg/access_sql.h"
#include "controller/store/pg/audit_digest.h"
#include "controller/store/pg/catalog_sql.h"
#include "controller/store/pg/channel_json.h"
#include "controller/store/pg/creation_request.h"
#include "controller/store/pg/rows.h"

namespace slipway::store::pg {
namespace {

using domain::Environment;
using domain::Target;

#define SLIPWAY_PG_TARGET_COLUMNS                                                    \
  "platform, name, coalesce(environment, '') AS environment, image, proxy, ca_pem, " \
  "network, deadline, requirements, channel, sealed_secret <> '' AS has_secret, "    \
  "revision, to_micros(created_at) AS created_at, created_by "
constexpr Statement kInsertTarget{"targets_insert", R"(
INSERT INTO targets (platform, name, environment, image, proxy, ca_pem, network, deadline,
                     requirements, channel, created_at, created_by)
VALUES ($1, $2, nullif($3, ''), $4, $5, $6, $7, $8, $9::jsonb, nullif($10, '')::jsonb,
        from_micros($11), $12)
ON CONFLICT DO NOTHING
RETURNING )" SLIPWAY_PG_TARGET_COLUMNS};
constexpr Statement kReplaceTarget{"targets_replace", R"(
UPDATE targets
   SET environment = nullif($3, ''), image = $4, proxy = $5, ca_pem = $6, network = $7,
       deadline = $8, requirements = $9::jsonb, channel = nullif($10, '')::jsonb,
       revision = nextval('catalog_revisions')
 WHERE platform = $1 AND name = $2
RETURNING )" SLIPWAY_PG_TARGET_COLUMNS};
constexpr Statement kLockTarget{"targets_lock", "SELECT " SLIPWAY_PG_TARGET_COLUMNS
                                                "FROM targets WHERE platform = $1 AND name = $2 "
                                                "FOR UPDATE"};
constexpr Statement kSetTargetSecret{"targets_set_secret", R"(
UPDATE targets SET sealed_secret = $3, revision = nextval('catalog_revisions')
 WHERE platform = $1 AND name = $2
RETURNING )" SLIPWAY_PG_TARGET_COLUMNS};
constexpr Statement kTargetSecret{
    "targets_secret", "SELECT sealed_secret FROM targets WHERE platform = $1 AND name = $2"};
constexpr Statement kDeleteTarget{"targets_delete",
                                  "DELETE FROM targets WHERE platform = $1 AND name = $2"};
constexpr Statement kTargets{"targets_list",
                             "SELECT " SLIPWAY_PG_TARGET_COLUMNS
                             "FROM targets ORDER BY platform COLLATE \"C\", name COLLATE \"C\""};
constexpr Statement kPublishesTo{"targets_publishes_to", R"(
SELECT count(*) FROM unfinished
 WHERE application_id IS NOT NULL AND platform = $1 AND target = $2)"};

#define SLIPWAY_PG_ENVIRONMENT_COLUMNS \
  "name, description, position, revision, to_micros(created_at) AS created_at, created_by "
constexpr Statement kInsertEnvironment{"environments_insert", R"(
INSERT INTO environments (name, description, position, created_at, created_by)
VALUES ($1, $2, $3, from_micros($4), $5) ON CONFLICT DO NOTHING
RETURNING )" SLIPWAY_PG_ENVIRONMENT_COLUMNS};
constexpr Statement kReplaceEnvironment{"environments_replace", R"(
UPDATE environments
   SET description = $2, position = $3, revision = nextval('catalog_revisions')
 WHERE name = $1
RETURNING )" SLIPWAY_PG_ENVIRONMENT_COLUMNS};
constexpr Statement kLockEnvironment{"environments_lock",
                                     "SELECT " SLIPWAY_PG_ENVIRONMENT_COLUMNS
                                     "FROM environments WHERE name = $1 FOR UPDATE"};
constexpr Statement kShareEnvironment{"environments_share",
                                      "SELECT FROM environments WHERE name = $1 FOR KEY SHARE"};
constexpr Statement kDeleteEnvironment{"environments_delete",
                                       "DELETE FROM environments WHERE name = $1"};
constexpr Statement kEnvironments{"environments_list",
                                  "SELECT " SLIPWAY_PG_ENVIRONMENT_COLUMNS
                                  "FROM environments ORDER BY position, name COLLATE \"C\""};
constexpr Statement kEnvironmentUse{"environments_use", R"(
SELECT (SELECT count(*) FROM targets WHERE environment = $1) AS targets,
       (SELECT count(*) FROM grants WHERE environment = $1) AS grants)"};

Target TargetFromRow(const pqxx::row& row) {
  return {.name = row["name"].as<std::string>(),
          .platform = row["platform"].as<std::string>(),
          .environment = row["environment"].as<std::string>(),
          .image = row["image"].as<std::string>(),
          .proxy = row["proxy"].as<std::string>(),
          .ca_pem = row["ca_pem"].as<std::string>(),
          .network = row["network"].as<std::string>(),
          .deadline = SpanOf(row["deadline"]),
          .requirements = LabelsFromJson(row["requirements"].as<std::string>()),
          .channel = row["channel"].is_null()
                         ? std::nullopt
                         : std::optional(ChannelFromJson(row["channel"].as<std::string>())),
          .has_secret = row["has_secret"].as<bool>(),
          .revision = row["revision"].as<std::int64_t>(),
          .created_at = TimeOf(row["created_at"]),
          .created_by = row["created_by"].as<std::string>()};
}

Environment EnvironmentFromRow(const pqxx::row& row) {
  return {.name = row["name"].as<std::string>(),
          .description = row["description"].as<std::string>(),
          .order = row["position"].as<std::int32_t>(),
          .revision = row["revision"].as<std::int64_t>(),
          .created_at = TimeOf(row["created_at"]),
          .created_by = row["created_by"].as<std::string>()};
}

std::string KeyOf(const Target& target) { return target.platform + "/" + target.name; }

// What was wished, whoever made it when.
template <typename Object>
std::string ContentsOf(Object object) {
  object.created_at = {};
  object.created_by.clear();
  return AuditDigest(object);
}

absl::Status CheckStorableTarget(const Target& target, const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({target.platform, target.name, target.environment, target.image, target.proxy,
                     target.ca_pem, target.network, cause.request_id}));
  if (!target.channel) return absl::OkStatus();
  const domain::Channel& channel = *target.channel;
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({channel.url, channel.user, channel.from, channel.language}));
  for (const auto* addresses : {&channel.to, &channel.may_reach}) {
    for (const std::string& address : *addresses) {
      SLIPWAY_RETURN_IF_ERROR(CheckStorable({address}));
    }
  }
  return absl::OkStatus();
}

std::string ChannelText(const Target& target) {
  return target.channel ? ChannelToJson(*target.channel) : "";
}

// It stays while the transaction lasts.
absl::Status CheckEnvironment(Transaction& transaction, const std::string& name) {
  if (name.empty() || !transaction.Run(kShareEnvironment, name).empty()) return absl::OkStatus();
  return NoSuch("NO_SUCH_ENVIRONMENT", "environment", name);
}

absl::Status NoChannel(const std::string& key) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "NO_CHANNEL",
                   fmt::format("target '{}' is no channel", key),
                   "A platform's key is sealed into the repository: slipway credentials seal.");
}

absl::StatusOr<Target> LockTarget(Transaction& transaction, const std::string& platform,
                                  const std::string& name, std::optional<std::int64_t> revision) {
  const pqxx::result rows = transaction.Run(kLockTarget, platform, name);
  const std::string key = platform + "/" + name;
  if (rows.empty()) return NoSuch("NO_SUCH_TARGET", "target", key);
  Target target = TargetFromRow(rows[0]);
  SLIPWAY_RETURN_IF_ERROR(
      CheckRevision(revision, target.revision, fmt::format("target '{}'", key)));
  return target;
}

absl::Status CheckUnused(Transaction& transaction, const Target& target, const char* what) {
  const auto count =
      transaction.Run(kPublishesTo, target.platform, target.name).at(0)[0].as<std::int64_t>();
  if (count == 0) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "TARGET_IN_USE",
      fmt::format("{}: {} publish(es) and preview(s) to target '{}' are not finished", what, count,
                  KeyOf(target)),
      "Wait until they have ended, cancel them, or say how unknown ones ended: `slipway releases "
      "resolve`.");
}

absl::StatusOr<Environment> LockEnvironment(Transaction& transaction, const std::string& name,
                                            std::optional<std::int64_t> revision) {
  const pqxx::result rows = transaction.Run(kLockEnvironment, name);
  if (rows.empty()) return NoSuch("NO_SUCH_ENVIRONMENT", "environment", name);
  Environment environment = EnvironmentFromRow(rows[0]);
  SLIPWAY_RETURN_IF_ERROR(
      CheckRevision(revision, environment.revision, fmt::format("environment '{}'", name)));
  return environment;
}

// What `insert` makes of the wish or, when the same request made it before, what `find` finds of
// it.
template <typename Object, typename Find, typename Insert>
absl::StatusOr<Object> CreateOnce(Database& database, const Cause& cause, const std::string& kind,
                                  const std::string& key, const Object& wish, const Find& find,
                                  const Insert& insert) {
  Object stored;
  const absl::Status status = ChangeAudited(
      database, cause, "create_" + kind, kind, key, {},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        SLIPWAY_ASSIGN_OR_RETURN(const auto before,
                                 ClaimRequest(transaction, cause, kind, key, ContentsOf(wish)));
        if (before) {
          entry.action.clear();
          SLIPWAY_ASSIGN_OR_RETURN(stored, find(transaction));
          return absl::OkStatus();
        }
        SLIPWAY_ASSIGN_OR_RETURN(stored, insert(transaction));
        entry.after = AuditDigest(stored);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return stored;
}

}  // namespace

absl::StatusOr<Target> PgTargetStore::CreateTarget(const Target& target, const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorableTarget(target, cause));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string requirements, LabelsText(target.requirements));
  const auto find = [&](Transaction& transaction) {
    return LockTarget(transaction, target.platform, target.name, std::nullopt);
  };
  const auto insert = [&](Transaction& transaction) -> absl::StatusOr<Target> {
    SLIPWAY_RETURN_IF_ERROR(CheckEnvironment(transaction, target.environment));
    const pqxx::result rows = transaction.Run(
        kInsertTarget, target.platform, target.name, target.environment, target.image, target.proxy,
        target.ca_pem, target.network, ToMicros(target.deadline), requirements, ChannelText(target),
        ToUnixMicros(cause.at), cause.actor);
    if (!rows.empty()) return TargetFromRow(rows[0]);
    return MakeError(absl::StatusCode::kAlreadyExists, "TARGET_EXISTS",
                     fmt::format("there is a target '{}' already", KeyOf(target)),
                     "Use another name.");
  };
  return CreateOnce(database_, cause, "target", KeyOf(target), target, find, insert);
}

absl::StatusOr<Target> PgTargetStore::UpdateTarget(const Target& target,
                                                   std::optional<std::int64_t> revision,
                                                   const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorableTarget(target, cause));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string requirements, LabelsText(target.requirements));
  Target stored;
  const absl::Status status = ChangeAudited(
      database_, cause, "update_target", "target", KeyOf(target), {},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        SLIPWAY_ASSIGN_OR_RETURN(const Target before,
                                 LockTarget(transaction, target.platform, target.name, revision));
        if (before.environment != target.environment || before.deadline != target.deadline) {
          SLIPWAY_RETURN_IF_ERROR(
              CheckUnused(transaction, target, "its environment and deadline cannot change now"));
        }
        SLIPWAY_RETURN_IF_ERROR(CheckEnvironment(transaction, target.environment));
        stored =
            TargetFromRow(transaction
                              .Run(kReplaceTarget, target.platform, target.name, target.environment,
                                   target.image, target.proxy, target.ca_pem, target.network,
                                   ToMicros(target.deadline), requirements, ChannelText(target))
                              .at(0));
        entry.before = AuditDigest(before);
        entry.after = AuditDigest(stored);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return stored;
}

absl::StatusOr<Target> PgTargetStore::SetTargetSecret(const std::string& platform,
                                                      const std::string& name,
                                                      const std::string& sealed,
                                                      std::optional<std::int64_t> revision,
                                                      const Cause& cause) {
  const std::string key = platform + "/" + name;
  if (!IsStorableText(key)) return NoSuch("NO_SUCH_TARGET", "target", "");
  Target stored;
  const absl::Status status = ChangeAudited(
      database_, cause, "set_target_secret", "target", key, {},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        SLIPWAY_ASSIGN_OR_RETURN(const Target before,
                                 LockTarget(transaction, platform, name, revision));
        if (!before.channel) return NoChannel(key);
        stored = TargetFromRow(transaction.Run(kSetTargetSecret, platform, name, sealed).at(0));
        entry.before = AuditDigest(before);
        entry.after = AuditDigest(stored);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return stored;
}

absl::StatusOr<std::string> PgTargetStore::SealedTargetSecret(const std::string& platform,
                                                              const std::string& name) {
  const std::string key = platform + "/" + name;
  if (!IsStorableText(key)) return NoSuch("NO_SUCH_TARGET", "target", "");
  SLIPWAY_ASSIGN_OR_RETURN(
      auto found,
      Select<std::string>(
          database_, kTargetSecret, [](const pqxx::row& row) { return row[0].as<std::string>(); },
          platform, name));
  if (found.empty()) return NoSuch("NO_SUCH_TARGET", "target", key);
  return std::move(found.front());
}

absl::Status PgTargetStore::DeleteTarget(const std::string& platform, const std::string& name,
                                         std::optional<std::int64_t> revision, const Cause& cause) {
  const std::string key = platform + "/" + name;
  if (!IsStorableText(key)) return NoSuch("NO_SUCH_TARGET", "target", "");
  return ChangeAudited(
      database_, cause, "delete_target", "target", key, {},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        SLIPWAY_ASSIGN_OR_RETURN(const Target before,
                                 LockTarget(transaction, platform, name, revision));
        SLIPWAY_RETURN_IF_ERROR(CheckUnused(transaction, before, "it cannot be deleted now"));
        transaction.Run(kDeleteTarget, platform, name);
        entry.before = AuditDigest(before);
        return absl::OkStatus();
      });
}

absl::StatusOr<std::shared_ptr<const domain::Targets>> PgTargetStore::GetTargets() {
  SLIPWAY_ASSIGN_OR_RETURN(auto targets, Select<Target>(database_, kTargets, TargetFromRow));
  return std::make_shared<const domain::Targets>(std::move(targets));
}

absl::StatusOr<Environment> PgTargetStore::CreateEnvironment(const Environment& environment,
                                                             const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({environment.name, environment.description, cause.request_id}));
  const auto find = [&](Transaction& transaction) {
    return LockEnvironment(transaction, environment.name, std::nullopt);
  };
  const auto insert = [&](Transaction& transaction) -> absl::StatusOr<Environment> {
    const pqxx::result rows =
        transaction.Run(kInsertEnvironment, environment.name, environment.description,
                        environment.order, ToUnixMicros(cause.at), cause.actor);
    if (!rows.empty()) return EnvironmentFromRow(rows[0]);
    return MakeError(absl::StatusCode::kAlreadyExists, "ENVIRONMENT_EXISTS",
                     fmt::format("there is an environment '{}' already", environment.name),
                     "Use another name.");
  };
  return CreateOnce(database_, cause, "environment", environment.name, environment, find, insert);
}

absl::StatusOr<Environment> PgTargetStore::UpdateEnvironment(const Environment& environment,
                                                             std::optional<std::int64_t> revision,
                                                             const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({environment.name, environment.description}));
  Environment stored;
  const absl::Status status = ChangeAudited(
      database_, cause, "update_environment", "environment", environment.name, {},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        SLIPWAY_ASSIGN_OR_RETURN(const Environment before,
                                 LockEnvironment(transaction, environment.name, revision));
        stored = EnvironmentFromRow(transaction
                                        .Run(kReplaceEnvironment, environment.name,
                                             environment.description, environment.order)
                                        .at(0));
        entry.before = AuditDigest(before);
        entry.after = AuditDigest(stored);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return stored;
}

absl::Status PgTargetStore::DeleteEnvironment(const std::string& name,
                                              std::optional<std::int64_t> revision,
                                              const Cause& cause) {
  if (!IsStorableText(name)) return NoSuch("NO_SUCH_ENVIRONMENT", "environment", "");
  return ChangeAudited(database_, cause, "delete_environment", "environment", name, {},
                       [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
                         SLIPWAY_ASSIGN_OR_RETURN(const Environment before,
                                                  LockEnvironment(transaction, name, revision));
                         const pqxx::row use = transaction.Run(kEnvironmentUse, name).at(0);
                         const auto targets = use["targets"].as<std::int64_t>();
                         const auto grants = use["grants"].as<std::int64_t>();
                         if (targets + grants > 0) {
                           return MakeError(
                               absl::StatusCode::kFailedPrecondition, "ENVIRONMENT_IN_USE",
                               fmt::format("{} target(s) and {} grant(s) name environment '{}'",
                                           targets, grants, name),
                               "Change or remove them first.");
                         }
                         transaction.Run(kDeleteEnvironment, name);
                         entry.before = AuditDigest(before);
                         return absl::OkStatus();
                       });
}

absl::StatusOr<std::vector<Environment>> PgTargetStore::ListEnvironments() {
  return Select<Environment>(database_, kEnvironments, EnvironmentFromRow);
}

}  // namespace slipway::store::pg
