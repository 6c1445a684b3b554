#include "agent/executor/container_spec.h"

#include <catch2/catch.hpp>
#include <functional>

#include "agent/executor/labels.h"
#include "agent/executor/path_map.h"
#include "tests/support/status_matchers.h"

namespace slipway::executor {
namespace {

using testing::StatusIs;

ContainerSpec Good() {
  ContainerSpec spec;
  spec.name = "build-1";
  spec.image = "registry.test:5000/team/builder:1.2_3-x@sha256:00";
  spec.labels = {{kLabelFarm, "f"}, {kLabelAgent, "a"}};
  spec.argv = {"/init"};
  spec.env = {"A=", "B=c=d"};
  spec.binds = {{.host_path = "/w/1", .container_path = "/build"}};
  spec.tmpfs = {{.container_path = "/tmp"}};
  return spec;
}

TEST_CASE("ContainerSpec: a proper one is valid", "[unit][executor]") {
  CHECK_OK(Validate(Good()));
}

TEST_CASE("ContainerSpec: what could mean something else is refused", "[unit][executor]") {
  const std::vector<std::function<void(ContainerSpec&)>> spoilers = {
      [](ContainerSpec& s) { s.name = "a/b"; },
      [](ContainerSpec& s) { s.name = ".."; },
      [](ContainerSpec& s) { s.name = "a?name=b"; },
      [](ContainerSpec& s) { s.image = "../../containers/x"; },
      [](ContainerSpec& s) { s.image = ""; },
      [](ContainerSpec& s) { s.labels.erase(kLabelFarm); },
      [](ContainerSpec& s) { s.labels[kLabelAgent] = ""; },
      [](ContainerSpec& s) { s.argv.clear(); },
      [](ContainerSpec& s) { s.env = {"NOVALUE"}; },
      [](ContainerSpec& s) { s.env = {"=x"}; },
      [](ContainerSpec& s) { s.env = {""}; },
      [](ContainerSpec& s) { s.working_dir = "work"; },
      [](ContainerSpec& s) { s.binds[0].host_path = "/w/../etc"; },
      [](ContainerSpec& s) { s.binds[0].host_path = "volume-name"; },
      [](ContainerSpec& s) { s.binds[0].host_path = "/"; },
      [](ContainerSpec& s) { s.binds[0].container_path = "/"; },
      [](ContainerSpec& s) { s.binds[0].container_path = "/a//b"; },
      [](ContainerSpec& s) { s.binds[0].container_path = "/build/"; },
      [](ContainerSpec& s) { s.tmpfs[0].container_path = "/build"; },  // twice
      [](ContainerSpec& s) { s.tmpfs[0].size_bytes = -1; },
      [](ContainerSpec& s) { s.network = {.kind = NetworkKind::kBridge, .name = "host"}; },
      [](ContainerSpec& s) { s.network = {.kind = NetworkKind::kBridge, .name = "container:x"}; },
      [](ContainerSpec& s) { s.network = {.kind = NetworkKind::kBridge, .name = ""}; },
      [](ContainerSpec& s) {
        s.network = {.kind = NetworkKind::kContainer, .name = "abc"};
        s.extra_hosts = {{"a", "b"}};
      },
      [](ContainerSpec& s) { s.memory_bytes = -1; },
      [](ContainerSpec& s) { s.cpus = -0.5; },
      [](ContainerSpec& s) { s.cap_add = {"ALL"}; },
  };
  for (std::size_t i = 0; i < spoilers.size(); ++i) {
    ContainerSpec spec = Good();
    spoilers[i](spec);
    INFO("spoiler " << i);
    CHECK_THAT(Validate(spec), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_CASE("Path map: the longest mapping wins, at whole names only", "[unit][executor]") {
  const std::vector<PathMapping> map = {{.agent_path = "/var/lib", .engine_path = "/a"},
                                        {.agent_path = "/var/lib/slipway/", .engine_path = "/b/"},
                                        {.agent_path = "/var", .engine_path = "/c"}};
  CHECK(ToEnginePath(map, "/var/lib/slipway/w/1") == "/b/w/1");
  CHECK(ToEnginePath(map, "/var/lib/slipway") == "/b");
  CHECK(ToEnginePath(map, "/var/lib/slipwayx") == "/a/slipwayx");
  CHECK(ToEnginePath(map, "/variety") == "/variety");
  CHECK(ToEnginePath({}, "/w") == "/w");
  CHECK(ToEnginePath({{.agent_path = "/", .engine_path = "/host"}}, "/w/1") == "/host/w/1");
}

}  // namespace
}  // namespace slipway::executor
