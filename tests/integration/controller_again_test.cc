// Products that are handed over without a build, and runs that are submitted again.
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "tests/integration/channel_shop.h"

namespace slipway::testing {
namespace {

using Catch::Contains;

constexpr char kCredential[] = "sealed";

class World {
 public:
  World() : agent_((Begin(), farm_.Join("builder")), 4) {
    REQUIRE_OK(farm_.client().CreateApplication("shop"));
    REQUIRE(agent_.Reconnect());
    WriteFile(product_ / "app.json", "{}\n");
    v1::Target page;
    page.set_platform("page");
    page.set_name("page");
    page.mutable_channel();
    REQUIRE_OK(farm_.client().CreateTarget(page));
  }

  // A build at the agent; its task.
  v1::Task Build(const v1::SubmitRunRequest& request, const std::string& credential = "") {
    const auto submitted = farm_.client().Submit(request);
    REQUIRE_OK(submitted);
    const auto start = agent_.WaitStart();
    REQUIRE(start);
    DoBuild(agent_, start->key, product_.path(), "a log\n", credential);
    const auto task = farm_.client().GetTask(submitted->tasks(0).id());
    REQUIRE_OK(task);
    return *task;
  }
  absl::StatusOr<v1::SubmitRunResponse> Publish(const v1::PublishProductRequest& request) {
    const auto context = farm_.client().Context();
    v1::SubmitRunResponse response;
    SLIPWAY_RETURN_IF_ERROR(rpc::FromGrpc(
        *context, farm_.client().tasks().PublishProduct(context.get(), request, &response)));
    return response;
  }
  absl::StatusOr<v1::SubmitAgainResponse> Again(const std::string& run, bool only_failed,
                                                const std::string& request_id = "again") {
    v1::SubmitAgainRequest request;
    request.set_request_id(request_id);
    request.set_run(run);
    request.set_only_failed(only_failed);
    const auto context = farm_.client().Context();
    v1::SubmitAgainResponse response;
    SLIPWAY_RETURN_IF_ERROR(rpc::FromGrpc(
        *context, farm_.client().tasks().SubmitAgain(context.get(), request, &response)));
    return response;
  }
  std::vector<v1::Task> End(const std::string& run) {
    const auto watched = farm_.client().Watch(run);
    REQUIRE_OK(watched);
    return {watched->tasks().begin(), watched->tasks().end()};
  }
  FarmFixture& farm() { return farm_; }
  FakeAgent& agent() { return agent_; }
  const TempDir& product() const { return product_; }

