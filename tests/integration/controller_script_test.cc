// Scripts that people bring, and what may be packaged after them.
#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "common/crypto/hash.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/access.grpc.pb.h"
#include "slipway/v1/session.grpc.pb.h"
#include "tests/integration/channel_shop.h"

namespace slipway::testing {
namespace {

using Catch::Contains;

v1::RunScriptRequest Script(const std::string& request_id = "script-1") {
  v1::RunScriptRequest request;
  request.set_request_id(request_id);
  request.set_application("shop");
  request.set_ref("v1.0");
  request.set_name("检查 全部.sh");
  request.set_script("#!/bin/sh\nexit 0\n");
  return request;
}

class World {
 public:
  World() : agent_((farm_.Start(), farm_.Join("builder")), 4) {
    REQUIRE_OK(farm_.client().CreateApplication("shop"));
    REQUIRE(agent_.Reconnect());
    WriteFile(product_ / "app.json", "{}\n");
  }

  absl::StatusOr<v1::SubmitRunResponse> Submit(const v1::RunScriptRequest& request,
                                               const std::string& token = "") {
    auto context = farm_.client().Context();
    grpc::ClientContext other;
    other.AddMetadata("authorization", "Bearer " + token);
    v1::SubmitRunResponse response;
    grpc::ClientContext& used = token.empty() ? *context : other;
    SLIPWAY_RETURN_IF_ERROR(
        rpc::FromGrpc(used, farm_.client().tasks().RunScript(&used, request, &response)));
    return response;
  }
  // Runs it at the agent with this end; its task.
  v1::Task Run(const v1::RunScriptRequest& request, int exit_code) {
    const auto submitted = Submit(request);
    REQUIRE_OK(submitted);
    REQUIRE(submitted->tasks_size() == 1);
    const auto start = agent_.WaitStart();
    REQUIRE(start);
    spec_ = start->spec;
    REQUIRE_OK(agent_.AppendLog(start->key, "it says\n"));
    protocol::AttemptResult result =
        exit_code == 0 ? BuildResult("it says\n", Sha256Digest())
                       : FailedResult("it says\n", protocol::FailureClass::kBuild);
    result.exit_code = exit_code;
    REQUIRE(agent_.Report(start->key, result));
    const auto watched = farm_.client().Watch(submitted->run());
    REQUIRE_OK(watched);
    return watched->tasks(0);
  }
  // The token of a new account of this kind that holds a preset for the application.
  std::string Member(const std::string& name, v1::AccountKind kind,
                     std::vector<v1::Operation> operations) {
    const auto accounts = v1::AccountService::NewStub(farm_.client().channel());
    v1::CreateAccountRequest account;
    account.set_name(name);
    account.set_kind(kind);
    account.set_password("a long password");
    v1::CreateAccountResponse made;
    auto context = farm_.client().Context();
    grpc::Status status = accounts->CreateAccount(context.get(), account, &made);
    INFO(status.error_message());
    REQUIRE(status.ok());
    v1::ChangeGrantsRequest grants;
    v1::Grant& grant = *grants.add_add();
    grant.set_account(name);
    grant.set_application("shop");
    for (const v1::Operation operation : operations) grant.add_operations(operation);
    v1::ChangeGrantsResponse changed;
    context = farm_.client().Context();
    status = accounts->ChangeGrants(context.get(), grants, &changed);
    INFO(status.error_message());
    REQUIRE(status.ok());
    v1::LoginRequest login;
    login.set_account(name);
    login.set_password("a long password");
    v1::LoginResponse response;
    grpc::ClientContext client;
    REQUIRE(v1::SessionService::NewStub(farm_.client().channel())
                ->Login(&client, login, &response)
                .ok());
    return response.access_token();
  }
  FarmFixture& farm() { return farm_; }
  FakeAgent& agent() { return agent_; }
  const TempDir& product() const { return product_; }
  const v1::TaskSpec& spec() const { return spec_; }

