#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "common/rpc/grpc_status.h"
#include "common/status/remedies.h"
#include "common/status/status.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

struct Farm {
  Farm() {
    farm.Start();
    REQUIRE_OK(farm.client().CreateApplication("shop"));
  }
  FarmClient& client() { return farm.client(); }
  FarmFixture farm;
};

TEST_CASE("Controller: a request id gives one run however often it is submitted", "[integration]") {
  Farm f;
  const auto first = f.client().Submit(SubmitOf("shop", true));
  REQUIRE_OK(first);
  REQUIRE(first->tasks_size() == 2);
  CHECK(first->tasks(0).state() == v1::TASK_STATE_QUEUED);
  CHECK(first->tasks(1).state() == v1::TASK_STATE_WAITING);
  const auto again = f.client().Submit(SubmitOf("shop", true));
  REQUIRE_OK(again);
  CHECK(again->run() == first->run());
  const auto other = f.client().Submit(SubmitOf("shop", true, "request-2"));
  REQUIRE_OK(other);
  CHECK(other->run() != first->run());
}

TEST_CASE("Controller: many runs of one call are submitted each on its own", "[integration]") {
  Farm f;
  const auto before = f.client().Submit(SubmitOf("shop", true, "request-2"));
  REQUIRE_OK(before);
  v1::SubmitRunsRequest request;
  *request.add_runs() = SubmitOf("shop", false, "request-1");
  *request.add_runs() = SubmitOf("nope", false, "request-x");
  *request.add_runs() = SubmitOf("shop", true, "request-2");
  *request.add_runs() = SubmitOf("shop", true, "request-3");
  const auto many = f.client().SubmitMany(request);
  REQUIRE_OK(many);
  REQUIRE(many->runs_size() == 4);
  CHECK(many->runs(0).run().tasks_size() == 1);
  const absl::Status refused = rpc::FromCallError(many->runs(1).error());
  CHECK_THAT(refused, StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_APPLICATION"));
  CHECK_FALSE(GetRemedyZh(refused).empty());
  CHECK(many->runs(2).run().run() == before->run());
  CHECK(many->runs(2).run().tasks_size() == 2);
  REQUIRE(many->runs(3).run().tasks_size() == 2);

  // What is answered is what is stored.
  for (const v1::Task& answered : many->runs(3).run().tasks()) {
    const auto stored = f.client().GetTask(answered.id());
    REQUIRE_OK(stored);
    CHECK(stored->DebugString() == answered.DebugString());
  }
  CHECK_THAT(f.client().SubmitMany({}).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
}

TEST_CASE("Controller: more submits at once than it has threads are all answered",
          "[integration]") {
  Farm f;
  constexpr int kCalls = 200;
  struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    v1::SubmitRunRequest request;
    v1::SubmitRunResponse response;
  };
  std::vector<Call> calls(kCalls);
  std::atomic<int> good = 0;
  std::atomic<int> answered = 0;
  for (int i = 0; i < kCalls; ++i) {
    Call& call = calls[static_cast<std::size_t>(i)];
    call.context = f.client().Context();
    call.request = SubmitOf("shop", false, "request-" + std::to_string(i));
    f.client().tasks().async()->SubmitRun(call.context.get(), &call.request, &call.response,
                                          [&](const grpc::Status& status) {
                                            if (status.ok()) ++good;
                                            ++answered;
                                          });
  }
  REQUIRE(WaitUntil([&] { return answered == kCalls; }));
  CHECK(good == kCalls);
}

TEST_CASE("Controller: unknown names are not found, with a reason", "[integration]") {
  Farm f;
  CHECK_THAT(f.client().Submit(SubmitOf("nope", false)).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_APPLICATION"));
  CHECK_THAT(f.client().GetTask("task-nope").status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_TASK"));
  CHECK_THAT(f.client().Watch("run-nope").status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_RUN"));
  CHECK_THAT(f.client().Cancel("task-nope").status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_TASK"));
  CHECK_THAT(f.client().GetArchived("task-nope").status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_PRODUCT"));
  v1::ReadLogRequest log;
  log.set_task("task-nope");
  const absl::Status no_log = f.client().ReadLog(log, [](const auto&) {});
  CHECK_THAT(no_log, StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_TASK"));
  // What to do travels in both languages.
  CHECK_THAT(GetErrorInfo(no_log).remedy, Catch::Contains("slipway tasks"));
  CHECK_THAT(GetRemedyZh(no_log), Catch::Contains("查看任务"));

  const auto context = f.client().Context();
  v1::ListTasksRequest list;
  list.set_run("run-nope");
  v1::ListTasksResponse tasks;
  CHECK_THAT(rpc::FromGrpc(*context, f.client().tasks().ListTasks(context.get(), list, &tasks)),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_RUN"));
}

TEST_CASE("Controller: a platform without a target takes no publish", "[integration]") {
  Farm f;
  v1::SubmitRunRequest request = SubmitOf("shop", true);
  request.set_platforms(0, "alipay");
  CHECK_THAT(f.client().Submit(request).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NO_TARGET"));
  request.set_publish(false);
  CHECK_OK(f.client().Submit(request));
}

TEST_CASE("Controller: canceling a queued build ends the run at once", "[integration]") {
  Farm f;
  const auto run = f.client().Submit(SubmitOf("shop", true));
  REQUIRE_OK(run);
  const auto canceled = f.client().Cancel(run->tasks(0).id(), "no longer wanted");
  REQUIRE_OK(canceled);
  CHECK(canceled->state() == v1::TASK_STATE_CANCELED);
  const auto watched = f.client().Watch(run->run());
  REQUIRE_OK(watched);
  CHECK(watched->finished());
  CHECK(watched->tasks(1).state() == v1::TASK_STATE_SKIPPED);
  CHECK_THAT(f.client().Cancel(run->tasks(0).id()).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "ALREADY_FINISHED"));
  // The log of what never ran is whole and empty.
  v1::ReadLogRequest log;
  log.set_task(run->tasks(0).id());
  log.set_follow(true);
  v1::ReadLogResponse last;
  REQUIRE_OK(f.client().ReadLog(log, [&](const auto& message) { last = message; }));
  CHECK(last.complete());
  CHECK(last.data().empty());
}

TEST_CASE("Controller: a running build is canceled at its agent", "[integration]") {
  Farm f;
  FakeAgent agent(f.farm.Join("builder"));
  REQUIRE(agent.Reconnect());
  const auto run = f.client().Submit(SubmitOf("shop", false));
  REQUIRE_OK(run);
  const auto work = agent.WaitStart();
  REQUIRE(work);
  const auto asked = f.client().Cancel(run->tasks(0).id());
  REQUIRE_OK(asked);
  CHECK(asked->cancel_requested());
  CHECK(asked->state() == v1::TASK_STATE_RUNNING);
  REQUIRE(agent.WaitCancel(work->key));
  REQUIRE(agent.Report(work->key, FailedResult("", protocol::FailureClass::kCanceled)));
  const auto watched = f.client().Watch(run->run());
  REQUIRE_OK(watched);
  CHECK(watched->tasks(0).state() == v1::TASK_STATE_CANCELED);
}

TEST_CASE("Controller: a reason of any length and script cancels that task and harms no other",
          "[integration]") {
  Farm f;
  FakeAgent agent(f.farm.Join("builder"), 1);
  REQUIRE(agent.Reconnect());
  REQUIRE_OK(f.client().Submit(SubmitOf("shop", false, "running")));
  const auto work = agent.WaitStart();
  REQUIRE(work);
  const auto queued = f.client().Submit(SubmitOf("shop", false, "queued"));
  REQUIRE_OK(queued);
  std::string reason = "x";
  while (reason.size() < 2000) reason += "原因";
  const auto canceled = f.client().Cancel(queued->tasks(0).id(), reason);
  REQUIRE_OK(canceled);
  CHECK(canceled->state() == v1::TASK_STATE_CANCELED);
  CHECK_OK(agent.AppendLog(work->key, "goes on\n"));
}

TEST_CASE("Controller: watching a run shows its steps and ends with it", "[integration]") {
  Farm f;
  FakeAgent agent(f.farm.Join("builder"));
  REQUIRE(agent.Reconnect());
  const auto run = f.client().Submit(SubmitOf("shop", false));
  REQUIRE_OK(run);
  const auto work = agent.WaitStart();
  REQUIRE(work);

  const auto context = f.client().Context();
  v1::WatchRunRequest request;
  request.set_run(run->run());
  const auto stream = f.client().tasks().WatchRun(context.get(), request);
  v1::WatchRunResponse message;
  REQUIRE(stream->Read(&message));
  CHECK(message.tasks(0).state() == v1::TASK_STATE_RUNNING);
  CHECK(message.tasks(0).agent() == "builder");
  agent.Step(work->key, 1, "fetch", v1::STEP_STATE_STARTED);
  REQUIRE(stream->Read(&message));
  REQUIRE(message.tasks(0).steps_size() == 1);
  CHECK(message.tasks(0).steps(0).name() == "fetch");
  agent.Step(work->key, 1, "fetch", v1::STEP_STATE_SUCCEEDED);
  REQUIRE(stream->Read(&message));
  CHECK(message.tasks(0).steps(0).state() == v1::STEP_STATE_SUCCEEDED);
  CHECK_FALSE(message.finished());
  REQUIRE(agent.Report(work->key, FailedResult("", protocol::FailureClass::kBuild)));
  bool finished = false;
  while (stream->Read(&message)) finished = message.finished();
  CHECK(finished);
  CHECK(message.tasks(0).state() == v1::TASK_STATE_FAILED);
  CHECK(rpc::FromGrpc(*context, stream->Finish()).ok());
}

TEST_CASE("Controller: a client that leaves while it follows costs nothing", "[integration]") {
  Farm f;
  const auto run = f.client().Submit(SubmitOf("shop", false));
  REQUIRE_OK(run);
  for (int i = 0; i < 20; ++i) {
    const auto watching = f.client().Context();
    v1::WatchRunRequest watch;
    watch.set_run(run->run());
    const auto tasks = f.client().tasks().WatchRun(watching.get(), watch);
    const auto reading = f.client().Context();
    v1::ReadLogRequest read;
    read.set_task(run->tasks(0).id());
    read.set_follow(true);
    const auto log = f.client().tasks().ReadLog(reading.get(), read);
    v1::WatchRunResponse message;
    if (i % 2 == 0) REQUIRE(tasks->Read(&message));
    watching->TryCancel();
    reading->TryCancel();
    CHECK(tasks->Finish().error_code() == grpc::StatusCode::CANCELLED);
    CHECK(log->Finish().error_code() == grpc::StatusCode::CANCELLED);
  }
  CHECK_OK(f.client().Cancel(run->tasks(0).id()));
}

TEST_CASE("Controller: it stops while streams are open and a submit is on its way",
          "[integration]") {
  Farm f;
  FakeAgent agent(f.farm.Join("builder"));
  REQUIRE(agent.Reconnect());
  const auto run = f.client().Submit(SubmitOf("shop", false));
  REQUIRE_OK(run);
  const auto work = agent.WaitStart();
  REQUIRE(work);
  const auto log = agent.OpenLog(work->key);
  REQUIRE(log->Resume());
  const auto context = f.client().Context();
  v1::WatchRunRequest request;
  request.set_run(run->run());
  const auto watch = f.client().tasks().WatchRun(context.get(), request);
  v1::WatchRunResponse message;
  REQUIRE(watch->Read(&message));

  const auto begun = std::chrono::steady_clock::now();
  f.farm.Stop();
  CHECK(std::chrono::steady_clock::now() - begun < seconds(10));
  const auto end = agent.WaitEnded();
  REQUIRE(end);
  CHECK_THAT(*end, StatusIs(absl::StatusCode::kUnavailable, "STOPPING"));
  CHECK_THAT(log->Finish(), StatusIs(absl::StatusCode::kUnavailable, "STOPPING"));
  CHECK_FALSE(watch->Read(&message));
  CHECK(watch->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace slipway::testing
