#include "controller/store/pg/migrator.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "common/status/status.h"
#include "controller/store/pg/lock_keys.h"
#include "controller/store/pg/pqxx_status.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

constexpr char kCreateTable[] = R"(
CREATE TABLE IF NOT EXISTS schema_migrations (
  version    integer     PRIMARY KEY,
  name       text        NOT NULL,
  sha256     text        NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
))";
constexpr char kTableExists[] = "SELECT to_regclass('schema_migrations') IS NOT NULL";
constexpr char kApplied[] = "SELECT version, name, sha256 FROM schema_migrations ORDER BY version";
constexpr char kRecord[] =
    "INSERT INTO schema_migrations (version, name, sha256) VALUES ($1, $2, $3)";

// A schema that was never migrated has nobody who leads; later migrations have that table.
constexpr char kHasLeadership[] = "SELECT to_regclass('leadership') IS NOT NULL";
constexpr char kMayWrite[] =
    "SELECT holder IN ('', current_setting('application_name')), holder FROM leadership";

// The fence of every write (Database::Write): from here to the end of the transaction no new term
// begins.
absl::Status CheckLeadership(pqxx::work& work) {
  if (!work.exec1(kHasLeadership)[0].as<bool>()) return absl::OkStatus();
  work.exec(fmt::format("SELECT pg_advisory_xact_lock_shared({})", kWriteFence));
  const pqxx::row row = work.exec1(kMayWrite);
  if (row[0].as<bool>()) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_LEADER",
                   fmt::format("another controller leads: '{}'", row[1].c_str()),
                   "Ask the controller that leads.");
}

// How many of `migrations` are applied already.
absl::StatusOr<std::size_t> CheckApplied(const pqxx::result& applied,
                                         std::span<const Migration> migrations) {
  std::size_t at = 0;
  for (const pqxx::row& row : applied) {
    const auto version = row[0].as<int>();
    const auto name = row[1].as<std::string>();
    if (version > static_cast<int>(migrations.size())) {
      return MakeError(
          absl::StatusCode::kFailedPrecondition, "SCHEMA_NEWER",
          fmt::format("the database has schema version {} ({}), this program knows only up to {}",
                      version, name, migrations.size()),
          "Run the newer controller, or restore the backup made before the upgrade.");
    }
    const Migration& known = migrations[at];
    if (version != known.version || name != known.file ||
        row[2].as<std::string>() != known.sha256) {
      return MakeError(
          absl::StatusCode::kDataLoss, "SCHEMA_CHANGED",
          fmt::format("migration {} was applied to this database with other contents than this "
                      "program's {}",
                      name, known.file),
          "A released migration must never change: run the program that applied it.");
    }
    ++at;
  }
  return at;
}

absl::Status Apply(Session& session, const Migration& migration) {
  pqxx::work work(session.connection());
  SLIPWAY_RETURN_IF_ERROR(CheckLeadership(work));
  work.exec(std::string(migration.sql));
  work.exec_params(kRecord, migration.version, std::string(migration.file),
                   std::string(migration.sha256));
  work.commit();
  return absl::OkStatus();
}

absl::StatusOr<MigrationReport> MigrateOn(Session& session, std::span<const Migration> migrations,
                                          MigrationMode mode) {
  pqxx::result applied;
  {
    pqxx::nontransaction direct(session.connection());
    if (mode == MigrationMode::kApply) {
      direct.exec(fmt::format("SELECT pg_advisory_lock({})", kMigrationLock));
      direct.exec(kCreateTable);
    }
    if (direct.exec1(kTableExists)[0].as<bool>()) applied = direct.exec(kApplied);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t done, CheckApplied(applied, migrations));
  MigrationReport report{.version_before = static_cast<int>(done),
                         .version_after = static_cast<int>(done),
                         .files = {}};
  for (const Migration& migration : migrations.subspan(done)) {
    if (mode == MigrationMode::kApply) {
      const absl::Status status = CatchPqxx([&] { return Apply(session, migration); });
      SLIPWAY_RETURN_IF_ERROR(WithContext(status, fmt::format("migration {}", migration.file)));
      report.version_after = migration.version;
    }
    report.files.emplace_back(migration.file);
  }
  return report;
}

}  // namespace

absl::StatusOr<MigrationReport> Migrate(DatabaseOptions database,
                                        std::span<const Migration> migrations, MigrationMode mode) {
  database.statement_timeout = Duration::zero();
  database.lock_timeout = Duration::zero();
  database.idle_in_transaction_timeout = Duration::zero();
  SLIPWAY_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, Session::Open(database));
  // The lock ends with the connection.
  return CatchPqxx([&] { return MigrateOn(*session, migrations, mode); });
}

}  // namespace slipway::store::pg