 private:
  FarmFixture farm_;
  FakeAgent agent_;
  TempDir product_;
  v1::TaskSpec spec_;
};

v1::SubmitRunRequest After(const v1::Task& script, const std::string& request_id) {
  v1::SubmitRunRequest request = SubmitOf("shop", false, request_id);
  request.clear_ref();
  request.set_after_script(script.id());
  return request;
}

TEST_CASE("Scripts: one of any name runs at an agent, and its end and output are kept",
          "[integration]") {
  World world;
  const v1::Task task = world.Run(Script(), 0);
  CHECK(task.state() == v1::TASK_STATE_SUCCEEDED);
  CHECK(task.kind() == v1::TASK_KIND_SCRIPT);
  CHECK(task.script_name() == "检查 全部.sh");
  CHECK(task.result().build().commit() == std::string(40, 'c'));
  CHECK(task.result().build().manifest().empty());
  CHECK(world.spec().script().name() == "检查 全部.sh");
  CHECK(world.spec().script().script() == Script().script());
  CHECK(world.spec().script().build().ref() == "v1.0");
  v1::ReadLogRequest read;
  read.set_task(task.id());
  std::string log;
  CHECK_OK(world.farm().client().ReadLog(
      read, [&](const v1::ReadLogResponse& slice) { log += slice.data(); }));
  CHECK(log == "it says\n");
  const auto kept = world.farm().client().GetScript(task.id());
  REQUIRE_OK(kept);
  CHECK(kept->name() == "检查 全部.sh");
  CHECK(kept->script() == Script().script());
  CHECK(kept->sha256() == crypto::Sha256Of(Script().script()).Bytes());
  // The trail says what ran, not its text.
  const auto rows = RunSql(world.farm().options().database_url, "SELECT a::text FROM audit a");
  REQUIRE_OK(rows);
  bool told = false;
  for (const auto& row : *rows) {
    told = told || row.at(0).find("全部.sh") != std::string::npos;
    CHECK_THAT(row.at(0), !Contains("exit 0"));
  }
  CHECK(told);
}

TEST_CASE("Scripts: after one that failed nothing is packaged in this flow", "[integration]") {
  World world;
  const v1::Task failed = world.Run(Script(), 3);
  CHECK(failed.state() == v1::TASK_STATE_FAILED);
  CHECK(failed.result().exit_code() == 3);
  CHECK_THAT(world.farm().client().Submit(After(failed, "after")).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "SCRIPT_NOT_PASSED"));
  // Without it, everybody who may package may.
  CHECK_OK(world.farm().client().Submit(SubmitOf("shop", false, "without")));
}

TEST_CASE("Scripts: what is packaged after one is the commit that it ran against",
          "[integration]") {
  World world;
  const v1::Task passed = world.Run(Script(), 0);
  const auto submitted = world.farm().client().Submit(After(passed, "after"));
  REQUIRE_OK(submitted);
  const auto start = world.agent().WaitStart();
  REQUIRE(start);
  CHECK(start->spec.build().ref() == std::string(40, 'c'));
  v1::SubmitRunRequest named = After(passed, "named");
  named.set_ref("v1.0");
  CHECK_OK(world.farm().client().Submit(named));
  v1::SubmitRunRequest other = After(passed, "other");
  other.set_ref("main");
  CHECK_THAT(world.farm().client().Submit(other).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
}

TEST_CASE("Scripts: only a script of this application that has ended counts", "[integration]") {
  World world;
  const auto waiting = world.Submit(Script());
  REQUIRE_OK(waiting);
  CHECK_THAT(world.farm().client().Submit(After(waiting->tasks(0), "early")).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "SCRIPT_NOT_PASSED"));
  const auto build = world.farm().client().Submit(SubmitOf("shop", false, "build"));
  REQUIRE_OK(build);
  CHECK_THAT(world.farm().client().Submit(After(build->tasks(0), "no script")).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
  v1::Task nothing;
  nothing.set_id("task-nothing");
  CHECK_THAT(world.farm().client().Submit(After(nothing, "nothing")).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_TASK"));
}

TEST_CASE("Scripts: who packages only finds no script operation and may run none",
          "[integration]") {
  World world;
  const std::string product =
      world.Member("mei", v1::ACCOUNT_KIND_MEMBER, {v1::OPERATION_PACKAGE, v1::OPERATION_PREVIEW});
  CHECK_THAT(world.Submit(Script(), product).status(),
             StatusIs(absl::StatusCode::kPermissionDenied));
  const std::string developer =
      world.Member("li", v1::ACCOUNT_KIND_DEVELOPER, {v1::OPERATION_RUN_SCRIPT});
  CHECK_OK(world.Submit(Script("by li"), developer));
  CHECK_THAT(world.Submit(Script("nobody"), "wrong").status(),
             StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_CASE("Scripts: the same request is the same run", "[integration]") {
  World world;
  const auto first = world.Submit(Script());
  REQUIRE_OK(first);
  const auto second = world.Submit(Script());
  REQUIRE_OK(second);
  CHECK(first->run() == second->run());
  CHECK(second->tasks(0).script_name() == "检查 全部.sh");
}

TEST_CASE("Scripts: an id that was used for another script gives nobody its pass",
          "[integration]") {
  World world;
  REQUIRE_OK(world.Submit(Script("same")));
  v1::RunScriptRequest other = Script("same");
  other.set_script("#!/bin/sh\nexit 1\n");
  CHECK_THAT(world.Submit(other).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
  CHECK_THAT(world.farm().client().Submit(SubmitOf("shop", false, "same")).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
}

TEST_CASE("Scripts: many large ones at once are stored or asked to wait, and others go on",
          "[integration]") {
  World world;
  std::atomic<int> stored = 0;
  std::atomic<int> waits = 0;
  std::vector<std::thread> people;
  for (int i = 0; i < 24; ++i) {
    people.emplace_back([&, i] {
      v1::RunScriptRequest request = Script("large-" + std::to_string(i));
      request.set_script(std::string(1 << 20, 'x'));
      const absl::Status status = world.Submit(request).status();
      if (status.ok()) ++stored;
      if (absl::IsResourceExhausted(status)) ++waits;
    });
  }
  CHECK_OK(world.farm().client().Submit(SubmitOf("shop", false, "small")));
  for (std::thread& person : people) person.join();
  CHECK(stored + waits == 24);
  CHECK(stored >= 8);
  CHECK_OK(world.Submit(Script("afterwards")));
}

TEST_CASE("Scripts: a build that is not of the commit that was checked is not used",
          "[integration]") {
  World world;
  const v1::Task passed = world.Run(Script(), 0);
  const auto submitted = world.farm().client().Submit(After(passed, "after"));
  REQUIRE_OK(submitted);
  const auto start = world.agent().WaitStart();
  REQUIRE(start);
  REQUIRE_OK(world.agent().AppendLog(start->key, "log\n"));
  const auto sent = world.agent().Upload(start->key, world.product().path());
  REQUIRE_OK(sent);
  auto result = BuildResult("log\n", sent->manifest);
  result.build->commit = std::string(40, 'd');
  REQUIRE(world.agent().Report(start->key, result));
  const auto ended = world.farm().client().Watch(submitted->run());
  REQUIRE_OK(ended);
  CHECK(ended->tasks(0).result().failure().reason() == "WRONG_COMMIT");
}

TEST_CASE("Scripts: what is no script, no name or too much is refused", "[integration]") {
  World world;
  const auto refusal = [&](const std::function<void(v1::RunScriptRequest&)>& change) {
    v1::RunScriptRequest request = Script();
    change(request);
    return std::string(world.Submit(request).status().message());
  };
  for (const char* name : {"", ".", "..", "a/b", "a\nb"}) {
    CAPTURE(name);
    CHECK_THAT(refusal([&](auto& r) { r.set_name(name); }), Contains("name"));
  }
  CHECK_THAT(refusal([](auto& r) { r.set_name(std::string(256, 'n')); }), Contains("name"));
  CHECK_THAT(refusal([](auto& r) { r.clear_script(); }), Contains("script"));
  CHECK_THAT(refusal([](auto& r) { r.set_script(std::string((1 << 20) + 1, 'x')); }),
             Contains("1 MiB"));
  CHECK_THAT(refusal([](auto& r) { r.set_ref("--upload-pack=x"); }), Contains("ref"));
  CHECK_THAT(refusal([](auto& r) { r.set_platform("No Platform"); }), Contains("platform"));
  CHECK_THAT(refusal([](auto& r) { r.clear_request_id(); }), Contains("request_id"));
}

}  // namespace
}  // namespace slipway::testing
