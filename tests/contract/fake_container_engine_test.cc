#include "tests/support/fake_container_engine.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "agent/executor/labels.h"
#include "tests/contract/container_engine_contract.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

using namespace std::chrono_literals;
using executor::ContainerId;
using executor::ContainerSpec;
using executor::kLabelAgent;
using executor::kLabelFarm;

// The programs of the contract, played.
void Play(FakeContainerEngine& engine, const ContainerId& id, const ContainerSpec& spec) {
  if (spec.argv.front() != "/bin/sh") return;
  const std::string& script = spec.argv.back();
  if (script.starts_with("exit ")) return engine.Exit(id, std::stoi(script.substr(5)));
  engine.Print(id, script.substr(5, script.find(" >&2") - 5) + "\n");
  engine.Exit(id, 0);
}

ContainerSpec MakeSpec() {
  ContainerSpec spec;
  spec.name = "build-1";
  spec.image = "image:1";
  spec.labels = {{kLabelFarm, "farm-1"}, {kLabelAgent, "agent-1"}};
  spec.argv = {"/bin/sleep", "600"};
  return spec;
}

TEST_CASE("FakeContainerEngine: holds to the contract of a container engine",
          "[contract][executor]") {
  FakeContainerEngine engine;
  engine.AddImage("image:1");
  engine.OnStart([&](const ContainerId& id, const ContainerSpec& spec) { Play(engine, id, spec); });
  CheckContainerEngineContract(
      {.engine = engine, .image = "image:1", .farm = "farm-1", .network = "slipway"});
}

TEST_CASE("FakeContainerEngine: fails once as told, then goes on", "[contract][executor]") {
  FakeContainerEngine engine;
  engine.AddImage("image:1");
  engine.FailNext(FakeContainerEngine::Op::kCreate, absl::InternalError("no space left on device"));
  CHECK_THAT(engine.Create(MakeSpec(), 1s).status(),
             StatusIs(absl::StatusCode::kInternal, "no space left"));
  CHECK(engine.containers().empty());
  const auto created = engine.Create(MakeSpec(), 1s);
  REQUIRE_OK(created);

  engine.Disappear(created->id);
  CHECK_THAT(engine.Inspect(created->id, 1s).status(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_CASE("FakeContainerEngine: a call whose answer gets lost was carried out",
          "[contract][executor]") {
  FakeContainerEngine engine;
  engine.AddImage("image:1");
  engine.LoseNextAnswer(FakeContainerEngine::Op::kCreate);
  CHECK_THAT(engine.Create(MakeSpec(), 1s).status(),
             StatusIs(absl::StatusCode::kDeadlineExceeded, "ENGINE_TIMEOUT"));
  CHECK(engine.containers().size() == 1);
}

}  // namespace
}  // namespace slipway::testing
