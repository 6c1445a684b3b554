#include "controller/api/application_service.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "common/git/repository_url.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/api/access_convert.h"
#include "controller/api/catalog_convert.h"
#include "controller/api/convert.h"
#include "controller/api/fields.h"
#include "controller/api/guard.h"
#include "controller/api/task_actions.h"
#include "controller/domain/task_actions.h"

namespace slipway::api {
namespace {

absl::Status CheckRepository(const std::string& url, bool allow_local) {
  const auto bad = [&](const char* why) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_REPOSITORY",
                     fmt::format("repository '{}': {}", rpc::ValidUtf8(url), why),
                     "Use https://…, ssh://… or user@host:path.");
  };
  if (git::HasPassword(url)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_REPOSITORY",
                     "the repository's URL holds a password, which whoever sees the application "
                     "would read",
                     "Leave it out and use `slipway apps set-repository-credential`.");
  }
  if (url.empty() || url.size() > 1024) return bad("empty or longer than 1024 bytes");
  if (url.front() == '-') return bad("must not begin with '-'");
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
      return bad("holds a blank or control character");
  }
  if (rpc::ValidUtf8(url) != url) return bad("holds bytes that are not text");
  // As those read it who will fetch it.
  const bool is_url = git::ParseRepositoryUrl(url, {"https", "http", "ssh", "git"}).ok();
  for (const char* scheme : {"https://", "ssh://", "git://", "http://"}) {
    if (url.rfind(scheme, 0) == 0) return is_url ? absl::OkStatus() : bad("is no git URL");
  }
  if (url.rfind("file://", 0) == 0 || url.front() == '/') {
    return allow_local ? absl::OkStatus() : bad("local repositories are not allowed on this farm");
  }
  if (url.find("::") != std::string::npos) return bad("names a transport helper");
  const auto colon = url.find(':');
  if (is_url && colon != std::string::npos && colon > 0 && url.find('@') < colon) {
    return absl::OkStatus();
  }
  return bad("is no git URL");
}

absl::Status CheckDescription(const std::string& text) {
  return CheckText("description", text, 1024, Lines::kMany);
}

void AddAllowed(const access::Caller& caller, domain::Operations held,
                v1::Application& application) {
  AddTo(*application.mutable_allowed_operations(), held);
  const bool administers =
      access::Access::CheckAdministers(caller, domain::Authority::Need::kAdmin).ok();
  AddTo(*application.mutable_allowed_actions(), domain::ActionsOfApplication(held, administers));
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
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.RequireAdmin(context));
  if (!IsCatalogName(request.name())) {
    return MakeError(
        absl::StatusCode::kInvalidArgument, "BAD_APPLICATION_NAME",
        fmt::format("'{}' is no name for an application", rpc::ValidUtf8(request.name())),
        "Use 1 to 63 of a-z, 0-9 and '-', not beginning with '-'.");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
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
  store::Cause cause =
      deps_.auth.access().CauseOf(caller, {caller.AuthorityFor(domain::Authority::Need::kAdmin)});
  cause.request_id = request.request_id();
  application.created_at = cause.at;
  application.created_by = cause.actor;
  SLIPWAY_ASSIGN_OR_RETURN(const auto created, deps_.applications.Create(application, cause));
  return Describe(caller, created, response);
}

grpc::Status ApplicationService::UpdateApplication(grpc::ServerContext* context,
                                                   const v1::UpdateApplicationRequest* request,
                                                   v1::Application* response) {
  return rpc::ToGrpc(*context, DoUpdate(*context, *request, *response));
}

absl::Status ApplicationService::DoUpdate(grpc::ServerContext& context,
                                          const v1::UpdateApplicationRequest& request,
                                          v1::Application& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  SLIPWAY_ASSIGN_OR_RETURN(const auto before, FindApplication(deps_, caller, request.name(),
                                                              domain::Operation::kManage));
  store::ApplicationChange change;
  SLIPWAY_ASSIGN_OR_RETURN(change.revision, RevisionFrom(request.etag()));
  std::vector<domain::Authority> authorities{
      caller.AuthorityFor({.application = before.id, .operation = domain::Operation::kManage})};
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
    } else if (path == "repository") {
      // What its people may build and publish, with the credentials that are sealed for it, is what
      // lies there.
      SLIPWAY_RETURN_IF_ERROR(deps_.auth.RequireAdmin(context).status());
      authorities.push_back(caller.AuthorityFor(domain::Authority::Need::kAdmin));
      SLIPWAY_RETURN_IF_ERROR(
          CheckRepository(request.repository(), options_.allow_local_repositories));
      change.repository = request.repository();
    } else {
      return BadField(
          "update_mask",
          fmt::format("'{}' is none of description, requirements, queue_timeout, repository",
                      rpc::ValidUtf8(path)));
    }
  }
  if (request.update_mask().paths().empty()) return BadField("update_mask", "names no field");
  const store::Cause cause = deps_.auth.access().CauseOf(caller, std::move(authorities));
  SLIPWAY_ASSIGN_OR_RETURN(const auto application,
                           deps_.applications.Update(request.name(), change, cause));
  return Describe(caller, application, response);
}

grpc::Status ApplicationService::GetApplication(grpc::ServerContext* context,
                                                const v1::GetApplicationRequest* request,
                                                v1::Application* response) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const auto application = FindApplication(deps_, *caller, request->name());
  if (!application.ok()) return rpc::ToGrpc(*context, application.status());
  return rpc::ToGrpc(*context, Describe(*caller, *application, *response));
}

grpc::Status ApplicationService::ListApplications(grpc::ServerContext* context,
                                                  const v1::ListApplicationsRequest* request,
                                                  v1::ListApplicationsResponse* response) {
  return rpc::ToGrpc(*context, DoList(*context, *request, *response));
}

absl::Status ApplicationService::DoList(grpc::ServerContext& context,
                                        const v1::ListApplicationsRequest& request,
                                        v1::ListApplicationsResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  SLIPWAY_ASSIGN_OR_RETURN(const int size,
                           PageSizeFrom(request.page_size() == 0 ? 1000 : request.page_size()));
  SLIPWAY_ASSIGN_OR_RETURN(
      const auto page,
      deps_.applications.List(
          {.viewer = ViewerOf(caller), .page_size = size, .page_token = request.page_token()}));
  std::vector<ApplicationId> ids;
  for (const auto& application : page.applications) ids.push_back(application.id);
  SLIPWAY_ASSIGN_OR_RETURN(const auto allowed, deps_.auth.access().AllowedOperations(caller, ids));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    v1::Application& listed = *response.add_applications();
    listed = ToProto(page.applications[i]);
    AddAllowed(caller, allowed[i], listed);
  }
  response.set_next_page_token(page.next_page_token);
  response.set_total(page.total);
  return absl::OkStatus();
}

absl::Status ApplicationService::Describe(const access::Caller& caller,
                                          const domain::Application& application,
                                          v1::Application& response) {
  response = ToProto(application);
  response.set_repository_origin(credentials_.OriginOf(application));
  SLIPWAY_ASSIGN_OR_RETURN(const auto credential, credentials_.store().Find(application.id));
  if (credential) *response.mutable_repository_credential() = ToProto(*credential);
  SLIPWAY_ASSIGN_OR_RETURN(const auto allowed,
                           deps_.auth.access().AllowedOperations(caller, {application.id}));
  AddAllowed(caller, allowed.front(), response);
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
