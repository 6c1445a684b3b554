#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "common/base/check.h"
#include "common/crypto/hash.h"
#include "controller/store/pg/pg_agent_store.h"
#include "controller/store/pg/pg_artifact_index.h"
#include "controller/store/pg/pg_catalog_stores.h"
#include "controller/store/pg/pg_image_order_store.h"
#include "controller/store/pg/pg_run_reader.h"
#include "controller/store/pg/pg_scheduler_store.h"
#include "controller/store/pg/pg_target_store.h"
#include "tests/contract/store_harness.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

struct PgProcess final : StoreProcess {
  explicit PgProcess(std::unique_ptr<store::pg::Database> opened)
      : database(std::move(opened)),
        scheduler_(*database),
        reader_(*database),
        applications_(*database),
        targets_(*database),
        agents_(*database),
        image_orders_(*database),
        farm_(*database),
        artifacts_(*database) {}
  store::SchedulerStore& scheduler() override { return scheduler_; }
  store::RunReader& reader() override { return reader_; }
  store::ApplicationStore& applications() override { return applications_; }
  store::TargetStore& targets() override { return targets_; }
  store::AgentStore& agents() override { return agents_; }
  store::ImageOrderStore& image_orders() override { return image_orders_; }
  store::FarmStore& farm() override { return farm_; }
  artifacts::ArtifactIndex& artifacts() override { return artifacts_; }

  std::unique_ptr<store::pg::Database> database;
  store::pg::PgSchedulerStore scheduler_;
  store::pg::PgRunReader reader_;
  store::pg::PgApplicationStore applications_;
  store::pg::PgTargetStore targets_;
  store::pg::PgAgentStore agents_;
  store::pg::PgImageOrderStore image_orders_;
  store::pg::PgFarmStore farm_;
  store::pg::PgArtifactIndex artifacts_;
};

struct PgHarness final : StoreHarness {
  std::unique_ptr<StoreProcess> NewProcess() override {
    auto database = store::pg::Database::Open(TestDatabaseOptions(connection));
    SLIPWAY_CHECK(database.ok());
    return std::make_unique<PgProcess>(*std::move(database));
  }
  std::vector<std::string> AuditedSubjects() override {
    const auto rows =
        RunSql(connection, "SELECT entry::jsonb ->> 'subject' FROM audit ORDER BY sequence");
    SLIPWAY_CHECK(rows.ok());
    std::vector<std::string> subjects;
    for (const auto& row : *rows) subjects.push_back(row.at(0));
    return subjects;
  }
  void MarkBlob(const Sha256Digest& digest) override {
    SLIPWAY_CHECK(RunSql(connection, "INSERT INTO blob_marks VALUES ('\\x" + digest.Hex() +
                                         "', clock_timestamp())")
                      .ok());
  }

  std::string connection = PostgresFixture::Get().NewDatabase();
};

domain::Application ShopApplication() {
  return {.id = ApplicationId("app-1"),
          .name = "shop",
          .repository = "https://example.test/shop.git",
          .description = "",
          .created_at = FromUnixMicros(1),
          .created_by = "admin"};
}

store::CreateRun RunNumber(int number) {
  const std::string n = std::to_string(number);
  store::CreateRun create;
  create.cause = {.actor = "admin", .at = FromUnixMicros(1'000'000 + number)};
  create.run = {.id = RunId("run-" + n),
                .application = ApplicationId("app-1"),
                .application_name = "shop",
                .ref = "main",
                .version = "",
                .description = "",
                .submitted_by = "admin",
                .submitted_at = create.cause.at,
                .request_id = n};
  domain::Task task;
  task.id = TaskId("task-" + n);
  task.run = create.run.id;
  task.application = create.run.application;
  task.platform = "weixin";
  task.created_at = create.cause.at;
  create.tasks = {task};
  return create;
}

}  // namespace

std::unique_ptr<StoreHarness> MakeStoreHarness() { return std::make_unique<PgHarness>(); }

