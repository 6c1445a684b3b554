#include "agent/pool/warm_pool.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "agent/executor/labels.h"
#include "tests/support/fake_container_engine.h"
#include "tests/support/fake_init.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::pool {
namespace {

namespace fs = std::filesystem;
using testing::FakeContainerEngine;
using testing::FakeInit;
using testing::WaitUntil;
using namespace std::chrono_literals;

const Kind kNode{.image_id = "node:1", .network = executor::NetworkKind::kNone};
const Kind kGo{.image_id = "go:1", .network = executor::NetworkKind::kNone};

struct Farm {
  explicit Farm(std::size_t capacity = 2, DemandOptions demand = {}) {
    engine.AddImage("node:1");
    engine.AddImage("go:1");
    engine.OnStart([this](const executor::ContainerId& id, const executor::ContainerSpec& spec) {
      const std::lock_guard lock(mu);
      inits[id] = std::make_unique<FakeInit>(spec.binds.front().host_path);
    });
    options.owner = {.farm = FarmId("farm"), .agent = AgentId("agent")};
    options.data_dir = dir / "data";
    options.work_dir = dir / "work";
    options.spec = [](const Kind& kind, const StallPaths& paths) {
      executor::ContainerSpec spec;
      spec.image = kind.image_id;
      spec.argv = {"/slipway/init", "--wait"};
      spec.binds = {{.host_path = paths.control, .container_path = "/slipway/control"}};
      spec.network.kind = kind.network;
      return spec;
    };
    options.capacity = capacity;
    options.demand = demand;
    options.quiet = 10ms;
    options.interval = 20ms;
    options.available_memory = [this] {
      const std::lock_guard lock(mu);
      return memory;
    };
  }
  WarmPool& Begin() {
    auto made = WarmPool::Create(options, engine);
    REQUIRE_OK(made);
    pool = *std::move(made);
    pool->Start();
    return *pool;
  }
  bool HasReady(std::size_t number) {
    return WaitUntil([&] { return pool->counts().ready == number; });
  }
  bool HasContainers(std::size_t number) {
    return WaitUntil([&] { return engine.containers().size() == number; });
  }
  std::size_t Stalls() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(dir / "data/warm"), fs::directory_iterator()));
  }

  const testing::TempDir dir;
  FakeContainerEngine engine;
  std::mutex mu;
  std::map<executor::ContainerId, std::unique_ptr<FakeInit>> inits;
  std::optional<std::int64_t> memory;
  PoolOptions options;
  std::unique_ptr<WarmPool> pool;
};

TEST_CASE("WarmPool: the first build finds none, the next of its kind one that waits", "[unit]") {
  Farm farm;
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  REQUIRE(farm.HasReady(1));
  CHECK_FALSE(pool.Take(kGo));
  const std::optional<Stall> stall = pool.Take(kNode);
  REQUIRE(stall);
  const executor::ContainerSpec spec = farm.engine.spec(stall->container);
  CHECK(spec.image == "node:1");
  CHECK(spec.labels.at(executor::kLabelKind) == "warm");
  CHECK(spec.labels.at(executor::kLabelAgent) == "agent");
  for (const std::string& path :
       {stall->paths.control, stall->paths.out, stall->paths.home, stall->paths.tree}) {
    CHECK(fs::is_directory(path));
  }
  CHECK_FALSE(fs::exists(stall->paths.control + "/log"));
  CHECK(pool.counts().hits == 1);
  CHECK(pool.counts().misses == 2);
}

TEST_CASE("WarmPool: a container is given to one attempt, and another takes its place", "[unit]") {
  Farm farm;
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  REQUIRE(farm.HasReady(1));
  const auto first = pool.Take(kNode);
  REQUIRE(first);
  // Two wishes came close together.
  REQUIRE(farm.HasReady(2));
  const auto second = pool.Take(kNode);
  REQUIRE(second);
  CHECK(first->container != second->container);
  CHECK(pool.Held().contains(first->container));
  pool.Gone(first->container);
  CHECK_FALSE(pool.Held().contains(first->container));
  CHECK(pool.Held().contains(second->container));
}

TEST_CASE("WarmPool: one whose slipway-init has died is not given out", "[unit]") {
  Farm farm;
  farm.options.interval = 1h;
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  REQUIRE(farm.HasReady(1));
  const executor::ContainerId dead = farm.engine.containers().front();
  farm.inits.at(dead)->Die();
  CHECK_FALSE(pool.Take(kNode));
  CHECK(WaitUntil([&] {
    const auto all = farm.engine.containers();
    return !all.empty() && std::find(all.begin(), all.end(), dead) == all.end();
  }));
}

TEST_CASE("WarmPool: one that dies while it waits is replaced before anybody asks", "[unit]") {
  Farm farm;
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  REQUIRE(farm.HasReady(1));
  const executor::ContainerId dead = farm.engine.containers().front();
  farm.inits.at(dead)->Die();
  CHECK(WaitUntil([&] {
    const auto all = farm.engine.containers();
    return all.size() == 1 && all.front() != dead && pool.counts().ready == 1;
  }));
  CHECK(pool.Take(kNode));
}

TEST_CASE("WarmPool: one that its build could not use is removed with its directories", "[unit]") {
  Farm farm(1);
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  REQUIRE(farm.HasReady(1));
  auto stall = pool.Take(kNode);
  REQUIRE(stall);
  const StallPaths paths = stall->paths;
  pool.GiveUp(*std::move(stall));
  CHECK(WaitUntil([&] { return !fs::exists(paths.dir) && !fs::exists(paths.tree); }));
}

