// What the Engine API through our client costs, next to `docker run --rm` of the same container.
//   engine_bench [ROUNDS]      default 15; prints medians in milliseconds and the memory it takes.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "agent/executor/docker/docker_engine.h"
#include "agent/executor/labels.h"
#include "common/base/check.h"
#include "common/base/ids.h"
#include "tests/support/test_image.h"

namespace slipway::docker {
namespace {

using namespace std::chrono_literals;
using executor::ContainerEngine;
using executor::ContainerId;
using executor::ContainerSpec;
using executor::kLabelAgent;
using executor::kLabelFarm;
using executor::Network;
using executor::NetworkKind;
using Clock = std::chrono::steady_clock;

constexpr Duration kTimeout = 60s;

double MillisecondsOf(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

long RssAnonKib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::strtol(line.c_str() + 8, nullptr, 10);
  }
  return 0;
}

void Measure(ContainerEngine& engine, const std::string& name, const std::string& docker_network,
             const Network& network, int rounds) {
  ContainerSpec spec;
  spec.image = testing::kTestImage;
  spec.labels = {{kLabelFarm, "bench"}, {kLabelAgent, "bench"}};
  spec.argv = {"/bin/true"};
  spec.network = network;
  std::vector<double> cycle, create, start, wait, remove, command;
  for (int i = 0; i < rounds; ++i) {
    spec.name = NewId("bench-");
    ContainerId id;
    create.push_back(MillisecondsOf([&] { id = engine.Create(spec, kTimeout).value().id; }));
    start.push_back(MillisecondsOf([&] { SLIPWAY_CHECK(engine.Start(id, kTimeout).ok()); }));
    wait.push_back(
        MillisecondsOf([&] { SLIPWAY_CHECK(engine.Wait(id, kTimeout)->exit_code == 0); }));
    remove.push_back(
        MillisecondsOf([&] { SLIPWAY_CHECK(engine.Remove(id, false, kTimeout).ok()); }));
    cycle.push_back(create.back() + start.back() + wait.back() + remove.back());
    // In turn with ours, so that both meet the same machine.
    const std::string run = fmt::format("docker run --rm --network {} {} /bin/true", docker_network,
                                        testing::kTestImage);
    command.push_back(MillisecondsOf([&] { SLIPWAY_CHECK(testing::Shell(run).ok()); }));
  }
  fmt::print(
      "{:10} cycle {:6.1f} = create {:5.1f} + start {:5.1f} + wait {:5.1f} + remove {:5.1f}"
      "   docker run --rm {:6.1f}   ratio {:.2f}\n",
      name, Median(cycle), Median(create), Median(start), Median(wait), Median(remove),
      Median(command), Median(cycle) / Median(command));
}

int Main(int rounds) {
  const absl::Status image = testing::EnsureTestImage();
  if (!image.ok()) {
    std::cerr << image.message() << "\n";
    return 1;
  }
  const long before = RssAnonKib();
  const auto engine = MakeDockerEngine({.socket = testing::TestDockerSocket()}).value();
  SLIPWAY_CHECK(engine->Ping(kTimeout).ok());
  SLIPWAY_CHECK(engine->List({}, kTimeout).ok());
  fmt::print("RssAnon {} KiB before the first call, {} KiB after\n", before, RssAnonKib());

  std::vector<double> call;
  for (int i = 0; i < 500; ++i) {
    call.push_back(MillisecondsOf(
        [&] { (void)engine->Inspect(ContainerId(std::string(64, '0')), kTimeout); }));
  }
  fmt::print("one call   {:.3f}\n", Median(call));

  const std::string bridge = NewId("slipway-bench-");
  SLIPWAY_CHECK(engine->EnsureNetwork({.name = bridge, .farm = "bench"}, kTimeout).ok());
  ContainerSpec keeper;
  keeper.name = NewId("bench-");
  keeper.image = testing::kTestImage;
  keeper.labels = {{kLabelFarm, "bench"}, {kLabelAgent, "bench"}};
  keeper.argv = {"/bin/sleep", "3600"};
  keeper.network = {.kind = NetworkKind::kBridge, .name = bridge};
  const ContainerId kept = engine->Create(keeper, kTimeout).value().id;
  SLIPWAY_CHECK(engine->Start(kept, kTimeout).ok());

  Measure(*engine, "none", "none", {.kind = NetworkKind::kNone, .name = ""}, rounds);
  Measure(*engine, "bridge", bridge, {.kind = NetworkKind::kBridge, .name = bridge}, rounds);
  Measure(*engine, "kept", bridge, {.kind = NetworkKind::kContainer, .name = kept.value()}, rounds);
  fmt::print("RssAnon {} KiB at the end\n", RssAnonKib());

  SLIPWAY_CHECK(engine->Remove(kept, true, kTimeout).ok());
  return testing::Shell("docker network rm " + bridge).ok() ? 0 : 1;
}

}  // namespace
}  // namespace slipway::docker

int main(int argc, char** argv) {
  return slipway::docker::Main(argc > 1 ? std::max(1, std::atoi(argv[1])) : 15);
}
