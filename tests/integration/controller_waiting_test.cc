#include <catch2/catch.hpp>
#include <string>

#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::testing {
namespace {

v1::ExplainTaskResponse Explain(FarmFixture& farm, const std::string& task) {
  const auto context = farm.client().Context();
  v1::ExplainTaskRequest request;
  request.set_id(task);
  v1::ExplainTaskResponse why;
  const grpc::Status status = farm.client().tasks().ExplainTask(context.get(), request, &why);
  INFO(status.error_message());
  REQUIRE(status.ok());
  return why;
}

TEST_CASE("Controller: a task that no agent takes says what they miss, until its time is over",
          "[integration]") {
  FarmFixture farm;
  farm.Start();
  REQUIRE_OK(farm.client().CreateApplication("shop"));
  const auto context = farm.client().Context();
  v1::UpdateApplicationRequest update;
  update.set_name("shop");
  update.mutable_update_mask()->add_paths("requirements");
  (*update.mutable_requirements())["zone"] = "north";
  v1::Application application;
  REQUIRE(farm.client().applications().UpdateApplication(context.get(), update, &application).ok());
  CHECK(application.requirements().at("zone") == "north");
  CHECK(application.repository() == farm.client().GetApplication("shop")->repository());

  FakeAgent agent(farm.Join("builder"), 2, {{"zone", "south"}});
  REQUIRE(agent.Reconnect());
  v1::SubmitRunRequest request = SubmitOf("shop", false);
  request.set_priority(7);
  request.mutable_queue_timeout()->set_seconds(4);
  const auto run = farm.client().Submit(request);
  REQUIRE_OK(run);
  const v1::Task& task = run->tasks(0);
  CHECK(task.priority() == 7);
  CHECK(task.requirements().at("executor") == "docker");

  const v1::ExplainTaskResponse why = Explain(farm, task.id());
  CHECK(why.task().id() == task.id());
  CHECK(why.await() == v1::AWAIT_AGENT);
  CHECK(why.agents_existing() == 1);
  CHECK(why.fitting_size() == 0);
  REQUIRE(why.agents_size() == 1);
  CHECK(why.agents(0).name() == "builder");
  CHECK(why.agents(0).condition() == v1::AGENT_CONDITION_FREE);
  REQUIRE(why.agents(0).unmet_size() == 1);
  CHECK(why.agents(0).unmet(0).key() == "zone");
  CHECK(why.agents(0).unmet(0).has() == "south");
  REQUIRE(why.deadlines_size() == 2);
  CHECK(why.deadlines(0).kind() == v1::TaskDeadline::KIND_QUEUE_TIMEOUT);
  CHECK(why.deadlines(1).kind() == v1::TaskDeadline::KIND_NO_AGENT);

  const auto end = farm.client().Watch(run->run());
  REQUIRE_OK(end);
  CHECK(end->tasks(0).state() == v1::TASK_STATE_FAILED);
  CHECK(end->tasks(0).result().failure().reason() == "QUEUE_TIMEOUT");
  CHECK(Explain(farm, task.id()).await() == v1::AWAIT_NOTHING);
}

TEST_CASE("Controller: publishes to one target keep the order of their submits over a restart",
          "[integration]") {
  FarmFixture farm(FarmFixture::Database::kEmbedded);
  farm.Start();
  REQUIRE_OK(farm.client().CreateApplication("shop"));
  FakeAgent agent(farm.Join("builder"), 4);
  REQUIRE(agent.Reconnect());
  const std::string product = farm.data_dir() + "/product";
  WriteFile(product + "/app.json", "{}");

  const auto first = farm.client().Submit(SubmitOf("shop", true, "first"));
  REQUIRE_OK(first);
  const auto first_build = agent.WaitStart();
  REQUIRE(first_build);
  const auto second = farm.client().Submit(SubmitOf("shop", true, "second"));
  REQUIRE_OK(second);
  const auto second_build = agent.WaitStart();
  REQUIRE(second_build);
  const std::string first_publish = first->tasks(1).id();
  const std::string second_publish = second->tasks(1).id();

  // The second build is faster, and still its publish waits.
  DoBuild(agent, second_build->key, product, "fast\n");
  v1::ExplainTaskResponse why = Explain(farm, second_publish);
  CHECK(why.await() == v1::AWAIT_GROUP);
  CHECK(why.group().name() == "publish:weixin/" + first->tasks(1).target());
  CHECK(why.group().ahead() == 1);
  REQUIRE(why.group().first_ahead_size() == 1);
  CHECK(why.group().first_ahead(0).id() == first_publish);
  CHECK(why.group().holders_size() == 0);
  CHECK(Explain(farm, first_publish).await() == v1::AWAIT_DEPENDENCY);

  farm.Stop();
  farm.Start();
  REQUIRE(agent.Reconnect());
  CHECK(Explain(farm, second_publish).await() == v1::AWAIT_GROUP);

  DoBuild(agent, first_build->key, product, "slow\n");
  const auto publish = agent.WaitStart();
  REQUIRE(publish);
  CHECK(publish->key.task.value() == first_publish);
  why = Explain(farm, second_publish);
  CHECK(why.await() == v1::AWAIT_GROUP);
  REQUIRE(why.group().holders_size() == 1);
  CHECK(why.group().holders(0).id() == first_publish);
  CHECK(why.group().holders(0).state() == v1::TASK_STATE_RUNNING);

  REQUIRE_OK(agent.AppendLog(publish->key, "refused\n"));
  REQUIRE(agent.Report(publish->key,
                       FailedResult("refused\n", protocol::FailureClass::kPlatformRefused)));
  const auto next = agent.WaitStart();
  REQUIRE(next);
  CHECK(next->key.task.value() == second_publish);
  CHECK(farm.client().GetTask(first_publish)->starts() == 1);
}

}  // namespace
}  // namespace slipway::testing
