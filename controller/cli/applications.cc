#include "common/status/status.h"
#include "controller/cli/commands.h"

namespace slipway::cli {

Outcome ListApplications(Session& session) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListApplicationsResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->applications(),
                                       &v1::ApplicationService::Stub::ListApplications,
                                       v1::ListApplicationsRequest(), response));
  session.Print(response, RenderApplications);
  return ExitCode::kOk;
}

Outcome ShowApplication(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::GetApplicationRequest request;
  request.set_name(name);
  v1::Application application;
  SLIPWAY_RETURN_IF_ERROR(client->Call(
      client->applications(), &v1::ApplicationService::Stub::GetApplication, request, application));
  session.Print(application, RenderApplication);
  return ExitCode::kOk;
}

Outcome CreateApplication(Session& session, const CreateApplicationFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::CreateApplicationRequest request;
  request.set_name(flags.name);
  request.set_repository(flags.repository);
  request.set_description(flags.description);
  v1::Application application;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->applications(),
                                       &v1::ApplicationService::Stub::CreateApplication, request,
                                       application));
  session.Print(application, RenderApplication);
  return ExitCode::kOk;
}

}  // namespace slipway::cli
