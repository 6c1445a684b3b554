#include "controller/api/agent_admin_service.h"

#include <fmt/format.h>

#include <map>

#include "common/crypto/token.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/health_convert.h"
#include "common/status/status.h"

namespace slipway::api {
namespace {

constexpr Duration kDefaultLifetime = std::chrono::hours(1);
constexpr Duration kShortest = std::chrono::minutes(1);
constexpr Duration kLongest = std::chrono::hours(24 * 7);

}  // namespace

grpc::Status AgentAdminService::ListAgents(grpc::ServerContext* context,
                                           const v1::ListAgentsRequest*,
                                           v1::ListAgentsResponse* response) {
  return rpc::ToGrpc(*context, DoList(*context, *response));
}

absl::Status AgentAdminService::DoList(grpc::ServerContext& context,
                                       v1::ListAgentsResponse& response) {
  SLIPWAY_RETURN_IF_ERROR(deps_.auth.RequireAdmin(context).status());
  SLIPWAY_ASSIGN_OR_RETURN(const auto agents, deps_.agents.List());
  std::map<AgentId, scheduler::AgentView> views;
  for (auto& view : deps_.scheduler.Agents()) views.emplace(view.agent, std::move(view));
  for (const domain::Agent& agent : agents) {
    v1::Agent* out = response.add_agents();
    out->set_id(agent.id.value());
    out->set_name(agent.name);
    auto labels = agent.labels;
    if (const auto about = gateway_.AboutAgent(agent.id)) {
      labels = about->labels;
      out->set_version(about->version);
      *out->mutable_health() = rpc::ToProto(about->health);
    }
    for (const auto& [key, value] : labels) (*out->mutable_labels())[key] = value;
    if (const auto view = views.find(agent.id); view != views.end()) {
      out->set_online(view->second.online);
      out->set_draining(view->second.draining);
      out->set_slots(view->second.online ? view->second.slots : 0);
      out->set_busy(static_cast<std::uint32_t>(view->second.attempts.size()));
    }
    if (out->online()) {
      *out->mutable_last_seen() = rpc::ToProto(deps_.clock.Wall());
    } else if (agent.last_seen != WallTime()) {
      *out->mutable_last_seen() = rpc::ToProto(agent.last_seen);
    }
    *out->mutable_certificate_not_after() = rpc::ToProto(agent.certificate_not_after);
  }
  return absl::OkStatus();
}

grpc::Status AgentAdminService::CreateJoinToken(grpc::ServerContext* context,
                                                const v1::CreateJoinTokenRequest* request,
                                                v1::CreateJoinTokenResponse* response) {
  return rpc::ToGrpc(*context, DoCreateToken(*context, *request, *response));
}

absl::Status AgentAdminService::DoCreateToken(grpc::ServerContext& context,
                                              const v1::CreateJoinTokenRequest& request,
                                              v1::CreateJoinTokenResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto account, deps_.auth.RequireAdmin(context));
  Duration lifetime = kDefaultLifetime;
  if (request.has_lifetime()) lifetime = rpc::FromProto(request.lifetime());
  if (lifetime < kShortest || lifetime > kLongest) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD",
                     "lifetime: not between 1 minute and 7 days");
  }
  const crypto::SecretBytes secret = crypto::NewToken("");
  domain::JoinToken token;
  token.token_hash = crypto::HashToken(secret.view()).Hex();
  token.created_at = deps_.clock.Wall();
  token.created_by = account.name;
  token.expires_at = token.created_at + lifetime;
  SLIPWAY_RETURN_IF_ERROR(deps_.agents.AddJoinToken(token));
  response.set_token(fmt::format("SLP1-{}-{}", ca_fingerprint_.Hex(), secret.view()));
  *response.mutable_expires_at() = rpc::ToProto(token.expires_at);
  return absl::OkStatus();
}

}  // namespace slipway::api
