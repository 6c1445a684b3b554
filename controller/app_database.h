#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "controller/options.h"
#include "controller/store/cached_repository_credentials.h"
#include "controller/store/cached_stores.h"
#include "controller/store/cached_target_store.h"
#include "controller/store/pg/database.h"
#include "controller/store/pg/embedded_cluster.h"
#include "controller/store/pg/leadership.h"
#include "controller/store/pg/pg_account_store.h"
#include "controller/store/pg/pg_agent_store.h"
#include "controller/store/pg/pg_artifact_index.h"
#include "controller/store/pg/pg_audit_store.h"
#include "controller/store/pg/pg_catalog_stores.h"
#include "controller/store/pg/pg_image_order_store.h"
#include "controller/store/pg/pg_login_store.h"
#include "controller/store/pg/pg_packaging_store.h"
#include "controller/store/pg/pg_prepared_image_store.h"
#include "controller/store/pg/pg_release_page_store.h"
#include "controller/store/pg/pg_repository_credential_store.h"
#include "controller/store/pg/pg_run_reader.h"
#include "controller/store/pg/pg_scheduler_store.h"
#include "controller/store/pg/pg_target_store.h"

namespace slipway::controller {

// Every store of the controller, on one database.
struct Stores {
  explicit Stores(store::pg::Database& database)
      : scheduler(database),
        reader(database),
        applications(database),
        agents(database),
        accounts(database),
        logins(database),
        cached_applications(applications),
        repository_credentials(database),
        cached_credentials(repository_credentials),
        targets(database),
        cached_targets(targets),
        farm(database),
        artifacts(database),
        image_orders(database),
        release_pages(database),
        packagings(database),
        prepared_images(database),
        audit(database) {}
  store::pg::PgSchedulerStore scheduler;
  store::pg::PgRunReader reader;
  store::pg::PgApplicationStore applications;
  store::pg::PgAgentStore agents;
  store::pg::PgAccountStore accounts;
  store::pg::PgLoginStore logins;
  store::CachedApplicationStore cached_applications;
  store::pg::PgRepositoryCredentialStore repository_credentials;
  store::CachedRepositoryCredentials cached_credentials;
  store::pg::PgTargetStore targets;
  store::CachedTargetStore cached_targets;
  store::pg::PgFarmStore farm;
  store::pg::PgArtifactIndex artifacts;
  store::pg::PgImageOrderStore image_orders;
  store::pg::PgReleasePageStore release_pages;
  store::pg::PgPackagingStore packagings;
  store::pg::PgPreparedImageStore prepared_images;
  store::pg::PgAuditStore audit;
};

// The database of a controller: its own server or the operator's, the leadership, and the stores.
// Confined to the thread that starts and stops it, but for stores() and Answers().
class AppDatabase {
 public:
  // The database answers, has our schema, and we lead. `on_lost`: we lead no longer; from any
  // thread. After an error Stop is still to be called.
  [[nodiscard]] absl::Status Start(const Options& options,
                                   std::function<void(const absl::Status&)> on_lost);
  // Ends the leadership and closes the database. Its own server is stopped as well, unless the end
  // is `fatal` or another controller leads there; the next start adopts it.
  void Stop(bool fatal);

  // REQUIRES: started.
  [[nodiscard]] Stores& stores() const { return *stores_; }
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  // Whether the database answers now. Blocks.
  [[nodiscard]] absl::Status Answers() const;
  // Where changes that are refused in their transactions are entered; nullptr: nowhere. Before the
  // start nothing happens.
  void EnterRefusalsIn(store::RefusalRecorder* refusals);

 private:
  // By another controller, so that this one did not start.
  bool database_is_led_ = false;
  Epoch epoch_;
  // In the order of construction.
  std::unique_ptr<store::pg::EmbeddedCluster> cluster_;
  std::unique_ptr<store::pg::Database> database_;
  std::unique_ptr<store::pg::Leadership> leadership_;
  std::unique_ptr<Stores> stores_;
};

}  // namespace slipway::controller
