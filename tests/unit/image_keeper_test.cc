#include "agent/images/image_keeper.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/images/image_reference.h"
#include "common/status/status.h"
#include "tests/support/fake_container_engine.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::images {
namespace {

using protocol::ImageOrder;
using protocol::ImageReport;
using protocol::ImageState;
using testing::FakeContainerEngine;
using testing::StatusIs;
using testing::TempDir;
using testing::WaitUntil;
using namespace std::chrono_literals;

constexpr char kRemote[] = "registry.example.org:5000/team/node:20";

TEST_CASE("RegistryOf: a first part with a dot, a port, or localhost names a registry",
          "[unit][images]") {
  CHECK(RegistryOf(kRemote) == "registry.example.org:5000");
  CHECK(RegistryOf("localhost/a:1") == "localhost");
  CHECK(RegistryOf("127.0.0.1:5000/a") == "127.0.0.1:5000");
  CHECK(RegistryOf("slipway-builder:1").empty());
  CHECK(RegistryOf("team/name:1.2").empty());
  CHECK(RegistryOf("name@sha256:0123").empty());
}

TEST_CASE("MayPull: short names only when any may be pulled, and only from listed registries",
          "[unit][images]") {
  CHECK(MayPull({.policy = PullPolicy::kNamed}, kRemote));
  CHECK_FALSE(MayPull({.policy = PullPolicy::kNamed}, "node:20"));
  CHECK(MayPull({.policy = PullPolicy::kAny}, "node:20"));
  CHECK_FALSE(MayPull({.policy = PullPolicy::kNever}, kRemote));
  const PullRules listed{.policy = PullPolicy::kAny, .registries = {"registry.example.org:5000"}};
  CHECK(MayPull(listed, kRemote));
  CHECK_FALSE(MayPull(listed, "other.example.org/a:1"));
  CHECK_FALSE(MayPull(listed, "node:20"));
}

struct Machine {
  explicit Machine(PullRules rules = {}) { Restart(std::move(rules)); }

  void Restart(PullRules rules = {}) {
    keeper.reset();
    auto made = ImageKeeper::Create({.rules = std::move(rules),
                                     .record_path = dir / "images",
                                     .engine_timeout = 1s,
                                     .pull_timeout = 1s,
                                     .recheck = 20ms,
                                     .retry = 20ms},
                                    {.engine = engine,
                                     .explain =
                                         [](const absl::Status& status) {
                                           protocol::Failure failure;
                                           failure.reason = GetErrorInfo(status).reason;
                                           return failure;
                                         },
                                     .report =
                                         [this](std::vector<ImageReport> now) {
                                           const std::lock_guard lock(mu);
                                           reports = std::move(now);
                                         }});
    REQUIRE_OK(made);
    keeper = *std::move(made);
    keeper->Start();
  }
  bool Comes(const std::string& image, ImageState state, std::uint64_t number = 1) {
    return WaitUntil([&] {
      const std::lock_guard lock(mu);
      return std::any_of(reports.begin(), reports.end(), [&](const ImageReport& report) {
        return report.order == ImageOrder{image, number} && report.state == state;
      });
    });
  }
  int Pulls() {
    const auto calls = engine.calls();
    return static_cast<int>(std::count_if(calls.begin(), calls.end(), [](const auto& call) {
      return call.op == FakeContainerEngine::Op::kPullImage;
    }));
  }
  absl::StatusOr<executor::ImageInfo> Ensure(const std::string& image) {
    return keeper->Ensure(image, [] {}, {});
  }
  static WallTime Later() { return SystemClock().Wall() + 1h; }

