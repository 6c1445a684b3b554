// What agents were told, and what channels hand on.
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "controller/runs/run_orders.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/run_orders_farm.h"

namespace slipway::runs {
namespace {

TEST_CASE("RunOrders: a build that was not told what was submitted has failed", "[unit]") {
  for (const bool known : {false, true}) {
    CAPTURE(known);
    Farm farm;
    RunOrders orders = farm.Orders();
    domain::Run run;
    run.id = RunId("run-2");
    run.application = kApplication;
    run.submitted_by = "admin";
    run.request_id = "r2";
    run.parameters = {{"entry", "src/kiosk.js"}};
    domain::Task build;
    build.id = TaskId("task-told");
    build.run = run.id;
    build.application = kApplication;
    build.platform = "weixin";
    build.state = domain::TaskState::kQueued;
    farm.Commit(store::CreateRun{{"admin", WallTime()}, run, {build}});
    if (known) orders.Submitted({.ticket = {}, .run = run, .tasks = {build}});
    const auto report = [&](const std::map<std::string, std::string>& told) {
      ResultReported event = ReportOf(build.id);
      event.result.build.emplace().manifest = *Sha256Digest::Parse(std::string(64, 'b'));
      event.result.build->parameters = told;
      REQUIRE_OK(orders.Complete(event));
      return event.result.failure->reason;
    };
    CHECK(report({}) == "PARAMETERS_IGNORED");
    CHECK(report({{"entry", "src/main.js"}}) == "PARAMETERS_IGNORED");
    CHECK(report({{"entry", "src/kiosk.js"}, {"more", "by default"}}) == "PRODUCT_NOT_ARCHIVED");
  }
}

TEST_CASE("RunOrders: what a channel hands on is a release of the product's platform", "[unit]") {
  Farm farm;
  domain::Run run;
  run.id = RunId("run-2");
  run.application = kApplication;
  run.application_name = "shop";
  run.submitted_by = "admin";
  run.request_id = "r2";
  domain::Task mail;
  mail.id = TaskId("task-mail");
  mail.run = run.id;
  mail.application = kApplication;
  mail.kind = domain::TaskKind::kPublish;
  mail.platform = "email";
  mail.target = "qa";
  mail.depends_on = kBuild;
  mail.state = domain::TaskState::kQueued;
  farm.Commit(store::CreateRun{{"admin", WallTime()}, run, {mail}});
  RunOrders orders = farm.Orders();
  ResultReported event = ReportOf(mail.id);
  REQUIRE_OK(orders.Complete(event));
  REQUIRE(event.release);
  CHECK(event.release->platform == "weixin");
  CHECK(event.release->target == "email/qa");
  // No platform's key is asked for.
  const auto secret = orders.SecretOf(mail.id);
  REQUIRE_OK(secret);
  CHECK(std::get<std::string>(*secret).empty());
}

}  // namespace
}  // namespace slipway::runs
