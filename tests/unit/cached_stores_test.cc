#include "controller/store/cached_stores.h"

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "controller/store/cached_target_store.h"
#include "tests/support/in_memory_store.h"
#include "tests/support/status_matchers.h"

namespace slipway::store {
namespace {

using testing::StatusIs;

// Counts what is read; `during_read` happens in the middle of one.
class CountedApplications final : public ApplicationStore {
 public:
  absl::StatusOr<domain::Application> Create(const domain::Application& application,
                                             const Cause&) override {
    application_ = application;
    return application;
  }
  absl::StatusOr<domain::Application> Update(const std::string&, const ApplicationChange& change,
                                             const Cause&) override {
    application_->description = *change.description;
    return *application_;
  }
  absl::StatusOr<domain::Application> GetByName(const std::string&) override { return Read(); }
  absl::StatusOr<domain::Application> Get(const ApplicationId&) override { return Read(); }
  absl::StatusOr<ApplicationPage> List(const ApplicationFilter&) override {
    return ApplicationPage{.applications = {*application_}, .next_page_token = "", .total = 1};
  }

  int reads = 0;
  std::function<void()> during_read = [] {};

 private:
  absl::StatusOr<domain::Application> Read() {
    ++reads;
    if (!application_) return absl::NotFoundError("no such application");
    const domain::Application found = *application_;
    std::exchange(during_read, [] {})();
    return found;
  }
  std::optional<domain::Application> application_;
};

domain::Application Shop() {
  domain::Application shop;
  shop.id = ApplicationId("1");
  shop.name = "shop";
  return shop;
}

TEST_CASE("CachedApplicationStore: an application is read once until it changes") {
  CountedApplications below;
  CachedApplicationStore store(below);
  REQUIRE_OK(store.Create(Shop(), {"admin", FromUnixMicros(1)}));
  for (int i = 0; i < 3; ++i) REQUIRE_OK(store.GetByName("shop"));
  CHECK(below.reads == 1);
  for (int i = 0; i < 3; ++i) REQUIRE_OK(store.Get(ApplicationId("1")));
  CHECK(below.reads == 2);
  REQUIRE_OK(store.Update("shop",
                          {.description = "new",
                           .requirements = {},
                           .queue_timeout = {},
                           .repository = {},
                           .revision = {}},
                          {"admin", FromUnixMicros(1)}));
  CHECK(store.GetByName("shop")->description == "new");
  CHECK(store.Get(ApplicationId("1"))->description == "new");
}

TEST_CASE("CachedApplicationStore: one that was not found is asked for again") {
  CountedApplications below;
  CachedApplicationStore store(below);
  CHECK_THAT(store.GetByName("shop").status(), StatusIs(absl::StatusCode::kNotFound));
  REQUIRE_OK(store.Create(Shop(), {"admin", FromUnixMicros(1)}));
  CHECK_OK(store.GetByName("shop"));
}

TEST_CASE("CachedApplicationStore: what was read before a change is not remembered after it") {
  CountedApplications below;
  CachedApplicationStore store(below);
  REQUIRE_OK(store.Create(Shop(), {"admin", FromUnixMicros(1)}));
  below.during_read = [&] {
    REQUIRE_OK(store.Update("shop",
                            {.description = "new",
                             .requirements = {},
                             .queue_timeout = {},
                             .repository = {},
                             .revision = {}},
                            {"admin", FromUnixMicros(1)}));
  };
  CHECK(store.GetByName("shop")->description.empty());
  CHECK(store.GetByName("shop")->description == "new");
}

TEST_CASE("CachedTargetStore: targets are held in memory and read anew after each change",
          "[unit]") {
  testing::InMemoryDatabase database;
  testing::InMemoryTargetStore below(database);
  CachedTargetStore store(below);
  const auto count = [&] { return (*store.GetTargets())->all().size(); };
  domain::Target target;
  target.platform = "weixin";
  target.image = "publisher:1";
  const Cause cause{"admin", FromUnixMicros(1)};
  CHECK(count() == 0);
  target.name = "one";
  REQUIRE_OK(store.CreateTarget(target, cause));
  CHECK(count() == 1);
  // What came past it is not looked for.
  target.name = "two";
  REQUIRE_OK(below.CreateTarget(target, cause));
  CHECK(count() == 1);
  REQUIRE_OK(store.UpdateTarget(target, std::nullopt, cause));
  CHECK(count() == 2);
  REQUIRE_OK(store.DeleteTarget("weixin", "two", std::nullopt, cause));
  CHECK(count() == 1);
}

}  // namespace
}  // namespace slipway::store
