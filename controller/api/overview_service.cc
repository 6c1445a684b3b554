#include "controller/api/overview_service.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/api/access_convert.h"
#include "controller/api/fields.h"
#include "controller/api/guard.h"
#include "controller/api/version_list.h"
#include "controller/api/versions_call.h"

namespace slipway::api {
namespace {

using domain::Operation;
using domain::Verdict;

// Those whose grants may be for one environment only.
constexpr Operation kNarrowed[] = {Operation::kPreview, Operation::kPublish, Operation::kApprove,
                                   Operation::kDeploy};

absl::StatusOr<int> SizeFrom(const char* field, int wanted, int fallback, int most) {
  if (wanted < 0 || wanted > most) {
    return BadField(field, "not in 0 … " + std::to_string(most));
  }
  return wanted == 0 ? fallback : wanted;
}

// Each environment in which the caller holds one of kNarrowed, by application and operation.
using Environments = std::map<std::pair<ApplicationId, Operation>, std::vector<std::string>>;

absl::StatusOr<Environments> EnvironmentsOf(access::Access& access, const access::Caller& caller,
                                            const std::vector<domain::Application>& applications,
                                            const std::vector<domain::Target>& targets) {
  std::vector<std::string> all;
  for (const domain::Target& target : targets) {
    if (std::find(all.begin(), all.end(), target.environment) == all.end()) {
      all.push_back(target.environment);
    }
  }
  std::vector<domain::Question> questions;
  for (const domain::Application& application : applications) {
    for (const Operation operation : kNarrowed) {
      for (const std::string& environment : all) {
        questions.push_back({application.id, operation, environment});
      }
    }
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto verdicts, access.Judge(caller, questions));
  Environments held;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (verdicts[i] != Verdict::kAllowed) continue;
    held[{questions[i].application, questions[i].operation}].push_back(questions[i].environment);
  }
  return held;
}

enum class Channels { kToo, kNot };

std::vector<OfferedTarget> TargetsIn(const std::vector<std::string>& environments,
                                     const domain::Targets& targets, Channels channels) {
  std::vector<OfferedTarget> offered;
  for (const domain::Target& target : targets.all()) {
    if (std::find(environments.begin(), environments.end(), target.environment) ==
            environments.end() ||
        (target.channel && channels == Channels::kNot)) {
      continue;
    }
    const domain::Target* fallback = targets.Find(target.platform, "");
    offered.push_back({.name = target.name,
                       .platform = target.platform,
                       .environment = target.environment,
                       .requirements = target.requirements,
                       .is_default = fallback != nullptr && fallback->name == target.name});
  }
  return offered;
}

}  // namespace

grpc::ServerUnaryReactor* OverviewService::ListVersions(grpc::CallbackServerContext* context,
                                                        const v1::ListVersionsRequest* request,
                                                        v1::ListVersionsResponse* response) {
  return NewVersionsCall(*context, deps_, versions_, credentials_, *request, *response);
}

grpc::Status OverviewService::GetOverview(grpc::ServerContext* context,
                                          const v1::GetOverviewRequest* request,
                                          v1::Overview* response) {
  return rpc::ToGrpc(*context, DoOverview(*context, *request, *response));
}

absl::Status OverviewService::DoOverview(grpc::ServerContext& context,
                                         const v1::GetOverviewRequest& request,
                                         v1::Overview& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  SLIPWAY_ASSIGN_OR_RETURN(const int versions, SizeFrom("versions", request.versions(), 10, 50));
  SLIPWAY_ASSIGN_OR_RETURN(const auto page, PageFor(caller, request));
  *response.mutable_account() = ToProto(caller.account);
  response.set_farm(farm_.value());
  response.set_next_page_token(page.next_page_token);
  response.set_total(page.total);
  return Describe(caller, page.applications, static_cast<std::size_t>(versions), response);
}

absl::StatusOr<store::ApplicationPage> OverviewService::PageFor(
    const access::Caller& caller, const v1::GetOverviewRequest& request) {
  SLIPWAY_ASSIGN_OR_RETURN(const int size, SizeFrom("page_size", request.page_size(), 50, 100));
  if (request.application().empty()) {
    return deps_.applications.List(
        {.viewer = ViewerOf(caller), .page_size = size, .page_token = request.page_token()});
  }
  store::ApplicationPage page;
  auto application = deps_.applications.GetByName(request.application());
  if (application.status().code() == absl::StatusCode::kNotFound) return page;
  SLIPWAY_RETURN_IF_ERROR(application.status());
  SLIPWAY_ASSIGN_OR_RETURN(const auto verdicts,
                           deps_.auth.access().Judge(caller, {{.application = application->id}}));
  if (verdicts.front() != Verdict::kAllowed) return page;
  page.applications.push_back(*std::move(application));
  page.total = 1;
  return page;
}

absl::Status OverviewService::Describe(const access::Caller& caller,
                                       const std::vector<domain::Application>& applications,
                                       std::size_t versions, v1::Overview& response) {
  if (applications.empty()) return absl::OkStatus();
  std::vector<ApplicationId> ids;
  ids.reserve(applications.size());
  for (const domain::Application& application : applications) ids.push_back(application.id);
  SLIPWAY_ASSIGN_OR_RETURN(const auto allowed, deps_.auth.access().AllowedOperations(caller, ids));
  SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps_.targets.GetTargets());
  SLIPWAY_ASSIGN_OR_RETURN(Environments environments, EnvironmentsOf(deps_.auth.access(), caller,
                                                                     applications, targets->all()));
  std::vector<scheduler::Labels> agents = deps_.scheduler.Takers();
  // The controller itself, which builds nothing.
  std::erase_if(agents, [](const scheduler::Labels& has) {
    const auto executor = has.find("executor");
    return executor != has.end() && executor->second == "controller";
  });
  std::vector<store::CommitOfApplication> commits;
  std::map<ApplicationId, int> places;
  for (std::size_t i = 0; i < applications.size(); ++i) {
    const ApplicationId& id = applications[i].id;
    SLIPWAY_ASSIGN_OR_RETURN(const auto credential, credentials_.Find(id));
    const OverviewParts parts{
        .application = applications[i],
        .allowed = allowed[i],
        .publishes_to =
            TargetsIn(environments[{id, Operation::kPublish}], *targets, Channels::kToo),
        .previews_on = TargetsIn(environments[{id, Operation::kPreview}], *targets, Channels::kNot),
        .approves_in = environments[{id, Operation::kApprove}],
        .deploys_in = environments[{id, Operation::kDeploy}],
        .known = versions_.Look(RepositoryOf(applications[i], credential)),
        .agents = agents,
        .versions = versions};
    places[id] = response.applications_size();
    v1::ApplicationOverview& overview = *response.add_applications();
    overview = DescribeForCaller(parts);
    std::set<std::string> listed;
    for (const v1::Version& version : overview.versions()) {
      if (listed.insert(version.commit()).second) commits.push_back({id, version.commit()});
    }
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto built, deps_.reader.BuiltOf(ViewerOf(caller), commits));
  for (const store::BuiltCommit& one : built) {
    AddBuilt(one, *response.mutable_applications(places.at(one.application)));
  }
  return absl::OkStatus();
}

}  // namespace slipway::api
