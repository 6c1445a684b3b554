#include <catch2/catch.hpp>
#include <string>

#include "controller/cli/explain_text.h"
#include "tests/support/wait_until.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::WaitUntil;

const Text kEnglish(Language::kEnglish);
const Text kChinese(Language::kChinese);

v1::ExplainTaskResponse Waiting(v1::Await await) {
  v1::ExplainTaskResponse why;
  why.mutable_task()->set_id("task-1");
  why.mutable_task()->set_state(v1::TASK_STATE_QUEUED);
  why.set_await(await);
  return why;
}

void AddAgents(v1::ExplainTaskResponse& why, v1::AgentCondition condition, int count) {
  v1::ConditionCount& fitting = *why.add_fitting();
  fitting.set_condition(condition);
  fitting.set_agents(static_cast<std::uint32_t>(count));
  why.set_agents_existing(why.agents_existing() + static_cast<std::uint32_t>(count));
}

TEST_CASE("WaitText: says of the agents what is missing", "[unit][cli]") {
  v1::ExplainTaskResponse why = Waiting(v1::AWAIT_AGENT);
  CHECK(WaitText(why, kEnglish) == "no agent has joined the farm");
  CHECK(WaitText(why, kChinese) == "农场里还没有代理");
  why.set_agents_existing(2);
  (*why.mutable_task()->mutable_requirements())["zone"] = "north";
  CHECK(WaitText(why, kEnglish) == "no agent has the labels zone=north");
  AddAgents(why, v1::AGENT_CONDITION_OFFLINE, 3);
  CHECK(WaitText(why, kEnglish) == "no agent that fits is online (3 offline)");
  AddAgents(why, v1::AGENT_CONDITION_BUSY, 2);
  CHECK(WaitText(why, kEnglish) == "the agents that fit: 3 offline, 2 busy");
  CHECK(WaitText(why, kChinese) == "合适的代理：3 个离线，2 个忙");
}

TEST_CASE("WaitText: names the task, the group or the agent that is awaited", "[unit][cli]") {
  v1::ExplainTaskResponse why = Waiting(v1::AWAIT_DEPENDENCY);
  why.mutable_task()->set_depends_on("task-0");
  why.mutable_dependency()->set_state(v1::TASK_STATE_RUNNING);
  CHECK(WaitText(why, kEnglish) == "task-0 is running");
  why = Waiting(v1::AWAIT_GROUP);
  why.mutable_group()->set_name("nightly");
  why.mutable_group()->set_ahead(2);
  v1::Task& holder = *why.mutable_group()->add_holders();
  holder.set_id("task-7");
  holder.set_state(v1::TASK_STATE_UNKNOWN);
  CHECK(WaitText(why, kEnglish) ==
        "the group nightly is held by task-7 (unknown) until somebody resolves it; 2 before it");
  why = Waiting(v1::AWAIT_ANSWER);
  why.mutable_task()->set_agent("build-1");
  CHECK(WaitText(why, kEnglish) == "build-1 thinks about the offer");
  CHECK(WaitText(Waiting(v1::AWAIT_NOTHING), kEnglish).empty());
  CHECK(WaitText(Waiting(v1::AWAIT_RESOLUTION), kEnglish) ==
        "somebody says whether it was published: slipway releases resolve task-1");
}

