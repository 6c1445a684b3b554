#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "controller/store/pg/pg_agent_store.h"
#include "controller/store/pg/pg_image_order_store.h"
#include "tests/db/access_fixture.h"

namespace slipway::testing {
namespace {

using domain::AccountKind;
using domain::Authority;
using domain::Operation;
using domain::Operations;

Authority May(const AccountId& account, Operation operation, const std::string& environment = "") {
  return {.need = Authority::Need::kApplication,
          .account = account,
          .question = {.application = ApplicationId("app-shop"),
                       .operation = operation,
                       .environment = environment}};
}

store::Change RunOf(const std::string& number, std::vector<Authority> authorities) {
  store::CreateRun create;
  create.cause = {.actor = "mei", .at = AccessFarm::Now(), .authorities = std::move(authorities)};
  create.run.id = RunId("run-" + number);
  create.run.application = ApplicationId("app-shop");
  create.run.submitted_by = "mei";
  create.run.submitted_at = AccessFarm::Now();
  create.run.request_id = number;
  domain::Task build;
  build.id = TaskId("task-" + number);
  build.run = create.run.id;
  build.application = create.run.application;
  build.platform = "web";
  build.state = domain::TaskState::kQueued;
  build.created_at = AccessFarm::Now();
  create.tasks = {build};
  return create;
}

TEST_CASE("AccountStore: a name is unique whatever its case and width, also of who is deleted",
          "[db]") {
  AccessFarm farm;
  farm.Add("Mei Lin 产品", AccountKind::kMember);
  domain::Account again = farm.root;
  again.id = AccountId("acct-2");
  for (const char* name : {"mei lin 产品", "ＭＥＩ LIN 产品"}) {
    again.name = name;
    CHECK_THAT(farm.accounts().Create(again, "", AccessFarm::By("root")).status(),
               StatusIs(absl::StatusCode::kAlreadyExists));
    CHECK(farm.accounts().GetByName(name)->id == AccountId("acct-Mei Lin 产品"));
  }
  REQUIRE_OK(farm.accounts().Delete("MEI LIN 产品", AccessFarm::By("root")));
  CHECK_THAT(farm.accounts().GetByName("mei lin 产品").status(),
             StatusIs(absl::StatusCode::kNotFound));
  CHECK_THAT(farm.accounts().Create(again, "", AccessFarm::By("root")).status(),
             StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_CASE("AccountStore: an update of an older state is refused and changes nothing", "[db]") {
  AccessFarm farm;
  farm.Add("mei", AccountKind::kMember);
  const auto before = farm.accounts().GetByName("mei");
  REQUIRE_OK(before);
  store::AccountChange change;
  change.post = "designer";
  change.revision = before->revision;
  const auto changed = farm.accounts().Update("mei", change, AccessFarm::By("root"));
  REQUIRE_OK(changed);
  CHECK(changed->profile.post == "designer");
  CHECK(changed->revision == before->revision + 1);
  change.post = "tester";
  CHECK_THAT(farm.accounts().Update("mei", change, AccessFarm::By("root")).status(),
             StatusIs(absl::StatusCode::kAborted));
  CHECK(farm.accounts().GetByName("mei")->profile.post == "designer");
}

TEST_CASE("AccountStore: the last admin can be neither disabled, nor deleted, nor made less",
          "[db]") {
  AccessFarm farm;
  store::AccountChange less;
  less.kind = AccountKind::kDeveloper;
  store::AccountChange off;
  off.state = domain::AccountState::kDisabled;
  for (const store::AccountChange& change : {less, off}) {
    CHECK_THAT(farm.accounts().Update("root", change, AccessFarm::By("root")).status(),
               StatusIs(absl::StatusCode::kFailedPrecondition, "last admin"));
  }
  CHECK_THAT(farm.accounts().Delete("root", AccessFarm::By("root")),
             StatusIs(absl::StatusCode::kFailedPrecondition, "last admin"));
  CHECK(farm.accounts().GetByName("root")->kind == AccountKind::kAdmin);
  farm.Add("cannot log in", AccountKind::kAdmin);
  CHECK_THAT(farm.accounts().Delete("root", AccessFarm::By("root")),
             StatusIs(absl::StatusCode::kFailedPrecondition, "last admin"));
  farm.Add("second", AccountKind::kAdmin, "a hash");
  CHECK_OK(farm.accounts().Delete("root", AccessFarm::By("second")));
}

TEST_CASE("AccountStore: grants add up, shrink and go, by account and by group", "[db]") {
  AccessFarm farm;
  const auto mei = farm.Add("mei", AccountKind::kMember);
  const auto held = [&] { return *farm.accounts().GrantsOf(mei.id, {ApplicationId("app-shop")}); };
  CHECK(held().empty());
  farm.Give("mei", "shop", {Operation::kPackage});
  farm.Give("mei", "shop", {Operation::kPublish});
  farm.Give("mei", "bakery", {Operation::kPublish});
  REQUIRE(held().size() == 1);
  CHECK((held()[0].operations == Operations{Operation::kPackage, Operation::kPublish}));
  farm.Take("mei", "shop", {Operation::kPackage});
  CHECK((held()[0].operations == Operations{Operation::kPublish}));
  farm.Take("mei", "shop", {Operation::kPublish, Operation::kManage});
  CHECK(held().empty());
  farm.Give("mei", "shop", {Operation::kPackage});
  farm.Take("mei", "shop", {});
  CHECK(held().empty());

  REQUIRE_OK(farm.accounts().PutGroup(
      {.id = GroupId("group-1"), .name = "Testers", .description = "", .members = {"mei"}},
      std::nullopt, AccessFarm::By("root")));
  REQUIRE_OK(farm.accounts().ChangeGrants({{.account = "",
                                            .group = "testers",
                                            .application = "",
                                            .operations = {Operation::kPreview},
                                            .environment = "",
                                            .pages = ""}},
                                          {}, AccessFarm::By("root")));
  REQUIRE(held().size() == 1);
  CHECK((held()[0].operations == Operations{Operation::kPreview}));
  CHECK(farm.accounts().GetByName("mei")->groups == std::vector<std::string>{"Testers"});
  const auto listed = farm.accounts().ListGrants({.account = "mei"});
  REQUIRE_OK(listed);
  CHECK(listed->objects.size() == 2);
  CHECK(listed->total == 2);
  REQUIRE_OK(farm.accounts().DeleteGroup("TESTERS", AccessFarm::By("root")));
  CHECK(held().empty());
}

TEST_CASE("AccountStore: a change of grants is made as a whole or not at all", "[db]") {
  AccessFarm farm;
  farm.Add("mei", AccountKind::kMember);
  const store::NamedGrant good{.account = "mei",
                               .group = "",
                               .application = "shop",
                               .operations = {Operation::kPublish},
                               .environment = "",
                               .pages = ""};
  store::NamedGrant bad = good;
  bad.application = "nothing";
  CHECK_THAT(farm.accounts().ChangeGrants({good, bad}, {}, AccessFarm::By("root")),
             StatusIs(absl::StatusCode::kNotFound, "nothing"));
  CHECK(farm.accounts().ListGrants({})->objects.empty());
}

TEST_CASE("AccountStore: lists go on where the page before ended", "[db]") {
  AccessFarm farm;
  farm.MakeEnvironments();
  for (int i = 0; i < 25; ++i) {
    const std::string name = "account-" + std::to_string(i);
    farm.Add(name, AccountKind::kMember);
    farm.Give(name, "shop", {Operation::kPublish}, i % 2 == 0 ? "" : "test");
  }
  std::size_t accounts = 0;
  std::string token;
  do {
    const auto page = farm.accounts().List(10, token, false);
    REQUIRE_OK(page);
    accounts += page->objects.size();
    CHECK(page->total == 26);
    token = page->next_page_token;
  } while (!token.empty());
  CHECK(accounts == 26);
  std::size_t grants = 0;
  do {
    const auto page = farm.accounts().ListGrants({.page_size = 10, .page_token = token});
    REQUIRE_OK(page);
    grants += page->objects.size();
    CHECK(page->total == 25);
    token = page->next_page_token;
  } while (!token.empty());
  CHECK(grants == 25);
}

TEST_CASE("Rights: what was taken before the commit is refused in it, for that change alone",
          "[db]") {
  AccessFarm farm;
  const auto mei = farm.Add("mei", AccountKind::kMember);
  const auto li = farm.Add("li", AccountKind::kMember);
  farm.Give("mei", "shop", {Operation::kPackage});
  farm.Give("li", "shop", {Operation::kPackage});
  farm.Take("mei", "shop", {Operation::kPackage});
  auto store = farm.scheduler();
  const auto outcome =
      store.Commit({RunOf("1", {May(mei.id, Operation::kPackage)}),
                    RunOf("2", {May(li.id, Operation::kPackage)}),
                    RunOf("3", {May(li.id, Operation::kPackage), May(li.id, Operation::kPublish)}),
                    RunOf("4", {})});
  REQUIRE_OK(outcome);
  CHECK_THAT(outcome->at(0), StatusIs(absl::StatusCode::kNotFound));
  CHECK_OK(outcome->at(1));
  CHECK_THAT(outcome->at(2), StatusIs(absl::StatusCode::kPermissionDenied));
  CHECK_OK(outcome->at(3));
  CHECK_FALSE(farm.reader().GetRun(RunId("run-1")).ok());
  CHECK_FALSE(farm.reader().GetRun(RunId("run-3")).ok());
}

TEST_CASE("Rights: a login that has ended, a revoked token and a disabled account change nothing",
          "[db]") {
  AccessFarm farm;
  const auto mei = farm.Add("mei", AccountKind::kMember);
  farm.Give("mei", "shop", {Operation::kPackage});
  const domain::Login login{.id = LoginId("login-1"),
                            .account = mei.id,
                            .created_at = AccessFarm::Now(),
                            .refreshed_at = AccessFarm::Now(),
                            .expires_at = AccessFarm::Now() + std::chrono::hours(1)};
  REQUIRE_OK(farm.logins().AddLogin(login, "", AccessFarm::By("mei")));
  domain::ApiToken token;
  token.id = ApiTokenId("token-1");
  token.account = mei.id;
  token.name = "ci";
  token.created_at = AccessFarm::Now();
  token.operations = {Operation::kPackage};
  REQUIRE_OK(farm.logins().AddToken("hash", token, AccessFarm::By("mei")));
  Authority by_login = May(mei.id, Operation::kPackage);
  by_login.login = login.id;
  Authority by_token = May(mei.id, Operation::kPackage);
  by_token.token = token.id;
  auto store = farm.scheduler();
  const auto commit = [&](const std::string& number, const Authority& authority) {
    const auto outcome = store.Commit({RunOf(number, {authority})});
    REQUIRE_OK(outcome);
    return outcome->at(0);
  };
  CHECK_OK(commit("1", by_login));
  CHECK_OK(commit("2", by_token));
  farm.Give("mei", "shop", {Operation::kPublish});
  Authority beyond = by_token;
  beyond.question.operation = Operation::kPublish;
  CHECK_THAT(commit("3", beyond), StatusIs(absl::StatusCode::kPermissionDenied));
  REQUIRE_OK(farm.logins().EndLogin(login.id, mei.id, "logged out", AccessFarm::By("mei")));
  REQUIRE_OK(farm.logins().RevokeToken(token.id, mei.id, AccessFarm::By("mei")));
  CHECK_THAT(commit("4", by_login), StatusIs(absl::StatusCode::kNotFound));
  CHECK_THAT(commit("5", by_token), StatusIs(absl::StatusCode::kNotFound));
  store::AccountChange off;
  off.state = domain::AccountState::kDisabled;
  REQUIRE_OK(farm.accounts().Update("mei", off, AccessFarm::By("root")));
  CHECK_THAT(commit("6", May(mei.id, Operation::kPackage)), StatusIs(absl::StatusCode::kNotFound));
}

TEST_CASE("Rights: an account is changed by admins only, in the transaction that changes it",
          "[db]") {
  AccessFarm farm;
  const auto mei = farm.Add("mei", AccountKind::kMember);
  store::Cause cause = AccessFarm::By("mei");
  cause.authorities = {{.need = Authority::Need::kAdmin, .account = mei.id}};
  CHECK_THAT(farm.accounts().Delete("root", cause), StatusIs(absl::StatusCode::kPermissionDenied));
  CHECK_THAT(farm.applications().Update("shop", {}, cause).status(),
             StatusIs(absl::StatusCode::kPermissionDenied));
  const auto actions = farm.Actions();
  CHECK(std::count(actions.begin(), actions.end(), "delete_account") == 0);
  CHECK(std::count(actions.begin(), actions.end(), "create_account") == 2);
}

// Keeps what it is told.
class Refusals final : public store::RefusalRecorder {
 public:
  void RecordRefusal(domain::AuditEntry refused) override {
    told.push_back(refused.actor + " from " + refused.from + " " + refused.action + " " +
                   refused.object + " " + refused.subject + ": " + refused.reason);
  }
  std::vector<std::string> told;
};

TEST_CASE("Rights: what a transaction refuses is entered into the audit trail", "[db]") {
  AccessFarm farm;
  const auto mei = farm.Add("mei", AccountKind::kMember);
  Refusals refusals;
  farm.database->EnterRefusalsIn(&refusals);
  store::Cause cause = AccessFarm::By("mei");
  cause.from = "10.0.0.7";
  cause.authorities = {{.need = Authority::Need::kAdmin, .account = mei.id}};
  CHECK_FALSE(farm.accounts().Delete("root", cause).ok());
  auto run = std::get<store::CreateRun>(RunOf("1", {May(mei.id, Operation::kPackage)}));
  run.cause.from = "10.0.0.7";
  CHECK_FALSE(farm.scheduler().Commit({run})->at(0).ok());
  const store::RequestCancel cancel{
      {"mei", AccessFarm::Now(), "10.0.0.7", {May(mei.id, Operation::kPackage)}},
      TaskId("task-1"),
      "why"};
  const auto rights = farm.scheduler().CheckRights({cancel, RunOf("2", {})});
  REQUIRE_OK(rights);
  CHECK_THAT(rights->at(0), StatusIs(absl::StatusCode::kNotFound));
  CHECK_OK(rights->at(1));
  farm.database->EnterRefusalsIn(nullptr);
  CHECK_FALSE(farm.accounts().Delete("root", cause).ok());
  CHECK(refusals.told == std::vector<std::string>{
                             "mei from 10.0.0.7 delete_account account root: ADMIN_ONLY",
                             "mei from 10.0.0.7 create_run run run-1: NO_SUCH_APPLICATION",
                             "mei from 10.0.0.7 request_cancel task task-1: NO_SUCH_APPLICATION"});
}

TEST_CASE("Accounts: a request id makes one account, and its repetition answers that", "[db]") {
  AccessFarm farm;
  auto accounts = farm.accounts();
  store::Cause cause = AccessFarm::By("root");
  cause.request_id = "one";
  domain::Account wanted{.id = AccountId("acct-1"),
                         .name = "Mei",
                         .kind = AccountKind::kMember,
                         .created_at = AccessFarm::Now(),
                         .created_by = "root"};
  const auto made = accounts.Create(wanted, "hash", cause);
  REQUIRE_OK(made);
  CHECK_FALSE(made->before);
  const std::size_t entries = farm.Actions().size();
  wanted.id = AccountId("acct-2");
  const auto again = accounts.Create(wanted, "other hash", cause);
  REQUIRE_OK(again);
  CHECK(again->before);
  CHECK(again->account.id == AccountId("acct-1"));
  CHECK(accounts.FindPassword("mei")->second == "hash");
  CHECK(farm.Actions().size() == entries);
  wanted.profile.post = "designer";
  CHECK_THAT(accounts.Create(wanted, "hash", cause).status(),
             StatusIs(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  cause.request_id = "two";
  CHECK_THAT(accounts.Create(wanted, "hash", cause).status(),
             StatusIs(absl::StatusCode::kAlreadyExists, "ACCOUNT_EXISTS"));
  // What failed has taken nothing.
  wanted.name = "li";
  CHECK_OK(accounts.Create(wanted, "hash", cause));
  // As it is now.
  REQUIRE_OK(accounts.Delete("mei", AccessFarm::By("root")));
  cause.request_id = "one";
  wanted.name = "Mei";
  wanted.profile.post = "";
  const auto gone = accounts.Create(wanted, "hash", cause);
  REQUIRE_OK(gone);
  CHECK(gone->account.state == domain::AccountState::kDeleted);
}

TEST_CASE("Accounts: who walks the pages of groups meets each once, whatever comes and goes",
          "[db]") {
  AccessFarm farm;
  auto accounts = farm.accounts();
  const auto put = [&](const std::string& name) {
    REQUIRE_OK(accounts.PutGroup({.id = GroupId("group-" + name), .name = name}, std::nullopt,
                                 AccessFarm::By("root")));
  };
  for (const char* name : {"Bakers", "designers", "Ärzte", "testers", "产品"}) put(name);
  std::vector<std::string> met;
  store::PageRequest page{.size = 2};
  do {
    const auto groups = accounts.ListGroups(page);
    REQUIRE_OK(groups);
    CHECK(groups->objects.size() <= 2);
    if (page.token.empty()) {
      CHECK(groups->total == 5);
      put("artists");
      REQUIRE_OK(accounts.DeleteGroup("designers", AccessFarm::By("root")));
      REQUIRE_OK(accounts.DeleteGroup("testers", AccessFarm::By("root")));
    }
    for (const auto& group : groups->objects) met.push_back(group.name);
    page.token = groups->next_page_token;
  } while (!page.token.empty());
  CHECK(met == std::vector<std::string>{"Bakers", "designers", "Ärzte", "产品"});
}

TEST_CASE("Rights: join tokens and images are for operators, in the transaction that changes them",
          "[db]") {
  AccessFarm farm;
  const auto op = farm.Add("op", AccountKind::kOperator);
  store::pg::PgAgentStore agents(*farm.database);
  store::pg::PgImageOrderStore images(*farm.database);
  store::Cause cause = AccessFarm::By("op");
  cause.from = "10.0.0.7";
  cause.authorities = {{.need = Authority::Need::kOperator, .account = op.id}};
  domain::JoinToken token;
  token.token_hash = std::string(64, 'a');
  token.created_at = AccessFarm::Now();
  token.created_by = "op";
  token.expires_at = AccessFarm::Now() + std::chrono::hours(1);
  REQUIRE_OK(agents.AddJoinToken(token, cause));
  const std::vector<domain::ImageOrder> wanted{{.image = "node:20",
                                                .agent = {},
                                                .number = 0,
                                                .requested_by = "op",
                                                .requested_at = AccessFarm::Now()}};
  REQUIRE_OK(images.Put(wanted, cause));
  const auto rows = RunSql(farm.url,
                           "SELECT entry::json ->> 'action', entry::json ->> 'from' FROM audit "
                           "ORDER BY sequence DESC LIMIT 2");
  REQUIRE_OK(rows);
  CHECK(*rows == TextRows{{"order_image", "10.0.0.7"}, {"create_join_token", "10.0.0.7"}});
  store::AccountChange off;
  off.state = domain::AccountState::kDisabled;
  REQUIRE_OK(farm.accounts().Update("op", off, AccessFarm::By("root")));
  token.token_hash = std::string(64, 'b');
  const auto refused = StatusIs(absl::StatusCode::kPermissionDenied);
  CHECK_THAT(agents.AddJoinToken(token, cause), refused);
  CHECK_THAT(agents.RevokeJoinToken(std::string(12, 'a'), cause).status(), refused);
  CHECK_THAT(images.Put(wanted, cause).status(), refused);
  CHECK_THAT(images.Remove("node:20", AgentId(), cause).status(), refused);
  CHECK(agents.ListJoinTokens(true, AccessFarm::Now(), {})->total == 1);
  CHECK(images.List()->size() == 1);
}

TEST_CASE("Viewer: lists hold what the account sees, and count it", "[db]") {
  AccessFarm farm;
  const auto mei = farm.Add("mei", AccountKind::kMember);
  const auto li = farm.Add("li", AccountKind::kDeveloper);
  farm.Give("mei", "shop", {Operation::kPublish});
  REQUIRE_OK(farm.scheduler().Commit({RunOf("1", {})}));
  const auto seen_by = [&](const store::Viewer& viewer) {
    const auto page = farm.applications().List({.viewer = viewer});
    REQUIRE_OK(page);
    CHECK(page->total == static_cast<std::int64_t>(page->applications.size()));
    std::string names;
    for (const auto& application : page->applications) names += application.name + " ";
    const auto tasks = farm.reader().ListTasks({.viewer = viewer});
    REQUIRE_OK(tasks);
    return names + std::to_string(tasks->tasks.size());
  };
  CHECK(seen_by({}) == "bakery shop 1");
  CHECK(seen_by({.account = mei.id}) == "shop 1");
  CHECK(seen_by({.account = li.id}) == "0");
  CHECK(seen_by({.only = {ApplicationId("app-bakery")}}) == "bakery 0");
  CHECK(seen_by({.account = mei.id, .only = {ApplicationId("app-bakery")}}) == "0");
  // What its kind voids shows nothing.
  CHECK(seen_by({.account = mei.id, .holdable = {Operation::kPackage}}) == "0");
  farm.Give("li", "", {Operation::kPackage});
  CHECK(seen_by({.account = li.id}) == "bakery shop 1");
}

}  // namespace
}  // namespace slipway::testing
