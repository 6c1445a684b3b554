#include "agent/executor/docker/docker_engine.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "agent/executor/labels.h"
#include "agent/executor/reaper.h"
#include "common/base/ids.h"
#include "tests/contract/container_engine_contract.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_image.h"

namespace slipway::docker {
namespace {

using namespace std::chrono_literals;
using executor::ContainerEngine;
using executor::ContainerId;
using executor::ContainerSpec;
using executor::ContainerStatus;
using executor::Keep;
using executor::kLabelAgent;
using executor::kLabelAttempt;
using executor::kLabelFarm;
using executor::kLabelTask;
using executor::NetworkKind;
using testing::kTestImage;
using testing::Shell;
using testing::StatusIs;

constexpr Duration kTimeout = 60s;
// What tests make as if they were somebody else; its value is the farm, for the sweep.
constexpr char kForeign[] = "io.slipway.test-foreign";

// A real Engine, a farm of its own, and a sweep at the end whatever happened.
class RealEngine {
 public:
  explicit RealEngine(DockerOptions options = {}) : farm_(NewId("farm-")) {
    REQUIRE_OK(testing::EnsureTestImage());
    options.socket = testing::TestDockerSocket();
    auto engine = MakeDockerEngine(std::move(options));
    REQUIRE_OK(engine);
    engine_ = *std::move(engine);
    std::string directory = "/tmp/slipway-docker-test-XXXXXX";
    REQUIRE(::mkdtemp(directory.data()) != nullptr);
    directory_ = directory;
  }
  ~RealEngine() {
    for (const char* label : {kLabelFarm, kForeign}) {
      const std::string filter = fmt::format("-q --filter label={}={}", label, farm_);
      (void)Shell(fmt::format("docker ps -a {} | xargs -r docker rm -fv", filter));
      (void)Shell(fmt::format("docker network ls {} | xargs -r docker network rm", filter));
    }
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  ContainerEngine& operator*() { return *engine_; }
  ContainerEngine* operator->() { return engine_.get(); }
  [[nodiscard]] const std::string& farm() const { return farm_; }
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

  [[nodiscard]] ContainerSpec Spec(std::vector<std::string> argv) const {
    ContainerSpec spec;
    spec.name = NewId("it-");
    spec.image = kTestImage;
    spec.labels = {{kLabelFarm, farm_}, {kLabelAgent, "agent-1"}};
    spec.argv = std::move(argv);
    return spec;
  }
  [[nodiscard]] ContainerSpec Script(const std::string& script) const {
    return Spec({"/bin/sh", "-c", "exec 2>&1\n" + script});
  }

  ContainerId Create(const ContainerSpec& spec) {
    auto created = engine_->Create(spec, kTimeout);
    REQUIRE_OK(created);
    return created->id;
  }
  ContainerId Run(const ContainerSpec& spec) {
    const ContainerId id = Create(spec);
    REQUIRE_OK(engine_->Start(id, kTimeout));
    return id;
  }
  // What the program printed until its end.
  std::string OutputOf(const ContainerSpec& spec) {
    const ContainerId id = Run(spec);
    REQUIRE_OK(engine_->Wait(id, kTimeout));
    const auto log = engine_->LogTail(id, kTimeout);
    REQUIRE_OK(log);
    CHECK_OK(engine_->Remove(id, true, kTimeout));
    return *log;
  }
  // Waits, with a deadline, until the program has printed something.
  std::string FirstOutputOf(const ContainerId& id) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    std::string log;
    while (log.empty() && std::chrono::steady_clock::now() < deadline)
      log = engine_->LogTail(id, kTimeout).value_or("");
    REQUIRE_FALSE(log.empty());
    return log;
  }

