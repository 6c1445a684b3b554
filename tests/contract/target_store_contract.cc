#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>

#include "tests/contract/store_farm.h"
#include "tests/contract/store_harness.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

using absl::StatusCode;

domain::Environment MakeEnvironment(const std::string& name, int order = 0) {
  return {.name = name, .description = "对外 'quoted'", .order = order};
}

domain::Target MakeTarget(const std::string& name, const std::string& environment = "") {
  domain::Target target;
  target.platform = "weixin";
  target.name = name;
  target.environment = environment;
  target.image = "publisher:1";
  target.proxy = "http://proxy:3128";
  target.ca_pem = "PEM\n";
  target.network = "host";
  target.deadline = std::chrono::minutes(3);
  target.requirements = {{"net", "dmz \"quoted\""}};
  return target;
}

store::Cause Asking(const std::string& request_id, const std::string& actor = "admin") {
  store::Cause cause = By(actor);
  cause.request_id = request_id;
  return cause;
}

// The names of all targets, as they come.
std::string Names(store::TargetStore& store) {
  const auto targets = store.GetTargets();
  REQUIRE_OK(targets);
  std::string names;
  for (const auto& target : (*targets)->all()) names += target.platform + "/" + target.name + " ";
  return names;
}

}  // namespace

TEST_CASE("TargetStore: what was created is found, in the order of platforms and names",
          "[contract]") {
  Farm farm;
  store::TargetStore& store = farm.process->targets();
  CHECK(Names(store).empty());
  REQUIRE_OK(store.CreateEnvironment(MakeEnvironment("production", 2), By("admin")));
  const auto made = store.CreateTarget(MakeTarget("weixin", "production"), By("admin", 5));
  REQUIRE_OK(made);
  CHECK(made->created_by == "admin");
  CHECK(made->created_at == By("admin", 5).at);
  REQUIRE_OK(store.CreateTarget(MakeTarget("staging"), By("admin")));
  domain::Target other = MakeTarget("weixin");
  other.platform = "alipay";
  REQUIRE_OK(store.CreateTarget(other, By("admin")));
  CHECK(Names(store) == "alipay/weixin weixin/staging weixin/weixin ");

  const auto targets = store.GetTargets();
  const domain::Target* found = (*targets)->Find("weixin", "weixin");
  REQUIRE(found != nullptr);
  const domain::Target expected = MakeTarget("weixin", "production");
  CHECK(found->environment == "production");
  CHECK(found->image == expected.image);
  CHECK(found->proxy == expected.proxy);
  CHECK(found->ca_pem == expected.ca_pem);
  CHECK(found->network == expected.network);
  CHECK(found->deadline == expected.deadline);
  CHECK(found->requirements == expected.requirements);
  CHECK(found->revision == made->revision);
}

TEST_CASE("Targets: no name means the one named like the platform, else the first", "[contract]") {
  Farm farm;
  store::TargetStore& store = farm.process->targets();
  REQUIRE_OK(store.CreateTarget(MakeTarget("zeta"), By("admin")));
  REQUIRE_OK(store.CreateTarget(MakeTarget("beta"), By("admin")));
  CHECK((*store.GetTargets())->Find("weixin", "")->name == "beta");
  REQUIRE_OK(store.CreateTarget(MakeTarget("weixin"), By("admin")));
  CHECK((*store.GetTargets())->Find("weixin", "")->name == "weixin");
  CHECK((*store.GetTargets())->Find("weixin", "gamma") == nullptr);
  CHECK((*store.GetTargets())->Find("alipay", "") == nullptr);
}

