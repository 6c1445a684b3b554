#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "controller/store/pg/session.h"
#include "tests/db/access_fixture.h"

namespace slipway::testing {
namespace {

using domain::AccountKind;
using domain::Operation;

constexpr int kApplications = 300;
constexpr int kOldTasks = 300;     // one per application, the oldest
constexpr int kNewTasks = 20'000;  // of one application, all newer
constexpr int kRounds = 7;         // from the sixth on PostgreSQL may keep one plan
// A few look-ups per application and page; a walk would read all kNewTasks.
constexpr int kFewRows = 4 * kApplications;

// A farm on one connection, whose reads can be counted. Application app-0 has the newest tasks and
// releases by far; app-1 … app-299 have an old one each.
struct LongFarm : AccessFarm {
  LongFarm() {
    store::pg::DatabaseOptions options = TestDatabaseOptions(url);
    options.max_connections = 1;
    auto opened = store::pg::Database::Open(options);
    REQUIRE_OK(opened);
    counted = *std::move(opened);
    REQUIRE_OK(RunSql(url, fmt::format(R"(
INSERT INTO applications (id, name, repository, description, requirements, queue_timeout,
                          created_at, created_by)
SELECT 'app-' || n, 'app-' || n, '', '', '{{}}', 0, now(), 'root'
  FROM generate_series(0, {0} - 1) AS n;
INSERT INTO runs (id, application_id, ref, version, description, submitted_by, submitted_at,
                  request_id)
SELECT 'run-' || n, 'app-' || n, 'main', '', '', 'root', now(), 'r' || n
  FROM generate_series(0, {0} - 1) AS n;
INSERT INTO tasks (id, run_id, application_id, kind, platform, target, requirements, priority,
                   concurrency_group, queue_timeout, state, attempt, agent_id, starts,
                   cancel_requested, created_at)
SELECT 'task-' || n, 'run-' || a, 'app-' || a, 'build', 'web', '', '{{}}', 0, '', 0, 'succeeded',
       1, '', 1, false, now()
  FROM (SELECT n, CASE WHEN n < {1} THEN n % {0} ELSE 0 END AS a
          FROM generate_series(0, {1} + {2} - 1) AS n) AS all_of_them
 ORDER BY n;
INSERT INTO releases (id, run_id, publish_task, build_task, application_id, platform, target,
                      version, commit_id, manifest, link, qr_text, released_at, released_by)
SELECT 'rel-' || id, run_id, id, id, application_id, platform, 'test', '1', '', repeat('0', 64),
       '', '', now(), 'root'
  FROM tasks ORDER BY sequence;
ANALYZE)",
                                       kApplications, kOldTasks, kNewTasks)));
  }

  // Rows of the table that `list` reads, the first kRounds times it is asked.
  template <typename List>
  std::int64_t RowsRead(const std::string& table, const List& list) {
    const std::int64_t before = Fetched(table);
    for (int i = 0; i < kRounds; ++i) list();
    return (Fetched(table) - before) / kRounds;
  }

  store::pg::PgRunReader counted_reader() { return store::pg::PgRunReader(*counted); }

  std::unique_ptr<store::pg::Database> counted;

 private:
  std::int64_t Fetched(const std::string& table) {
    CHECK_OK(counted->Read([](store::pg::Transaction& transaction) {
      transaction.work().exec("SELECT pg_stat_force_next_flush()");
      return absl::OkStatus();
    }));
    const auto rows = RunSql(url, fmt::format(R"(
SELECT seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = '{0}')
  FROM pg_stat_user_tables WHERE relname = '{0}')",
                                              table));
    REQUIRE_OK(rows);
    return std::stoll(rows->at(0).at(0));
  }
};

