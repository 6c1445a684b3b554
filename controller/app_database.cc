#include "controller/app_database.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "common/log/log.h"
#include "common/status/status.h"
#include "controller/store/pg/migrations.h"
#include "controller/store/pg/migrator.h"

namespace slipway::controller {
namespace {

absl::Status MigrateSchema(const store::pg::DatabaseOptions& connection) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto report,
                           store::pg::Migrate(connection, store::pg::BuiltInMigrations(),
                                              store::pg::MigrationMode::kApply));
  for (const std::string& file : report.files) log::Info("migrated", {{"file", file}});
  return absl::OkStatus();
}

}  // namespace

absl::Status AppDatabase::Start(const Options& options,
                                std::function<void(const absl::Status&)> on_lost) {
  store::pg::DatabaseOptions connection;
  connection.application_name = fmt::format("slipway-controller-{}", NewId("").substr(0, 10));
  connection.connection = options.database_url;
  if (connection.connection.empty()) {
    store::pg::EmbeddedClusterOptions cluster;
    cluster.root_dir = options.data_dir + "/postgres";
    cluster.os_user = options.postgres_user;
    SLIPWAY_ASSIGN_OR_RETURN(cluster_, store::pg::EmbeddedCluster::Start(cluster));
    connection.connection = cluster_->ConnectionString();
    log::Info("database_ready", {{"adopted", cluster_->adopted() ? "true" : "false"}});
  }
  // Where somebody may lead, nothing is written before that term is over, not even a migration.
  SLIPWAY_ASSIGN_OR_RETURN(const auto found,
                           store::pg::Migrate(connection, store::pg::BuiltInMigrations(),
                                              store::pg::MigrationMode::kList));
  if (found.version_before == 0) SLIPWAY_RETURN_IF_ERROR(MigrateSchema(connection));
  SLIPWAY_ASSIGN_OR_RETURN(database_, store::pg::Database::Open(connection));
  store::pg::LeadershipOptions leadership;
  leadership.database = connection;
  auto acquired = store::pg::Leadership::Acquire(leadership, std::move(on_lost));
  database_is_led_ = GetErrorInfo(acquired.status()).reason == "LEADERSHIP_HELD";
  SLIPWAY_ASSIGN_OR_RETURN(leadership_, std::move(acquired));
  stores_ = std::make_unique<Stores>(*database_);
  SLIPWAY_ASSIGN_OR_RETURN(epoch_, stores_->scheduler.BecomeLeader());
  if (found.version_before != 0) SLIPWAY_RETURN_IF_ERROR(MigrateSchema(connection));
  return absl::OkStatus();
}

void AppDatabase::Stop(bool fatal) {
  stores_.reset();
  leadership_.reset();
  database_.reset();
  if (cluster_ && !fatal && !database_is_led_) {
    if (const absl::Status status = cluster_->Stop(); !status.ok()) {
      log::Warn("database_stop", {{"error", std::string(status.message())}});
    }
  }
}

absl::Status AppDatabase::Answers() const {
  return database_->Read([](auto&) { return absl::OkStatus(); });
}

void AppDatabase::EnterRefusalsIn(store::RefusalRecorder* refusals) {
  if (database_) database_->EnterRefusalsIn(refusals);
}

}  // namespace slipway::controller
