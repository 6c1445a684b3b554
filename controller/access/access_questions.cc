#include <map>
#include <set>
#include <vector>

#include "common/status/status.h"
#include "controller/access/access.h"

// What pages ask: many questions, one read of the database.
namespace slipway::access {
namespace {

// Those that count for each of the applications, the grants on all among them.
std::map<ApplicationId, std::vector<domain::Grant>> ByApplication(
    const std::vector<domain::Grant>& grants, const std::set<ApplicationId>& applications) {
  std::map<ApplicationId, std::vector<domain::Grant>> held;
  for (const ApplicationId& id : applications) held[id];
  for (const domain::Grant& grant : grants) {
    if (grant.application != ApplicationId()) {
      held[grant.application].push_back(grant);
      continue;
    }
    for (const ApplicationId& id : applications) held[id].push_back(grant);
  }
  return held;
}

}  // namespace

absl::StatusOr<std::vector<domain::Operations>> Access::AllowedOperations(
    const Caller& caller, const std::vector<ApplicationId>& applications) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto grants,
                           accounts_.SummedGrantsOf(caller.account.id, applications));
  const auto held = ByApplication(grants, {applications.begin(), applications.end()});
  std::vector<domain::Operations> allowed;
  for (const ApplicationId& id : applications) {
    allowed.push_back(domain::AllowedSomewhere(caller.holder(), held.at(id), id));
  }
  return allowed;
}

absl::StatusOr<std::vector<domain::Verdict>> Access::Judge(
    const Caller& caller, const std::vector<domain::Question>& questions) {
  std::set<ApplicationId> applications;
  for (const domain::Question& question : questions) applications.insert(question.application);
  std::vector<domain::Verdict> verdicts;
  if (applications.empty()) return verdicts;
  const auto read = [&] {
    return applications.size() == 1
               ? cached_.Grants(caller.account.id, *applications.begin())
               : accounts_.GrantsOf(caller.account.id, {applications.begin(), applications.end()});
  };
  SLIPWAY_ASSIGN_OR_RETURN(const auto grants, read());
  const auto held = ByApplication(grants, applications);
  for (const domain::Question& question : questions) {
    verdicts.push_back(domain::Decide(caller.holder(), held.at(question.application), question));
  }
  return verdicts;
}

}  // namespace slipway::access