TEST_CASE("WarmPool: there are never more than its capacity, and the kind asked for last wins",
          "[unit]") {
  Farm farm(1);
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  REQUIRE(farm.HasReady(1));
  CHECK_FALSE(pool.Take(kGo));
  CHECK(WaitUntil([&] {
    const auto all = farm.engine.containers();
    return all.size() == 1 && farm.engine.spec(all.front()).image == "go:1" &&
           pool.counts().ready == 1;
  }));
}

TEST_CASE("WarmPool: what nobody asked for in a while is given up", "[unit]") {
  Farm farm(2, {.memory = 100ms, .burst = 1ms});
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  REQUIRE(farm.HasReady(1));
  CHECK(farm.HasContainers(0));
  CHECK(WaitUntil([&] { return farm.Stalls() == 0; }));
}

TEST_CASE("WarmPool: a machine without memory to spare has none", "[unit]") {
  Farm farm;
  farm.memory = std::int64_t{512} << 20;
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  CHECK_FALSE(WaitUntil([&] { return pool.counts().ready > 0; }, 100ms));
  {
    const std::lock_guard lock(farm.mu);
    farm.memory = std::int64_t{8} << 30;
  }
  CHECK(farm.HasReady(1));
}

TEST_CASE("WarmPool: while a disk is filling up none waits", "[unit]") {
  Farm farm;
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  REQUIRE(farm.HasReady(1));
  pool.Suspend(true);
  CHECK(farm.HasContainers(0));
  pool.Suspend(false);
  CHECK(farm.HasReady(1));
}

TEST_CASE("WarmPool: a kind that cannot be made is in no other's way", "[unit]") {
  Farm farm;
  const Kind gone{.image_id = "a-gone:1", .network = executor::NetworkKind::kNone};
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  CHECK_FALSE(pool.Take(gone));
  REQUIRE(farm.HasReady(1));
  CHECK(pool.Take(kNode));
}

TEST_CASE("WarmPool: an Engine that hangs does not hold up a stop", "[unit]") {
  Farm farm;
  std::promise<void> hanging;
  std::promise<void> go_on;
  farm.engine.OnStart([&](const executor::ContainerId& id, const executor::ContainerSpec& spec) {
    hanging.set_value();
    go_on.get_future().wait();
    const std::lock_guard lock(farm.mu);
    farm.inits[id] = std::make_unique<FakeInit>(spec.binds.front().host_path);
  });
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  hanging.get_future().wait();
  CHECK_FALSE(pool.Stop(10ms));
  go_on.set_value();
}

TEST_CASE("WarmPool: with a capacity of zero there is none", "[unit]") {
  Farm farm(0);
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  CHECK(pool.Stop(1s));
  CHECK(farm.engine.calls().empty());
}

TEST_CASE("WarmPool: a stop gives up what waits and leaves what was taken", "[unit]") {
  Farm farm;
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  REQUIRE(farm.HasReady(1));
  const auto taken = pool.Take(kNode);
  REQUIRE(taken);
  REQUIRE(farm.HasReady(2));
  CHECK(pool.Stop(5s));
  REQUIRE(farm.engine.containers().size() == 1);
  CHECK(farm.engine.containers().front() == taken->container);
  CHECK_FALSE(pool.Take(kNode));
}

TEST_CASE("WarmPool: what the Engine would not remove is removed later, also at the end",
          "[unit]") {
  Farm farm;
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  REQUIRE(farm.HasReady(1));
  farm.engine.FailNext(FakeContainerEngine::Op::kRemove, absl::InternalError("device is busy"));
  CHECK(pool.Stop(5s));
  CHECK(farm.engine.containers().empty());
  CHECK(farm.Stalls() == 0);
}

TEST_CASE("WarmPool: what an earlier process left in its directories is removed", "[unit]") {
  Farm farm;
  fs::create_directories(farm.dir / "data/warm/old/control");
  testing::WriteFile(farm.dir / "data/warm/old/control/log", "half moved");
  fs::create_directories(farm.dir / "work/warm/old/src");
  (void)farm.Begin();
  CHECK(fs::is_empty(farm.dir / "data/warm"));
  CHECK(fs::is_empty(farm.dir / "work/warm"));
}

TEST_CASE("WarmPool: of one that the Engine does not make nothing stays", "[unit]") {
  Farm farm;
  farm.engine.FailNext(FakeContainerEngine::Op::kCreate, absl::InternalError("no"));
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  CHECK(WaitUntil([&] { return !farm.engine.calls().empty(); }));
  CHECK(WaitUntil([&] { return farm.Stalls() == 0; }));
  CHECK(farm.engine.containers().empty());
}

TEST_CASE("WarmPool: one that does not start is tried again later, and nothing of it stays",
          "[unit]") {
  Farm farm;
  farm.engine.FailNext(FakeContainerEngine::Op::kStart, absl::InternalError("no"));
  WarmPool& pool = farm.Begin();
  CHECK_FALSE(pool.Take(kNode));
  CHECK(WaitUntil([&] {
    const auto calls = farm.engine.calls();
    return std::any_of(calls.begin(), calls.end(), [](const FakeContainerEngine::Call& call) {
      return call.op == FakeContainerEngine::Op::kRemove;
    });
  }));
  CHECK(farm.HasContainers(0));
  CHECK(WaitUntil([&] { return farm.Stalls() == 0; }));
}

}  // namespace
}  // namespace slipway::pool
