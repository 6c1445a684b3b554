#include "controller/api/catalog_service.h"

#include <fmt/format.h>

#include <utility>

#include "common/crypto/channel_secret.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/api/access_convert.h"
#include "controller/api/catalog_convert.h"
#include "controller/api/channel_convert.h"
#include "controller/api/fields.h"

namespace slipway::api {
namespace {

absl::Status NoSuch(const char* reason, const char* what, const std::string& name) {
  return MakeError(absl::StatusCode::kNotFound, reason,
                   fmt::format("there is no {} '{}'", what, rpc::ValidUtf8(name)));
}

}  // namespace

absl::StatusOr<CatalogService::Scope> CatalogService::ScopeOf(
    const grpc::ServerContext& context) const {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  Scope scope;
  scope.admin = access::Access::CheckAdministers(caller, domain::Authority::Need::kAdmin).ok();
  if (scope.admin) return scope;
  const domain::Holder holder = caller.holder();
  for (const auto operation : {domain::Operation::kPreview, domain::Operation::kPublish}) {
    if (!domain::HoldableBy(holder.kind).Has(operation) ||
        (!holder.token_operations.empty() && !holder.token_operations.Has(operation))) {
      continue;
    }
    // With a narrowed token.
    scope.everywhere = holder.kind == domain::AccountKind::kAdmin;
    if (scope.everywhere) return scope;
    SLIPWAY_ASSIGN_OR_RETURN(
        const auto environments,
        deps_.accounts.EnvironmentsOf(caller.account.id, operation, holder.token_applications));
    for (const std::string& environment : environments) {
      // A grant that names none is for all.
      scope.everywhere = scope.everywhere || environment.empty();
      scope.environments.insert(environment);
    }
    if (scope.everywhere) return scope;
  }
  return scope;
}

absl::StatusOr<store::Cause> CatalogService::AdminCause(const grpc::ServerContext& context,
                                                        const std::string& request_id) const {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.RequireAdmin(context));
  SLIPWAY_RETURN_IF_ERROR(CheckRequestId(request_id));
  store::Cause cause =
      deps_.auth.access().CauseOf(caller, {caller.AuthorityFor(domain::Authority::Need::kAdmin)});
  cause.request_id = request_id;
  return cause;
}

absl::Status CatalogService::List(const grpc::ServerContext& context, const std::string& platform,
                                  v1::ListTargetsResponse& response) const {
  SLIPWAY_ASSIGN_OR_RETURN(const Scope scope, ScopeOf(context));
  SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps_.targets.GetTargets());
  for (const domain::Target& target : targets->all()) {
    if ((!platform.empty() && target.platform != platform) || !scope.Includes(target.environment)) {
      continue;
    }
    *response.add_targets() = ToProto(target, scope.admin ? Wiring::kShown : Wiring::kHidden);
  }
  return absl::OkStatus();
}

absl::Status CatalogService::List(const grpc::ServerContext& context,
                                  v1::ListEnvironmentsResponse& response) const {
  SLIPWAY_ASSIGN_OR_RETURN(const Scope scope, ScopeOf(context));
  SLIPWAY_ASSIGN_OR_RETURN(const auto environments, deps_.targets.ListEnvironments());
  for (const domain::Environment& environment : environments) {
    if (scope.Includes(environment.name)) *response.add_environments() = ToProto(environment);
  }
  return absl::OkStatus();
}

