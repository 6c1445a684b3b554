#include <catch2/catch.hpp>
#include <string>

#include "common/crypto/hash.h"
#include "controller/store/pg/database.h"
#include "controller/store/pg/pg_release_page_store.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

using absl::StatusCode;
using domain::ReleasePage;

WallTime At(int seconds) { return WallTime(std::chrono::seconds(1'700'000'000 + seconds)); }

// A run with a build and publishes that are in the states their names say.
struct World {
  World() {
    auto opened = store::pg::Database::Open(TestDatabaseOptions(connection));
    REQUIRE_OK(opened);
    database = *std::move(opened);
    REQUIRE_OK(database->BeginTerm());
    REQUIRE_OK(RunSql(connection, R"(
      INSERT INTO applications (id, name, repository, description, created_at, created_by)
      VALUES ('app-1', 'shop', 'https://git.example/shop.git', '', now(), 'admin');
      INSERT INTO runs (id, application_id, ref, version, description, submitted_by, submitted_at,
                        request_id)
      VALUES ('run-1', 'app-1', '', '', '', 'admin', now(), 'r1');
      INSERT INTO tasks (id, run_id, application_id, kind, platform, target, requirements, priority,
                         state, attempt, agent_id, cancel_requested, created_at)
      SELECT 'task-' || state, 'run-1', 'app-1', 'publish', 'page', 'page', '{}', 0, state, 1, '',
             false, now()
        FROM unnest(ARRAY['waiting', 'running', 'unknown', 'succeeded', 'failed']) AS state)"));
  }
  ReleasePage PageOf(const std::string& state, const std::string& secret = "a") {
    return {.task = TaskId("task-" + state),
            .token_hash = crypto::Sha256Of(secret + state),
            .file = state + ".zip",
            .file_name = "shop-weixin-1.zip",
            .sha256 = crypto::Sha256Of("bytes"),
            .bytes = std::uint64_t{5} << 30,
            .language = "zh-CN",
            .password_hash = "$argon2id$",
            .made_at = At(0),
            .expires_at = At(100)};
  }

  const std::string connection = PostgresFixture::Get().NewDatabase();
  std::unique_ptr<store::pg::Database> database;
};

}  // namespace

TEST_CASE("ReleasePageStore: a page is there while its publish may have been, and until its time",
          "[db]") {
  World world;
  store::pg::PgReleasePageStore pages(*world.database);
  for (const char* state : {"waiting", "running", "unknown", "succeeded", "failed"}) {
    REQUIRE_OK(pages.Put(world.PageOf(state)));
  }
  for (const char* state : {"running", "unknown", "succeeded"}) {
    const ReleasePage page = world.PageOf(state);
    const auto found = pages.Find(page.token_hash, At(99));
    REQUIRE_OK(found);
    CHECK(*found == page);
    CHECK_THAT(pages.Find(page.token_hash, At(100)).status(),
               StatusIs(StatusCode::kNotFound, "NO_SUCH_PAGE"));
  }
  for (const char* state : {"waiting", "failed", "none"}) {
    CHECK_THAT(pages.Find(world.PageOf(state).token_hash, At(0)).status(),
               StatusIs(StatusCode::kNotFound, "NO_SUCH_PAGE"));
  }
  CHECK_THAT(pages.Put(world.PageOf("none")), StatusIs(StatusCode::kNotFound, "NO_SUCH_TASK"));
}

TEST_CASE("ReleasePageStore: a later attempt's page takes the place of the earlier one", "[db]") {
  World world;
  store::pg::PgReleasePageStore pages(*world.database);
  REQUIRE_OK(pages.Put(world.PageOf("running", "a")));
  REQUIRE_OK(pages.Put(world.PageOf("running", "b")));
  CHECK_THAT(pages.Find(world.PageOf("running", "a").token_hash, At(0)).status(),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_PAGE"));
  CHECK_OK(pages.Find(world.PageOf("running", "b").token_hash, At(0)));
}

TEST_CASE("ReleasePageStore: what expired is forgotten, and the others' files are needed", "[db]") {
  World world;
  store::pg::PgReleasePageStore pages(*world.database);
  REQUIRE_OK(pages.Put(world.PageOf("succeeded")));
  ReleasePage early = world.PageOf("unknown");
  early.expires_at = At(50);
  REQUIRE_OK(pages.Put(early));
  const auto needed = pages.ForgetExpired(At(50));
  REQUIRE_OK(needed);
  CHECK(*needed == std::set<std::string>{"succeeded.zip"});
  CHECK(RunSql(world.connection, "SELECT count(*) FROM release_pages")->at(0).at(0) == "1");
}

TEST_CASE("ReleasePageStore: a page that is closed opens nothing from then on, and stays closed",
          "[db]") {
  World world;
  store::pg::PgReleasePageStore pages(*world.database);
  const ReleasePage page = world.PageOf("succeeded");
  REQUIRE_OK(pages.Put(page));
  const store::Cause cause{.actor = "admin", .at = At(10)};
  CHECK_THAT(pages.Close(TaskId("task-running"), At(10), cause).status(),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_PAGE"));
  CHECK(pages.Close(page.task, At(10), cause) == absl::StatusOr<WallTime>(At(10)));
  CHECK_OK(pages.Find(page.token_hash, At(9)));
  CHECK_THAT(pages.Find(page.token_hash, At(10)).status(),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_PAGE"));
  CHECK(pages.Close(page.task, At(20), cause) == absl::StatusOr<WallTime>(At(10)));
  const auto told =
      RunSql(world.connection, "SELECT actor, subject FROM audit WHERE action = 'close_page'");
  REQUIRE_OK(told);
  REQUIRE(told->size() == 1);
  CHECK(told->at(0) == std::vector<std::string>{"admin", "task-succeeded"});
}

TEST_CASE("ReleasePageStore: the page of a publish that failed is forgotten a day later", "[db]") {
  World world;
  store::pg::PgReleasePageStore pages(*world.database);
  ReleasePage page = world.PageOf("failed");
  page.expires_at = At(1'000'000);
  REQUIRE_OK(pages.Put(page));
  REQUIRE_OK(RunSql(world.connection,
                    "UPDATE tasks SET finished_at = to_timestamp(1700000000) WHERE state = "
                    "'failed'"));
  CHECK(pages.ForgetExpired(At(86'399))->size() == 1);
  CHECK(pages.ForgetExpired(At(86'400))->empty());
}

}  // namespace slipway::testing
