#include "controller/store/pg/leadership.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <string>
#include <utility>

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

}  // namespace
}  // namespace slipway::store::pg