  TempDir dir;
  FakeContainerEngine engine;
  std::mutex mu;
  std::vector<ImageReport> reports;
  std::unique_ptr<ImageKeeper> keeper;  // last: it uses the rest
};

TEST_CASE("ImageKeeper: an ordered image that is here is ready with its id", "[unit][images]") {
  Machine machine;
  machine.engine.AddImage("builder:1");
  machine.keeper->SetOrders({{"builder:1", 1}});
  REQUIRE(machine.Comes("builder:1", ImageState::kReady));
  CHECK(machine.reports.at(0).id == "sha256:builder:1");
  CHECK(machine.Pulls() == 0);
}

TEST_CASE("ImageKeeper: an ordered image that is missing is pulled once", "[unit][images]") {
  Machine machine;
  machine.engine.AddRemoteImage(kRemote);
  machine.keeper->SetOrders({{kRemote, 1}});
  REQUIRE(machine.Comes(kRemote, ImageState::kReady));
  CHECK(machine.engine.HasImage(kRemote));
  CHECK(machine.Pulls() == 1);
}

TEST_CASE("ImageKeeper: one that cannot be had is failed with the reason, and tried again",
          "[unit][images]") {
  Machine machine;
  machine.keeper->SetOrders({{"builder:1", 1}});
  REQUIRE(machine.Comes("builder:1", ImageState::kFailed));
  {
    const std::lock_guard lock(machine.mu);
    CHECK(machine.reports.at(0).failure->reason == "IMAGE_MISSING");
  }
  machine.engine.AddImage("builder:1");
  CHECK(machine.Comes("builder:1", ImageState::kReady));
}

TEST_CASE("ImageKeeper: an ordered image that somebody removed is made present again",
          "[unit][images]") {
  Machine machine;
  machine.engine.AddRemoteImage(kRemote);
  machine.keeper->SetOrders({{kRemote, 1}});
  REQUIRE(machine.Comes(kRemote, ImageState::kReady));
  REQUIRE_OK(machine.engine.RemoveImage(kRemote, 1s));
  CHECK(WaitUntil([&] { return machine.engine.HasImage(kRemote); }));
}

TEST_CASE("ImageKeeper: an order under a higher number is begun anew, others are left alone",
          "[unit][images]") {
  Machine machine;
  machine.engine.AddImage("a:1");
  machine.keeper->SetOrders({{"a:1", 1}});
  REQUIRE(machine.Comes("a:1", ImageState::kReady));
  machine.keeper->SetOrders({{"a:1", 1}});
  {
    const std::lock_guard lock(machine.mu);
    CHECK(machine.reports.at(0).state == ImageState::kReady);
  }
  machine.keeper->SetOrders({{"a:1", 2}});
  CHECK(machine.Comes("a:1", ImageState::kReady, 2));
  machine.keeper->SetOrders({});
  const std::lock_guard lock(machine.mu);
  CHECK(machine.reports.empty());
}

TEST_CASE("ImageKeeper: a task's image is pulled when its rules allow it, else it is missing",
          "[unit][images]") {
  Machine machine;
  machine.engine.AddRemoteImage(kRemote);
  machine.engine.AddRemoteImage("stranger:1");
  int announced = 0;
  const auto got = machine.keeper->Ensure(kRemote, [&] { ++announced; }, {});
  REQUIRE_OK(got);
  CHECK(announced == 1);
  REQUIRE_OK(machine.keeper->Ensure(kRemote, [&] { ++announced; }, {}));
  CHECK(announced == 1);
  CHECK_THAT(machine.Ensure("stranger:1").status(),
             StatusIs(absl::StatusCode::kNotFound, "IMAGE_MISSING"));
  CHECK(machine.Pulls() == 1);
}

TEST_CASE("ImageKeeper: many that want one image wait for one pull", "[unit][images]") {
  Machine machine;
  machine.engine.AddRemoteImage(kRemote);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { good += machine.Ensure(kRemote).ok() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 8);
  CHECK(machine.Pulls() == 1);
}

TEST_CASE("ImageKeeper: only what it pulled itself and nobody wants may be deleted",
          "[unit][images]") {
  Machine machine;
  machine.engine.AddImage("builder:1");
  machine.engine.AddRemoteImage(kRemote);
  REQUIRE_OK(machine.Ensure("builder:1"));
  REQUIRE_OK(machine.Ensure(kRemote));
  const auto names = [&](WallTime since) {
    std::vector<std::string> found;
    for (const PulledImage& image : machine.keeper->Disposable(since)) found.push_back(image.name);
    return found;
  };
  CHECK(names(SystemClock().Wall() - 1h).empty());
  CHECK(names(Machine::Later()) == std::vector<std::string>{kRemote});
  CHECK_THAT(machine.keeper->Drop("builder:1", Machine::Later()),
             StatusIs(absl::StatusCode::kAborted));
  machine.keeper->SetOrders({{kRemote, 1}});
  CHECK(names(Machine::Later()).empty());
  CHECK_THAT(machine.keeper->Drop(kRemote, Machine::Later()), StatusIs(absl::StatusCode::kAborted));
  machine.keeper->SetOrders({});
  // Also after a restart it knows what was its own.
  machine.Restart();
  CHECK(names(Machine::Later()) == std::vector<std::string>{kRemote});
  CHECK_OK(machine.keeper->Drop(kRemote, Machine::Later()));
  CHECK_FALSE(machine.engine.HasImage(kRemote));
  CHECK(machine.engine.HasImage("builder:1"));
  machine.Restart();
  CHECK(names(Machine::Later()).empty());
}

TEST_CASE(
    "ImageKeeper: an image is made once, whoever wants it meanwhile, and is its own to delete",
    "[unit][images]") {
  Machine machine;
  constexpr char kMade[] = "slipway-prepared/app:1";
  std::atomic<int> made = 0;
  const auto make = [&](const std::stop_token&) {
    ++made;
    machine.engine.AddImage(kMade);
    return absl::OkStatus();
  };
  std::atomic<int> got = 0;
  {
    std::vector<std::jthread> builds;
    for (int i = 0; i < 4; ++i) {
      builds.emplace_back(
          [&] { got += machine.keeper->EnsureMade(kMade, make, std::stop_token()).ok(); });
    }
  }
  CHECK(got == 4);
  CHECK(made == 1);
  REQUIRE(machine.keeper->Disposable(Machine::Later()).size() == 1);
  CHECK_OK(machine.keeper->Drop(kMade, Machine::Later()));
  CHECK_FALSE(machine.engine.HasImage(kMade));
}

TEST_CASE("ImageKeeper: who waits for an image that could not be made makes it himself",
          "[unit][images]") {
  Machine machine;
  constexpr char kMade[] = "slipway-prepared/app:1";
  const auto fails = [](const std::stop_token&) { return absl::CancelledError("canceled"); };
  CHECK_THAT(machine.keeper->EnsureMade(kMade, fails, std::stop_token()).status(),
             StatusIs(absl::StatusCode::kCancelled));
  CHECK(machine.keeper->Disposable(Machine::Later()).empty());
  CHECK_OK(machine.keeper->EnsureMade(
      kMade,
      [&](const std::stop_token&) {
        machine.engine.AddImage(kMade);
        return absl::OkStatus();
      },
      std::stop_token()));
}

TEST_CASE("ImageKeeper: an image in use stays", "[unit][images]") {
  Machine machine;
  machine.engine.AddRemoteImage(kRemote);
  REQUIRE_OK(machine.Ensure(kRemote));
  executor::ContainerSpec spec;
  spec.name = "c1";
  spec.image = kRemote;
  spec.labels = {{"io.slipway.farm", "f"}, {"io.slipway.agent", "a"}};
  spec.argv = {"/bin/true"};
  REQUIRE_OK(machine.engine.Create(spec, 1s));
  CHECK_THAT(machine.keeper->Drop(kRemote, Machine::Later()),
             StatusIs(absl::StatusCode::kAborted, "IMAGE_IN_USE"));
  CHECK(machine.keeper->Disposable(Machine::Later()).size() == 1);
}

}  // namespace
}  // namespace slipway::images
