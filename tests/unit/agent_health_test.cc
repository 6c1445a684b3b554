#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/health/disk_policy.h"
#include "agent/health/engine_watch.h"
#include "agent/health/file_systems.h"
#include "agent/health/health_keeper.h"
#include "tests/support/fake_container_engine.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::health {
namespace {

using protocol::DiskState;
using protocol::EngineState;
using testing::TempDir;
using testing::WaitUntil;
using namespace std::chrono_literals;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

// Of 100 GiB: pressure below 8 GiB, full below 4 GiB.
constexpr DiskLimits kLimits = {.pressure = {.bytes = 8 * kGiB, .percent = 10},
                                .floor = {.bytes = 4 * kGiB, .percent = 5}};

Space Free(std::uint64_t gib) {
  return {.free_bytes = gib * kGiB, .total_bytes = 100 * kGiB, .free_inodes = 0, .total_inodes = 0};
}

TEST_CASE("JudgeDisk: a worse state begins below its threshold and ends a quarter above it",
          "[unit][health]") {
  DiskState state = DiskState::kOk;
  const auto judge = [&](std::uint64_t gib) {
    return state = JudgeDisk(state, Free(gib), kLimits);
  };
  CHECK(judge(8) == DiskState::kOk);
  CHECK(judge(7) == DiskState::kPressure);
  CHECK(judge(9) == DiskState::kPressure);
  CHECK(judge(10) == DiskState::kOk);
  CHECK(judge(9) == DiskState::kOk);
  CHECK(judge(3) == DiskState::kFull);
  CHECK(judge(4) == DiskState::kFull);
  CHECK(judge(5) == DiskState::kPressure);
  CHECK(judge(4) == DiskState::kPressure);
  CHECK(judge(3) == DiskState::kFull);
  CHECK(judge(50) == DiskState::kOk);
}

TEST_CASE("JudgeDisk: on a small disk the percentage counts, on a large one the bytes",
          "[unit][health]") {
  const Space small{.free_bytes = kGiB / 2, .total_bytes = 4 * kGiB};
  CHECK(JudgeDisk(DiskState::kOk, small, kLimits) == DiskState::kOk);
  const Space large{.free_bytes = 9 * kGiB, .total_bytes = 10'000 * kGiB};
  CHECK(JudgeDisk(DiskState::kOk, large, kLimits) == DiskState::kOk);
}

TEST_CASE("JudgeDisk: files running out counts as bytes running out", "[unit][health]") {
  Space space = Free(90);
  space.total_inodes = 1000;
  space.free_inodes = 100;
  CHECK(JudgeDisk(DiskState::kOk, space, kLimits) == DiskState::kOk);
  space.free_inodes = 99;
  CHECK(JudgeDisk(DiskState::kOk, space, kLimits) == DiskState::kPressure);
  CHECK(JudgeDisk(DiskState::kPressure, space, kLimits) == DiskState::kPressure);
  space.free_inodes = 49;
  CHECK(JudgeDisk(DiskState::kOk, space, kLimits) == DiskState::kFull);
}

TEST_CASE("JudgeDisk: a disk that can never have a quarter more comes back all the same",
          "[unit][health]") {
  const DiskLimits high = {.pressure = {.bytes = 96 * kGiB, .percent = 96}, .floor = {}};
  CHECK(JudgeDisk(DiskState::kPressure, Free(97), high) == DiskState::kPressure);
  CHECK(JudgeDisk(DiskState::kPressure, Free(98), high) == DiskState::kOk);
}

TEST_CASE("JudgeDisk: thresholds of zero never call a disk full", "[unit][health]") {
  CHECK(JudgeDisk(DiskState::kOk, Free(0), {.pressure = {}, .floor = {}}) == DiskState::kOk);
}

Cache Make(CacheKind kind, const std::string& name, int age) {
  return {.kind = kind, .name = name, .path = "/", .last_used = FromUnixMicros(1'000'000 - age)};
}

TEST_CASE("NextToDelete: the oldest cache goes first, images after everything else",
          "[unit][health]") {
  std::vector<Cache> caches = {
      Make(CacheKind::kImage, "old image", 100), Make(CacheKind::kMirror, "young mirror", 1),
      Make(CacheKind::kWorkTree, "tree", 5), Make(CacheKind::kLeftOver, "left-over", 3),
      Make(CacheKind::kImage, "older image", 200)};
  std::vector<std::string> order;
  while (const Cache* next = NextToDelete(caches)) {
    order.push_back(next->name);
    caches.erase(caches.begin() + (next - caches.data()));
  }
  CHECK(order ==
        std::vector<std::string>{"tree", "left-over", "young mirror", "older image", "old image"});
}

TEST_CASE("EngineWatch: one timeout is a busy machine, two are a hung Engine", "[unit][health]") {
  const WallTime begin = FromUnixMicros(1);
  EngineWatch watch(EngineState::kOk, begin);
  const absl::Status timeout = absl::DeadlineExceededError("no answer in time");
  CHECK_FALSE(watch.OnPing(timeout, begin + 10s));
  CHECK(watch.health().state == EngineState::kOk);
  CHECK(watch.OnPing(timeout, begin + 20s));
  CHECK(watch.health().state == EngineState::kHung);
  CHECK(watch.health().since == begin + 20s);
  CHECK(watch.health().words == "no answer in time");
  CHECK_FALSE(watch.OnPing(timeout, begin + 30s));
  CHECK(watch.health().since == begin + 20s);
  CHECK(watch.OnPing(absl::OkStatus(), begin + 40s));
  CHECK(watch.health().state == EngineState::kOk);
  CHECK(watch.health().words.empty());
  CHECK_FALSE(watch.OnPing(timeout, begin + 50s));
}

TEST_CASE("EngineWatch: an Engine that is not there is down at once", "[unit][health]") {
  EngineWatch watch(EngineState::kOk, FromUnixMicros(1));
  CHECK(watch.OnPing(absl::UnavailableError("refused"), FromUnixMicros(2)));
  CHECK(watch.health().state == EngineState::kDown);
  CHECK_FALSE(watch.OnPing(absl::DeadlineExceededError("slow"), FromUnixMicros(3)));
  CHECK(watch.health().state == EngineState::kDown);
}

TEST_CASE("AgentHealth: work is taken unless a disk is full or the Engine is away",
          "[unit][health]") {
  protocol::AgentHealth health;
  CHECK(protocol::TakesWork(health));
  health.disks = {{.path = "/data", .state = DiskState::kPressure}};
  CHECK(protocol::TakesWork(health));
  CHECK(protocol::WhyNoWork(health).empty());
  health.disks.push_back({.path = "/docker", .state = DiskState::kFull});
  CHECK_FALSE(protocol::TakesWork(health));
  CHECK(protocol::WhyNoWork(health) == "its disk is full: /docker");
  health.disks.clear();
  health.engine.state = EngineState::kHung;
  CHECK_FALSE(protocol::TakesWork(health));
}

TEST_CASE("MeasureFileSystems: each file system once, missing paths left out", "[unit][health]") {
  const TempDir dir;
  const auto found = MeasureFileSystems({dir / "none", dir.path(), "/proc", dir.path()});
  REQUIRE(found.size() == 2);
  CHECK(found[0].path == dir.path());
  CHECK(found[0].space.total_bytes > 0);
  CHECK(DeviceOf(dir / "none") == 0);
}

// Things that can be deleted until they are gone.
class FakeCaches final : public CacheSource {
 public:
  explicit FakeCaches(std::vector<Cache> caches) : caches_(std::move(caches)) {}
  std::vector<Cache> List() override {
    const std::lock_guard lock(mu_);
    return caches_;
  }
  absl::Status Delete(const Cache& cache) override {
    const std::lock_guard lock(mu_);
    if (cache.name == "in use") return absl::AbortedError("it is used");
    deleted_.push_back(cache.name);
    std::erase_if(caches_, [&](const Cache& c) { return c.name == cache.name; });
    return absl::OkStatus();
  }
  std::vector<std::string> deleted() {
    const std::lock_guard lock(mu_);
    return deleted_;
  }

 private:
  std::mutex mu_;
  std::vector<Cache> caches_;
  std::vector<std::string> deleted_;
};

struct Kept {
  Kept(DiskLimits limits, std::vector<Cache> found) : caches(std::move(found)) {
    keeper = std::make_unique<HealthKeeper>(KeeperOptions{.limits = limits,
                                                          .paths = {dir.path()},
                                                          .engine_is_local = false,
                                                          .engine_was_well = true,
                                                          .interval = 5ms,
                                                          .engine_timeout = 1s},
                                            KeeperParts{.engine = engine,
                                                        .caches = {&caches},
                                                        .settle = [](Duration) {},
                                                        .report =
                                                            [this](protocol::AgentHealth now) {
                                                              const std::lock_guard lock(mu);
                                                              health = std::move(now);
                                                              ++reports;
                                                            },
                                                        .engine_is_back =
                                                            [this] {
                                                              const std::lock_guard lock(mu);
                                                              ++backs;
                                                            }});
    keeper->Start();
  }
  template <typename Check>
  bool Comes(Check check) {
    return WaitUntil([&] {
      const std::lock_guard lock(mu);
      return check(health);
    });
  }

  TempDir dir;
  testing::FakeContainerEngine engine;
  FakeCaches caches;
  std::mutex mu;
  protocol::AgentHealth health;
  int reports = 0;
  int backs = 0;
  std::unique_ptr<HealthKeeper> keeper;  // last: it uses the rest
};

// So that any disk is too full.
constexpr Threshold kEverything = {.bytes = std::int64_t{1} << 60, .percent = 100};

TEST_CASE("HealthKeeper: a full disk is reported, and caches on it are deleted in order",
          "[unit][health]") {
  const TempDir here;
  std::vector<Cache> caches = {
      Make(CacheKind::kImage, "image", 9), Make(CacheKind::kMirror, "in use", 7),
      Make(CacheKind::kMirror, "mirror", 5), Make(CacheKind::kWorkTree, "elsewhere", 50)};
  for (Cache& cache : caches) cache.path = here.path();
  caches[3].path = "/proc";
  Kept kept({.pressure = kEverything, .floor = kEverything}, caches);
  CHECK(kept.Comes([](const auto& health) { return !protocol::TakesWork(health); }));
  CHECK(WaitUntil([&] { return kept.caches.deleted().size() == 2; }));
  CHECK(kept.caches.deleted() == std::vector<std::string>{"mirror", "image"});
  const std::lock_guard lock(kept.mu);
  REQUIRE(kept.health.disks.size() == 1);
  CHECK(kept.health.disks[0].path == kept.dir.path());
  CHECK(kept.health.disks[0].total_bytes > 0);
}

TEST_CASE("HealthKeeper: with room enough nothing is deleted", "[unit][health]") {
  const TempDir here;
  Cache mirror = Make(CacheKind::kMirror, "mirror", 5);
  mirror.path = here.path();
  Kept kept({.pressure = {}, .floor = {}}, {mirror});
  CHECK(WaitUntil([&] {
    const std::lock_guard lock(kept.mu);
    return kept.reports > 4;
  }));
  CHECK(kept.caches.deleted().empty());
  const std::lock_guard lock(kept.mu);
  CHECK(protocol::TakesWork(kept.health));
}

TEST_CASE("HealthKeeper: an Engine that goes and comes back is reported both times",
          "[unit][health]") {
  Kept kept({.pressure = {}, .floor = {}}, {});
  kept.engine.SetDown(true);
  CHECK(kept.Comes([](const auto& health) {
    return health.engine.state == EngineState::kDown && !health.engine.words.empty();
  }));
  kept.engine.SetDown(false);
  CHECK(kept.Comes([](const auto& health) { return health.engine.state == EngineState::kOk; }));
  CHECK(WaitUntil([&] {
    const std::lock_guard lock(kept.mu);
    return kept.backs == 1;
  }));
}

}  // namespace
}  // namespace slipway::health
