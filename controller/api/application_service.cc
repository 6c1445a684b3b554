#include "controller/api/application_service.h"

#include <fmt/format.h>

#include <utility>

#include "common/rpc/grpc_status.h"
#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/api/convert.h"
#include "controller/api/fields.h"

namespace slipway::api {
namespace {

bool IsApplicationName(const std::string& name) {
  return !name.empty() && name.size() <= 63 && name.front() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

absl::Status CheckRepository(const std::string& url, bool allow_local) {
  const auto bad = [&](const char* why) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_REPOSITORY",
                     fmt::format("repository '{}': {}", rpc::ValidUtf8(url), why),
                     "Use https://…, ssh://… or user@host:path.");
  };
  if (url.empty() || url.size() > 1024) return bad("empty or longer than 1024 bytes");
  if (url.front() == '-') return bad("must not begin with '-'");
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
      return bad("holds a blank or control character");
  }
  if (rpc::ValidUtf8(url) != url) return bad("holds bytes that are not text");
  for (const char* scheme : {"https://", "ssh://", "git://", "http://"}) {
    if (url.rfind(scheme, 0) == 0) return absl::OkStatus();
  }
  if (url.rfind("file://", 0) == 0 || url.front() == '/') {
    return allow_local ? absl::OkStatus() : bad("local repositories are not allowed on this farm");
  }
  if (url.find("::") != std::string::npos) return bad("names a transport helper");
  const auto colon = url.find(':');
  if (colon != std::string::npos && colon > 0 && url.find('@') < colon) return absl::OkStatus();
  return bad("is no git URL");
}

absl::Status CheckDescription(const std::string& text) {
  return CheckText("description", text, 1024, Lines::kMany);
}

}  // namespace

grpc::Status ApplicationService::CreateApplication(grpc::ServerContext* context,
                                                   const v1::CreateApplicationRequest* request,
                                                   v1::Application* response) {
  return rpc::ToGrpc(*context, DoCreate(*context, *request, *response));
}

absl::Status ApplicationService::DoCreate(grpc::ServerContext& context,
                                          const v1::CreateApplicationRequest& request,
                                          v1::Application& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto account, deps_.auth.RequireAdmin(context));
  if (!IsApplicationName(request.name())) {
    return MakeError(
        absl::StatusCode::kInvalidArgument, "BAD_APPLICATION_NAME",
        fmt::format("'{}' is no name for an application", rpc::ValidUtf8(request.name())),
        "Use 1 to 63 of a-z, 0-9 and '-', not beginning with '-'.");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckRepository(request.repository(), options_.allow_local_repositories));
  domain::Application application;
  SLIPWAY_RETURN_IF_ERROR(CheckDescription(request.description()));
  application.description = request.description();
  SLIPWAY_ASSIGN_OR_RETURN(application.requirements,
                           RequirementsFrom("requirements", request.requirements()));
  SLIPWAY_ASSIGN_OR_RETURN(application.queue_timeout,
                           QueueTimeoutFrom("queue_timeout", request.queue_timeout()));
  application.id = ApplicationId(NewUuid());
  application.name = request.name();
  application.repository = request.repository();
  application.created_at = deps_.clock.Wall();
  application.created_by = account.name;
  const absl::Status created = deps_.applications.Create(application);
  if (created.code() == absl::StatusCode::kAlreadyExists) {
    return MakeError(absl::StatusCode::kAlreadyExists, "APPLICATION_EXISTS",
                     fmt::format("there is an application '{}' already", application.name));
  }
  SLIPWAY_RETURN_IF_ERROR(created);
  response = ToProto(application);
  return absl::OkStatus();
}

grpc::Status ApplicationService::UpdateApplication(grpc::ServerContext* context,
                                                   const v1::UpdateApplicationRequest* request,
                                                   v1::Application* response) {
  return rpc::ToGrpc(*context, DoUpdate(*context, *request, *response));
}

absl::Status ApplicationService::DoUpdate(grpc::ServerContext& context,
                                          const v1::UpdateApplicationRequest& request,
                                          v1::Application& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto account, deps_.auth.RequireAdmin(context));
  store::ApplicationChange change;
  change.cause = {account.name, deps_.clock.Wall()};
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "description") {
      SLIPWAY_RETURN_IF_ERROR(CheckDescription(request.description()));
      change.description = request.description();
    } else if (path == "requirements") {
      SLIPWAY_ASSIGN_OR_RETURN(change.requirements,
                               RequirementsFrom("requirements", request.requirements()));
    } else if (path == "queue_timeout") {
      SLIPWAY_ASSIGN_OR_RETURN(change.queue_timeout,
                               QueueTimeoutFrom("queue_timeout", request.queue_timeout()));
    } else {
      return BadField("update_mask",
                      fmt::format("'{}' is none of description, requirements, queue_timeout",
                                  rpc::ValidUtf8(path)));
    }
  }
  if (request.update_mask().paths().empty()) return BadField("update_mask", "names no field");
  SLIPWAY_ASSIGN_OR_RETURN(const auto application,
                           deps_.applications.Update(request.name(), change));
  response = ToProto(application);
  return absl::OkStatus();
}

grpc::Status ApplicationService::GetApplication(grpc::ServerContext* context,
                                                const v1::GetApplicationRequest* request,
                                                v1::Application* response) {
  const auto account = deps_.auth.Authenticate(*context);
  if (!account.ok()) return rpc::ToGrpc(*context, account.status());
  const auto application = deps_.applications.GetByName(request->name());
  if (application.ok()) *response = ToProto(*application);
  return rpc::ToGrpc(*context, application.status());
}

grpc::Status ApplicationService::ListApplications(grpc::ServerContext* context,
                                                  const v1::ListApplicationsRequest*,
                                                  v1::ListApplicationsResponse* response) {
  return rpc::ToGrpc(*context, DoList(*context, *response));
}

absl::Status ApplicationService::DoList(grpc::ServerContext& context,
                                        v1::ListApplicationsResponse& response) {
  SLIPWAY_RETURN_IF_ERROR(deps_.auth.Authenticate(context).status());
  SLIPWAY_ASSIGN_OR_RETURN(const auto applications, deps_.applications.List());
  for (const auto& application : applications) *response.add_applications() = ToProto(application);
  return absl::OkStatus();
}

grpc::Status ApplicationService::GetFarm(grpc::ServerContext* context, const v1::GetFarmRequest*,
                                         v1::Farm* response) {
  const auto account = deps_.auth.Authenticate(*context);
  if (!account.ok()) return rpc::ToGrpc(*context, account.status());
  response->set_id(options_.farm.value());
  response->set_sealing_certificate(options_.sealing_certificate);
  response->set_controller_version(options_.version);
  return grpc::Status::OK;
}

}  // namespace slipway::api
