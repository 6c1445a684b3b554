#include <catch2/catch.hpp>
#include <string>

#include "controller/cli/render.h"
#include "tests/support/wait_until.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;

v1::Agent MakeAgent(const std::string& name, v1::AgentMode mode = v1::AGENT_MODE_ACTIVE) {
  v1::Agent agent;
  agent.set_id("agent-" + name);
  agent.set_name(name);
  agent.set_online(true);
  agent.set_slots(2);
  agent.set_mode(mode);
  return agent;
}

std::string Shown(const v1::Agent& agent, Language language = Language::kEnglish) {
  return RenderAgent(agent, {Text(language), Style(false), WallTime()});
}

TEST_CASE("Agents: the state says what is wanted of an agent and how far it is", "[unit][cli]") {
  v1::Agent agent = MakeAgent("mac-1");
  CHECK_THAT(Shown(agent), Contains("online"));
  agent.set_mode(v1::AGENT_MODE_DRAINING);
  CHECK_THAT(Shown(agent), Contains("drained"));
  agent.set_busy(1);
  CHECK_THAT(Shown(agent), Contains("draining"));
  CHECK_THAT(Shown(agent, Language::kChinese), Contains("排空中"));
  agent.set_online(false);
  CHECK_THAT(Shown(agent), Contains("offline, draining"));
  agent.set_mode(v1::AGENT_MODE_REVOKED);
  CHECK_THAT(Shown(agent), Contains("revoked") && !Contains("offline"));
  agent = MakeAgent("mac-1");
  agent.set_stopping(true);
  CHECK_THAT(Shown(agent), Contains("stopping"));
}

TEST_CASE("slipway agents show: who decided what and why, and what it holds", "[unit][cli]") {
  Fixture f;
  v1::Agent agent = MakeAgent("mac-1", v1::AGENT_MODE_PAUSED);
  agent.set_mode_reason("fan\x1b[2J");
  agent.set_mode_by("wang");
  agent.mutable_mode_since()->set_seconds(1'700'000'000);
  agent.mutable_mode_until()->set_seconds(1'700'003'600);
  v1::HeldTask& held = *agent.add_held();
  held.set_task("task-7");
  held.set_attempt(2);
  held.set_application("pocket-shop");
  held.set_platform("weixin");
  held.set_kind(v1::TASK_KIND_BUILD);
  f.farm.Update([&](FakeFarm& farm) { farm.agents["mac-1"] = agent; });
  CliRun show(f.controller, {"agents", "show", "mac-1"});
  CHECK(show.Wait() == 0);
  CHECK_THAT(show.out.text(), Contains("paused") && Contains("by wang since 2023-11-1") &&
                                  Contains("until") && Contains("task-7") && Contains("offered") &&
                                  !Contains("\x1b"));
  CliRun chinese(f.controller, {"--lang", "zh", "agents", "show", "mac-1"});
  CHECK(chinese.Wait() == 0);
  CHECK_THAT(chinese.out.text(), Contains("已暂停") && Contains("由 wang 自"));
  CliRun none(f.controller, {"agents", "show", "mac-9"});
  CHECK(none.Wait() == 3);
}

TEST_CASE("slipway agents: those that left the farm are listed only with --all", "[unit][cli]") {
  Fixture f;
  f.farm.Update([&](FakeFarm& farm) {
    farm.agents["mac-1"] = MakeAgent("mac-1");
    farm.agents["mac-2"] = MakeAgent("mac-2", v1::AGENT_MODE_REVOKED);
  });
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"agents"}, {"agents", "list"}}) {
    CliRun list(f.controller, words);
    CHECK(list.Wait() == 0);
    CHECK_THAT(list.out.text(), Contains("mac-1") && !Contains("mac-2"));
  }
  CliRun all(f.controller, {"agents", "list", "--all"});
  CHECK(all.Wait() == 0);
  CHECK_THAT(all.out.text(), Contains("mac-2") && Contains("revoked"));
}