TEST_CASE("slipway tasks explain: agents with what they miss, time limits, in both languages",
          "[unit][cli]") {
  Fixture f;
  f.farm.Update([](FakeFarm& farm) {
    (*farm.tasks[kBuild].mutable_requirements())["zone"] = "north";
    v1::ExplainTaskResponse& why = farm.explanations[kBuild];
    why = Waiting(v1::AWAIT_AGENT);
    AddAgents(why, v1::AGENT_CONDITION_BUSY, 1);
    why.set_agents_existing(2);
    why.set_ahead(4);
    v1::Task& before = *why.add_first_ahead();
    before.set_id("task-before");
    before.set_application("shop");
    before.set_submitted_by("lin");
    v1::AgentFit& busy = *why.add_agents();
    busy.set_name("build-1");
    busy.set_condition(v1::AGENT_CONDITION_BUSY);
    busy.set_slots(2);
    busy.set_busy(2);
    v1::AgentFit& other = *why.add_agents();
    other.set_name("build-2");
    other.set_condition(v1::AGENT_CONDITION_OFFLINE);
    v1::UnmetRequirement& unmet = *other.add_unmet();
    unmet.set_key("zone");
    unmet.set_wanted("north");
    unmet.set_has_other(true);
    unmet.set_has("south");
    v1::TaskDeadline& deadline = *why.add_deadlines();
    deadline.set_kind(v1::TaskDeadline::KIND_QUEUE_TIMEOUT);
    deadline.mutable_at()->set_seconds(1'700'000'000);
  });
  CliRun english(f.controller, {"tasks", "explain", kBuild});
  CHECK(english.Wait() == 0);
  CHECK_THAT(english.out.text(),
             Contains("the agents that fit: 1 busy") && Contains("zone=north") &&
                 Contains("ahead of it") && Contains("task-before  shop") && Contains("lin\n") &&
                 Contains("… and 3 more") && Contains("2/2") &&
                 Contains("zone=north (has south)") && Contains("QUEUE_TIMEOUT"));
  CliRun chinese(f.controller, {"--lang", "zh", "tasks", "explain", kBuild});
  CHECK(chinese.Wait() == 0);
  CHECK_THAT(chinese.out.text(),
             Contains("合适的代理：1 个忙") && Contains("zone=north（现为 south）"));
  CliRun json(f.controller, {"--json", "tasks", "explain", kBuild});
  CHECK(json.Wait() == 0);
  CHECK_THAT(json.out.text(), Contains("\"await\": \"AWAIT_AGENT\""));
  CliRun show(f.controller, {"tasks", "show", kBuild});
  CHECK(show.Wait() == 0);
  CHECK_THAT(show.out.text(), Contains("waits: the agents that fit: 1 busy"));
  CliRun unknown(f.controller, {"tasks", "explain", "task-9"});
  CHECK(unknown.Wait() == 3);
}

TEST_CASE("slipway submit --follow: after a while it says why a task waits, once", "[unit][cli]") {
  Fixture f;
  f.farm.Update([](FakeFarm& farm) { farm.explanations[kBuild] = Waiting(v1::AWAIT_AGENT); });
  CliRun cli(f.controller, {"submit", "--app", "pocket-shop", "--platform", "weixin", "--follow"});
  REQUIRE(WaitUntil([&] { return cli.out.Has("waits: no agent has joined"); }));
  f.farm.Update(
      [](FakeFarm& farm) { AddAgents(farm.explanations[kBuild], v1::AGENT_CONDITION_BUSY, 1); });
  REQUIRE(WaitUntil([&] { return cli.out.Has("waits: the agents that fit: 1 busy"); }));
  f.Begin(kBuild);
  f.End(kBuild, v1::TASK_STATE_FAILED);
  f.End(kPublish, v1::TASK_STATE_SKIPPED);
  CHECK(cli.Wait() == 1);
  const std::string text = cli.out.text();
  CHECK(text.find("no agent has joined") == text.rfind("no agent has joined"));
}

TEST_CASE("slipway apps set: changes only what is named", "[unit][cli]") {
  Fixture f;
  CliRun cli(f.controller, {"apps", "set", "--require", "zone=north", "--require", "gpu=1",
                            "pocket-shop", "--queue-timeout", "none"});
  CHECK(cli.Wait() == 0);
  CHECK_THAT(cli.out.text(), Contains("gpu=1,zone=north"));
  REQUIRE(f.farm.updates.size() == 1);
  const v1::UpdateApplicationRequest& update = f.farm.updates[0];
  CHECK(update.name() == "pocket-shop");
  REQUIRE(update.update_mask().paths_size() == 2);
  CHECK(update.update_mask().paths(0) == "requirements");
  CHECK(update.update_mask().paths(1) == "queue_timeout");
  CHECK(update.queue_timeout().seconds() == 0);
  CliRun bad(f.controller, {"apps", "set", "pocket-shop", "--require", "zone"});
  CHECK(bad.Wait() == 2);
  CHECK_THAT(bad.err.text(), Contains("'zone' is not KEY=VALUE"));
}

TEST_CASE("slipway submit: what a run may wait for goes with it", "[unit][cli]") {
  Fixture f;
  CliRun cli(f.controller,
             {"submit", "--app", "pocket-shop", "--platform", "weixin", "--require", "zone=north",
              "--priority", "-5", "--group", "nightly", "--queue-timeout", "30m"});
  CHECK(cli.Wait() == 0);
  REQUIRE(f.farm.submits.size() == 1);
  const v1::SubmitRunRequest& request = f.farm.submits[0];
  CHECK(request.requirements().at("zone") == "north");
  CHECK(request.priority() == -5);
  CHECK(request.group() == "nightly");
  CHECK(request.queue_timeout().seconds() == 1800);
}

}  // namespace
}  // namespace slipway::cli
