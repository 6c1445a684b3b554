#include <atomic>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "controller/store/pg/migrations.h"
#include "controller/store/pg/migrator.h"
#include "tests/db/audit_trail.h"

namespace slipway::store::pg {
namespace {

using testing::StatusIs;

std::vector<std::int64_t> Numbers(const absl::StatusOr<AuditPage>& page) {
  REQUIRE_OK(page);
  std::vector<std::int64_t> numbers;
  for (const AuditRecord& record : page->entries) numbers.push_back(record.row.sequence);
  return numbers;
}

store::CreateRun Run(const std::string& id) {
  store::CreateRun create;
  create.cause = {.actor = "admin", .at = FromUnixMicros(1), .from = "203.0.113.7"};
  create.run = {.id = RunId("run-" + id),
                .application = ApplicationId("app-1"),
                .application_name = "shop",
                .ref = "main",
                .version = "",
                .description = "",
                .submitted_by = "admin",
                .submitted_at = create.cause.at,
                .request_id = id};
  domain::Task task;
  task.id = TaskId("task-" + id);
  task.run = create.run.id;
  task.application = create.run.application;
  task.platform = "weixin";
  task.created_at = create.cause.at;
  create.tasks = {task};
  return create;
}

domain::Application Shop(const std::string& name = "shop", const std::string& id = "app-1") {
  return {.id = ApplicationId(id),
          .name = name,
          .repository = "https://example.test/shop.git",
          .description = "",
          .created_at = FromUnixMicros(1),
          .created_by = "admin"};
}

domain::JoinToken Token(const std::string& hash) {
  return {.token_hash = hash,
          .created_at = FromUnixMicros(1),
          .created_by = "admin",
          .expires_at = FromUnixMicros(2),
          .used_at = {},
          .used_by = {},
          .revoked_at = {},
          .revoked_by = {}};
}

TEST_CASE("Audit: eight who write through several stores at once leave one unbroken chain",
          "[db]") {
  Trail trail(8);
  PgApplicationStore applications(*trail.database);
  PgAgentStore agents(*trail.database);
  PgSchedulerStore scheduler(*trail.database);
  REQUIRE_OK(applications.Create(Shop(), {.actor = "admin", .at = {}}));
  constexpr int kEach = 15;
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 8; ++writer) {
    threads.emplace_back([&, writer] {
      for (int i = 0; i < kEach; ++i) {
        const std::string name = std::to_string(writer) + "-" + std::to_string(i);
        absl::Status status;
        switch (writer % 4) {
          case 0: status = trail.audit->Append({Trail::Entry(name), Trail::Entry(name)}); break;
          case 1:
            status = applications.Create(Shop("app-" + name, name), {.actor = "admin", .at = {}})
                         .status();
            break;
          case 2:
            status = agents.AddJoinToken(Token("token-" + name), {.actor = "admin", .at = {}});
            break;
          default: status = scheduler.Commit({Run(name), Run(name + "x")}).status(); break;
        }
        failed += status.ok() ? 0 : 1;
      }
    });
  }
  // A check in the middle of it sees no fault either.
  const audit::Verdict meanwhile = trail.Check();
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
  CHECK_FALSE(meanwhile.finding);
  const audit::Verdict verdict =
      trail.Check(meanwhile.head.sequence > 0 ? std::optional(meanwhile.head) : std::nullopt);
  CHECK_FALSE(verdict.finding);
  CHECK(verdict.head.sequence == 1 + 2 * kEach * (2 + 1 + 1 + 2));
  // The clock that the entries have does not run backwards along the chain.
  CHECK(trail
            .Sql("SELECT count(*) FROM (SELECT at < lag(at) OVER (ORDER BY sequence) AS back "
                 "FROM audit) AS steps WHERE back")
            .at(0)
            .at(0) == "0");
}

TEST_CASE("Audit: the controller's own role can neither change, remove nor empty the trail",
          "[db]") {
  Trail trail;
  trail.Fill(3);
  const std::string admin = PostgresFixture::Get().cluster().AdminConnectionString(
      trail.Sql("SELECT current_database()").at(0).at(0));
  for (const char* sql :
       {"UPDATE audit SET actor = 'eve'", "DELETE FROM audit WHERE sequence = 3", "TRUNCATE audit",
        "DELETE FROM audit_head", "TRUNCATE audit_head", "UPDATE audit_head SET sequence = 2",
        "UPDATE audit_head SET hash = ''"}) {
    INFO(sql);
    CHECK_THAT(RunSql(trail.connection, sql).status(),
               StatusIs(absl::StatusCode::kPermissionDenied));
    // Nor can who forgets that the guards are there, whatever else it may.
    CHECK_THAT(RunSql(admin, sql).status(),
               StatusIs(absl::StatusCode::kPermissionDenied, "append"));
    CHECK_THAT(
        RunSql(admin, std::string("SET session_replication_role = replica; ") + sql).status(),
        StatusIs(absl::StatusCode::kPermissionDenied, "append"));
  }
  CHECK(trail.Sql("SELECT has_table_privilege('audit', 'UPDATE, DELETE, TRUNCATE')").at(0).at(0) ==
        "f");
  CHECK_FALSE(trail.Check().finding);
}

TEST_CASE("Audit: the time of an entry is the database's, one for a transaction", "[db]") {
  Trail trail;
  PgApplicationStore applications(*trail.database);
  PgSchedulerStore scheduler(*trail.database);
  const auto clock = [&] {
    return std::stoll(
        trail.Sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").at(0).at(0));
  };
  const std::int64_t before = clock();
  REQUIRE_OK(applications.Create(Shop(), {.actor = "admin", .at = {}}));
  // Its cause says 1970.
  REQUIRE_OK(scheduler.Commit({Run("1"), Run("2")}));
  const auto page = trail.audit->List({.action = "create_run"});
  REQUIRE(Numbers(page) == std::vector<std::int64_t>{3, 2});
  const std::int64_t at = ToUnixMicros(page->entries[0].at);
  CHECK(at >= before);
  CHECK(at <= clock());
  CHECK(page->entries[1].at == page->entries[0].at);
  CHECK(page->entries[0].about.from == "203.0.113.7");
  CHECK(page->entries[0].row.entry.find("\"at\":" + std::to_string(at) + ",") != std::string::npos);
}

TEST_CASE("Audit: a change of an application has the digests of before and after", "[db]") {
  Trail trail;
  PgApplicationStore applications(*trail.database);
  REQUIRE_OK(applications.Create(Shop(), {.actor = "admin", .at = {}, .from = "203.0.113.7"}));
  ApplicationChange change;
  change.description = "x";
  const Cause bob{.actor = "bob", .at = {}, .from = "203.0.113.8"};
  REQUIRE_OK(applications.Update("shop", change, bob));
  change.description = "";
  REQUIRE_OK(applications.Update("shop", change, bob));
  CHECK_FALSE(applications.Update("none", change, bob).ok());
  const auto page = trail.audit->List({.object = "application", .subject = "shop"});
  REQUIRE(Numbers(page) == std::vector<std::int64_t>{3, 2, 1});
  const auto& [back, forth, made] =
      std::tie(page->entries[0].about, page->entries[1].about, page->entries[2].about);
  CHECK(made.actor == "admin");
  CHECK(made.from == "203.0.113.7");
  CHECK(made.before.empty());
  CHECK(made.after.size() == 64);
  CHECK(forth.actor == "bob");
  CHECK(forth.from == "203.0.113.8");
  CHECK(forth.before == made.after);
  CHECK(forth.after != forth.before);
  // It is what it was at first.
  CHECK(back.after == made.after);
}

TEST_CASE("Audit: what is wanted of an agent has the digests of before and after", "[db]") {
  Trail trail;
  PgAgentStore agents(*trail.database);
  PgSchedulerStore scheduler(*trail.database);
  REQUIRE_OK(agents.AddJoinToken(Token("token"), {.actor = "admin", .at = {}}));
  REQUIRE_OK(agents.Join("token",
                         {.id = AgentId("a"),
                          .name = "mill",
                          .labels = {},
                          .certificate = {},
                          .successor = {},
                          .successor_since = {},
                          .joined_at = FromUnixMicros(1),
                          .last_seen = {},
                          .availability = {}},
                         FromUnixMicros(1)));
  for (const auto mode : {domain::AgentMode::kPaused, domain::AgentMode::kActive}) {
    const auto outcome = scheduler.Commit({store::SetAvailability{
        {"admin", WallTime()},
        AgentId("a"),
        {.mode = mode, .reason = "r", .by = "admin", .since = FromUnixMicros(5), .until = {}}}});
    REQUIRE_OK(outcome);
    REQUIRE_OK(outcome->at(0));
  }
  const auto page = trail.audit->List({.action = "set_agent_mode"});
  REQUIRE(Numbers(page).size() == 2);
  CHECK(page->entries[1].about.before.size() == 64);
  CHECK(page->entries[1].about.before != page->entries[1].about.after);
  CHECK(page->entries[0].about.before == page->entries[1].about.after);
}

TEST_CASE("Audit: entries are listed newest first, in pages, by what is asked for", "[db]") {
  Trail trail;
  trail.Fill(5);
  domain::AuditEntry refused = Trail::Entry("agent-2");
  refused.actor = "eve";
  refused.action = "log_in";
  refused.object = "account";
  refused.reason = "BAD_TOKEN";
  REQUIRE_OK(trail.audit->Append({refused}));
  const auto list = [&](const AuditFilter& filter) { return Numbers(trail.audit->List(filter)); };
  using N = std::vector<std::int64_t>;
  CHECK(list({}) == N{6, 5, 4, 3, 2, 1});
  CHECK(list({.actor = "eve"}) == N{6});
  CHECK(list({.actor = "ev"}).empty());
  CHECK(list({.action = "set_"}) == N{5, 4, 3, 2, 1});
  CHECK(list({.action = "set_agent_mode"}) == N{5, 4, 3, 2, 1});
  CHECK(list({.action = "set_agent_modes"}).empty());
  CHECK(list({.action = "lo", .subject = "agent-2"}) == N{6});
  // One that an index has beside one that is in none.
  CHECK(list({.action = "create_"}).empty());
  CHECK(list({.subject = "agent-2"}) == N{6, 2});
  CHECK(list({.object = "agent", .subject = "agent-2"}) == N{2});
  CHECK(list({.refused_only = true}) == N{6});
  CHECK(list({.actor = "'; DROP TABLE audit; --"}).empty());
  CHECK(list({.actor = std::string("eve\0", 4)}).empty());

  const auto all = trail.audit->List({});
  const WallTime of_row_4 = all->entries[2].at;
  CHECK(list({.since = of_row_4}) == N{6, 5, 4});
  CHECK(list({.until = of_row_4}) == N{3, 2, 1});
  CHECK(list({.since = of_row_4, .until = all->entries[0].at}) == N{5, 4});
  CHECK(*trail.audit->LastBefore(of_row_4) == 3);
  CHECK(*trail.audit->LastBefore(FromUnixMicros(1)) == 0);

  AuditFilter pages{.action = "set_", .page_size = 2};
  N seen;
  for (int page = 0; page < 3; ++page) {
    const auto found = trail.audit->List(pages);
    for (const std::int64_t number : Numbers(found)) seen.push_back(number);
    CHECK(found->next_page_token.empty() == (page == 2));
    pages.page_token = found->next_page_token;
  }
  CHECK(seen == N{5, 4, 3, 2, 1});
  CHECK_THAT(trail.audit->List({.page_token = "x"}).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN"));
  CHECK_THAT(trail.audit->List({.page_size = 0}).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_PAGE_SIZE"));
}

TEST_CASE("Audit: whatever somebody is called, the chain is right and the list says it", "[db]") {
  Trail trail;
  domain::AuditEntry odd = Trail::Entry(std::string("a\0b\xff\x1b[2J\n\"\\{},NULL", 19));
  odd.actor =
      "\xe2\x80\xae"
      "eve\xc2\x85";
  odd.details = {{"why", std::string("\0", 1)}, {"attempt", std::int64_t{7}}};
  REQUIRE_OK(trail.audit->Append({odd, Trail::Entry("")}));
  CHECK_FALSE(trail.Check().finding);
  const auto page = trail.audit->List({.actor = odd.actor});
  REQUIRE(Numbers(page) == std::vector<std::int64_t>{1});
  CHECK(page->entries[0].about.subject == domain::StorableText(odd.subject));
  CHECK(page->entries[0].about.details ==
        decltype(odd.details){{"why", "\xef\xbf\xbd"}, {"attempt", std::int64_t{7}}});
}

TEST_CASE("Audit: rows from before the format had a version are kept, and still right", "[db]") {
  const std::string connection = PostgresFixture::Get().NewEmptyDatabase();
  const auto migrations = BuiltInMigrations();
  REQUIRE_OK(Migrate(TestDatabaseOptions(connection), migrations.first(9), MigrationMode::kApply));
  std::string hash;
  for (int i = 1; i <= 3; ++i) {
    const std::string entry = R"({"at":170000000000000)" + std::to_string(i) +
                              R"(,"actor":"admin","action":"create_run","subject":"run-1"})";
    hash = audit::LinkHash(hash, entry);
    REQUIRE_OK(RunSql(connection, "INSERT INTO audit VALUES (" + std::to_string(i) + ", '" + entry +
                                      "', '" + hash + "')"));
  }
  REQUIRE_OK(Migrate(TestDatabaseOptions(connection), migrations, MigrationMode::kApply));
  REQUIRE_OK(RunSql(connection, "UPDATE leadership SET holder = 'test'"));
  auto database = Database::Open(TestDatabaseOptions(connection));
  REQUIRE_OK(database);
  REQUIRE_OK((*database)->BeginTerm());
  PgAuditStore audit(**database);
  REQUIRE_OK(audit.Append({Trail::Entry("agent-1")}));
  const auto verdict = audit::CheckChain(audit, {}, [](const audit::Progress&) { return true; });
  REQUIRE_OK(verdict);
  CHECK_FALSE(verdict->finding);
  CHECK(verdict->head.sequence == 4);
  CHECK(Numbers(audit.List({.subject = "run-1"})) == std::vector<std::int64_t>{3, 2, 1});
}

}  // namespace
}  // namespace slipway::store::pg
