#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;

TEST_CASE("slipway accounts create: a password of the farm's making is alone on standard output",
          "[unit][cli]") {
  Fixture f;
  CliRun made(f.controller, {"accounts", "create", "li", "--kind", "developer", "--full-name",
                             "Li Lei", "--department", "Shop"});
  CHECK(made.Wait() == 0);
  CHECK(made.out.text() == "made-by-farm\n");
  CHECK_THAT(made.err.text(), Contains("Li Lei") && Contains("only once"));
  CliRun json(f.controller, {"accounts", "create", "han", "--kind", "member", "-o", "json"});
  CHECK(json.Wait() == 0);
  CHECK_THAT(json.out.text(), Contains("\"password\": \"made-by-farm\""));

  CliRun::Place place;
  place.in = "chosen by hand\n";
  CliRun chosen(f.controller,
                {"accounts", "create", "mei", "--kind", "operator", "--password-stdin"}, place);
  CHECK(chosen.Wait() == 0);
  CHECK_THAT(chosen.out.text(), Contains("mei") && !Contains("chosen by hand"));
  CHECK(f.farm.access.accounts["mei"].password == "chosen by hand");
  CliRun robot(f.controller, {"accounts", "create", "ci", "--kind", "service"});
  CHECK(robot.Wait() == 0);
  CHECK_THAT(robot.out.text(), Contains("service"));
  CliRun wrong(f.controller, {"accounts", "create", "x", "--kind", "king"});
  CHECK(wrong.Wait() == 2);
  CHECK_THAT(wrong.err.text(), Contains("'king' is none of developer, member"));
}

TEST_CASE("slipway accounts: every page is listed, one shown, changed and given a new password",
          "[unit][cli]") {
  Fixture f;
  f.farm.access.Add("li", "li's password", v1::ACCOUNT_KIND_DEVELOPER);
  f.farm.access.Add("wang", "wang's password");
  CliRun list(f.controller, {"accounts", "list", "--lang", "zh"});
  CHECK(list.Wait() == 0);
  CHECK_THAT(list.out.text(),
             Contains("li ") && Contains("root") && Contains("wang") && Contains("开发人员"));
  CliRun show(f.controller, {"accounts", "show", "li"});
  CHECK_THAT(show.Wait() == 0 ? show.out.text() : "", Contains("developer"));
  CliRun update(f.controller, {"accounts", "update", "li", "--state", "disabled", "--post", "Lead",
                               "--email", ""});
  CHECK(update.Wait() == 0);
  REQUIRE(f.farm.access.updates.size() == 1);
  const auto& asked = f.farm.access.updates[0];
  CHECK(asked.account().state() == v1::ACCOUNT_STATE_DISABLED);
  CHECK(std::vector<std::string>(asked.update_mask().paths().begin(),
                                 asked.update_mask().paths().end()) ==
        std::vector<std::string>{"state", "post", "email"});
  CliRun nothing(f.controller, {"accounts", "update", "li"});
  CHECK(nothing.Wait() == 2);
  CliRun reset(f.controller, {"accounts", "reset-password", "li"});
  CHECK(reset.Wait() == 0);
  CHECK(reset.out.text() == "made-anew\n");
}

TEST_CASE("slipway accounts delete: only when somebody says yes", "[unit][cli]") {
  Fixture f;
  f.farm.access.Add("li", "li's password");
  CliRun script(f.controller, {"accounts", "delete", "li"});
  CHECK(script.Wait() == 2);
  CHECK_THAT(script.err.text(), Contains("--yes"));
  CliRun::Place place;
  place.answers = {"n"};
  CliRun no(f.controller, {"accounts", "delete", "li"}, place);
  CHECK(no.Wait() == 1);
  CHECK(f.farm.access.accounts.contains("li"));
  place.answers = {"y"};
  CliRun yes(f.controller, {"accounts", "delete", "li"}, place);
  CHECK(yes.Wait() == 0);
  CHECK_FALSE(f.farm.access.accounts.contains("li"));
  CliRun sure(f.controller, {"accounts", "delete", "li", "--yes"});
  CHECK(sure.Wait() == 0);
}

TEST_CASE("slipway: what an account may not do is exit 6 and says whom to ask", "[unit][cli]") {
  Fixture f;
  f.farm.access.Add("li", "li's password", v1::ACCOUNT_KIND_DEVELOPER);
  f.farm.access.tokens[FakeController::kToken].set_account("li");
  CliRun run(f.controller, {"accounts", "list"});
  CHECK(run.Wait() == 6);
  CHECK_THAT(run.err.text(), Contains("only admins") && Contains("→ Ask an admin"));
}

TEST_CASE("slipway groups: members are replaced, added and removed, whoever else changes them",
          "[unit][cli]") {
  Fixture f;
  CliRun make(f.controller,
              {"groups", "set", "shop", "--members", "li,han", "--description", "The shop"});
  CHECK(make.Wait() == 0);
  f.farm.access.changed_groups = 2;
  CliRun change(f.controller, {"groups", "set", "shop", "--add", "mei", "--remove", "li"});
  CHECK(change.Wait() == 0);
  const auto& group = f.farm.access.groups["shop"];
  CHECK(std::vector<std::string>(group.members().begin(), group.members().end()) ==
        std::vector<std::string>{"han", "mei"});
  CHECK(group.description() == "The shop");
  CliRun list(f.controller, {"groups", "list"});
  CHECK_THAT(list.Wait() == 0 ? list.out.text() : "", Contains("han, mei"));
  CliRun empty(f.controller, {"groups", "set", "shop", "--members", ""});
  CHECK(empty.Wait() == 0);
  CHECK(f.farm.access.groups["shop"].members().empty());
  CliRun gone(f.controller, {"groups", "delete", "shop"});
  CHECK(gone.Wait() == 0);
  CHECK(f.farm.access.groups.empty());
}

