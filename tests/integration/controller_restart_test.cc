#include <catch2/catch.hpp>
#include <string>

#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

std::string ReadWhole(FarmClient& client, const std::string& task) {
  v1::ReadLogRequest request;
  request.set_task(task);
  std::string seen;
  bool complete = false;
  REQUIRE_OK(client.ReadLog(request, [&](const v1::ReadLogResponse& slice) {
    seen += slice.data();
    complete = slice.complete();
  }));
  CHECK(complete);
  return seen;
}

// A build that has begun goes on after `restart`, and nothing that was acknowledged is lost.
void BuildAcross(FarmFixture& farm, const std::function<void()>& restart) {
  REQUIRE_OK(farm.client().CreateApplication("shop"));
  FakeAgent agent(farm.Join("builder"), 1);
  REQUIRE(agent.Reconnect());
  const auto run = farm.client().Submit(SubmitOf("shop", false, "before"));
  REQUIRE_OK(run);
  const auto queued = farm.client().Submit(SubmitOf("shop", false, "queued"));
  REQUIRE_OK(queued);
  const auto work = agent.WaitStart();
  REQUIRE(work);
  const std::string product = farm.data_dir() + "/product";
  WriteFile(product + "/app.json", "{}");
  const std::string log(700'000, 'l');
  {
    const auto stream = agent.OpenLog(work->key);
    REQUIRE(stream->Resume());
    REQUIRE(stream->Write(0, std::string_view(log).substr(0, 300'000)));
    REQUIRE(stream->WaitDurable(300'000));
  }
  const std::int64_t epoch = agent.epoch();

  restart();

  REQUIRE(agent.Reconnect());
  CHECK(agent.epoch() > epoch);
  CHECK(agent.Holds(work->key));
  {
    const auto stream = agent.OpenLog(work->key);
    const auto resume = stream->Resume();
    REQUIRE(resume);
    CHECK(*resume == 300'000);
    CHECK_OK(stream->Finish());
  }
  const auto again = farm.client().Submit(SubmitOf("shop", false, "before"));
  REQUIRE_OK(again);
  CHECK(again->run() == run->run());
  CHECK(again->tasks(0).state() == v1::TASK_STATE_RUNNING);
  CHECK(again->tasks(0).attempt() == work->key.attempt.value());

  const Sha256Digest manifest = DoBuild(agent, work->key, product, log);
  const auto done = farm.client().Watch(run->run());
  REQUIRE_OK(done);
  CHECK(done->tasks(0).state() == v1::TASK_STATE_SUCCEEDED);
  CHECK(ReadWhole(farm.client(), run->tasks(0).id()) == log);
  CHECK_OK(farm.client().Download(run->tasks(0).id(), manifest, farm.data_dir() + "/copy"));

  const auto next = agent.WaitStart();
  REQUIRE(next);
  CHECK(next->key.task.value() == queued->tasks(0).id());
}

TEST_CASE("Controller: a restart in the middle of a build loses nothing", "[integration]") {
  FarmFixture farm(FarmFixture::Database::kEmbedded);
  farm.Start();
  BuildAcross(farm, [&] {
    farm.Stop();
    farm.Start();
  });
}

TEST_CASE("Controller: kill -9 in the middle of a build loses nothing", "[integration]") {
  FarmFixture farm(FarmFixture::Database::kEmbedded);
  farm.StartProgram(SLIPWAY_CONTROLLER_BINARY);
  BuildAcross(farm, [&] {
    farm.KillProgram();
    farm.StartProgram(SLIPWAY_CONTROLLER_BINARY);
  });
}

TEST_CASE("Controller: a controller that another one has displaced says so and changes nothing",
          "[integration]") {
  FarmFixture farm;
  farm.Start();
  REQUIRE_OK(farm.client().CreateApplication("shop"));
  REQUIRE_OK(RunSql(farm.options().database_url, "UPDATE leadership SET epoch = epoch + 1"));
  CHECK_THAT(farm.client().Submit(SubmitOf("shop", false)).status(),
             StatusIs(absl::StatusCode::kUnavailable));
  // Callers are told before the program is.
  REQUIRE(WaitUntil([&] { return farm.fatal().has_value(); }));
  CHECK_THAT(*farm.fatal(), StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_LEADER"));
}

}  // namespace
}  // namespace slipway::testing