TEST_CASE("PgSchedulerStore: a row that only PostgreSQL refuses is refused alone", "[contract]") {
  PgHarness harness;
  auto process = harness.NewProcess();
  REQUIRE_OK(process->scheduler().BecomeLeader());
  REQUIRE_OK(process->applications().Create(ShopApplication(), {"admin", FromUnixMicros(1)}));
  std::vector<store::Change> batch;
  for (int i = 0; i < 9; ++i) {
    store::CreateRun create = RunNumber(i);
    // No constraint of ours is checked before the statement: the foreign key finds it.
    if (i == 5) create.run.application = ApplicationId("app-of-nobody");
    batch.emplace_back(create);
  }
  const auto outcome = process->scheduler().Commit(batch);
  REQUIRE_OK(outcome);
  for (int i = 0; i < 9; ++i) {
    INFO(i);
    CHECK((*outcome)[static_cast<std::size_t>(i)].code() ==
          (i == 5 ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kOk));
    CHECK(process->reader().GetRun(RunId("run-" + std::to_string(i))).ok() == (i != 5));
  }
  CHECK(harness.AuditedSubjects().size() == 1 + 8);
}

TEST_CASE("PgSchedulerStore: the audit trail is a chain of hashes", "[contract]") {
  PgHarness harness;
  auto process = harness.NewProcess();
  REQUIRE_OK(process->scheduler().BecomeLeader());
  REQUIRE_OK(process->applications().Create(ShopApplication(), {"admin", FromUnixMicros(1)}));
  REQUIRE_OK(process->scheduler().Commit({RunNumber(1), RunNumber(2)}));
  REQUIRE_OK(process->scheduler().Commit({RunNumber(3)}));
  const auto rows = RunSql(harness.connection, "SELECT entry, hash FROM audit ORDER BY sequence");
  REQUIRE_OK(rows);
  REQUIRE(rows->size() == 4);
  std::string hash;
  for (const auto& row : *rows) {
    hash = crypto::Sha256Of(hash + "\n" + row.at(0)).Hex();
    CHECK(row.at(1) == hash);
  }
}

TEST_CASE("PgSchedulerStore: a lost server is an error of the whole call", "[contract]") {
  PgHarness harness;
  auto process = harness.NewProcess();
  REQUIRE_OK(process->scheduler().BecomeLeader());
  REQUIRE_OK(RunSql(PostgresFixture::Get().cluster().AdminConnectionString(),
                    "ALTER DATABASE " +
                        RunSql(harness.connection, "SELECT current_database()")->at(0).at(0) +
                        " ALLOW_CONNECTIONS false"));
  REQUIRE_OK(RunSql(PostgresFixture::Get().cluster().AdminConnectionString(),
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE application_name = 'test'"));
  CHECK_THAT(process->scheduler().Commit({RunNumber(1)}).status(),
             StatusIs(absl::StatusCode::kUnavailable, "DATABASE_UNAVAILABLE"));
}

TEST_CASE("PgSchedulerStore: a thousand changes are one quick commit", "[contract]") {
  PgHarness harness;
  auto process = harness.NewProcess();
  REQUIRE_OK(process->scheduler().BecomeLeader());
  REQUIRE_OK(process->applications().Create(ShopApplication(), {"admin", FromUnixMicros(1)}));
  constexpr int kRuns = 1000;
  std::vector<store::Change> creates;
  std::vector<store::Change> offers;
  for (int i = 0; i < kRuns; ++i) {
    const store::CreateRun create = RunNumber(i);
    creates.emplace_back(create);
    offers.emplace_back(store::OfferTask{.cause = create.cause,
                                         .key = {create.tasks[0].id, Attempt(1)},
                                         .agent = AgentId("agent-1"),
                                         .deadline = create.cause.at});
  }
  REQUIRE_OK(process->scheduler().Commit(creates));
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = process->scheduler().Commit(offers);
  const auto took = std::chrono::steady_clock::now() - begin;
  REQUIRE_OK(outcome);
  for (const absl::Status& status : *outcome) REQUIRE(status.ok());
  // 50 ms on two old cores; a statement for each would take ten times as long.
  CHECK(took < std::chrono::seconds(1));
}

}  // namespace slipway::testing
