#include "controller/store/pg/leadership.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controller/store/pg/migrations.h"
#include "controller/store/pg/migrator.h"
#include "controller/store/pg/session.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::store::pg {
namespace {

using testing::PostgresFixture;
using testing::RunSql;
using testing::StatusIs;
using testing::TestDatabaseOptions;
using testing::WaitUntil;

constexpr Statement kTouch{"test_touch", "UPDATE leadership SET heartbeat_at = heartbeat_at"};

LeadershipOptions Options(const std::string& connection, const std::string& name) {
  LeadershipOptions options;
  options.database = TestDatabaseOptions(connection);
  options.database.application_name = name;
  options.wait = std::chrono::milliseconds(200);
  options.heartbeat_interval = std::chrono::milliseconds(100);
  return options;
}

void IgnoreLoss(const absl::Status&) {}

absl::Status WriteSomething(Database& database) {
  return database.Write([](Transaction& t) {
    t.Run(kTouch);
    return absl::OkStatus();
  });
}

TEST_CASE("Leadership: there is one at a time, and the other one is named", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  auto first = Leadership::Acquire(Options(connection, "one"), IgnoreLoss);
  REQUIRE_OK(first);
  CHECK_THAT(Leadership::Acquire(Options(connection, "two"), IgnoreLoss).status(),
             StatusIs(absl::StatusCode::kUnavailable, "'one'"));
  first->reset();
  CHECK_OK(Leadership::Acquire(Options(connection, "two"), IgnoreLoss));
}

TEST_CASE("Database: an old leader's write is refused once a new term has begun", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  auto old_pool = Database::Open(TestDatabaseOptions(connection));
  auto new_pool = Database::Open(TestDatabaseOptions(connection));
  REQUIRE_OK(old_pool);
  REQUIRE_OK(new_pool);
  const auto old_term = (*old_pool)->BeginTerm();
  REQUIRE_OK(old_term);
  CHECK_OK(WriteSomething(**old_pool));
  const auto new_term = (*new_pool)->BeginTerm();
  REQUIRE_OK(new_term);
  CHECK(*new_term > *old_term);
  CHECK_THAT(WriteSomething(**old_pool),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  CHECK_OK(WriteSomething(**new_pool));
}

TEST_CASE("Database: a term begins only after the writes of the earlier one have ended", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  auto old_pool = Database::Open(TestDatabaseOptions(connection));
  auto new_pool = Database::Open(TestDatabaseOptions(connection));
  REQUIRE_OK(old_pool);
  REQUIRE_OK(new_pool);
  REQUIRE_OK((*old_pool)->BeginTerm());
  std::atomic<bool> old_is_done{false};
  std::future<bool> old_was_done;
  const absl::Status slow_write = (*old_pool)->Write([&](Transaction&) {
    old_was_done = std::async(std::launch::async,
                              [&] { return (*new_pool)->BeginTerm().ok() && old_is_done.load(); });
    const bool waits = WaitUntil([&] {
      const auto waiting = RunSql(
          connection, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
      return waiting.ok() && waiting->at(0).at(0) == "1";
    });
    old_is_done = true;
    return waits ? absl::OkStatus() : absl::InternalError("the new term did not wait");
  });
  CHECK_OK(slow_write);
  CHECK(old_was_done.get());
}

TEST_CASE("Leadership: the loss of its connection is seen at once and only once", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  auto options = Options(connection, "to-lose");
  options.heartbeat_interval = std::chrono::hours(1);
  std::promise<absl::Status> lost;
  auto leadership =
      Leadership::Acquire(options, [&](const absl::Status& status) { lost.set_value(status); });
  REQUIRE_OK(leadership);
  CHECK((*leadership)->held());
  REQUIRE_OK(RunSql(connection,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'to-lose'"));
  auto seen = lost.get_future();
  REQUIRE(seen.wait_for(std::chrono::seconds(10)) == std::future_status::ready);
  CHECK_THAT(seen.get(), StatusIs(absl::StatusCode::kUnavailable, "LEADERSHIP_LOST"));
  CHECK_FALSE((*leadership)->held());
  // It did not come back by itself.
  CHECK_OK(Leadership::Acquire(Options(connection, "next"), IgnoreLoss));
}

TEST_CASE("Leadership: a holder that gives no sign of life is ended by its successor", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  auto frozen = Options(connection, "frozen");
  frozen.heartbeat_interval = std::chrono::hours(1);
  std::promise<absl::Status> lost;
  auto first =
      Leadership::Acquire(frozen, [&](const absl::Status& status) { lost.set_value(status); });
  REQUIRE_OK(first);
  auto eager = Options(connection, "eager");
  eager.wait = std::chrono::seconds(10);
  eager.stale_after = std::chrono::milliseconds(100);
  auto second = Leadership::Acquire(eager, IgnoreLoss);
  REQUIRE_OK(second);
  CHECK(lost.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready);
}

TEST_CASE("Leadership: a heartbeat finds out that another controller took over", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  std::promise<absl::Status> lost;
  auto leadership = Leadership::Acquire(
      Options(connection, "one"), [&](const absl::Status& status) { lost.set_value(status); });
  REQUIRE_OK(leadership);
  REQUIRE_OK(RunSql(connection, "UPDATE leadership SET holder = 'other'"));
  CHECK(lost.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready);
}

TEST_CASE("Leadership: a holder that falls silent while another waits is waited for", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  // Its first sign of life is its last one, so that it is silent but not stale when the wait ends.
  auto frozen = Options(connection, "frozen");
  frozen.heartbeat_interval = std::chrono::hours(1);
  std::promise<absl::Status> lost;
  auto first =
      Leadership::Acquire(frozen, [&](const absl::Status& status) { lost.set_value(status); });
  REQUIRE_OK(first);
  auto patient = Options(connection, "patient");
  patient.wait = std::chrono::milliseconds(300);
  patient.stale_after = std::chrono::milliseconds(1500);
  CHECK_OK(Leadership::Acquire(patient, IgnoreLoss));
  CHECK(lost.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready);
}

TEST_CASE("Leadership: a living holder is never ended", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  auto first = Leadership::Acquire(Options(connection, "one"), IgnoreLoss);
  REQUIRE_OK(first);
  auto second = Options(connection, "two");
  second.wait = std::chrono::milliseconds(1000);
  second.stale_after = std::chrono::seconds(30);
  CHECK_THAT(Leadership::Acquire(second, IgnoreLoss).status(),
             StatusIs(absl::StatusCode::kUnavailable, "LEADERSHIP_HELD"));
  CHECK((*first)->held());
}

// What a controller is to PostgreSQL: a leadership and a pool under one name.
struct Controller {
  Controller(const std::string& connection, const std::string& name)
      : options(Options(connection, name)) {
    options.heartbeat_interval = std::chrono::hours(1);
    options.wait = std::chrono::seconds(10);
    options.stale_after = std::chrono::milliseconds(200);
  }
  void Lead() {
    auto acquired = Leadership::Acquire(options, [](const absl::Status&) {});
    REQUIRE_OK(acquired);
    leadership = *std::move(acquired);
    auto opened = Database::Open(options.database);
    REQUIRE_OK(opened);
    database = *std::move(opened);
    REQUIRE_OK(database->BeginTerm());
  }

  LeadershipOptions options;
  std::unique_ptr<Leadership> leadership;
  std::unique_ptr<Database> database;
};

TEST_CASE("Leadership: whoever stood still before its term, and was replaced, begins none",
          "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  Controller frozen(connection, "stood-still");
  auto acquired = Leadership::Acquire(frozen.options, IgnoreLoss);
  REQUIRE_OK(acquired);
  Controller leader(connection, "leader");
  leader.Lead();
  const auto pool = Database::Open(frozen.options.database);
  REQUIRE_OK(pool);
  CHECK_THAT((*pool)->BeginTerm().status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  CHECK((*pool)->term() == Epoch(0));
  CHECK_OK(WriteSomething(*leader.database));

  std::vector<Migration> migrations(BuiltInMigrations().begin(), BuiltInMigrations().end());
  migrations.push_back({static_cast<int>(migrations.size()) + 1, "next.sql", "aa",
                        "CREATE TABLE of_the_next_version (n integer)"});
  CHECK_THAT(Migrate(frozen.options.database, migrations, MigrationMode::kApply).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  CHECK_OK(Migrate(leader.options.database, migrations, MigrationMode::kApply));
}

constexpr Statement kInsert{"test_insert", "INSERT INTO rows_written VALUES ($1)"};

absl::Status Insert(Database& database, const std::string& by) {
  return database.Write([&](Transaction& t) {
    t.Run(kInsert, by);
    return absl::OkStatus();
  });
}

std::string RowsBy(const std::string& connection, const std::string& by) {
  const auto rows =
      RunSql(connection, "SELECT count(*) FROM rows_written WHERE writer = '" + by + "'");
  return rows.ok() ? rows->at(0).at(0) : std::string(rows.status().message());
}

TEST_CASE("Leadership: a leader frozen inside a transaction writes no row when it goes on",
          "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  REQUIRE_OK(RunSql(connection, "CREATE TABLE rows_written (writer text)"));
  Controller old(connection, "old");
  Controller next(connection, "next");
  old.Lead();
  const absl::Status frozen = old.database->Write([&](Transaction& t) {
    t.Run(kInsert, "old");
    // Here the old one stands still, while the next one takes over and writes.
    next.Lead();
    return Insert(*next.database, "next");
  });
  CHECK_FALSE(frozen.ok());
  CHECK_THAT(Insert(*old.database, "old"),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
  CHECK(RowsBy(connection, "old") == "0");
  CHECK(RowsBy(connection, "next") == "1");
}

TEST_CASE("Leadership: a commit under way when another takes over is undone and called in doubt",
          "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  // A trigger that runs inside COMMIT holds it up for as long as somebody has lock 7.
  REQUIRE_OK(RunSql(connection, R"(
CREATE TABLE rows_written (writer text);
CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.writer = 'old' THEN PERFORM pg_advisory_xact_lock(7); END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON rows_written
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold_up())"));
  auto holder = Session::Open(Options(connection, "bystander").database);
  REQUIRE_OK(holder);
  pqxx::nontransaction held((*holder)->connection());
  held.exec("SELECT pg_advisory_lock(7)");

  Controller old(connection, "old");
  Controller next(connection, "next");
  old.Lead();
  auto committing = std::async(std::launch::async, [&] { return Insert(*old.database, "old"); });
  const bool inside_commit = WaitUntil([&] {
    const auto rows = RunSql(connection,
                             "SELECT count(*) FROM pg_stat_activity "
                             "WHERE application_name = 'old' AND query ILIKE 'commit%' "
                             "AND wait_event = 'advisory'");
    return rows.ok() && rows->at(0).at(0) == "1";
  });
  next.Lead();
  held.exec("SELECT pg_advisory_unlock(7)");
  REQUIRE(inside_commit);
  CHECK_THAT(committing.get(), StatusIs(absl::StatusCode::kUnknown, "COMMIT_IN_DOUBT"));
  CHECK(RowsBy(connection, "old") == "0");
  CHECK_OK(Insert(*next.database, "next"));
  CHECK_THAT(Insert(*old.database, "old"),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
}

TEST_CASE("Leadership: what an earlier holder left open does not delay the next term", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  REQUIRE_OK(RunSql(connection, "CREATE TABLE rows_written (writer text)"));
  Controller old(connection, "old");
  Controller next(connection, "next");
  old.Lead();
  const absl::Status cut = old.database->Write([&](Transaction& t) {
    t.Run(kInsert, "old");
    // The lock is gone, the transaction is not: as after a lost connection of the leadership alone.
    old.leadership.reset();
    next.options.stale_after = std::chrono::hours(1);
    next.Lead();
    return absl::OkStatus();
  });
  CHECK_FALSE(cut.ok());
  CHECK(RowsBy(connection, "old") == "0");
}

TEST_CASE("Database: the name by which a successor finds connections is not the URL's to choose",
          "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  auto options = TestDatabaseOptions(connection + " application_name=chosen");
  options.application_name = "ours";
  auto session = Session::Open(options);
  REQUIRE_OK(session);
  pqxx::nontransaction direct((*session)->connection());
  CHECK(direct.exec1("SELECT current_setting('application_name')")[0].as<std::string>() == "ours");
}

}  // namespace
}  // namespace slipway::store::pg
