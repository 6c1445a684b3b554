#include "tests/contract/container_engine_contract.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <future>

#include "agent/executor/labels.h"
#include "common/base/ids.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::testing {
namespace {

using namespace std::chrono_literals;
using executor::ContainerEngine;
using executor::ContainerId;
using executor::ContainerSpec;
using executor::ContainerStatus;
using executor::kLabelAgent;
using executor::kLabelFarm;
using executor::kLabelTask;
using executor::NetworkKind;
using executor::NetworkSpec;

constexpr Duration kTimeout = 30s;

ContainerSpec MakeSpec(const EngineUnderTest& under_test, std::vector<std::string> argv) {
  ContainerSpec spec;
  spec.name = NewId("contract-");
  spec.image = under_test.image;
  spec.labels = {{kLabelFarm, under_test.farm}, {kLabelAgent, "agent-1"}};
  spec.argv = std::move(argv);
  return spec;
}

ContainerSpec Sleeper(const EngineUnderTest& under_test) {
  return MakeSpec(under_test, {"/bin/sleep", "600"});
}

}  // namespace

void CheckContainerEngineContract(const EngineUnderTest& under_test) {
  ContainerEngine& engine = under_test.engine;

  SECTION("ping tells what the engine is") {
    const auto info = engine.Ping(kTimeout);
    REQUIRE_OK(info);
    CHECK_FALSE(info->version.empty());
    CHECK(info->api_version.starts_with("1."));
    CHECK((info->cgroup_version == 1 || info->cgroup_version == 2));
    CHECK_FALSE(info->storage_driver.empty());
    CHECK(info->cpus > 0);
    CHECK(info->memory_bytes > 0);
  }

  SECTION("an image is found by name; a missing one is named, with what to do") {
    const auto image = engine.InspectImage(under_test.image, kTimeout);
    REQUIRE_OK(image);
    CHECK_FALSE(image->id.empty());

    const auto missing = engine.InspectImage("slipway-no-such-image:9", kTimeout);
    CHECK_THAT(missing.status(), StatusIs(absl::StatusCode::kNotFound, "IMAGE_MISSING"));
    CHECK_THAT(missing.status(), StatusIs(absl::StatusCode::kNotFound, "slipway-no-such-image:9"));
    CHECK(GetErrorInfo(missing.status()).remedy.find("docker pull") != std::string::npos);

    for (const char* hostile : {"", "../containers", "a/../../info", "a?b", "a b", "/etc", "a%2e"})
      CHECK_THAT(engine.InspectImage(hostile, kTimeout).status(),
                 StatusIs(absl::StatusCode::kInvalidArgument));
  }

  SECTION("what a container has become is an image of its own, with its labels and more") {
    ContainerSpec spec = Sleeper(under_test);
    spec.working_dir = "/made/here";  // which the image lacks
    const auto created = engine.Create(spec, kTimeout);
    REQUIRE_OK(created);
    const std::string name = NewId("slipway-contract/") + ":made";
    REQUIRE_OK(engine.CommitImage(created->id, name, {{"io.slipway.made", "yes"}}, kTimeout));
    const auto image = engine.InspectImage(name, kTimeout);
    REQUIRE_OK(image);
    CHECK(image->labels.at("io.slipway.made") == "yes");
    CHECK(image->labels.at(kLabelFarm) == under_test.farm);
    CHECK(image->id != engine.InspectImage(under_test.image, kTimeout)->id);
    CHECK_OK(engine.Remove(created->id, /*force=*/true, kTimeout));
    CHECK_THAT(engine.CommitImage(created->id, name, {}, kTimeout),
               StatusIs(absl::StatusCode::kNotFound));
    // It can travel without what lies below, and is the same where it arrives.
    const TempDir dir;
    REQUIRE_OK(engine.SaveLayer(name, dir / "image", kTimeout, {}));
    CHECK_OK(engine.RemoveImage(name, kTimeout));
    CHECK_THAT(engine.InspectImage(name, kTimeout).status(),
               StatusIs(absl::StatusCode::kNotFound, "IMAGE_MISSING"));
    REQUIRE_OK(engine.LoadLayer(dir / "image", name, kTimeout, {}));
    const auto loaded = engine.InspectImage(name, kTimeout);
    REQUIRE_OK(loaded);
    CHECK(loaded->id == image->id);
    CHECK_OK(engine.RemoveImage(name, kTimeout));
    REQUIRE(mkdir((dir / "broken").c_str(), 0700) == 0);
    WriteFile(dir / "broken/token", "no image");
    CHECK_THAT(engine.LoadLayer(dir / "broken", name, kTimeout, {}),
               StatusIs(absl::StatusCode::kInvalidArgument));
    CHECK_THAT(engine.SaveLayer(name, dir / "none", kTimeout, {}),
               StatusIs(absl::StatusCode::kNotFound));
  }

  SECTION("a network is made once and found again; one of another farm is refused") {
    const NetworkSpec spec{.name = under_test.network, .farm = under_test.farm};
    const auto made = engine.EnsureNetwork(spec, kTimeout);
    REQUIRE_OK(made);
    CHECK_FALSE(made->gateway.empty());
    const auto again = engine.EnsureNetwork(spec, kTimeout);
    REQUIRE_OK(again);
    CHECK(again->id == made->id);
    CHECK(again->gateway == made->gateway);
    const auto foreign =
        engine.EnsureNetwork({.name = under_test.network, .farm = "another-farm"}, kTimeout);
    CHECK_THAT(foreign.status(),
               StatusIs(absl::StatusCode::kFailedPrecondition, "NETWORK_NOT_OURS"));
    CHECK_FALSE(GetErrorInfo(foreign.status()).remedy.empty());
  }

  SECTION("a container lives from created over running to removed") {
    const ContainerSpec spec = Sleeper(under_test);
    const auto created = engine.Create(spec, kTimeout);
    REQUIRE_OK(created);
    const ContainerId id = created->id;
    auto state = engine.Inspect(id, kTimeout);
    REQUIRE_OK(state);
    CHECK(state->status == ContainerStatus::kCreated);
    CHECK_FALSE(state->started.has_value());
    CHECK_OK(engine.Inspect(ContainerId(spec.name), kTimeout));

    REQUIRE_OK(engine.Start(id, kTimeout));
    CHECK_OK(engine.Start(id, kTimeout));
    state = engine.Inspect(id, kTimeout);
    REQUIRE_OK(state);
    CHECK(state->status == ContainerStatus::kRunning);
    CHECK(state->pid > 0);
    CHECK(state->started.has_value());
    CHECK_FALSE(state->finished.has_value());

    CHECK_OK(engine.Kill(id, SIGTERM, kTimeout));
    CHECK_THAT(engine.Wait(id, 200ms).status(),
               StatusIs(absl::StatusCode::kDeadlineExceeded, "ENGINE_TIMEOUT"));
    CHECK_THAT(engine.Remove(id, /*force=*/false, kTimeout), StatusIs(absl::StatusCode::kAborted));

    CHECK_OK(engine.Kill(id, SIGKILL, kTimeout));
    state = engine.Wait(id, kTimeout);
    REQUIRE_OK(state);
    CHECK(state->status == ContainerStatus::kExited);
    CHECK(state->exit_code == 128 + SIGKILL);
    CHECK(state->pid == 0);
    CHECK_FALSE(state->oom_killed);
    CHECK_THAT(engine.Kill(id, SIGKILL, kTimeout),
               StatusIs(absl::StatusCode::kAborted, "CONTAINER_NOT_RUNNING"));

    CHECK_OK(engine.Remove(id, /*force=*/false, kTimeout));
    CHECK_OK(engine.Remove(id, /*force=*/false, kTimeout));
    CHECK_THAT(engine.Inspect(id, kTimeout).status(), StatusIs(absl::StatusCode::kNotFound));
  }

  SECTION("a container takes another name, unless somebody has it") {
    const ContainerSpec first = Sleeper(under_test);
    const ContainerSpec second = Sleeper(under_test);
    const auto created = engine.Create(first, kTimeout);
    REQUIRE_OK(created);
    REQUIRE_OK(engine.Create(second, kTimeout));
    REQUIRE_OK(engine.Start(created->id, kTimeout));
    CHECK_THAT(engine.Rename(created->id, second.name, kTimeout),
               StatusIs(absl::StatusCode::kAlreadyExists, "CONTAINER_NAME_TAKEN"));
    REQUIRE_OK(engine.Rename(created->id, first.name + "-b", kTimeout));
    CHECK_OK(engine.Inspect(ContainerId(first.name + "-b"), kTimeout));
    CHECK_THAT(engine.Inspect(ContainerId(first.name), kTimeout).status(),
               StatusIs(absl::StatusCode::kNotFound));
    for (const std::string& name : {first.name + "-b", second.name}) {
      CHECK_OK(engine.Remove(ContainerId(name), /*force=*/true, kTimeout));
    }
  }

  SECTION("the exit code of the program and what it printed are told") {
    const auto failing = engine.Create(MakeSpec(under_test, {"/bin/sh", "-c", "exit 7"}), kTimeout);
    REQUIRE_OK(failing);
    const auto unstarted = engine.Wait(failing->id, kTimeout);
    REQUIRE_OK(unstarted);
    CHECK(unstarted->status == ContainerStatus::kCreated);
    REQUIRE_OK(engine.Start(failing->id, kTimeout));
    const auto state = engine.Wait(failing->id, kTimeout);
    REQUIRE_OK(state);
    CHECK(state->status == ContainerStatus::kExited);
    CHECK(state->exit_code == 7);
    REQUIRE(state->started.has_value());
    REQUIRE(state->finished.has_value());
    CHECK(*state->started <= *state->finished);
    CHECK_OK(engine.Remove(failing->id, false, kTimeout));

    const auto talking =
        engine.Create(MakeSpec(under_test, {"/bin/sh", "-c", "echo spoken >&2"}), kTimeout);
    REQUIRE_OK(talking);
    REQUIRE_OK(engine.Start(talking->id, kTimeout));
    REQUIRE_OK(engine.Wait(talking->id, kTimeout));
    const auto log = engine.LogTail(talking->id, kTimeout);
    REQUIRE_OK(log);
    CHECK(*log == "spoken\n");
    CHECK_OK(engine.Remove(talking->id, false, kTimeout));
  }

  SECTION("a second container of the same name is refused") {
    const ContainerSpec spec = Sleeper(under_test);
    const auto first = engine.Create(spec, kTimeout);
    REQUIRE_OK(first);
    CHECK_THAT(engine.Create(spec, kTimeout).status(),
               StatusIs(absl::StatusCode::kAlreadyExists, "CONTAINER_NAME_TAKEN"));
    CHECK_OK(engine.Remove(first->id, false, kTimeout));
    const auto after = engine.Create(spec, kTimeout);
    REQUIRE_OK(after);
    CHECK(after->id != first->id);
    CHECK_OK(engine.Remove(after->id, false, kTimeout));
  }

  SECTION("what may not be created is refused, and nothing is made") {
    ContainerSpec missing = Sleeper(under_test);
    missing.image = "slipway-no-such-image:9";
    CHECK_THAT(engine.Create(missing, kTimeout).status(),
               StatusIs(absl::StatusCode::kNotFound, "IMAGE_MISSING"));
    ContainerSpec host = Sleeper(under_test);
    host.network.kind = NetworkKind::kHost;
    CHECK_THAT(engine.Create(host, kTimeout).status(),
               StatusIs(absl::StatusCode::kPermissionDenied, "HOST_NETWORK_REFUSED"));
    ContainerSpec unlabelled = Sleeper(under_test);
    unlabelled.labels.erase(kLabelAgent);
    CHECK_THAT(engine.Create(unlabelled, kTimeout).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, kLabelAgent));
    const auto listed = engine.List({{kLabelFarm, under_test.farm}}, kTimeout);
    REQUIRE_OK(listed);
    CHECK(listed->empty());
  }

  SECTION("a listing holds those with all the labels, running or not") {
    ContainerSpec one = Sleeper(under_test);
    one.labels[kLabelTask] = "task-1 =,\"";
    ContainerSpec two = Sleeper(under_test);
    two.labels[kLabelTask] = "task-2";
    const auto id_one = engine.Create(one, kTimeout);
    const auto id_two = engine.Create(two, kTimeout);
    REQUIRE_OK(id_one);
    REQUIRE_OK(id_two);
    REQUIRE_OK(engine.Start(id_two->id, kTimeout));

    const auto both = engine.List({{kLabelFarm, under_test.farm}}, kTimeout);
    REQUIRE_OK(both);
    CHECK(both->size() == 2);
    const auto only = engine.List(one.labels, kTimeout);
    REQUIRE_OK(only);
    REQUIRE(only->size() == 1);
    CHECK(only->front().id == id_one->id);
    CHECK(only->front().name == one.name);
    CHECK(only->front().labels.at(kLabelTask) == one.labels.at(kLabelTask));
    CHECK(only->front().status == ContainerStatus::kCreated);
    const auto running = engine.List(two.labels, kTimeout);
    REQUIRE_OK(running);
    REQUIRE(running->size() == 1);
    CHECK(running->front().status == ContainerStatus::kRunning);
    const auto none = engine.List({{kLabelFarm, "another-farm-entirely"}}, kTimeout);
    REQUIRE_OK(none);
    CHECK(none->empty());
    CHECK_OK(engine.Remove(id_one->id, true, kTimeout));
    CHECK_OK(engine.Remove(id_two->id, true, kTimeout));
  }

  SECTION("a wait ends when the container is removed by somebody else") {
    const auto created = engine.Create(Sleeper(under_test), kTimeout);
    REQUIRE_OK(created);
    REQUIRE_OK(engine.Start(created->id, kTimeout));
    auto waiting =
        std::async(std::launch::async, [&] { return engine.Wait(created->id, kTimeout); });
    CHECK_OK(engine.Remove(created->id, /*force=*/true, kTimeout));
    const auto state = waiting.get();
    CHECK((absl::IsNotFound(state.status()) ||
           (state.ok() && state->status != ContainerStatus::kRunning)));
  }

  SECTION("a container that is not there is kNotFound, an id that cannot be one is refused") {
    const ContainerId unknown(std::string(64, '0'));
    const auto code = absl::StatusCode::kNotFound;
    CHECK_THAT(engine.Start(unknown, kTimeout), StatusIs(code));
    CHECK_THAT(engine.Inspect(unknown, kTimeout).status(), StatusIs(code));
    CHECK_THAT(engine.Wait(unknown, kTimeout).status(), StatusIs(code));
    CHECK_THAT(engine.Kill(unknown, SIGKILL, kTimeout), StatusIs(code));
    CHECK_THAT(engine.Rename(unknown, "slipway-new", kTimeout), StatusIs(code));
    CHECK_THAT(engine.LogTail(unknown, kTimeout).status(), StatusIs(code));
    CHECK_OK(engine.Remove(unknown, true, kTimeout));
    for (const char* hostile : {"", "..", "a/../../images/x", "a?force=1"}) {
      CHECK_THAT(engine.Remove(ContainerId(hostile), true, kTimeout),
                 StatusIs(absl::StatusCode::kInvalidArgument));
      CHECK_THAT(engine.Inspect(ContainerId(hostile), kTimeout).status(),
                 StatusIs(absl::StatusCode::kInvalidArgument));
    }
  }
}

}  // namespace slipway::testing
