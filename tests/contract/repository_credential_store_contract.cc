#include <catch2/catch.hpp>
#include <string>

#include "controller/store/cached_repository_credentials.h"
#include "tests/contract/store_harness.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

const store::Cause kCause{"admin", FromUnixMicros(1)};

domain::Application AddShop(StoreProcess& process) {
  domain::Application shop;
  shop.id = ApplicationId("id-shop");
  shop.name = "shop";
  shop.repository = "https://example.test/shop.git";
  shop.created_by = "admin";
  shop.created_at = FromUnixMicros(1);
  REQUIRE_OK(process.applications().Create(shop, kCause));
  return shop;
}

domain::RepositoryCredential Https(const std::string& user) {
  return {.access = domain::RepositoryAccess::kHttps,
          .username = user,
          .digest = std::string(64, 'a'),
          .set_at = FromUnixMicros(1'700'000'000'123'456),
          .set_by = "admin"};
}

}  // namespace

TEST_CASE("RepositoryCredentialStore: what was set is found until it is replaced or removed",
          "[contract]") {
  auto harness = MakeStoreHarness();
  auto process = harness->NewProcess();
  REQUIRE_OK(process->scheduler().BecomeLeader());
  store::CachedRepositoryCredentials cached(process->repository_credentials());
  const domain::Application shop = AddShop(*process);
  for (store::RepositoryCredentialStore* store :
       {&process->repository_credentials(),
        static_cast<store::RepositoryCredentialStore*>(&cached)}) {
    CHECK(*store->Find(shop.id) == std::nullopt);
    CHECK_THAT(store->Sealed(shop.id).status(),
               StatusIs(absl::StatusCode::kNotFound, "NO_REPOSITORY_CREDENTIAL"));
    CHECK_FALSE(*store->Remove(shop, kCause));

    REQUIRE_OK(store->Set(shop, Https("bob"), "sealed 'one'", kCause));
    CHECK(*store->Find(shop.id) == Https("bob"));
    CHECK(*store->Sealed(shop.id) == "sealed 'one'");

    const domain::RepositoryCredential ssh = {.access = domain::RepositoryAccess::kSsh,
                                              .fingerprint = "SHA256:abc",
                                              .pinned_hosts = true,
                                              .digest = std::string(64, 'b'),
                                              .set_at = FromUnixMicros(2),
                                              .set_by = "mei"};
    REQUIRE_OK(store->Set(shop, ssh, "sealed two", kCause));
    CHECK(*store->Find(shop.id) == ssh);
    CHECK(*store->Sealed(shop.id) == "sealed two");
    CHECK(*store->Find(ApplicationId("id-other")) == std::nullopt);

    CHECK(*store->Remove(shop, kCause));
    CHECK_FALSE(*store->Remove(shop, kCause));
  }
  // Only what changed something is on record.
  CHECK(harness->AuditedSubjects() == std::vector<std::string>(7, "shop"));
}

TEST_CASE("RepositoryCredentialStore: an application that is not there gets none", "[contract]") {
  auto harness = MakeStoreHarness();
  auto process = harness->NewProcess();
  REQUIRE_OK(process->scheduler().BecomeLeader());
  domain::Application nobody;
  nobody.id = ApplicationId("id-nobody");
  nobody.name = "nobody";
  CHECK_THAT(process->repository_credentials().Set(nobody, Https("bob"), "sealed", kCause),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_APPLICATION"));
  CHECK(harness->AuditedSubjects().empty());
}

}  // namespace slipway::testing