grpc::Status CatalogService::CreateTarget(grpc::ServerContext* context,
                                          const v1::CreateTargetRequest* request,
                                          v1::Target* response) {
  const auto create = [&]() -> absl::Status {
    SLIPWAY_ASSIGN_OR_RETURN(const auto cause, AdminCause(*context, request->request_id()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto target, TargetFrom(request->target()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto made, deps_.targets.CreateTarget(target, cause));
    *response = ToProto(made, Wiring::kShown);
    return absl::OkStatus();
  };
  return rpc::ToGrpc(*context, create());
}

grpc::Status CatalogService::UpdateTarget(grpc::ServerContext* context,
                                          const v1::UpdateTargetRequest* request,
                                          v1::Target* response) {
  const auto update = [&]() -> absl::Status {
    SLIPWAY_ASSIGN_OR_RETURN(const auto cause, AdminCause(*context, ""));
    SLIPWAY_ASSIGN_OR_RETURN(const auto target, TargetFrom(request->target()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto revision, RevisionFrom(request->target().etag()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto changed,
                             deps_.targets.UpdateTarget(target, revision, cause));
    *response = ToProto(changed, Wiring::kShown);
    return absl::OkStatus();
  };
  return rpc::ToGrpc(*context, update());
}

grpc::Status CatalogService::SetTargetSecret(grpc::ServerContext* context,
                                             const v1::SetTargetSecretRequest* request,
                                             v1::Target* response) {
  const auto set = [&]() -> absl::Status {
    SLIPWAY_ASSIGN_OR_RETURN(const auto cause, AdminCause(*context, ""));
    const std::string& secret = request->secret();
    SLIPWAY_RETURN_IF_ERROR(CheckChannelSecret(request->platform(), secret));
    SLIPWAY_ASSIGN_OR_RETURN(const auto revision, RevisionFrom(request->etag()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto targets, deps_.targets.GetTargets());
    const domain::Target* target =
        request->name().empty() ? nullptr : targets->Find(request->platform(), request->name());
    std::string sealed;
    if (target != nullptr && target->channel && !secret.empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(
          sealed, crypto::SealChannelSecret({deps_.farm, target->platform + "/" + target->name,
                                             target->channel->url, target->channel->user},
                                            secret, deps_.sealing_certificate));
    }
    SLIPWAY_ASSIGN_OR_RETURN(const auto changed,
                             deps_.targets.SetTargetSecret(request->platform(), request->name(),
                                                           sealed, revision, cause));
    *response = ToProto(changed, Wiring::kShown);
    return absl::OkStatus();
  };
  return rpc::ToGrpc(*context, set());
}

grpc::Status CatalogService::DeleteTarget(grpc::ServerContext* context,
                                          const v1::DeleteTargetRequest* request,
                                          v1::DeleteTargetResponse*) {
  const auto remove = [&]() -> absl::Status {
    SLIPWAY_ASSIGN_OR_RETURN(const auto cause, AdminCause(*context, ""));
    SLIPWAY_ASSIGN_OR_RETURN(const auto revision, RevisionFrom(request->etag()));
    return deps_.targets.DeleteTarget(request->platform(), request->name(), revision, cause);
  };
  return rpc::ToGrpc(*context, remove());
}

grpc::Status CatalogService::GetTarget(grpc::ServerContext* context,
                                       const v1::GetTargetRequest* request, v1::Target* response) {
  v1::ListTargetsResponse all;
  absl::Status status = List(*context, request->platform(), all);
  if (!status.ok()) return rpc::ToGrpc(*context, status);
  for (v1::Target& target : *all.mutable_targets()) {
    if (target.platform() != request->platform() || target.name() != request->name()) continue;
    *response = std::move(target);
    return grpc::Status::OK;
  }
  return rpc::ToGrpc(
      *context, NoSuch("NO_SUCH_TARGET", "target", request->platform() + "/" + request->name()));
}

grpc::Status CatalogService::ListTargets(grpc::ServerContext* context,
                                         const v1::ListTargetsRequest* request,
                                         v1::ListTargetsResponse* response) {
  return rpc::ToGrpc(*context, List(*context, request->platform(), *response));
}

grpc::Status CatalogService::CreateEnvironment(grpc::ServerContext* context,
                                               const v1::CreateEnvironmentRequest* request,
                                               v1::Environment* response) {
  const auto create = [&]() -> absl::Status {
    SLIPWAY_ASSIGN_OR_RETURN(const auto cause, AdminCause(*context, request->request_id()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto environment, EnvironmentFrom(request->environment()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto made, deps_.targets.CreateEnvironment(environment, cause));
    *response = ToProto(made);
    return absl::OkStatus();
  };
  return rpc::ToGrpc(*context, create());
}

grpc::Status CatalogService::UpdateEnvironment(grpc::ServerContext* context,
                                               const v1::UpdateEnvironmentRequest* request,
                                               v1::Environment* response) {
  const auto update = [&]() -> absl::Status {
    SLIPWAY_ASSIGN_OR_RETURN(const auto cause, AdminCause(*context, ""));
    SLIPWAY_ASSIGN_OR_RETURN(const auto environment, EnvironmentFrom(request->environment()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto revision, RevisionFrom(request->environment().etag()));
    SLIPWAY_ASSIGN_OR_RETURN(const auto changed,
                             deps_.targets.UpdateEnvironment(environment, revision, cause));
    *response = ToProto(changed);
    return absl::OkStatus();
  };
  return rpc::ToGrpc(*context, update());
}

grpc::Status CatalogService::DeleteEnvironment(grpc::ServerContext* context,
                                               const v1::DeleteEnvironmentRequest* request,
                                               v1::DeleteEnvironmentResponse*) {
  const auto remove = [&]() -> absl::Status {
    SLIPWAY_ASSIGN_OR_RETURN(const auto cause, AdminCause(*context, ""));
    SLIPWAY_ASSIGN_OR_RETURN(const auto revision, RevisionFrom(request->etag()));
    return deps_.targets.DeleteEnvironment(request->name(), revision, cause);
  };
  return rpc::ToGrpc(*context, remove());
}

grpc::Status CatalogService::GetEnvironment(grpc::ServerContext* context,
                                            const v1::GetEnvironmentRequest* request,
                                            v1::Environment* response) {
  v1::ListEnvironmentsResponse all;
  absl::Status status = List(*context, all);
  if (!status.ok()) return rpc::ToGrpc(*context, status);
  for (v1::Environment& environment : *all.mutable_environments()) {
    if (environment.name() != request->name()) continue;
    *response = std::move(environment);
    return grpc::Status::OK;
  }
  return rpc::ToGrpc(*context, NoSuch("NO_SUCH_ENVIRONMENT", "environment", request->name()));
}

grpc::Status CatalogService::ListEnvironments(grpc::ServerContext* context,
                                              const v1::ListEnvironmentsRequest*,
                                              v1::ListEnvironmentsResponse* response) {
  return rpc::ToGrpc(*context, List(*context, *response));
}

}  // namespace slipway::api
