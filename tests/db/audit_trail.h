#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/audit/chain_check.h"
#include "controller/store/pg/database.h"
#include "controller/store/pg/pg_agent_store.h"
#include "controller/store/pg/pg_audit_store.h"
#include "controller/store/pg/pg_catalog_stores.h"
#include "controller/store/pg/pg_scheduler_store.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::store::pg {

using testing::PostgresFixture;
using testing::RunSql;
using testing::TestDatabaseOptions;
using testing::TextRows;

// A database whose leader may write, its audit trail, and somebody who tampers with it.
class Trail {
 public:
  explicit Trail(int max_connections = 4) {
    auto options = TestDatabaseOptions(connection);
    options.max_connections = max_connections;
    auto opened = Database::Open(options);
    REQUIRE_OK(opened);
    database = *std::move(opened);
    audit = std::make_unique<PgAuditStore>(*database);
    REQUIRE_OK(database->BeginTerm());
  }

  static domain::AuditEntry Entry(const std::string& subject) {
    domain::AuditEntry entry;
    entry.actor = "admin";
    entry.action = "set_agent_mode";
    entry.object = "agent";
    entry.subject = subject;
    return entry;
  }

  // Rows 1 to `count`, some of them in one transaction.
  void Fill(int count) {
    std::vector<domain::AuditEntry> together;
    for (int i = 1; i <= count; ++i) {
      together.push_back(Entry("agent-" + std::to_string(i)));
      if (i % 3 != 0 && i != count) continue;
      REQUIRE_OK(audit->Append(together));
      together.clear();
    }
  }

  // What a superuser does who takes the guards away first and puts them back.
  void Tamper(const std::string& sql) {
    const std::string name = Sql("SELECT current_database()").at(0).at(0);
    REQUIRE_OK(RunSql(PostgresFixture::Get().cluster().AdminConnectionString(name),
                      "ALTER TABLE audit DISABLE TRIGGER USER; "
                      "ALTER TABLE audit_head DISABLE TRIGGER USER; " +
                          sql +
                          "; ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_stays; "
                          "ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_stays; "
                          "ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_rises"));
  }

  // As the controller's own role.
  TextRows Sql(const std::string& sql) {
    const auto rows = RunSql(connection, sql);
    REQUIRE_OK(rows);
    return *rows;
  }

  audit::Verdict Check(std::optional<AuditHead> expect = std::nullopt, int page = 7) {
    const auto verdict = audit::CheckChain(*audit, {.expect = std::move(expect), .page = page},
                                           [](const audit::Progress&) { return true; });
    REQUIRE_OK(verdict);
    return *verdict;
  }

  std::string connection = PostgresFixture::Get().NewDatabase();
  std::unique_ptr<Database> database;
  std::unique_ptr<PgAuditStore> audit;
};

}  // namespace slipway::store::pg
