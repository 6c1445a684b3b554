#include <catch2/catch.hpp>
#include <string>

#include "tests/contract/store_farm.h"

// Which publishes may have a permit at the same time.
namespace slipway::testing {

TEST_CASE(
    "SchedulerStore: of publishes to one target of a platform one has a permit, to a channel all",
    "[contract]") {
  Farm farm;
  farm.StartPublish("1");
  REQUIRE_OK(farm.CommitOne(store::GrantPermit{By("scheduler"), MakePermit("publish-1", 1)}));
  farm.StartPublish("2");
  CHECK_THAT(farm.CommitOne(store::GrantPermit{By("scheduler"), MakePermit("publish-2", 1)}),
             kIsRefused);
  for (const char* n : {"3", "4"}) {
    farm.StartPublish(n, "qa", "email");
    CHECK_OK(farm.CommitOne(
        store::GrantPermit{By("scheduler"), MakePermit("publish-" + std::string(n), 1)}));
  }
}

}  // namespace slipway::testing
