#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "tests/contract/store_harness.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

domain::Application MakeApplication(const std::string& name) {
  return {.id = ApplicationId("id-" + name),
          .name = name,
          .repository = "https://example.test/" + name + ".git",
          .description = "商店 'quoted' \\",
          .requirements = {{"zone", "north \"quoted\""}},
          .queue_timeout = std::chrono::hours(2),
          .created_at = FromUnixMicros(1'700'000'000'123'456),
          .created_by = "admin"};
}

std::unique_ptr<StoreProcess> Leader(StoreHarness& harness) {
  auto process = harness.NewProcess();
  REQUIRE_OK(process->scheduler().BecomeLeader());
  return process;
}

}  // namespace

TEST_CASE("ApplicationStore: what was created is found, by name, by id and in order",
          "[contract]") {
  auto harness = MakeStoreHarness();
  auto process = Leader(*harness);
  store::ApplicationStore& store = process->applications();
  CHECK(store.List({})->applications.empty());
  REQUIRE_OK(store.Create(MakeApplication("shop"), {"admin", FromUnixMicros(1)}));
  REQUIRE_OK(store.Create(MakeApplication("bakery"), {"admin", FromUnixMicros(1)}));
  const auto found = store.GetByName("shop");
  REQUIRE_OK(found);
  const domain::Application expected = MakeApplication("shop");
  CHECK(found->id == expected.id);
  CHECK(found->repository == expected.repository);
  CHECK(found->description == expected.description);
  CHECK(found->created_at == expected.created_at);
  CHECK(found->created_by == "admin");
  CHECK(found->requirements == expected.requirements);
  CHECK(found->queue_timeout == expected.queue_timeout);
  CHECK(store.Get(expected.id)->name == "shop");
  const auto all = store.List({});
  REQUIRE_OK(all);
  REQUIRE(all->applications.size() == 2);
  CHECK(all->total == 2);
  CHECK(all->next_page_token.empty());
  CHECK(all->applications.at(0).name == "bakery");
  const auto first = store.List({.page_size = 1});
  REQUIRE_OK(first);
  REQUIRE(first->applications.size() == 1);
  CHECK(first->total == 2);
  const auto second = store.List({.page_size = 1, .page_token = first->next_page_token});
  REQUIRE_OK(second);
  CHECK(second->applications.at(0).name == "shop");
  CHECK(second->next_page_token.empty());
}

TEST_CASE("ApplicationStore: a change leaves alone what it does not name", "[contract]") {
  auto harness = MakeStoreHarness();
  auto process = Leader(*harness);
  store::ApplicationStore& store = process->applications();
  REQUIRE_OK(store.Create(MakeApplication("shop"), {"admin", FromUnixMicros(1)}));
  REQUIRE_OK(store.Create(MakeApplication("bakery"), {"admin", FromUnixMicros(1)}));
  store::ApplicationChange change;
  change.requirements = std::map<std::string, std::string>{{"gpu", "1"}};
  const auto labelled = store.Update("shop", change, {"admin", FromUnixMicros(1)});
  REQUIRE_OK(labelled);
  CHECK(labelled->requirements == *change.requirements);
  CHECK(labelled->description == MakeApplication("shop").description);
  CHECK(labelled->queue_timeout == std::chrono::hours(2));
  change = {};
  change.queue_timeout = Duration::zero();
  change.description = "";
  REQUIRE_OK(store.Update("shop", change, {"admin", FromUnixMicros(1)}));
  const auto found = store.GetByName("shop");
  REQUIRE_OK(found);
  CHECK(found->queue_timeout == Duration::zero());
  CHECK(found->description.empty());
  CHECK(found->requirements.at("gpu") == "1");
  CHECK(store.GetByName("bakery")->requirements == MakeApplication("bakery").requirements);
  CHECK_THAT(store.Update("none", change, {"admin", FromUnixMicros(1)}).status(),
             StatusIs(absl::StatusCode::kNotFound));
}

TEST_CASE("ApplicationStore: a name is given once; an unknown one is not found", "[contract]") {
  auto harness = MakeStoreHarness();
  auto process = Leader(*harness);
  store::ApplicationStore& store = process->applications();
  REQUIRE_OK(store.Create(MakeApplication("shop"), {"admin", FromUnixMicros(1)}));
  domain::Application again = MakeApplication("shop");
  again.id = ApplicationId("another");
  CHECK_THAT(store.Create(again, {"admin", FromUnixMicros(1)}).status(),
             StatusIs(absl::StatusCode::kAlreadyExists, "shop"));
  CHECK_THAT(store.GetByName("none").status(), StatusIs(absl::StatusCode::kNotFound, "none"));
  CHECK_THAT(store.Get(ApplicationId("none")).status(), StatusIs(absl::StatusCode::kNotFound));
  CHECK_THAT(store.GetByName(std::string("shop\0x", 6)).status(),
             StatusIs(absl::StatusCode::kNotFound));
}

TEST_CASE("ApplicationStore: a text that cannot be stored is refused", "[contract]") {
  auto harness = MakeStoreHarness();
  auto process = Leader(*harness);
  domain::Application application = MakeApplication("shop");
  application.description = std::string("a\0b", 3);
  CHECK_THAT(process->applications().Create(application, {"admin", FromUnixMicros(1)}).status(),
             StatusIs(absl::StatusCode::kInvalidArgument));
  CHECK_FALSE(process->applications().GetByName("shop").ok());
}

TEST_CASE("FarmStore: the farm's id is made once and is everybody's", "[contract]") {
  auto harness = MakeStoreHarness();
  auto process = Leader(*harness);
  const auto id = process->farm().GetOrCreateFarmId();
  REQUIRE_OK(id);
  CHECK_FALSE(id->value().empty());
  CHECK(*process->farm().GetOrCreateFarmId() == *id);
  CHECK(*harness->NewProcess()->farm().GetOrCreateFarmId() == *id);
}

}  // namespace slipway::testing
