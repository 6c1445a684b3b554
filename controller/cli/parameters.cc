#include <fmt/format.h>

#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/format.h"
#include "controller/cli/render_overview.h"
#include "controller/cli/render_parameters.h"

namespace slipway::cli {

absl::Status ReadParameters(const std::vector<std::string>& texts, Text text,
                            google::protobuf::Map<std::string, std::string>& parameters) {
  for (const std::string& parameter : texts) {
    const auto equals = parameter.find('=');
    const bool is_pair = equals != 0 && equals != std::string::npos;
    // An empty value is one.
    if (is_pair && parameters.count(parameter.substr(0, equals)) == 0) {
      parameters[parameter.substr(0, equals)] = parameter.substr(equals + 1);
      continue;
    }
    return UsageError(
        MakeError(absl::StatusCode::kInvalidArgument, "BAD_PARAMETER",
                  fmt::format(fmt::runtime(is_pair ? text("--param: '{}' sets what was set before",
                                                          "--param：'{}' 重复设置了同一参数")
                                                   : text("--param: '{}' is not NAME=VALUE",
                                                          "--param：'{}' 不是 NAME=VALUE 的形式")),
                              parameter)));
  }
  return absl::OkStatus();
}

Outcome ShowParameters(Session& session, const std::string& application) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  // An overview waits for no repository; this does, and tells an application that is not there.
  v1::ListVersionsRequest versions;
  versions.set_application(application);
  versions.set_page_size(1);
  v1::ListVersionsResponse newest;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->overviews(),
                                       &v1::OverviewService::Stub::ListVersions, versions, newest));
  v1::GetOverviewRequest request;
  request.set_application(application);
  request.set_versions(1);
  v1::Overview overview;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->overviews(), &v1::OverviewService::Stub::GetOverview,
                                       request, overview));
  v1::ApplicationOverview shown;
  if (overview.applications_size() > 0) shown = overview.applications(0);
  session.Print(shown, RenderParameters);
  if (shown.has_platforms_problem()) return rpc::FromCallError(shown.platforms_problem());
  if (!newest.repository().has_problem()) return ExitCode::kOk;
  // What is known is old, or nothing.
  if (!session.as_document) {
    session.err << RenderRepositoryProblem(newest.repository(), session.ErrView());
  }
  return newest.repository().has_fetched_at() ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace slipway::cli