 private:
  const std::string farm_;
  std::filesystem::path directory_;
  std::unique_ptr<ContainerEngine> engine_;
};

std::string DockerInspect(const ContainerId& id, const std::string& format) {
  const auto output = Shell(fmt::format("docker inspect -f '{}' {}", format, id.value()));
  REQUIRE_OK(output);
  return *output;
}

TEST_CASE("DockerEngine: holds to the contract of a container engine", "[integration][docker]") {
  RealEngine engine;
  testing::CheckContainerEngineContract({.engine = *engine,
                                         .image = kTestImage,
                                         .farm = engine.farm(),
                                         .network = NewId("slipway-test-")});
}

TEST_CASE("DockerEngine: limits and protections are what the specification says",
          "[integration][docker]") {
  RealEngine engine;
  ContainerSpec spec = engine.Spec({"/bin/sleep", "600"});
  spec.cpus = 0.5;
  spec.memory_bytes = 64 << 20;
  spec.pids_limit = 33;
  spec.shm_bytes = 8 << 20;
  spec.nofile = 777;
  spec.cap_add = {"SETUID"};
  spec.oom_score_adj = 600;
  spec.stop_timeout_seconds = 3;
  spec.read_only_rootfs = true;
  spec.user = "1234:5678";
  spec.env = {"GREETING=hello=world"};
  const ContainerId id = engine.Create(spec);
  CHECK(DockerInspect(id,
                      "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} "
                      "{{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} "
                      "{{.HostConfig.ShmSize}}") == "500000000 67108864 67108864 33 8388608");
  CHECK(DockerInspect(id,
                      "{{json .HostConfig.SecurityOpt}} {{json .HostConfig.CapDrop}} "
                      "{{json .HostConfig.CapAdd}} {{.HostConfig.Privileged}}") ==
        "[\"no-new-privileges:true\"] [\"ALL\"] [\"SETUID\"] false");
  CHECK(DockerInspect(id,
                      "{{.HostConfig.NetworkMode}} {{.HostConfig.IpcMode}} "
                      "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.ReadonlyRootfs}} "
                      "{{.HostConfig.OomScoreAdj}} {{.Config.StopTimeout}} "
                      "{{.Config.User}} {{json .Config.Healthcheck.Test}}") ==
        "none private no true 600 3 1234:5678 [\"NONE\"]");
  CHECK(DockerInspect(id, "{{json .HostConfig.LogConfig}}") ==
        R"({"Type":"json-file","Config":{"max-file":"1","max-size":"64k"}})");
  CHECK(DockerInspect(id, "{{json .Config.Entrypoint}} {{json .Config.Cmd}}") ==
        R"(["/bin/sleep","600"] [])");
}

TEST_CASE("DockerEngine: a program inside sees its limits", "[integration][docker]") {
  RealEngine engine;
  ContainerSpec spec = engine.Script(
      "grep -E 'NoNewPrivs|CapBnd' /proc/self/status; ulimit -n; ulimit -c; id -u; "
      "echo $GREETING; pwd; cat /proc/self/oom_score_adj; touch /x; "
      "grep -c . /proc/net/route");
  spec.nofile = 777;
  spec.cap_add = {"KILL"};
  spec.user = "1234:5678";
  spec.env = {"GREETING=hello=world"};
  spec.working_dir = "/tmp";
  spec.read_only_rootfs = true;
  CHECK(engine.OutputOf(spec) ==
        "CapBnd:\t0000000000000020\nNoNewPrivs:\t1\n777\n0\n1234\nhello=world\n/tmp\n500\n"
        "touch: /x: Read-only file system\n1\n");
}

TEST_CASE("DockerEngine: mounts are bound and fenced as the specification says",
          "[integration][docker]") {
  // As if the agent saw its directory under another name than the Engine does.
  DockerOptions options;
  RealEngine plain;
  options.engine_path_map = {
      {.agent_path = "/agent-view", .engine_path = plain.directory().string()}};
  RealEngine engine(options);
  std::filesystem::create_directories(plain.directory() / "work");
  std::filesystem::create_directories(plain.directory() / "tools");
  ContainerSpec spec = engine.Script(
      "echo built > /build/out; touch /tools/x; touch /secrets/s && echo wrote; "
      "grep ' /secrets ' /proc/mounts | tr , '\\n' | grep -E 'noexec|nosuid|nodev|size|mode|uid'; "
      "grep ' /scratch ' /proc/mounts | grep -c noexec");
  spec.binds = {{.host_path = "/agent-view/work", .container_path = "/build"},
                {.host_path = "/agent-view/tools", .container_path = "/tools", .read_only = true}};
  spec.tmpfs = {{.container_path = "/secrets", .size_bytes = 1 << 20, .mode = 0711, .uid = 42},
                {.container_path = "/scratch", .noexec = false}};
  const std::string output = engine.OutputOf(spec);
  CHECK(output.starts_with("touch: /tools/x: Read-only file system\n"));
  // Root without capabilities is no owner of another's directory.
  CHECK(output.find("wrote") == std::string::npos);
  for (const char* part :
       {"\nnosuid\n", "\nnodev\n", "\nnoexec\n", "size=1024k", "mode=711", "uid=42"})
    CHECK_THAT(output, Catch::Contains(part));
  CHECK(output.ends_with("\n0\n"));
  CHECK(std::filesystem::exists(plain.directory() / "work/out"));
}

TEST_CASE("DockerEngine: a missing bind source is refused and not made", "[integration][docker]") {
  RealEngine engine;
  ContainerSpec spec = engine.Spec({"/bin/sleep", "600"});
  const std::filesystem::path missing = engine.directory() / "missing";
  spec.binds = {{.host_path = missing.string(), .container_path = "/build"}};
  CHECK_THAT(engine->Create(spec, kTimeout).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, missing.string()));
  CHECK_FALSE(std::filesystem::exists(missing));
}

TEST_CASE("DockerEngine: a program that is not in the image cannot be started",
          "[integration][docker]") {
  RealEngine engine;
  const ContainerId id = engine.Create(engine.Spec({"/no/such/program"}));
  const absl::Status status = engine->Start(id, kTimeout);
  CHECK_FALSE(status.ok());
  CHECK(GetErrorInfo(status).reason == "CONTAINER_START_FAILED");
  CHECK_THAT(std::string(status.message()), Catch::Contains("/no/such/program"));
  const auto state = engine->Inspect(id, kTimeout);
  REQUIRE_OK(state);
  CHECK(state->status == ContainerStatus::kCreated);
}

// The Engine learns of the memory kill by an event that may come after the exit, and then forgets
// it: `oom_killed` can miss one, which is why slipway-init looks for itself.
TEST_CASE("DockerEngine: a program that takes more memory than it may is killed",
          "[integration][docker]") {
  RealEngine engine;
  ContainerSpec spec = engine.Spec({"/bin/tail", "/dev/zero"});
  spec.memory_bytes = 16 << 20;
  const ContainerId id = engine.Run(spec);
  const auto state = engine->Wait(id, kTimeout);
  REQUIRE_OK(state);
  CHECK(state->exit_code == 137);
}

TEST_CASE("DockerEngine: the log of a chatty program is cut to its end", "[integration][docker]") {
  RealEngine engine;
  const std::string log = engine.OutputOf(engine.Script("seq 1 60000; echo the end"));
  CHECK(log.size() <= ContainerEngine::kMaxLogBytes);
  CHECK(log.ends_with("\n60000\nthe end\n"));
}

TEST_CASE("DockerEngine: containers on Slipway's bridge do not reach each other",
          "[integration][docker]") {
  RealEngine engine;
  const std::string network = NewId("slipway-test-");
  const auto made = engine->EnsureNetwork({.name = network, .farm = engine.farm()}, kTimeout);
  REQUIRE_OK(made);
  const auto on_bridge = [&](const std::string& script) {
    ContainerSpec spec = engine.Script(script);
    spec.network = {.kind = NetworkKind::kBridge, .name = network};
    return spec;
  };
  const ContainerId server = engine.Run(on_bridge("hostname -i; nc -ll -p 8000 -e echo open"));
  std::string address = engine.FirstOutputOf(server);
  address.pop_back();
  // The server itself answers, so it is the network that says no below.
  ContainerSpec inside =
      engine.Script(fmt::format("until nc -w 1 {} 8000; do :; done | grep -m 1 open", address));
  inside.network = {.kind = NetworkKind::kContainer, .name = server.value()};
  CHECK(engine.OutputOf(inside) == "open\n");
  CHECK(engine.OutputOf(on_bridge(fmt::format(
            "nc -w 2 {} 8000 </dev/null 2>&1 | grep open || echo closed", address))) == "closed\n");

  ContainerSpec hosts = on_bridge("grep farm.test /etc/hosts | tr '\\t' ' '");
  hosts.extra_hosts = {{"farm.test", made->gateway}};
  CHECK(engine.OutputOf(hosts) == made->gateway + " farm.test\n");
}

TEST_CASE("DockerEngine: agents that start together share the network that one of them makes",
          "[integration][docker]") {
  RealEngine engine;
  // Of the range that the test farms use (tests/e2e/farm.py), above theirs.
  const executor::NetworkSpec spec{
      .name = NewId("slipway-test-"), .farm = engine.farm(), .subnet = "10.250.17.0/24"};
  std::vector<absl::StatusOr<executor::NetworkInfo>> made(6, absl::UnknownError("not asked"));
  {
    std::vector<std::jthread> agents;
    for (auto& network : made)
      agents.emplace_back([&] { network = engine->EnsureNetwork(spec, kTimeout); });
  }
  for (const auto& network : made) {
    REQUIRE_OK(network);
    CHECK(network->id == made[0]->id);
  }

  auto overlapping = spec;
  overlapping.name = NewId("slipway-test-");
  CHECK_THAT(engine->EnsureNetwork(overlapping, kTimeout).status(),
             StatusIs(absl::StatusCode::kPermissionDenied, "verlap"));
}

TEST_CASE("DockerEngine: a network that somebody else made is left as it is",
          "[integration][docker]") {
  RealEngine engine;
  const std::string network = NewId("slipway-test-");
  const auto id = Shell(
      fmt::format("docker network create --label {}={} {}", kForeign, engine.farm(), network));
  REQUIRE_OK(id);
  const auto refused = engine->EnsureNetwork({.name = network, .farm = engine.farm()}, kTimeout);
  CHECK_THAT(refused.status(), StatusIs(absl::StatusCode::kFailedPrecondition, "NETWORK_NOT_OURS"));
  // Ours by its label, but not closed: as good as foreign.
  const std::string open = NewId("slipway-test-");
  REQUIRE_OK(Shell(
      fmt::format("docker network create --label {}={} {}", kLabelFarm, engine.farm(), open)));
  CHECK_THAT(engine->EnsureNetwork({.name = open, .farm = engine.farm()}, kTimeout).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NETWORK_NOT_OURS"));
  const auto after = Shell("docker network inspect -f '{{.Id}}' " + network);
  REQUIRE_OK(after);
  CHECK(*after == *id);
}

TEST_CASE("DockerEngine: the host's network is given only when the operator opted in",
          "[integration][docker]") {
  RealEngine engine(DockerOptions{.allow_host_network = true});
  ContainerSpec spec = engine.Spec({"/bin/sleep", "1"});
  spec.network.kind = NetworkKind::kHost;
  const ContainerId id = engine.Create(spec);
  CHECK(DockerInspect(id, "{{.HostConfig.NetworkMode}}") == "host");
}

TEST_CASE("Reaper: on a real Engine, it removes its own and spares every other container",
          "[integration][docker]") {
  RealEngine engine;
  const auto foreign = [&](const std::string& labels) {
    const auto id = Shell(fmt::format("docker create {} {} /bin/sleep 600", labels, kTestImage));
    REQUIRE_OK(id);
    return ContainerId(*id);
  };
  const ContainerId unlabelled = foreign(fmt::format("--label {}={}", kForeign, engine.farm()));
  const ContainerId farm_only = foreign(fmt::format("--label {}={}", kLabelFarm, engine.farm()));
  const ContainerId other_agent = foreign(
      fmt::format("--label {}={} --label {}=agent-2", kLabelFarm, engine.farm(), kLabelAgent));
  ContainerSpec spec = engine.Spec({"/bin/sleep", "600"});
  spec.labels[kLabelTask] = "task-1";
  spec.labels[kLabelAttempt] = "3";
  const ContainerId held = engine.Run(spec);
  spec.name = NewId("it-");
  spec.labels[kLabelAttempt] = "2";
  const ContainerId old = engine.Run(spec);

  const auto report = Reap(
      *engine, {.farm = FarmId(engine.farm()), .agent = AgentId("agent-1")},
      [] {
        return Keep{.attempts = {{TaskId("task-1"), Attempt(3)}}, .containers = {}};
      },
      kTimeout);
  REQUIRE_OK(report);
  CHECK(report->removed == std::vector{old});
  CHECK(report->failed.empty());
  CHECK_THAT(engine->Inspect(old, kTimeout).status(), StatusIs(absl::StatusCode::kNotFound));
  CHECK_OK(engine->Inspect(held, kTimeout));
  for (const ContainerId& id : {unlabelled, farm_only, other_agent})
    CHECK_OK(engine->Inspect(id, kTimeout));
}

TEST_CASE("DockerEngine: many threads share it", "[integration][docker]") {
  RealEngine engine;
  const ContainerId id = engine.Run(engine.Spec({"/bin/sleep", "600"}));
  std::vector<std::future<int>> threads;
  for (int i = 0; i < 8; ++i) {
    threads.push_back(std::async(std::launch::async, [&] {
      int good = 0;
      for (int n = 0; n < 50; ++n) {
        const auto state = engine->Inspect(id, kTimeout);
        good += state.ok() && state->status == ContainerStatus::kRunning;
      }
      return good;
    }));
  }
  const auto waited = engine->Wait(id, 100ms);
  CHECK_THAT(waited.status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  for (auto& thread : threads) CHECK(thread.get() == 50);
}

}  // namespace
}  // namespace slipway::docker
