#include "agent/networks/network_keeper.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>

#include "agent/executor/labels.h"
#include "tests/support/fake_container_engine.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::networks {
namespace {

using executor::NetworkKind;
using testing::FakeContainerEngine;
using testing::WaitUntil;
using namespace std::chrono_literals;

const Kind kShop{.application = "shop", .network = NetworkKind::kBridge};
const Kind kBakery{.application = "bakery", .network = NetworkKind::kBridge};

AttemptKey Key(int number) { return {TaskId("task-" + std::to_string(number)), Attempt(1)}; }

struct Keeping {
  explicit Keeping(std::size_t capacity = 2, Duration idle_for = 1h, Duration interval = 1h) {
    engine.AddImage("node:1");
    REQUIRE_OK(engine.EnsureNetwork({.name = "slipway", .farm = "farm"}, 1s).status());
    keeper = std::make_unique<NetworkKeeper>(
        KeeperOptions{.owner = {.farm = FarmId("farm"), .agent = AgentId("agent")},
                      .init_binary = "/init",
                      .capacity = capacity,
                      .idle_for = idle_for,
                      .interval = interval,
                      .is_quiet = [this](const executor::ContainerId&, int) { return quiet; }},
        engine);
    keeper->Start();
  }
  // One that is free.
  void Make(const Kind& kind) {
    const std::size_t before = engine.containers().size();
    keeper->Wanted(kind, "node:1");
    REQUIRE(WaitUntil([&] { return keeper->Held().size() > before; }));
  }
  bool HasContainers(std::size_t number) {
    return WaitUntil([&] { return engine.containers().size() == number; });
  }

  FakeContainerEngine engine;
  bool quiet = true;
  std::unique_ptr<NetworkKeeper> keeper;
};

TEST_CASE("NetworkKeeper: the first build finds none, the next of its application the kept one") {
  Keeping k;
  CHECK_FALSE(k.keeper->Take(kShop, Key(1)));
  k.Make(kShop);
  CHECK_FALSE(k.keeper->Take(kBakery, Key(2)));
  CHECK_FALSE(k.keeper->Take({.application = "shop", .network = NetworkKind::kNone}, Key(2)));
  const auto name = k.keeper->Take(kShop, Key(2));
  REQUIRE(name);
  const executor::ContainerSpec holder = k.engine.spec(k.engine.containers().front());
  CHECK(holder.name == *name);
  CHECK(holder.network.name == "slipway");
  CHECK(holder.argv == std::vector<std::string>{"/slipway/init", "--hold"});
  CHECK(holder.cap_add.empty());
  CHECK(holder.labels.at(executor::kLabelKind) == "network");
  CHECK(k.keeper->counts().hits == 1);
  CHECK(k.keeper->counts().misses == 3);
}

TEST_CASE("NetworkKeeper: a namespace belongs to one attempt at a time") {
  Keeping k;
  k.Make(kShop);
  REQUIRE(k.keeper->Take(kShop, Key(1)));
  CHECK_FALSE(k.keeper->Take(kShop, Key(2)));
  k.keeper->Return(Key(1), "");
  k.keeper->Return(Key(1), "");
  CHECK(k.keeper->Take(kShop, Key(2)));
}

TEST_CASE("NetworkKeeper: one in which sockets are left is not given out until they are gone") {
  Keeping k;
  k.Make(kShop);
  k.quiet = false;
  CHECK_FALSE(k.keeper->Take(kShop, Key(1)));
  k.quiet = true;
  CHECK(k.keeper->Take(kShop, Key(1)));
}

TEST_CASE("NetworkKeeper: one whose container has ended is given up") {
  Keeping k;
  k.Make(kShop);
  k.engine.Exit(k.engine.containers().front(), 137);
  CHECK_FALSE(k.keeper->Take(kShop, Key(1)));
  CHECK(k.HasContainers(0));
}

TEST_CASE("NetworkKeeper: one that ended is given up before anybody asks", "[unit]") {
  Keeping k(2, 1h, 20ms);
  k.Make(kShop);
  k.engine.Exit(k.engine.containers().front(), 137);
  CHECK(k.HasContainers(0));
}

TEST_CASE("NetworkKeeper: what the Engine would not remove is removed later, also at the end",
          "[unit]") {
  Keeping k;
  k.Make(kShop);
  k.engine.FailNext(FakeContainerEngine::Op::kRemove, absl::InternalError("device is busy"));
  CHECK(k.keeper->Stop(5s));
  CHECK(k.engine.containers().empty());
}

TEST_CASE("NetworkKeeper: at its capacity the one that was free longest makes room") {
  Keeping k(2);
  k.Make(kShop);
  k.Make(kBakery);
  REQUIRE(k.keeper->Take(kBakery, Key(1)));
  k.keeper->Wanted({.application = "third", .network = NetworkKind::kNone}, "node:1");
  CHECK(WaitUntil([&] {
    return k.keeper->Take({.application = "third", .network = NetworkKind::kNone}, Key(2))
        .has_value();
  }));
  CHECK_FALSE(k.keeper->Take(kShop, Key(3)));
  // Both are in use.
  k.keeper->Wanted(kShop, "node:1");
  CHECK(k.HasContainers(2));
}

TEST_CASE("NetworkKeeper: with a capacity of zero nothing is kept") {
  Keeping k(0);
  k.keeper->Wanted(kShop, "node:1");
  CHECK(k.keeper->Stop(1s));
  CHECK(k.engine.containers().empty());
}

TEST_CASE("NetworkKeeper: one that nobody takes is given up after its time") {
  Keeping k(2, 50ms);
  k.keeper->Wanted(kShop, "node:1");
  CHECK(WaitUntil([&] { return !k.engine.calls().empty() && !k.keeper->Held().empty(); }));
  CHECK(k.HasContainers(0));
}

TEST_CASE("NetworkKeeper: a stop gives up what is free and leaves what is used") {
  Keeping k;
  k.Make(kShop);
  k.Make(kBakery);
  const auto used = k.keeper->Take(kShop, Key(1));
  REQUIRE(used);
  CHECK(k.keeper->Stop(5s));
  REQUIRE(k.engine.containers().size() == 1);
  CHECK(k.engine.spec(k.engine.containers().front()).name == *used);
}

TEST_CASE("NetworkKeeper: what an earlier process gave out is given up when its build is gone") {
  Keeping k;
  (void)k.engine.AddContainer("slipway-agent-net-old", {});
  k.keeper->Return(Key(1), "slipway-agent-net-old");
  CHECK(k.HasContainers(0));
}

TEST_CASE("a table of sockets: all but those of the Engine's name server count") {
  const std::string heading =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";
  CHECK(HasNoSockets(heading));
  CHECK(HasNoSockets(heading +
                     "   0: 0B00007F:B0C3 00000000:0000 0A 00000000:00000000 00:00000000     0\n"));
  CHECK(HasNoSockets(heading + "   0: 0100007F:0035 0B00007F:B0C3 06 00000000:00000000\n"));
  CHECK_FALSE(HasNoSockets(heading + "   0: 0B00007F:B0C3 00000000:0000 0A 00000000:00000000\n"
                                     "   1: 020012AC:9C40 08080808:01BB 06 00000000:00000000\n"));
}

}  // namespace
}  // namespace slipway::networks
