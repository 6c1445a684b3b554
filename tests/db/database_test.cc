#include "controller/store/pg/database.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "controller/store/pg/pqxx_status.h"
#include "controller/store/pg/session.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::store::pg {
namespace {

using testing::PostgresFixture;
using testing::RunSql;
using testing::StatusIs;
using testing::TestDatabaseOptions;

constexpr Statement kOne{"test_one", "SELECT 1"};
constexpr Statement kSleep{"test_sleep", "SELECT pg_sleep($1)"};
constexpr Statement kSetHolder{"test_set_holder", "UPDATE leadership SET holder = $1"};

Database::Body Run(const Statement& statement) {
  return [&statement](Transaction& t) {
    t.Run(statement);
    return absl::OkStatus();
  };
}

TEST_CASE("Database: a server that is not there is unavailable, not a crash", "[db]") {
  CHECK_THAT(Database::Open(TestDatabaseOptions("host=/nowhere dbname=x user=y")).status(),
             StatusIs(absl::StatusCode::kUnavailable, "DATABASE_UNAVAILABLE"));
}

TEST_CASE("Database: an unreadable connection string is refused without repeating it", "[db]") {
  const auto refused = Database::Open(TestDatabaseOptions("password hunter2"));
  CHECK_THAT(refused.status(), StatusIs(absl::StatusCode::kInvalidArgument, "DATABASE_URL"));
  CHECK(std::string(refused.status().message()).find("hunter2") == std::string::npos);
}

TEST_CASE("Database: a pool serves more callers than it has connections", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  auto options = TestDatabaseOptions(connection);
  options.max_connections = 2;
  options.application_name = "pool-under-test";
  auto database = Database::Open(options);
  REQUIRE_OK(database);
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 20; ++j) good += (*database)->Read(Run(kOne)).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 120);
  const auto open =
      RunSql(connection,
             "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool-under-test'");
  REQUIRE_OK(open);
  CHECK(std::stoi(open->at(0).at(0)) <= 2);
}

TEST_CASE("Database: a caller that finds all connections busy is told so in time", "[db]") {
  auto options = TestDatabaseOptions(PostgresFixture::Get().NewDatabase());
  options.max_connections = 1;
  options.acquire_timeout = std::chrono::milliseconds(50);
  auto database = Database::Open(options);
  REQUIRE_OK(database);
  const absl::Status outer =
      (*database)->Read([&](Transaction&) { return (*database)->Read(Run(kOne)); });
  CHECK_THAT(outer, StatusIs(absl::StatusCode::kResourceExhausted, "DATABASE_BUSY"));
}

TEST_CASE("Database: a connection that the server ended is replaced", "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  auto options = TestDatabaseOptions(connection);
  options.application_name = "to-be-ended";
  auto database = Database::Open(options);
  REQUIRE_OK(database);
  REQUIRE_OK((*database)->Read(Run(kOne)));
  REQUIRE_OK(RunSql(connection,
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE application_name = 'to-be-ended'"));
  CHECK_OK((*database)->Read(Run(kOne)));
}

TEST_CASE("Database: a connection lost inside a transaction is an error, not a silent retry",
          "[db]") {
  const std::string connection = PostgresFixture::Get().NewDatabase();
  auto options = TestDatabaseOptions(connection);
  options.application_name = "to-be-lost";
  auto database = Database::Open(options);
  REQUIRE_OK(database);
  const auto cut = [&] {
    return RunSql(connection,
                  "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                  "WHERE application_name = 'to-be-lost'");
  };
  CHECK_THAT((*database)->Read([&](Transaction& t) {
    t.Run(kOne);
    if (!cut().ok()) return absl::InternalError("cut failed");
    t.Run(kOne);
    return absl::OkStatus();
  }),
             StatusIs(absl::StatusCode::kUnavailable, "DATABASE_UNAVAILABLE"));

  REQUIRE_OK(RunSql(connection, "UPDATE leadership SET holder = 'to-be-lost'"));
  REQUIRE_OK((*database)->BeginTerm());
  CHECK_THAT((*database)->Write([&](Transaction& t) {
    t.Run(kSetHolder, std::string("x"));
    return cut().status();
  }),
             StatusIs(absl::StatusCode::kUnknown, "COMMIT_IN_DOUBT"));
}

TEST_CASE("Database: a slow statement ends at its limit and the connection goes on", "[db]") {
  auto options = TestDatabaseOptions(PostgresFixture::Get().NewDatabase());
  options.statement_timeout = std::chrono::milliseconds(50);
  auto database = Database::Open(options);
  REQUIRE_OK(database);
  const absl::Status slow = (*database)->Read([](Transaction& t) {
    t.Run(kSleep, 30);
    return absl::OkStatus();
  });
  CHECK_THAT(slow, StatusIs(absl::StatusCode::kDeadlineExceeded, "STATEMENT_TIMEOUT"));
  CHECK(SqlState(slow) == "57014");
  CHECK_OK((*database)->Read(Run(kOne)));
}

TEST_CASE("Database: a read cannot write", "[db]") {
  auto database = Database::Open(TestDatabaseOptions(PostgresFixture::Get().NewDatabase()));
  REQUIRE_OK(database);
  const absl::Status status = (*database)->Read([](Transaction& t) {
    t.Run(kSetHolder, std::string("x"));
    return absl::OkStatus();
  });
  CHECK(SqlState(status) == "25006");
}

TEST_CASE("Database: nobody writes before a term has begun", "[db]") {
  auto database = Database::Open(TestDatabaseOptions(PostgresFixture::Get().NewDatabase()));
  REQUIRE_OK(database);
  CHECK_THAT((*database)->Write(Run(kOne)),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
}

TEST_CASE("IsStorableText: what PostgreSQL cannot hold is refused before it is sent", "[db]") {
  CHECK(IsStorableText("plain, 中文, 😀"));
  CHECK(IsStorableText(""));
  CHECK_FALSE(IsStorableText(std::string_view("a\0b", 3)));
  CHECK_FALSE(IsStorableText("\xff"));
  CHECK_FALSE(IsStorableText("\xc0\xaf"));
  CHECK_FALSE(IsStorableText("\xed\xa0\x80"));
  CHECK_FALSE(IsStorableText("cut \xe4\xb8"));
  CHECK_FALSE(IsStorableText("\xf4\x90\x80\x80"));
}

}  // namespace
}  // namespace slipway::store::pg
