#include <catch2/catch.hpp>
#include <string>

#include "tests/contract/store_harness.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

domain::ImageOrder Order(const std::string& image, const std::string& agent = "",
                         std::int64_t at = 1'700'000'000'000'001) {
  return {.image = image,
          .agent = AgentId(agent),
          .number = 0,
          .requested_by = "admin",
          .requested_at = FromUnixMicros(at)};
}

}  // namespace

TEST_CASE("ImageOrderStore: orders are found as they were put, under rising numbers",
          "[contract]") {
  auto harness = MakeStoreHarness();
  auto process = harness->NewProcess();
  REQUIRE_OK(process->scheduler().BecomeLeader());
  store::ImageOrderStore& store = process->image_orders();
  CHECK(store.List()->empty());
  const auto put = store.Put({Order("b:1"), Order("a:1", "agent-1")}, {"admin", WallTime()});
  REQUIRE_OK(put);
  REQUIRE(put->size() == 2);
  CHECK(put->at(0).number > 0);
  CHECK(put->at(0).number < put->at(1).number);
  const auto all = store.List();
  REQUIRE_OK(all);
  CHECK(*all == std::vector<domain::ImageOrder>{put->at(1), put->at(0)});
}

TEST_CASE("ImageOrderStore: asking again gives the same order a higher number", "[contract]") {
  auto harness = MakeStoreHarness();
  auto process = harness->NewProcess();
  REQUIRE_OK(process->scheduler().BecomeLeader());
  store::ImageOrderStore& store = process->image_orders();
  const auto first = store.Put({Order("a:1"), Order("a:1", "agent-1")}, {"admin", WallTime()});
  REQUIRE_OK(first);
  const auto second = store.Put({Order("a:1", "", 1'800'000'000'000'000)}, {"admin", WallTime()});
  REQUIRE_OK(second);
  CHECK(second->at(0).number > first->at(1).number);
  const auto all = store.List();
  REQUIRE_OK(all);
  CHECK(*all == std::vector<domain::ImageOrder>{second->at(0), first->at(1)});
}

TEST_CASE("ImageOrderStore: an image is removed for one agent or altogether", "[contract]") {
  auto harness = MakeStoreHarness();
  auto process = harness->NewProcess();
  REQUIRE_OK(process->scheduler().BecomeLeader());
  store::ImageOrderStore& store = process->image_orders();
  REQUIRE_OK(
      store.Put({Order("a:1"), Order("a:1", "agent-1"), Order("a:1", "agent-2"), Order("b:1")},
                {"admin", WallTime()}));
  CHECK(*store.Remove("a:1", AgentId("agent-1"), {"admin", WallTime()}) == 1);
  CHECK(*store.Remove("a:1", AgentId("agent-1"), {"admin", WallTime()}) == 0);
  CHECK(store.List()->size() == 3);
  CHECK(*store.Remove("a:1", AgentId(), {"admin", WallTime()}) == 2);
  REQUIRE(store.List()->size() == 1);
  CHECK(store.List()->at(0).image == "b:1");
}

}  // namespace slipway::testing
