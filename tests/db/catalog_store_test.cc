// What only the real database shows of the catalog: those who change at once, rights inside the
// transaction, and what the audit trail says.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/status/status.h"
#include "controller/store/pg/pg_target_store.h"
#include "tests/db/access_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

using domain::Operation;

domain::Target MakeTarget(const std::string& name, const std::string& environment = "") {
  domain::Target target;
  target.platform = "weixin";
  target.name = name;
  target.environment = environment;
  target.image = "publisher:1";
  return target;
}

store::Cause Asking(const std::string& request_id) {
  store::Cause cause = AccessFarm::By("root");
  cause.request_id = request_id;
  return cause;
}

// How many of `calls` at once were ok; the others must be refused with this reason, or not at all.
int AtOnce(int calls, const std::string& reason, const std::function<absl::Status(int)>& call) {
  std::vector<absl::Status> outcomes(static_cast<std::size_t>(calls));
  std::vector<std::thread> threads;
  for (int i = 0; i < calls; ++i) {
    threads.emplace_back([&, i] { outcomes[static_cast<std::size_t>(i)] = call(i); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& outcome : outcomes) {
    INFO(outcome.ToString());
    CHECK((outcome.ok() || GetErrorInfo(outcome).reason == reason));
  }
  return static_cast<int>(std::count_if(outcomes.begin(), outcomes.end(),
                                        [](const absl::Status& s) { return s.ok(); }));
}

}  // namespace

TEST_CASE("Catalog: of many who change what they read at once, one wins", "[db]") {
  AccessFarm farm;
  store::pg::PgTargetStore targets(*farm.database);
  const auto target = targets.CreateTarget(MakeTarget("weixin"), AccessFarm::By("root"));
  REQUIRE_OK(target);
  const auto environment =
      targets.CreateEnvironment({.name = "production"}, AccessFarm::By("root"));
  REQUIRE_OK(environment);
  const auto shop = farm.applications().GetByName("shop");
  REQUIRE_OK(shop);
  CHECK(AtOnce(6, "ETAG_MISMATCH", [&](int i) {
          domain::Target wish = MakeTarget("weixin");
          wish.image = "publisher:" + std::to_string(i);
          return targets.UpdateTarget(wish, target->revision, AccessFarm::By("root")).status();
        }) == 1);
  CHECK(AtOnce(6, "ETAG_MISMATCH", [&](int i) {
          return targets
              .UpdateEnvironment({.name = "production", .order = i}, environment->revision,
                                 AccessFarm::By("root"))
              .status();
        }) == 1);
  CHECK(AtOnce(6, "ETAG_MISMATCH", [&](int i) {
          store::ApplicationChange change;
          change.description = std::to_string(i);
          change.revision = shop->revision;
          return farm.applications().Update("shop", change, AccessFarm::By("root")).status();
        }) == 1);
}

TEST_CASE("Catalog: a creation that is sent many times at once happens once, for each caller",
          "[db]") {
  AccessFarm farm;
  store::pg::PgTargetStore targets(*farm.database);
  CHECK(AtOnce(6, "", [&](int) {
          return targets.CreateTarget(MakeTarget("weixin"), Asking("one")).status();
        }) == 6);
  const auto actions = farm.Actions();
  CHECK(std::count(actions.begin(), actions.end(), "create_target") == 1);
  // Without a request id the others are told that it is there.
  CHECK(AtOnce(6, "TARGET_EXISTS", [&](int) {
          return targets.CreateTarget(MakeTarget("trial"), AccessFarm::By("root")).status();
        }) == 1);
}

TEST_CASE("Catalog: a submit waits for a change of its target that is under way, and heeds it",
          "[db]") {
  AccessFarm farm;
  store::pg::PgTargetStore targets(*farm.database);
  REQUIRE_OK(targets.CreateEnvironment({.name = "production"}, AccessFarm::By("root")));
  REQUIRE_OK(targets.CreateTarget(MakeTarget("weixin"), AccessFarm::By("root")));
  const std::string change = GENERATE(as<std::string>(), "DELETE FROM targets",
                                      "UPDATE targets SET environment = 'production'",
                                      "UPDATE targets SET image = 'publisher:2'");
  // Commits when somebody waits for it; what it reads of `farm` tells that it has the target.
  absl::Status changed;
  std::thread other([&] {
    changed = RunSql(farm.url, "BEGIN;" + change + R"(; SELECT FROM farm;
DO $$ BEGIN
  FOR i IN 1..2000 LOOP
    EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid');
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$; COMMIT)")
                  .status();
  });
  const bool under_way = WaitUntil([&] {
    const auto rows = RunSql(farm.url,
                             "SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
                             "WHERE c.relname = 'farm' AND l.granted");
    return rows.ok() && !rows->empty();
  });
  store::CreateRun create;
  create.cause = AccessFarm::By("root");
  create.run.id = RunId("run-1");
  create.run.application = ApplicationId("app-shop");
  create.run.submitted_by = "root";
  create.run.submitted_at = AccessFarm::Now();
  create.run.request_id = "one";
  create.targets = {{"weixin", "weixin", ""}};
  const auto outcome = farm.scheduler().Commit({create});
  other.join();
  CHECK(under_way);
  CHECK_OK(changed);
  REQUIRE_OK(outcome);
  INFO(change);
  if (change.find("image") == std::string::npos) {
    CHECK_THAT(outcome->at(0), StatusIs(absl::StatusCode::kFailedPrecondition, "NO_TARGET"));
  } else {
    CHECK_OK(outcome->at(0));
  }
}

TEST_CASE("Catalog: a request id is forgotten after 30 days", "[db]") {
  AccessFarm farm;
  store::pg::PgTargetStore targets(*farm.database);
  REQUIRE_OK(targets.CreateEnvironment({.name = "production"}, Asking("one")));
  const auto other = [&] { return targets.CreateEnvironment({.name = "test"}, Asking("one")); };
  REQUIRE_OK(RunSql(farm.url, "UPDATE creation_requests SET at = at - interval '29 days'"));
  CHECK_THAT(other().status(), StatusIs(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  REQUIRE_OK(RunSql(farm.url, "UPDATE creation_requests SET at = at - interval '2 days'"));
  CHECK_OK(other());
}

TEST_CASE("Catalog: who is no admin any more when the change is stored changes nothing", "[db]") {
  AccessFarm farm;
  store::pg::PgTargetStore targets(*farm.database);
  farm.Add("mei", domain::AccountKind::kDeveloper);
  store::Cause cause = AccessFarm::By("mei");
  cause.authorities = {{.need = domain::Authority::Need::kAdmin, .account = AccountId("acct-mei")}};
  const auto refused = [](const absl::Status& status) {
    CHECK_THAT(status, StatusIs(absl::StatusCode::kPermissionDenied, "ADMIN_ONLY"));
  };
  refused(targets.CreateTarget(MakeTarget("weixin"), cause).status());
  refused(targets.CreateEnvironment({.name = "test"}, cause).status());
  REQUIRE_OK(targets.CreateTarget(MakeTarget("weixin"), AccessFarm::By("root")));
  REQUIRE_OK(targets.CreateEnvironment({.name = "test"}, AccessFarm::By("root")));
  refused(targets.UpdateTarget(MakeTarget("weixin"), std::nullopt, cause).status());
  refused(targets.DeleteTarget("weixin", "weixin", std::nullopt, cause));
  refused(targets.UpdateEnvironment({.name = "test"}, std::nullopt, cause).status());
  refused(targets.DeleteEnvironment("test", std::nullopt, cause));
  CHECK((*targets.GetTargets())->all().size() == 1);
}

TEST_CASE("Catalog: the trail says of each change what was before and after", "[db]") {
  AccessFarm farm;
  store::pg::PgTargetStore targets(*farm.database);
  REQUIRE_OK(targets.CreateTarget(MakeTarget("weixin"), AccessFarm::By("root")));
  domain::Target wish = MakeTarget("weixin");
  wish.proxy = "http://proxy:1";
  REQUIRE_OK(targets.UpdateTarget(wish, std::nullopt, AccessFarm::By("root")));
  REQUIRE_OK(targets.DeleteTarget("weixin", "weixin", std::nullopt, AccessFarm::By("root")));
  const auto rows = RunSql(farm.url,
                           "SELECT entry::json ->> 'action', coalesce(entry::json ->> 'before', "
                           "''), coalesce(entry::json ->> 'after', '') FROM audit "
                           "WHERE object = 'target' ORDER BY sequence");
  REQUIRE_OK(rows);
  REQUIRE(rows->size() == 3);
  CHECK(rows->at(0).at(0) == "create_target");
  CHECK(rows->at(0).at(1).empty());
  CHECK(rows->at(0).at(2) == rows->at(1).at(1));
  CHECK(rows->at(1).at(2) != rows->at(1).at(1));
  CHECK(rows->at(1).at(2) == rows->at(2).at(1));
  CHECK(rows->at(2).at(2).empty());
}

TEST_CASE(
    "Catalog: an environment that a grant names stays; where one may publish is told by "
    "grants",
    "[db]") {
  AccessFarm farm;
  store::pg::PgTargetStore targets(*farm.database);
  farm.Add("mei", domain::AccountKind::kDeveloper);
  REQUIRE_OK(targets.CreateEnvironment({.name = "production"}, AccessFarm::By("root")));
  farm.Give("mei", "shop", {Operation::kPublish}, "production");
  CHECK_THAT(targets.DeleteEnvironment("production", std::nullopt, AccessFarm::By("root")),
             StatusIs(absl::StatusCode::kFailedPrecondition, "ENVIRONMENT_IN_USE"));
  const AccountId mei("acct-mei");
  const auto of = [&](Operation operation, const std::vector<ApplicationId>& only = {}) {
    const auto environments = farm.accounts().EnvironmentsOf(mei, operation, only);
    REQUIRE_OK(environments);
    return *environments;
  };
  CHECK(of(Operation::kPublish) == std::vector<std::string>{"production"});
  CHECK(of(Operation::kPublish, {ApplicationId("app-shop")}).size() == 1);
  CHECK(of(Operation::kPublish, {ApplicationId("app-bakery")}).empty());
  CHECK(of(Operation::kDeploy).empty());
  farm.Give("mei", "bakery", {Operation::kPublish});
  CHECK(of(Operation::kPublish).size() == 2);
}

TEST_CASE("Catalog: a grant for what is not there is refused, and changes nothing", "[db]") {
  AccessFarm farm;
  store::pg::PgTargetStore targets(*farm.database);
  farm.Add("mei", domain::AccountKind::kDeveloper);
  const AccountId mei("acct-mei");
  const auto give = [&](const std::string& application, const std::string& environment) {
    const store::NamedGrant good{
        .account = "mei", .application = "shop", .operations = {Operation::kPackage}};
    return farm.accounts().ChangeGrants({good,
                                         {.account = "mei",
                                          .application = application,
                                          .operations = {Operation::kPublish},
                                          .environment = environment}},
                                        {}, AccessFarm::By("root"));
  };
  CHECK_THAT(give("shop", "nowhere"), StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_ENVIRONMENT"));
  CHECK_THAT(give("nothing", ""), StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_APPLICATION"));
  CHECK(farm.accounts().GrantsOf(mei, {ApplicationId("app-shop")})->empty());
  farm.MakeEnvironments();
  CHECK_OK(give("shop", "test"));
  // However it came there, it can be taken.
  REQUIRE_OK(RunSql(farm.url, "UPDATE grants SET environment = 'gone' WHERE environment <> ''"));
  REQUIRE_OK(farm.accounts().ChangeGrants(
      {}, {{.account = "mei", .application = "shop", .environment = "gone"}},
      AccessFarm::By("root")));
  CHECK(farm.accounts().GrantsOf(mei, {ApplicationId("app-shop")})->size() == 1);
}

TEST_CASE("Catalog: an environment that is deleted while it is granted is not both", "[db]") {
  AccessFarm farm;
  store::pg::PgTargetStore targets(*farm.database);
  farm.Add("mei", domain::AccountKind::kDeveloper);
  const store::NamedGrant grant{.account = "mei",
                                .application = "shop",
                                .operations = {Operation::kPublish},
                                .environment = "test"};
  for (int i = 0; i < 20; ++i) {
    REQUIRE_OK(targets.CreateEnvironment({.name = "test"}, AccessFarm::By("root")));
    absl::Status granted;
    std::thread other(
        [&] { granted = farm.accounts().ChangeGrants({grant}, {}, AccessFarm::By("root")); });
    const absl::Status deleted =
        targets.DeleteEnvironment("test", std::nullopt, AccessFarm::By("root"));
    other.join();
    CHECK(granted.ok() != deleted.ok());
    if (granted.ok()) {
      REQUIRE_OK(farm.accounts().ChangeGrants({}, {grant}, AccessFarm::By("root")));
      REQUIRE_OK(targets.DeleteEnvironment("test", std::nullopt, AccessFarm::By("root")));
    }
  }
}

}  // namespace slipway::testing