TEST_CASE("slipway agents: each change asks for what it says and names who was changed",
          "[unit][cli]") {
  Fixture f;
  f.farm.Update([&](FakeFarm& farm) {
    farm.agents["mac-1"] = MakeAgent("mac-1");
    farm.agents["mac-2"] = MakeAgent("mac-2", v1::AGENT_MODE_DRAINING);
  });
  CliRun drain(f.controller, {"agents", "drain", "mac-*", "linux-1", "--reason", "new kernel"});
  CHECK(drain.Wait() == 0);
  CHECK(drain.out.text() == "mac-1: drained\nmac-2: drained (no change)\n");
  CliRun pause(f.controller, {"agents", "pause", "mac-1", "--reason", "fan", "--timeout", "90m"});
  CHECK(pause.Wait() == 0);
  for (const char* word : {"resume", "retire", "revoke"}) {
    CliRun change(f.controller, {"agents", word, "mac-1"});
    CHECK(change.Wait() == 0);
  }
  const auto& asked = f.farm.agent_changes;
  REQUIRE(asked.size() == 5);
  CHECK(asked[0].action() == v1::AGENT_ACTION_DRAIN);
  REQUIRE(asked[0].agents_size() == 2);
  CHECK(asked[0].agents(1) == "linux-1");
  CHECK(asked[0].reason() == "new kernel");
  CHECK_FALSE(asked[0].has_timeout());
  CHECK(asked[1].action() == v1::AGENT_ACTION_PAUSE);
  CHECK(asked[1].timeout().seconds() == 5400);
  CHECK(asked[2].action() == v1::AGENT_ACTION_RESUME);
  CHECK(asked[3].action() == v1::AGENT_ACTION_RETIRE);
  CHECK(asked[4].action() == v1::AGENT_ACTION_REVOKE);
}

TEST_CASE("slipway agents drain --wait: stays until they hold no task", "[unit][cli]") {
  Fixture f;
  f.farm.Update([&](FakeFarm& farm) {
    farm.agents["mac-1"] = MakeAgent("mac-1");
    farm.agents["mac-1"].set_busy(1);
    // The fake knows agents by their names.
    farm.agents["mac-1"].set_id("mac-1");
  });
  CliRun busy(f.controller, {"agents", "drain", "mac-1", "--wait", "--patience", "50ms"});
  CHECK(busy.Wait() == 1);
  CHECK_THAT(busy.out.text(), Contains("mac-1: draining"));
  CliRun drain(f.controller, {"agents", "drain", "mac-1", "--wait"});
  REQUIRE(testing::WaitUntil([&] {
    const std::lock_guard lock(f.farm.mu);
    return f.farm.agent_changes.size() == 2;
  }));
  f.farm.Update([](FakeFarm& farm) { farm.agents["mac-1"].set_busy(0); });
  CHECK(drain.Wait() == 0);
  CHECK_THAT(drain.out.text(), Contains("mac-1: drained"));
}

TEST_CASE("slipway agents token: open tokens are listed, and ended by their short name",
          "[unit][cli]") {
  Fixture f;
  f.farm.Update([&](FakeFarm& farm) {
    for (const char* state : {"open", "used"}) {
      v1::JoinToken& token = farm.join_tokens.emplace_back();
      token.set_id(std::string("0123-") + state);
      token.set_state(state);
      token.set_created_by("wang");
    }
    farm.join_tokens.back().set_used_by_name("mac-1");
  });
  CliRun open(f.controller, {"agents", "token", "list"});
  CHECK(open.Wait() == 0);
  CHECK_THAT(open.out.text(), Contains("0123-open") && Contains("wang") && !Contains("0123-used"));
  CliRun all(f.controller, {"--lang", "zh", "agents", "token", "list", "--all"});
  CHECK(all.Wait() == 0);
  CHECK_THAT(all.out.text(), Contains("0123-used") && Contains("mac-1") && Contains("已使用"));
  CliRun revoke(f.controller, {"agents", "token", "revoke", "0123-open"});
  CHECK(revoke.Wait() == 0);
  CHECK(f.farm.revoked_tokens == std::vector<std::string>{"0123-open"});
}

}  // namespace
}  // namespace slipway::cli