TEST_CASE("TargetStore: a change replaces all but who made it when", "[contract]") {
  Farm farm;
  store::TargetStore& store = farm.process->targets();
  const auto made = store.CreateTarget(MakeTarget("weixin"), By("admin"));
  REQUIRE_OK(made);
  domain::Target wish;
  wish.platform = wish.name = "weixin";
  wish.image = "publisher:2";
  const auto changed = store.UpdateTarget(wish, made->revision, By("other", 9));
  REQUIRE_OK(changed);
  CHECK(changed->image == "publisher:2");
  CHECK(changed->proxy.empty());
  CHECK(changed->requirements.empty());
  CHECK(changed->network == "bridge");
  CHECK(changed->created_by == "admin");
  CHECK(changed->created_at == made->created_at);
  CHECK(changed->revision != made->revision);
  CHECK((*store.GetTargets())->Find("weixin", "weixin")->image == "publisher:2");
  wish.name = "none";
  CHECK_THAT(store.UpdateTarget(wish, std::nullopt, By("admin")).status(),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_TARGET"));
}

TEST_CASE("TargetStore: who has not seen the newest state changes nothing", "[contract]") {
  Farm farm;
  store::TargetStore& store = farm.process->targets();
  const auto target = store.CreateTarget(MakeTarget("weixin"), By("admin"));
  const auto environment = store.CreateEnvironment(MakeEnvironment("test"), By("admin"));
  REQUIRE_OK(store.UpdateTarget(MakeTarget("weixin"), target->revision, By("admin")));
  REQUIRE_OK(store.UpdateEnvironment(MakeEnvironment("test"), environment->revision, By("admin")));
  const auto stale = [](const absl::Status& status) {
    CHECK_THAT(status, StatusIs(StatusCode::kAborted, "ETAG_MISMATCH"));
  };
  stale(store.UpdateTarget(MakeTarget("weixin"), target->revision, By("admin")).status());
  stale(store.DeleteTarget("weixin", "weixin", target->revision, By("admin")));
  stale(store.UpdateEnvironment(MakeEnvironment("test"), environment->revision, By("admin"))
            .status());
  stale(store.DeleteEnvironment("test", environment->revision, By("admin")));
  // One made anew under the old name is another one.
  REQUIRE_OK(store.DeleteTarget("weixin", "weixin", std::nullopt, By("admin")));
  REQUIRE_OK(store.CreateTarget(MakeTarget("weixin"), By("admin")));
  stale(store.DeleteTarget("weixin", "weixin", target->revision, By("admin")));

  store::ApplicationChange change;
  const auto shop = farm.process->applications().GetByName("shop");
  change.revision = shop->revision;
  change.repository = "https://example.test/moved.git";
  const auto moved = farm.process->applications().Update("shop", change, By("admin"));
  REQUIRE_OK(moved);
  CHECK(moved->repository == "https://example.test/moved.git");
  CHECK(moved->revision != shop->revision);
  stale(farm.process->applications().Update("shop", change, By("admin")).status());
}

TEST_CASE("TargetStore: a target is in an environment that is there", "[contract]") {
  Farm farm;
  store::TargetStore& store = farm.process->targets();
  CHECK_THAT(store.CreateTarget(MakeTarget("weixin", "production"), By("admin")).status(),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_ENVIRONMENT"));
  REQUIRE_OK(store.CreateEnvironment(MakeEnvironment("production"), By("admin")));
  REQUIRE_OK(store.CreateTarget(MakeTarget("weixin", "production"), By("admin")));
  CHECK_THAT(store.UpdateTarget(MakeTarget("weixin", "test"), std::nullopt, By("admin")).status(),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_ENVIRONMENT"));
  CHECK_THAT(store.DeleteEnvironment("production", std::nullopt, By("admin")),
             StatusIs(StatusCode::kFailedPrecondition, "ENVIRONMENT_IN_USE"));
  REQUIRE_OK(store.UpdateTarget(MakeTarget("weixin"), std::nullopt, By("admin")));
  CHECK_OK(store.DeleteEnvironment("production", std::nullopt, By("admin")));
  CHECK(store.ListEnvironments()->empty());
  CHECK_THAT(store.DeleteEnvironment("production", std::nullopt, By("admin")),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_ENVIRONMENT"));
}

TEST_CASE("TargetStore: environments come by their order, then by name", "[contract]") {
  Farm farm;
  store::TargetStore& store = farm.process->targets();
  REQUIRE_OK(store.CreateEnvironment(MakeEnvironment("production", 9), By("admin")));
  REQUIRE_OK(store.CreateEnvironment(MakeEnvironment("test", 1), By("admin")));
  REQUIRE_OK(store.CreateEnvironment(MakeEnvironment("alpha", 1), By("admin")));
  CHECK_THAT(store.CreateEnvironment(MakeEnvironment("alpha", 1), By("admin")).status(),
             StatusIs(StatusCode::kAlreadyExists, "ENVIRONMENT_EXISTS"));
  REQUIRE_OK(store.UpdateEnvironment(MakeEnvironment("production", 0), std::nullopt, By("admin")));
  const auto all = store.ListEnvironments();
  REQUIRE_OK(all);
  REQUIRE(all->size() == 3);
  CHECK(all->at(0).name == "production");
  CHECK(all->at(1).name == "alpha");
  CHECK(all->at(2).name == "test");
}

TEST_CASE("TargetStore: what an unfinished publish or preview rests on stays until it has ended",
          "[contract]") {
  const auto kind = GENERATE(domain::TaskKind::kPublish, domain::TaskKind::kPreview);
  Farm farm;
  store::TargetStore& store = farm.process->targets();
  REQUIRE_OK(store.CreateEnvironment(MakeEnvironment("test"), By("admin")));
  REQUIRE_OK(store.CreateTarget(MakeTarget("trial"), By("admin")));
  store::CreateRun create = farm.Create("1");
  create.tasks.at(1).target = "trial";
  create.tasks.at(1).kind = kind;
  REQUIRE_OK(farm.CommitOne(create));
  const auto in_use = [](const absl::Status& status) {
    CHECK_THAT(status, StatusIs(StatusCode::kFailedPrecondition, "TARGET_IN_USE"));
  };
  domain::Target wish = MakeTarget("trial");
  in_use(store.DeleteTarget("weixin", "trial", std::nullopt, By("admin")));
  wish.deadline = std::chrono::minutes(9);
  in_use(store.UpdateTarget(wish, std::nullopt, By("admin")).status());
  wish = MakeTarget("trial", "test");
  in_use(store.UpdateTarget(wish, std::nullopt, By("admin")).status());
  wish = MakeTarget("trial");
  wish.image = "publisher:2";
  CHECK_OK(store.UpdateTarget(wish, std::nullopt, By("admin")));
  // What goes elsewhere keeps nothing.
  REQUIRE_OK(store.CreateTarget(MakeTarget("idle"), By("admin")));
  CHECK_OK(store.DeleteTarget("weixin", "idle", std::nullopt, By("admin")));

  REQUIRE_OK(farm.CommitOne(farm.Offer("build-1", 1)));
  REQUIRE_OK(farm.CommitOne(store::StartTask{By("agent:a", 2), Key("build-1", 1)}));
  REQUIRE_OK(farm.CommitOne(farm.Finish("build-1", 1, domain::TaskState::kFailed)));
  in_use(store.DeleteTarget("weixin", "trial", std::nullopt, By("admin")));
  store::FinishTask skipped = farm.Finish("publish-1", 0, domain::TaskState::kSkipped);
  REQUIRE_OK(farm.CommitOne(skipped));
  CHECK_OK(store.DeleteTarget("weixin", "trial", std::nullopt, By("admin")));
}

TEST_CASE("TargetStore: a submit whose target went or moved meanwhile is refused, alone",
          "[contract]") {
  Farm farm;
  store::TargetStore& store = farm.process->targets();
  REQUIRE_OK(store.CreateEnvironment(MakeEnvironment("test"), By("admin")));
  REQUIRE_OK(store.CreateTarget(MakeTarget("trial"), By("admin")));
  const auto create = [&](const std::string& n, const std::string& environment) {
    store::CreateRun made = farm.Create(n);
    made.targets = {{"weixin", "trial", environment}};
    return made;
  };
  const auto no_target = StatusIs(StatusCode::kFailedPrecondition, "NO_TARGET");
  REQUIRE_OK(store.UpdateTarget(MakeTarget("trial", "test"), std::nullopt, By("admin")));
  const auto together =
      farm.process->scheduler().Commit({create("1", ""), create("2", "test"), farm.Create("3")});
  REQUIRE_OK(together);
  CHECK_THAT(together->at(0), no_target);
  CHECK_OK(together->at(1));
  CHECK_OK(together->at(2));
  CHECK_THAT(farm.process->reader().GetTask(TaskId("build-1")).status(),
             StatusIs(StatusCode::kNotFound));

  store::CreateRun nowhere = create("4", "test");
  nowhere.targets[0].name = "gone";
  CHECK_THAT(farm.CommitOne(nowhere), no_target);
  // Repeated, a submit that was stored is answered, whatever became of its target.
  nowhere = create("2", "");
  CHECK_THAT(farm.CommitOne(nowhere), StatusIs(StatusCode::kAlreadyExists));
  CHECK_OK(farm.CommitOne(create("4", "test")));
}

TEST_CASE(
    "Catalog: a creation asked for again answers what it made, with other contents it is "
    "refused",
    "[contract]") {
  Farm farm;
  store::TargetStore& store = farm.process->targets();
  const auto first = store.CreateTarget(MakeTarget("weixin"), Asking("one"));
  REQUIRE_OK(first);
  const auto audited = farm.harness->AuditedSubjects().size();
  const auto again = store.CreateTarget(MakeTarget("weixin"), Asking("one"));
  REQUIRE_OK(again);
  CHECK(again->revision == first->revision);
  CHECK(farm.harness->AuditedSubjects().size() == audited);
  // Also by a controller that started later, and as it is now.
  domain::Target changed = MakeTarget("weixin");
  changed.image = "publisher:2";
  REQUIRE_OK(store.UpdateTarget(changed, std::nullopt, By("admin")));
  auto later = farm.harness->NewProcess();
  REQUIRE_OK(later->scheduler().BecomeLeader());
  store::TargetStore& other = later->targets();
  CHECK(other.CreateTarget(MakeTarget("weixin"), Asking("one"))->image == "publisher:2");

  const auto reused = [](const absl::Status& status) {
    CHECK_THAT(status, StatusIs(StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  };
  reused(other.CreateTarget(changed, Asking("one")).status());
  reused(other.CreateTarget(MakeTarget("staging"), Asking("one")).status());
  reused(other.CreateEnvironment(MakeEnvironment("test"), Asking("one")).status());
  // Somebody else's request ids are others; and what was refused has not used its up.
  CHECK_THAT(other.CreateTarget(MakeTarget("weixin"), Asking("one", "mei")).status(),
             StatusIs(StatusCode::kAlreadyExists, "TARGET_EXISTS"));
  CHECK_OK(other.CreateTarget(MakeTarget("staging"), Asking("one", "mei")));

  domain::Application bakery{.id = ApplicationId("app-2"),
                             .name = "bakery",
                             .repository = "https://example.test/bakery.git",
                             .description = "",
                             .created_at = FromUnixMicros(kStart),
                             .created_by = "admin"};
  REQUIRE_OK(later->applications().Create(bakery, Asking("two")));
  bakery.id = ApplicationId("app-3");
  bakery.created_at = FromUnixMicros(kStart + 7);
  const auto made = later->applications().Create(bakery, Asking("two"));
  REQUIRE_OK(made);
  CHECK(made->id == ApplicationId("app-2"));
  bakery.description = "bread";
  reused(later->applications().Create(bakery, Asking("two")).status());
  CHECK_THAT(later->applications().Create(bakery, By("admin")).status(),
             StatusIs(StatusCode::kAlreadyExists, "APPLICATION_EXISTS"));
}

TEST_CASE(
    "TargetStore: a channel is kept as it was written, and has a secret that only a call of "
    "its own changes",
    "[contract]") {
  Farm farm;
  store::TargetStore& store = farm.process->targets();
  domain::Target wish;
  wish.platform = "email";
  wish.name = "qa";
  wish.requirements = {{"executor", "controller"}};
  wish.channel = domain::Channel{.url = "smtps://mail.example.com",
                                 .user = "farm",
                                 .from = "farm@example.com",
                                 .to = {"qa@example.com", "mei@example.com"},
                                 .may_reach = {"@example.com"},
                                 .language = "zh-CN",
                                 .attach_up_to = std::uint64_t{5} << 30,
                                 .valid_for = std::chrono::hours(48),
                                 .plain = true};
  const auto made = store.CreateTarget(wish, By("admin"));
  REQUIRE_OK(made);
  const domain::Target found = *(*store.GetTargets())->Find("email", "qa");
  CHECK(found.channel == wish.channel);
  CHECK_FALSE(found.has_secret);
  const auto none = store.SealedTargetSecret("email", "qa");
  REQUIRE_OK(none);
  CHECK(none->empty());

  CHECK_THAT(
      store.SetTargetSecret("email", "qa", "sealed", made->revision + 1000, By("admin")).status(),
      StatusIs(StatusCode::kAborted));
  const auto set = store.SetTargetSecret("email", "qa", "sealed", made->revision, By("admin"));
  REQUIRE_OK(set);
  CHECK(set->has_secret);
  CHECK(set->revision != made->revision);
  wish.channel->to.clear();
  const auto changed = store.UpdateTarget(wish, set->revision, By("admin"));
  REQUIRE_OK(changed);
  CHECK(changed->has_secret);
  CHECK(changed->channel == wish.channel);
  CHECK(*store.SealedTargetSecret("email", "qa") == "sealed");
  REQUIRE_OK(store.SetTargetSecret("email", "qa", "", std::nullopt, By("admin")));
  CHECK_FALSE((*store.GetTargets())->Find("email", "qa")->has_secret);

  REQUIRE_OK(store.CreateTarget(MakeTarget("weixin"), By("admin")));
  CHECK_THAT(
      store.SetTargetSecret("weixin", "weixin", "sealed", std::nullopt, By("admin")).status(),
      StatusIs(StatusCode::kFailedPrecondition, "NO_CHANNEL"));
  CHECK_THAT(store.SetTargetSecret("email", "none", "sealed", std::nullopt, By("admin")).status(),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_TARGET"));
  CHECK_THAT(store.SealedTargetSecret("email", "none").status(),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_TARGET"));
}

}  // namespace slipway::testing
