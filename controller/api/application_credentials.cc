#include "common/crypto/cms.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/api/application_service.h"
#include "controller/api/fields.h"
#include "controller/api/guard.h"

namespace slipway::api {

grpc::Status ApplicationService::SetRepositoryCredential(
    grpc::ServerContext* context, const v1::SetRepositoryCredentialRequest* request,
    v1::Application* response) {
  return rpc::ToGrpc(*context, DoSetCredential(*context, *request, *response));
}

absl::Status ApplicationService::DoSetCredential(grpc::ServerContext& context,
                                                 const v1::SetRepositoryCredentialRequest& request,
                                                 v1::Application& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  SLIPWAY_ASSIGN_OR_RETURN(const auto application, FindApplication(deps_, caller, request.name(),
                                                                   domain::Operation::kManage));
  const store::Cause cause = deps_.auth.access().CauseOf(
      caller, {caller.AuthorityFor(
                  {.application = application.id, .operation = domain::Operation::kManage})});
  if (request.sealed().empty()) {
    SLIPWAY_RETURN_IF_ERROR(credentials_.store().Remove(application, cause).status());
    return Describe(caller, application, response);
  }
  if (request.sealed().size() > crypto::kMaxSealedBytes) {
    return BadField("sealed", "larger than 256 KiB");
  }
  SLIPWAY_ASSIGN_OR_RETURN(domain::RepositoryCredential about,
                           credentials_.Examine(application, request.sealed()));
  about.set_at = cause.at;
  about.set_by = cause.actor;
  SLIPWAY_RETURN_IF_ERROR(credentials_.store().Set(application, about, request.sealed(), cause));
  return Describe(caller, application, response);
}

}  // namespace slipway::api
