#include "controller/domain/authority.h"

#include <catch2/catch.hpp>
#include <vector>

namespace slipway::domain {
namespace {

const ApplicationId kShop("shop");
const ApplicationId kOther("other");

Grant Of(const ApplicationId& application, Operations operations) {
  return {.application = application, .operations = operations, .environment = "", .pages = ""};
}

Verdict Ask(AccountKind kind, const std::vector<Grant>& grants, Operation operation,
            const std::string& environment = "", const std::string& pages = "") {
  return Decide(
      {.kind = kind}, grants,
      {.application = kShop, .operation = operation, .environment = environment, .pages = pages});
}

TEST_CASE("Decide: without a grant an application is not there, whatever the kind but admin",
          "[unit]") {
  for (const AccountKind kind : {AccountKind::kDeveloper, AccountKind::kMember,
                                 AccountKind::kOperator, AccountKind::kService}) {
    for (const Operation operation : Operations::All().List()) {
      CHECK(Ask(kind, {}, operation) == Verdict::kInvisible);
      CHECK(Ask(kind, {Of(kOther, Operations::All())}, operation) == Verdict::kInvisible);
    }
  }
}

TEST_CASE("Decide: an admin may everything but approve, which is granted to admins, too",
          "[unit]") {
  for (const Operation operation : Operations::All().List()) {
    const bool approve = operation == Operation::kApprove;
    CHECK(Ask(AccountKind::kAdmin, {}, operation) ==
          (approve ? Verdict::kNotGranted : Verdict::kAllowed));
  }
  CHECK(Ask(AccountKind::kAdmin, {Of(kShop, {Operation::kApprove})}, Operation::kApprove) ==
        Verdict::kAllowed);
}

TEST_CASE("Decide: a grant gives what it names and the sight of the application, nothing else",
          "[unit]") {
  for (const Operation held : Operations::All().List()) {
    for (const Operation asked : Operations::All().List()) {
      const Verdict verdict = Ask(AccountKind::kDeveloper, {Of(kShop, {held})}, asked);
      const bool allowed = asked == held || asked == Operation::kView;
      CHECK(verdict == (allowed ? Verdict::kAllowed : Verdict::kNotGranted));
    }
  }
}

TEST_CASE("Decide: a grant for all applications holds for each", "[unit]") {
  CHECK(Ask(AccountKind::kMember, {Of(ApplicationId(), {Operation::kPublish})},
            Operation::kPublish) == Verdict::kAllowed);
}

TEST_CASE("Decide: a member never runs scripts and never manages, whatever was granted", "[unit]") {
  const std::vector<Grant> all{Of(kShop, Operations::All())};
  CHECK(Ask(AccountKind::kMember, all, Operation::kRunScript) == Verdict::kKindForbids);
  CHECK(Ask(AccountKind::kMember, all, Operation::kManage) == Verdict::kKindForbids);
  CHECK(Ask(AccountKind::kMember, all, Operation::kPublish) == Verdict::kAllowed);
  // A grant that its kind voids shows nothing either.
  CHECK(Ask(AccountKind::kMember, {Of(kShop, {Operation::kManage})}, Operation::kView) ==
        Verdict::kInvisible);
}

TEST_CASE(
    "Decide: an environment narrows previews, publishes, approvals and deploys, and nothing else",
    "[unit]") {
  Grant test = Of(kShop, Operations::All());
  test.environment = "test";
  const std::vector<Grant> grants{test};
  for (const Operation operation :
       {Operation::kPreview, Operation::kPublish, Operation::kApprove, Operation::kDeploy}) {
    CHECK(Ask(AccountKind::kDeveloper, grants, operation, "test") == Verdict::kAllowed);
    CHECK(Ask(AccountKind::kDeveloper, grants, operation, "production") == Verdict::kElsewhere);
    CHECK(Ask(AccountKind::kDeveloper, grants, operation, "") == Verdict::kElsewhere);
  }
  CHECK(Ask(AccountKind::kDeveloper, grants, Operation::kPackage, "") == Verdict::kAllowed);
}

TEST_CASE("Decide: pages narrow a deploy to a path and what is below it", "[unit]") {
  Grant help = Of(kShop, {Operation::kDeploy});
  help.pages = "/help/";
  const std::vector<Grant> grants{help};
  const auto ask = [&](const std::string& page) {
    return Ask(AccountKind::kMember, grants, Operation::kDeploy, "", page);
  };
  CHECK(ask("/help") == Verdict::kAllowed);
  CHECK(ask("/help/first/step") == Verdict::kAllowed);
  CHECK(ask("/helpless") == Verdict::kElsewhere);
  CHECK(ask("/") == Verdict::kElsewhere);
  CHECK(ask("") == Verdict::kElsewhere);
}

TEST_CASE("Decide: a narrowed token allows less than its account, and never more", "[unit]") {
  const std::vector<Grant> grants{Of(kShop, {Operation::kPackage, Operation::kPublish})};
  Holder holder{.kind = AccountKind::kDeveloper};
  holder.token_operations = {Operation::kPackage, Operation::kManage};
  const auto ask = [&](Operation operation) {
    return Decide(holder, grants, {.application = kShop, .operation = operation});
  };
  CHECK(ask(Operation::kPackage) == Verdict::kAllowed);
  CHECK(ask(Operation::kView) == Verdict::kAllowed);
  CHECK(ask(Operation::kPublish) == Verdict::kTokenForbids);
  CHECK(ask(Operation::kManage) == Verdict::kNotGranted);
  holder.token_applications = {kOther};
  CHECK(ask(Operation::kPackage) == Verdict::kInvisible);
}

TEST_CASE("Decide: who is not live any more sees nothing, an admin neither", "[unit]") {
  CHECK(Decide({.kind = AccountKind::kAdmin, .live = false}, {}, {.application = kShop}) ==
        Verdict::kInvisible);
}

TEST_CASE("AllowedSomewhere: names exactly what Decide allows in some environment", "[unit]") {
  Grant test = Of(kShop, {Operation::kPublish});
  test.environment = "test";
  const std::vector<Grant> grants{test, Of(ApplicationId(), {Operation::kPackage}),
                                  Of(kOther, {Operation::kManage})};
  for (const AccountKind kind :
       {AccountKind::kDeveloper, AccountKind::kMember, AccountKind::kOperator, AccountKind::kAdmin,
        AccountKind::kService}) {
    Operations allowed;
    for (const Operation operation : Operations::All().List()) {
      for (const char* environment : {"", "test"}) {
        if (Ask(kind, grants, operation, environment) == Verdict::kAllowed) {
          allowed.Add(operation);
        }
      }
    }
    CHECK((AllowedSomewhere({.kind = kind}, grants, kShop) == allowed));
  }
}

TEST_CASE("Administers: admins do, operators what concerns agents, narrowed tokens nothing",
          "[unit]") {
  using Need = Authority::Need;
  CHECK(Administers({.kind = AccountKind::kAdmin}, Need::kAdmin));
  CHECK(Administers({.kind = AccountKind::kAdmin}, Need::kOperator));
  CHECK(Administers({.kind = AccountKind::kOperator}, Need::kOperator));
  CHECK_FALSE(Administers({.kind = AccountKind::kOperator}, Need::kAdmin));
  CHECK_FALSE(Administers({.kind = AccountKind::kDeveloper}, Need::kOperator));
  Holder narrowed{.kind = AccountKind::kAdmin};
  narrowed.token_applications = {kShop};
  CHECK_FALSE(Administers(narrowed, Need::kOperator));
}

}  // namespace
}  // namespace slipway::domain
