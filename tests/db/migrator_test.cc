#include "controller/store/pg/migrator.h"

#include <catch2/catch.hpp>
#include <future>
#include <string>
#include <vector>

#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::store::pg {
namespace {

using testing::PostgresFixture;
using testing::RunSql;
using testing::StatusIs;
using testing::TestDatabaseOptions;

constexpr Migration kFirst{1, "0001_first.sql", "aa", "CREATE TABLE first (n integer)"};
constexpr Migration kSecond{2, "0002_second.sql", "bb", "INSERT INTO first VALUES (2)"};
constexpr Migration kBroken{2, "0002_broken.sql", "cc",
                            "INSERT INTO first VALUES (3); SELECT no_such_function()"};

absl::StatusOr<MigrationReport> Apply(const std::string& connection,
                                      const std::vector<Migration>& migrations,
                                      MigrationMode mode = MigrationMode::kApply) {
  return Migrate(TestDatabaseOptions(connection), migrations, mode);
}

std::string Count(const std::string& connection, const std::string& table) {
  const auto rows = RunSql(connection, "SELECT count(*) FROM " + table);
  return rows.ok() ? rows->at(0).at(0) : std::string(rows.status().message());
}

TEST_CASE("Migrate: applies what is missing, once", "[db]") {
  const std::string connection = PostgresFixture::Get().NewEmptyDatabase();
  const auto first = Apply(connection, {kFirst});
  REQUIRE_OK(first);
  CHECK(first->version_before == 0);
  CHECK(first->version_after == 1);
  const auto both = Apply(connection, {kFirst, kSecond});
  REQUIRE_OK(both);
  CHECK(both->files == std::vector<std::string>{"0002_second.sql"});
  const auto again = Apply(connection, {kFirst, kSecond});
  REQUIRE_OK(again);
  CHECK(again->files.empty());
  CHECK(Count(connection, "first") == "1");
}

TEST_CASE("Migrate: listing changes nothing", "[db]") {
  const std::string connection = PostgresFixture::Get().NewEmptyDatabase();
  const auto listed = Apply(connection, {kFirst, kSecond}, MigrationMode::kList);
  REQUIRE_OK(listed);
  CHECK(listed->files == std::vector<std::string>{"0001_first.sql", "0002_second.sql"});
  CHECK(listed->version_after == 0);
  CHECK(Count(connection, "pg_tables WHERE schemaname = 'public'") == "0");
}

TEST_CASE("Migrate: a changed migration is refused and named", "[db]") {
  const std::string connection = PostgresFixture::Get().NewEmptyDatabase();
  REQUIRE_OK(Apply(connection, {kFirst, kSecond}));
  Migration changed = kFirst;
  changed.sha256 = "dd";
  CHECK_THAT(Apply(connection, {changed, kSecond}).status(),
             StatusIs(absl::StatusCode::kDataLoss, "0001_first.sql"));
}

TEST_CASE("Migrate: the schema of a newer controller is refused", "[db]") {
  const std::string connection = PostgresFixture::Get().NewEmptyDatabase();
  REQUIRE_OK(Apply(connection, {kFirst, kSecond}));
  const auto refused = Apply(connection, {kFirst});
  CHECK_THAT(refused.status(), StatusIs(absl::StatusCode::kFailedPrecondition, "SCHEMA_NEWER"));
  CHECK(GetErrorInfo(refused.status()).remedy.find("newer controller") != std::string::npos);
}

TEST_CASE("Migrate: a failing migration leaves nothing of itself and is named", "[db]") {
  const std::string connection = PostgresFixture::Get().NewEmptyDatabase();
  CHECK_THAT(Apply(connection, {kFirst, kBroken}).status(),
             StatusIs(absl::StatusCode::kInternal, "0002_broken.sql"));
  CHECK(Count(connection, "first") == "0");
  CHECK(Count(connection, "schema_migrations") == "1");
  CHECK_OK(Apply(connection, {kFirst, kSecond}));
}

TEST_CASE("Migrate: two at once take turns and both succeed", "[db]") {
  const std::string connection = PostgresFixture::Get().NewEmptyDatabase();
  const Migration slow{1, "0001_slow.sql", "ee",
                       "CREATE TABLE first (n integer); SELECT pg_sleep(0.3)"};
  auto other = std::async(std::launch::async, [&] { return Apply(connection, {slow, kSecond}); });
  const auto mine = Apply(connection, {slow, kSecond});
  const auto theirs = other.get();
  REQUIRE_OK(mine);
  REQUIRE_OK(theirs);
  CHECK(mine->files.size() + theirs->files.size() == 2);
  CHECK(Count(connection, "first") == "1");
}

TEST_CASE("Migrate: the built-in migrations are numbered from one without gaps", "[db]") {
  int expected = 0;
  for (const Migration& migration : BuiltInMigrations()) {
    CHECK(migration.version == ++expected);
    CHECK(migration.sha256.size() == 64);
  }
  CHECK(expected > 0);
}

}  // namespace
}  // namespace slipway::store::pg
