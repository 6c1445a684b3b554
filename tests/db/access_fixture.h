#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controller/store/pg/pg_account_store.h"
#include "controller/store/pg/pg_catalog_stores.h"
#include "controller/store/pg/pg_login_store.h"
#include "controller/store/pg/pg_run_reader.h"
#include "controller/store/pg/pg_scheduler_store.h"
#include "controller/store/pg/pg_target_store.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {

// A leader's stores on a database with the admin "root" and the applications "shop" and "bakery".
struct AccessFarm {
  AccessFarm() : url(PostgresFixture::Get().NewDatabase()) {
    const store::pg::DatabaseOptions options = TestDatabaseOptions(url);
    REQUIRE_OK(RunSql(url, "UPDATE leadership SET holder = '" + options.application_name + "'"));
    auto opened = store::pg::Database::Open(options);
    REQUIRE_OK(opened);
    database = std::move(*opened);
    REQUIRE_OK(scheduler().BecomeLeader());
    root = Add("root", domain::AccountKind::kAdmin, "a hash");
    for (const char* name : {"shop", "bakery"}) {
      REQUIRE_OK(applications().Create({.id = ApplicationId(std::string("app-") + name),
                                        .name = name,
                                        .repository = "https://example.test/x.git",
                                        .description = "",
                                        .created_at = Now(),
                                        .created_by = "root"},
                                       By("root")));
    }
  }

  store::pg::PgAccountStore accounts() { return store::pg::PgAccountStore(*database); }
  store::pg::PgLoginStore logins() { return store::pg::PgLoginStore(*database); }
  store::pg::PgApplicationStore applications() { return store::pg::PgApplicationStore(*database); }
  store::pg::PgSchedulerStore scheduler() { return store::pg::PgSchedulerStore(*database); }
  store::pg::PgRunReader reader() { return store::pg::PgRunReader(*database); }

  static WallTime Now() { return FromUnixMicros(1'800'000'000'000'000); }
  static store::Cause By(std::string actor) { return {.actor = std::move(actor), .at = Now()}; }

  domain::Account Add(const std::string& name, domain::AccountKind kind,
                      const std::string& password_hash = "") {
    domain::Account account{.id = AccountId("acct-" + name),
                            .name = name,
                            .kind = kind,
                            .created_at = Now(),
                            .created_by = "root"};
    REQUIRE_OK(accounts().Create(account, password_hash, By("root")));
    return account;
  }
  void MakeEnvironments() {
    store::pg::PgTargetStore targets(*database);
    for (const char* name : {"production", "test"}) {
      REQUIRE_OK(targets.CreateEnvironment({.name = name}, By("root")));
    }
  }
  void Give(const std::string& account, const std::string& application,
            domain::Operations operations, const std::string& environment = "") {
    REQUIRE_OK(accounts().ChangeGrants({{.account = account,
                                         .group = "",
                                         .application = application,
                                         .operations = operations,
                                         .environment = environment,
                                         .pages = ""}},
                                       {}, By("root")));
  }
  void Take(const std::string& account, const std::string& application,
            domain::Operations operations) {
    REQUIRE_OK(accounts().ChangeGrants({},
                                       {{.account = account,
                                         .group = "",
                                         .application = application,
                                         .operations = operations,
                                         .environment = "",
                                         .pages = ""}},
                                       By("root")));
  }
  // What is in the audit trail, oldest first.
  std::vector<std::string> Actions() {
    std::vector<std::string> actions;
    const auto rows = RunSql(url, "SELECT entry::json ->> 'action' FROM audit ORDER BY sequence");
    REQUIRE_OK(rows);
    for (const auto& row : *rows) actions.push_back(row.at(0));
    return actions;
  }

  std::string url;
  std::unique_ptr<store::pg::Database> database;
  domain::Account root;
};

}  // namespace slipway::testing