 private:
  void Begin() {
    farm_.options().public_url = "https://farm.example.org";
    farm_.Start();
  }
  FarmFixture farm_;
  FakeAgent agent_;
  TempDir product_;
};

v1::PublishProductRequest ToPage(const std::string& product, const std::string& request_id) {
  v1::PublishProductRequest request;
  request.set_request_id(request_id);
  request.set_product(product);
  request.add_channels()->set_channel("page");
  return request;
}

TEST_CASE("Again: an archived product is handed on without a build", "[integration]") {
  World world;
  const v1::Task build = world.Build(SubmitOf("shop", false));
  const auto submitted = world.Publish(ToPage(build.id(), "first"));
  REQUIRE_OK(submitted);
  REQUIRE(submitted->tasks_size() == 1);
  const auto tasks = world.End(submitted->run());
  REQUIRE(tasks.size() == 1);
  INFO(tasks[0].ShortDebugString());
  REQUIRE(tasks[0].state() == v1::TASK_STATE_SUCCEEDED);
  CHECK(tasks[0].depends_on() == build.id());
  const auto archived = world.farm().client().GetArchived(build.id());
  REQUIRE_OK(archived);
  CHECK(archived->publish_state() == "released");
  CHECK(archived->release().id() == tasks[0].release());
  CHECK(archived->release().build_task() == build.id());
  // By its release, its code, and the task that handed it over; the same request is the same run.
  int number = 0;
  for (const std::string& name :
       {tasks[0].release(), archived->release().qr_text(), tasks[0].id()}) {
    const auto more = world.Publish(ToPage(name, "more" + std::to_string(++number)));
    REQUIRE_OK(more);
    CHECK(world.End(more->run())[0].state() == v1::TASK_STATE_SUCCEEDED);
  }
  CHECK(world.Publish(ToPage(build.id(), "first"))->run() == submitted->run());
}

TEST_CASE("Again: a product goes to its platform with the credential of its commit",
          "[integration]") {
  World world;
  const v1::Task build = world.Build(SubmitOf("shop", false), kCredential);
  v1::PublishProductRequest request;
  request.set_request_id("publish");
  request.set_product(build.id());
  request.set_publish(true);
  const auto submitted = world.Publish(request);
  REQUIRE_OK(submitted);
  const auto start = world.agent().WaitStart();
  REQUIRE(start);
  CHECK(start->spec.publish().manifest() == build.result().build().manifest());
  CHECK(start->spec.publish().mode() == "upload");
  CHECK(submitted->tasks(0).group() == "publish:weixin/weixin");
  // It is taken up again after a restart of the controller.
  world.farm().Stop();
  world.farm().Start();
  REQUIRE(world.agent().Reconnect());
  REQUIRE_OK(world.agent().AppendLog(start->key, "no\n"));
  REQUIRE(world.agent().Report(start->key,
                               FailedResult("no\n", protocol::FailureClass::kPlatformRefused)));
  CHECK(world.End(submitted->run())[0].state() == v1::TASK_STATE_FAILED);
}

TEST_CASE("Again: what cannot go out is refused with what is missing", "[integration]") {
  World world;
  const v1::Task build = world.Build(SubmitOf("shop", false));
  v1::PublishProductRequest request;
  request.set_request_id("publish");
  request.set_product(build.id());
  CHECK_THAT(world.Publish(request).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
  request.set_publish(true);
  CHECK_THAT(world.Publish(request).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NO_CREDENTIAL"));
  request.set_product("rel-nothing");
  CHECK_THAT(world.Publish(request).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_PRODUCT"));
  request = ToPage(build.id(), "both");
  request.set_publish(true);
  request.set_preview(true);
  CHECK_THAT(world.Publish(request).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
}

TEST_CASE("Again: only what failed is done again, with what was built", "[integration]") {
  World world;
  v1::Target alipay;
  alipay.set_platform("alipay");
  alipay.set_name("alipay");
  alipay.set_image("slipway/publisher:1");
  REQUIRE_OK(world.farm().client().CreateTarget(alipay));
  v1::SubmitRunRequest request = SubmitOf("shop", true);
  request.add_platforms("alipay");
  request.set_ref("main");
  (*request.mutable_parameters())["entry"] = "kiosk";
  request.add_channels()->set_channel("page");
  const auto submitted = world.farm().client().Submit(request);
  REQUIRE_OK(submitted);
  // weixin is built, its publish refused; alipay's build fails.
  for (int i = 0; i < 2; ++i) {
    const auto start = world.agent().WaitStart();
    REQUIRE(start);
    REQUIRE(start->spec.has_build());
    if (start->spec.platform() == "alipay") {
      REQUIRE_OK(world.agent().AppendLog(start->key, "no\n"));
      REQUIRE(
          world.agent().Report(start->key, FailedResult("no\n", protocol::FailureClass::kBuild)));
      continue;
    }
    REQUIRE_OK(world.agent().AppendLog(start->key, "log\n"));
    const auto sent = world.agent().Upload(start->key, world.product().path());
    REQUIRE_OK(sent);
    auto result = BuildResult("log\n", sent->manifest, kCredential);
    result.build->parameters["entry"] = "kiosk";
    REQUIRE(world.agent().Report(start->key, result));
  }
  const auto publish = world.agent().WaitStart();
  REQUIRE(publish);
  REQUIRE(publish->spec.has_publish());
  REQUIRE_OK(world.agent().AppendLog(publish->key, "no\n"));
  REQUIRE(world.agent().Report(publish->key,
                               FailedResult("no\n", protocol::FailureClass::kPlatformRefused)));
  const auto first = world.End(submitted->run());

  const auto again = world.Again(submitted->run(), true);
  REQUIRE_OK(again);
  REQUIRE(again->runs_size() == 2);
  std::map<std::string, v1::TaskKind> kinds;
  for (const v1::SubmittedRun& run : again->runs()) {
    INFO(run.ShortDebugString());
    REQUIRE(run.has_run());
    for (const v1::Task& task : run.run().tasks()) {
      kinds[task.platform() + "/" + task.target()] = task.kind();
      if (task.kind() == v1::TASK_KIND_BUILD) {
        CHECK(task.ref() == std::string(40, 'c'));
        CHECK(task.parameters().at("entry") == "kiosk");
      }
    }
  }
  CHECK(kinds == std::map<std::string, v1::TaskKind>{{"alipay/", v1::TASK_KIND_BUILD},
                                                     {"alipay/alipay", v1::TASK_KIND_PUBLISH},
                                                     {"page/page", v1::TASK_KIND_PUBLISH},
                                                     {"weixin/weixin", v1::TASK_KIND_PUBLISH}});
  // The same request is the same runs.
  const auto repeated = world.Again(submitted->run(), true);
  REQUIRE_OK(repeated);
  CHECK(repeated->runs(0).run().run() == again->runs(0).run().run());
  CHECK(repeated->runs(1).run().run() == again->runs(1).run().run());
}

TEST_CASE("Again: where nothing failed there is nothing to do, unless all is wanted",
          "[integration]") {
  World world;
  const auto submitted = world.farm().client().Submit(SubmitOf("shop", false));
  REQUIRE_OK(submitted);
  CHECK_THAT(world.Again(submitted->run(), true).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NOTHING_FAILED"));
  const auto again = world.Again(submitted->run(), false);
  REQUIRE_OK(again);
  REQUIRE(again->runs_size() == 1);
  CHECK(again->runs(0).run().tasks(0).ref() == "main");
  CHECK(again->runs(0).run().run() != submitted->run());
  CHECK_THAT(world.Again("run-nothing", true).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_RUN"));
}

}  // namespace
}  // namespace slipway::testing
