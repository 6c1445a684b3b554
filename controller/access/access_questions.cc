#include <map>
#include <set>
#include <vector>

#include "common/status/status.h"
#include "controller/access/access.h"

// What pages ask: many questions, one read of the database.
namespace slipway::access {

absl::StatusOr<Access::GrantsByApplication> Access::GrantsOn(
    const Caller& caller, const std::vector<ApplicationId>& applications) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto grants, accounts_.GrantsOf(caller.account.id, applications));
  GrantsByApplication by_application;
  for (const domain::Grant& grant : grants) by_application[grant.application].push_back(grant);
  const std::vector<domain::Grant> of_all = by_application[ApplicationId()];
  for (const std::set<ApplicationId> each(applications.begin(), applications.end());
       const ApplicationId& id : each) {
    std::vector<domain::Grant>& held = by_application[id];
    held.insert(held.end(), of_all.begin(), of_all.end());
  }
  return by_application;
}

absl::StatusOr<std::vector<domain::Operations>> Access::AllowedOperations(
    const Caller& caller, const std::vector<ApplicationId>& applications) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto grants, GrantsOn(caller, applications));
  std::vector<domain::Operations> allowed;
  for (const ApplicationId& id : applications) {
    allowed.push_back(domain::AllowedSomewhere(caller.holder(), grants.at(id), id));
  }
  return allowed;
}

absl::StatusOr<std::vector<domain::Verdict>> Access::Judge(
    const Caller& caller, const std::vector<domain::Question>& questions) {
  std::set<ApplicationId> applications;
  for (const domain::Question& question : questions) applications.insert(question.application);
  SLIPWAY_ASSIGN_OR_RETURN(const auto grants,
                           GrantsOn(caller, {applications.begin(), applications.end()}));
  std::vector<domain::Verdict> verdicts;
  for (const domain::Question& question : questions) {
    verdicts.push_back(domain::Decide(caller.holder(), grants.at(question.application), question));
  }
  return verdicts;
}

}  // namespace slipway::access