TEST_CASE("Viewer: a list reads little of what belongs to applications that are not seen", "[db]") {
  LongFarm farm;
  const auto mei = farm.Add("mei", AccountKind::kMember);
  for (const char* name : {"app-1", "app-7", "app-8"}) farm.Give("mei", name, {Operation::kView});
  const auto li = farm.Add("li", AccountKind::kMember);
  REQUIRE_OK(RunSql(farm.url, R"(
INSERT INTO grants (account_id, application_id, environment, pages, operations)
SELECT 'acct-li', 'app-' || n, '', '', '{package}' FROM generate_series(1, 299) AS n)"));
  for (const auto& account : {mei.id, li.id}) {
    CAPTURE(account.value());
    const std::size_t sees = account == mei.id ? 3 : 50;
    const auto tasks = farm.RowsRead("tasks", [&] {
      const auto page = farm.counted_reader().ListTasks({.viewer = {.account = account}});
      REQUIRE_OK(page);
      CHECK(page->tasks.size() == sees);
    });
    CHECK(tasks < kFewRows);
    const auto releases = farm.RowsRead("releases", [&] {
      const auto page = farm.counted_reader().ListReleases({.viewer = {.account = account}});
      REQUIRE_OK(page);
      CHECK(page->releases.size() == sees);
    });
    CHECK(releases < kFewRows);
  }
  const auto nobody = farm.RowsRead("tasks", [&] {
    const auto page = farm.counted_reader().ListTasks({.viewer = {.account = AccountId("nobody")}});
    REQUIRE_OK(page);
    CHECK(page->tasks.empty());
  });
  CHECK(nobody == 0);
}

TEST_CASE("Viewer: one application and one run are listed by look-ups, for admins as well",
          "[db]") {
  LongFarm farm;
  const auto of_application = farm.RowsRead("tasks", [&] {
    const auto page =
        farm.counted_reader().ListTasks({.application = ApplicationId("app-9"), .page_size = 5});
    REQUIRE_OK(page);
    CHECK(page->tasks.size() == 1);
  });
  CHECK(of_application < 20);
  const auto of_run = farm.RowsRead("tasks", [&] {
    const auto page = farm.counted_reader().ListTasks({.run = RunId("run-9"), .page_size = 5});
    REQUIRE_OK(page);
    CHECK(page->tasks.size() == 1);
  });
  CHECK(of_run < 20);
  const auto of_all = farm.RowsRead("tasks", [&] {
    const auto page = farm.counted_reader().ListTasks({.page_size = 5});
    REQUIRE_OK(page);
    CHECK(page->tasks.size() == 5);
  });
  CHECK(of_all < 20);
}

TEST_CASE("Viewer: pages of what is seen are what is left of all pages without the rest", "[db]") {
  LongFarm farm;
  const auto mei = farm.Add("mei", AccountKind::kMember);
  // Interleaved with what is not seen, and one of them with far more than a page.
  for (const char* name : {"app-0", "app-3", "app-5", "app-298"}) {
    farm.Give("mei", name, {Operation::kPackage});
  }
  std::vector<std::string> expected;
  const auto all = RunSql(farm.url, R"(
SELECT id FROM tasks WHERE application_id IN ('app-0', 'app-3', 'app-5', 'app-298')
 ORDER BY sequence DESC)");
  REQUIRE_OK(all);
  for (const auto& row : *all) expected.push_back(row.at(0));
  for (const int page_size : {999, 1000}) {
    std::vector<std::string> listed;
    store::TaskFilter filter{.viewer = {.account = mei.id}, .page_size = page_size};
    do {
      const auto page = farm.reader().ListTasks(filter);
      REQUIRE_OK(page);
      for (const auto& task : page->tasks) listed.push_back(task.task.id.value());
      filter.page_token = page->next_page_token;
    } while (!filter.page_token.empty());
    CHECK(listed == expected);
  }
  store::TaskFilter none{.viewer = {.account = mei.id}, .application = ApplicationId("app-4")};
  CHECK(farm.reader().ListTasks(none)->tasks.empty());
  none = {.viewer = {.account = mei.id}, .run = RunId("run-4")};
  CHECK(farm.reader().ListTasks(none)->tasks.empty());
  none = {.viewer = {.account = mei.id}, .states = {domain::TaskState::kFailed}};
  CHECK(farm.reader().ListTasks(none)->tasks.empty());
  store::TaskFilter some{.viewer = {.account = mei.id}, .run = RunId("run-5")};
  CHECK(farm.reader().ListTasks(some)->tasks.size() == 1);
  store::ReleaseFilter releases{.viewer = {.account = mei.id},
                                .application = ApplicationId("app-3")};
  CHECK(farm.reader().ListReleases(releases)->releases.size() == 1);
  releases.platform = "ios";
  CHECK(farm.reader().ListReleases(releases)->releases.empty());
}

// The names of all pages; each page says how many there are in all.
std::vector<std::string> NamesSeen(AccessFarm& farm, const store::Viewer& viewer, int page_size,
                                   std::int64_t total) {
  std::vector<std::string> names;
  store::ApplicationFilter filter{.viewer = viewer, .page_size = page_size};
  do {
    const auto page = farm.applications().List(filter);
    REQUIRE_OK(page);
    CHECK(page->total == total);
    for (const auto& application : page->applications) names.push_back(application.name);
    filter.page_token = page->next_page_token;
  } while (!filter.page_token.empty());
  return names;
}

TEST_CASE("Applications: what is held by itself and through groups is listed and counted once",
          "[db]") {
  AccessFarm farm;
  farm.MakeEnvironments();
  const auto mei = farm.Add("mei", AccountKind::kMember);
  for (const char* name : {"cafe", "Zoo", "烘焙", "depot"}) {
    REQUIRE_OK(farm.applications().Create({.id = ApplicationId(std::string("id-") + name),
                                           .name = name,
                                           .repository = "https://example.test/x.git",
                                           .description = "",
                                           .created_at = AccessFarm::Now(),
                                           .created_by = "root"},
                                          AccessFarm::By("root")));
  }
  const auto give_group = [&](const char* group, const char* application,
                              domain::Operations operations) {
    REQUIRE_OK(farm.accounts().ChangeGrants({{.account = "",
                                              .group = group,
                                              .application = application,
                                              .operations = operations,
                                              .environment = "",
                                              .pages = ""}},
                                            {}, AccessFarm::By("root")));
  };
  const store::Viewer viewer{.account = mei.id};
  using Names = std::vector<std::string>;
  CHECK(NamesSeen(farm, viewer, 2, 0).empty());
  farm.Give("mei", "shop", {Operation::kView});
  farm.Give("mei", "Zoo", {Operation::kPackage}, "test");
  CHECK(NamesSeen(farm, viewer, 1, 2) == Names{"Zoo", "shop"});
  for (const char* group : {"Testers", "Bakers"}) {
    REQUIRE_OK(farm.accounts().PutGroup(
        {.id = GroupId(group), .name = group, .description = "", .members = {"mei"}}, std::nullopt,
        AccessFarm::By("root")));
  }
  give_group("Testers", "shop", {Operation::kPublish});
  give_group("Testers", "cafe", {Operation::kPublish});
  give_group("Bakers", "cafe", {Operation::kView});
  give_group("Bakers", "烘焙", {Operation::kView});
  for (const int page_size : {1, 2, 3, 4, 100}) {
    CAPTURE(page_size);
    CHECK(NamesSeen(farm, viewer, page_size, 4) == Names{"Zoo", "cafe", "shop", "烘焙"});
  }
  // What the kind cannot hold does not count.
  store::Viewer narrow = viewer;
  narrow.holdable = {Operation::kPublish};
  CHECK(NamesSeen(farm, narrow, 1, 2) == Names{"cafe", "shop"});
  // A token narrowed to applications, one of which is not seen.
  store::Viewer token = viewer;
  token.only = {ApplicationId("app-shop"), ApplicationId("id-depot"), ApplicationId("id-Zoo")};
  CHECK(NamesSeen(farm, token, 1, 2) == Names{"Zoo", "shop"});
  // Taken back, and its group gone.
  farm.Take("mei", "shop", {Operation::kView});
  CHECK(NamesSeen(farm, viewer, 2, 4) == Names{"Zoo", "cafe", "shop", "烘焙"});
  REQUIRE_OK(farm.accounts().DeleteGroup("Testers", AccessFarm::By("root")));
  CHECK(NamesSeen(farm, viewer, 2, 3) == Names{"Zoo", "cafe", "烘焙"});
  give_group("Bakers", "", {Operation::kView});
  const Names all = {"Zoo", "bakery", "cafe", "depot", "shop", "烘焙"};
  CHECK(NamesSeen(farm, viewer, 4, 6) == all);
  CHECK(NamesSeen(farm, token, 1, 3) == Names{"Zoo", "depot", "shop"});
  CHECK(NamesSeen(farm, {}, 2, 6) == all);
}

TEST_CASE("Applications: each operation alone is counted by who may hold it, and by nobody else",
          "[db]") {
  AccessFarm farm;
  const auto li = farm.Add("li", AccountKind::kDeveloper);
  for (int held = 1; held <= domain::kOperationCount; ++held) {
    CAPTURE(domain::OperationName(Operation{held}));
    const auto bits = RunSql(farm.url, fmt::format("SELECT operation_bits('{{{}}}')",
                                                   domain::OperationName(Operation{held})));
    REQUIRE_OK(bits);
    CHECK(bits->at(0).at(0) == std::to_string(1 << (held - 1)));
    farm.Give("li", "shop", {Operation{held}});
    for (int asked = 1; asked <= domain::kOperationCount; ++asked) {
      const store::Viewer viewer{.account = li.id, .holdable = {Operation{asked}}};
      CHECK(NamesSeen(farm, viewer, 1, asked == held ? 1 : 0).size() == (asked == held ? 1 : 0));
    }
    farm.Take("li", "shop", {Operation{held}});
  }
}

}  // namespace
}  // namespace slipway::testing
