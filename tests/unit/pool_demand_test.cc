#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "agent/pool/demand.h"

namespace slipway::pool {
namespace {

using namespace std::chrono_literals;

constexpr MonoTime kNoon = MonoTime(1h);

Kind Of(const std::string& image) { return {.image_id = image}; }

std::string Text(const std::vector<Demand::Target>& targets) {
  std::string text;
  for (const auto& target : targets) {
    text += target.kind.image_id + "=" + std::to_string(target.ready) + " ";
  }
  return text;
}

TEST_CASE("Demand: nothing is made ahead of what nobody asked for", "[unit]") {
  Demand demand;
  CHECK(demand.Targets(4, kNoon).empty());
}

TEST_CASE("Demand: one that is wished for now and then gets one, which is forgotten after a while",
          "[unit]") {
  Demand demand({.memory = 10min, .burst = 5s});
  demand.Wish(Of("node"), kNoon);
  demand.Wish(Of("node"), kNoon + 1min);
  CHECK(Text(demand.Targets(4, kNoon + 2min)) == "node=1 ");
  CHECK(Text(demand.Targets(4, kNoon + 11min)) == "node=1 ");
  CHECK(demand.Targets(4, kNoon + 12min).empty());
}

TEST_CASE("Demand: builds that came at once may come at once again", "[unit]") {
  Demand demand({.memory = 10min, .burst = 5s});
  for (int i = 0; i < 3; ++i) demand.Wish(Of("node"), kNoon + i * 1s);
  demand.Wish(Of("node"), kNoon + 5min);
  CHECK(Text(demand.Targets(8, kNoon + 6min)) == "node=3 ");
  CHECK(Text(demand.Targets(2, kNoon + 6min)) == "node=2 ");
  // The burst is too long ago; the single wish is not.
  CHECK(Text(demand.Targets(8, kNoon + 11min)) == "node=1 ");
}

TEST_CASE("Demand: every kind gets one before any gets a second, the latest first", "[unit]") {
  Demand demand({.memory = 10min, .burst = 5s});
  for (int i = 0; i < 4; ++i) demand.Wish(Of("node"), kNoon);
  demand.Wish(Of("go"), kNoon + 1min);
  demand.Wish(Of("java"), kNoon + 2min);
  CHECK(Text(demand.Targets(2, kNoon + 3min)) == "java=1 go=1 ");
  CHECK(Text(demand.Targets(5, kNoon + 3min)) == "java=1 go=1 node=3 ");
  CHECK(Text(demand.Targets(9, kNoon + 3min)) == "java=1 go=1 node=4 ");
  CHECK(demand.Targets(0, kNoon + 3min).empty());
}

TEST_CASE("Demand: a kind that was forgotten is wished for anew", "[unit]") {
  Demand demand;
  demand.Wish(Of("node"), kNoon);
  demand.Forget(Of("node"));
  CHECK(demand.Targets(4, kNoon).empty());
  demand.Wish(Of("node"), kNoon);
  CHECK(Text(demand.Targets(4, kNoon)) == "node=1 ");
}

TEST_CASE("Demand: containers that differ in a limit or network are of two kinds", "[unit]") {
  Demand demand;
  Kind more = Of("node");
  more.memory_bytes = 1;
  Kind alone = Of("node");
  alone.network = executor::NetworkKind::kBridge;
  demand.Wish(Of("node"), kNoon);
  demand.Wish(more, kNoon);
  demand.Wish(alone, kNoon);
  CHECK(demand.Targets(8, kNoon).size() == 3);
}

}  // namespace
}  // namespace slipway::pool
