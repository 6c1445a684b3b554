#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/db/access_fixture.h"

namespace slipway::testing {
namespace {

using domain::AccountKind;
using domain::Operation;
using domain::Operations;

using Held = std::map<ApplicationId, Operations>;

Held SumOf(const std::vector<domain::Grant>& grants) {
  Held held;
  for (const domain::Grant& grant : grants) {
    held[grant.application] = held[grant.application] | grant.operations;
  }
  return held;
}

const std::vector<ApplicationId> kBoth = {ApplicationId("app-shop"), ApplicationId("app-bakery")};

// What lists ask beside what decides; a row more than one for an application is a difference.
void CheckSum(AccessFarm& farm, const AccountId& account) {
  const auto grants = farm.accounts().GrantsOf(account, kBoth);
  const auto summed = farm.accounts().SummedGrantsOf(account, kBoth);
  REQUIRE_OK(grants);
  REQUIRE_OK(summed);
  CHECK(SumOf(*summed) == SumOf(*grants));
}

TEST_CASE("SummedGrantsOf: follows whatever is given and taken, by environment, page and group",
          "[db]") {
  AccessFarm farm;
  farm.MakeEnvironments();
  const auto mei = farm.Add("mei", AccountKind::kMember);
  const auto li = farm.Add("li", AccountKind::kMember);
  std::mt19937 random(7);
  const auto one_of = [&](const std::vector<std::string>& of) { return of[random() % of.size()]; };
  const std::vector<Operation> operations = {Operation::kView, Operation::kPackage,
                                             Operation::kPublish};
  const auto put_group = [&] {
    std::vector<std::string> members;
    for (const char* name : {"mei", "li"}) {
      if (random() % 2 == 0) members.emplace_back(name);
    }
    REQUIRE_OK(farm.accounts().PutGroup(
        {.id = GroupId("group-1"), .name = "Testers", .description = "", .members = members},
        std::nullopt, AccessFarm::By("root")));
  };
  put_group();
  int not_empty = 0;
  for (int i = 0; i < 120; ++i) {
    store::NamedGrant grant;
    grant.account = one_of({"mei", "li", ""});
    if (grant.account.empty()) grant.group = "Testers";
    grant.application = one_of({"shop", "bakery", ""});
    grant.environment = one_of({"", "test", "production"});
    grant.pages = one_of({"", "/help"});
    for (const Operation operation : operations) {
      if (random() % 2 == 0) grant.operations.Add(operation);
    }
    const bool gives = random() % 3 != 0 && !grant.operations.empty();
    REQUIRE_OK(farm.accounts().ChangeGrants(
        gives ? std::vector{grant} : std::vector<store::NamedGrant>{},
        gives ? std::vector<store::NamedGrant>{} : std::vector{grant}, AccessFarm::By("root")));
    if (i % 10 == 0) put_group();
    if (i % 40 == 39) {
      REQUIRE_OK(farm.accounts().DeleteGroup("Testers", AccessFarm::By("root")));
      put_group();
    }
    CheckSum(farm, mei.id);
    CheckSum(farm, li.id);
    if (!farm.accounts().SummedGrantsOf(mei.id, kBoth)->empty()) ++not_empty;
  }
  CHECK(not_empty > 60);
}

TEST_CASE("SummedGrantsOf: two who give and take at once leave the right sum", "[db]") {
  AccessFarm farm;
  farm.MakeEnvironments();
  const auto mei = farm.Add("mei", AccountKind::kMember);
  std::atomic<int> refused = 0;
  const auto change = [&](const char* environment) {
    store::NamedGrant grant;
    grant.account = "mei";
    grant.application = "shop";
    grant.environment = environment;
    grant.operations = {environment[0] == 't' ? Operation::kPublish : Operation::kPackage};
    for (int i = 0; i < 30; ++i) {
      if (!farm.accounts().ChangeGrants({grant}, {}, AccessFarm::By("root")).ok()) ++refused;
      if (!farm.accounts().ChangeGrants({}, {grant}, AccessFarm::By("root")).ok()) ++refused;
    }
  };
  std::thread other([&] { change("test"); });
  change("production");
  other.join();
  CHECK(refused == 0);
  CheckSum(farm, mei.id);
  farm.Give("mei", "shop", {Operation::kPreview});
  CheckSum(farm, mei.id);
}

TEST_CASE(
    "SummedGrantsOf: lists of grants in any order beside each other, and groups that go, are "
    "all done",
    "[db]") {
  AccessFarm farm;
  const auto mei = farm.Add("mei", AccountKind::kMember);
  const auto li = farm.Add("li", AccountKind::kMember);
  std::atomic<int> refused = 0;
  const auto note = [&](const absl::Status& status) {
    if (!status.ok()) ++refused;
  };
  const auto change = [&](std::vector<const char*> names) {
    std::vector<store::NamedGrant> grants;
    for (const char* name : names) {
      store::NamedGrant grant;
      grant.account = name;
      grant.application = "shop";
      grant.operations = {Operation::kPackage};
      grants.push_back(grant);
    }
    for (int i = 0; i < 20; ++i) {
      note(farm.accounts().ChangeGrants(grants, {}, AccessFarm::By("root")));
      note(farm.accounts().ChangeGrants({}, grants, AccessFarm::By("root")));
    }
  };
  const auto regroup = [&](const std::string& name) {
    for (int i = 0; i < 20; ++i) {
      note(farm.accounts()
               .PutGroup({.id = GroupId("group-" + name + std::to_string(i)),
                          .name = name,
                          .description = "",
                          .members = {"mei", "li"}},
                         std::nullopt, AccessFarm::By("root"))
               .status());
      store::NamedGrant grant;
      grant.group = name;
      grant.application = "bakery";
      grant.operations = {Operation::kView};
      note(farm.accounts().ChangeGrants({grant}, {}, AccessFarm::By("root")));
      note(farm.accounts().DeleteGroup(name, AccessFarm::By("root")));
    }
  };
  std::thread others[] = {std::thread([&] {
                            change({"mei", "li"});
                          }),
                          std::thread([&] { regroup("one"); }),
                          std::thread([&] { regroup("two"); })};
  change({"li", "mei"});
  for (std::thread& other : others) other.join();
  CHECK(refused == 0);
  CheckSum(farm, mei.id);
  CheckSum(farm, li.id);
}

}  // namespace
}  // namespace slipway::testing