TEST_CASE("slipway grants: operations, presets and scopes go to the farm as they were said",
          "[unit][cli]") {
  Fixture f;
  CliRun preset(f.controller,
                {"grants", "add", "li", "--app", "shop,blog", "--preset", "developer"});
  CHECK(preset.Wait() == 0);
  CliRun scoped(f.controller, {"grants", "add", "group:docs", "--app", "site", "--op",
                               "publish,deploy", "--env", "production", "--pages", "/help"});
  CHECK(scoped.Wait() == 0);
  CliRun all(f.controller, {"grants", "remove", "li", "--all-apps"});
  CHECK(all.Wait() == 0);
  const auto& changes = f.farm.access.grant_changes;
  REQUIRE(changes.size() == 3);
  REQUIRE(changes[0].add_size() == 2);
  CHECK(changes[0].add(1).application() == "blog");
  CHECK(changes[0].add(1).account() == "li");
  CHECK(changes[0].add(1).operations_size() == 4);
  CHECK(changes[0].add(1).operations(0) == v1::OPERATION_RUN_SCRIPT);
  CHECK(changes[1].add(0).group() == "docs");
  CHECK(changes[1].add(0).environment() == "production");
  CHECK(changes[1].add(0).pages() == "/help");
  CHECK(changes[2].remove(0).application().empty());
  CHECK(changes[2].remove(0).operations().empty());

  CliRun list(f.controller, {"grants", "list"});
  CHECK(list.Wait() == 0);
  CHECK_THAT(list.out.text(), Contains("group:docs") && Contains("publish, deploy") &&
                                  Contains("production") && Contains("/help"));
  // No operation, no application, both, or an unknown word.
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {"grants", "add", "li", "--app", "shop"},
           {"grants", "add", "li", "--op", "publish"},
           {"grants", "add", "li", "--app", "shop", "--all-apps", "--op", "publish"},
           {"grants", "add", "li", "--app", "shop", "--op", "fly"},
           {"grants", "add", "li", "--app", "shop", "--preset", "king"}}) {
    CliRun usage(f.controller, wrong);
    CHECK(usage.Wait() == 2);
  }
  CHECK(f.farm.access.grant_changes.size() == 3);
}

TEST_CASE("slipway tokens: a secret is printed once and alone", "[unit][cli]") {
  Fixture f;
  CliRun create(f.controller, {"tokens", "create", "ci", "--account", "robot", "--op",
                               "package,publish", "--app", "shop", "--lifetime", "30d"});
  CHECK(create.Wait() == 0);
  CHECK(create.out.text() == "slt_token-1\n");
  CHECK_THAT(create.err.text(), Contains("only once") && Contains("slipway tokens revoke token-1"));
  REQUIRE(f.farm.access.token_requests.size() == 1);
  CHECK(f.farm.access.token_requests[0].lifetime().seconds() == 30 * 86'400);
  CliRun list(f.controller, {"tokens", "list"});
  CHECK(list.Wait() == 0);
  CHECK_THAT(list.out.text(),
             Contains("token-1") && Contains("package, publish") && !Contains("slt_"));
  CliRun revoke(f.controller, {"tokens", "revoke", "token-1"});
  CHECK(revoke.Wait() == 0);
  CliRun again(f.controller, {"tokens", "revoke", "token-1"});
  CHECK(again.Wait() == 3);
  CliRun forever(f.controller, {"tokens", "create", "x", "--lifetime", "for ever"});
  CHECK(forever.Wait() == 2);
}

TEST_CASE(
    "slipway tokens create: a lost answer is asked for with the same request id, makes no "
    "second token and says which one to revoke",
    "[unit][cli]") {
  Fixture f;
  f.farm.access.lost_tokens = 1;
  CliRun create(f.controller, {"tokens", "create", "ci"});
  CHECK(create.Wait() == 3);
  CHECK(create.out.text().empty());
  CHECK_THAT(create.err.text(), Contains("token-1") && Contains("Revoke the token"));
  REQUIRE(f.farm.access.token_requests.size() == 2);
  CHECK(f.farm.access.token_requests[0].request_id().size() == 36);
  CHECK(f.farm.access.token_requests[0].request_id() ==
        f.farm.access.token_requests[1].request_id());
  CliRun other(f.controller, {"tokens", "create", "ci"});
  CHECK(other.Wait() == 0);
}

TEST_CASE("slipway: logins, API tokens and groups are listed from every page", "[unit][cli]") {
  Fixture f;
  for (const char* name : {"one", "two", "three"}) {
    f.farm.access.tokens[name].set_id(std::string("token-") + name);
    f.farm.access.groups[name].set_name(std::string("group-") + name);
    auto& login = f.farm.access.logins[name];
    login.account = "root";
    login.login.set_id(std::string("login-") + name);
  }
  const std::vector<std::pair<std::string, std::vector<std::string>>> lists{
      {"token-", {"tokens", "list"}},
      {"login-", {"logins", "--account", "root"}},
      {"group-", {"groups", "list"}}};
  for (const auto& [prefix, command] : lists) {
    CliRun list(f.controller, command);
    CHECK(list.Wait() == 0);
    for (const char* name : {"one", "two", "three"}) {
      CHECK_THAT(list.out.text(), Contains(prefix + name));
    }
  }
}

}  // namespace
}  // namespace slipway::cli
