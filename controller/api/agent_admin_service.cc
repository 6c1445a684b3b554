#include "controller/api/agent_admin_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/crypto/token.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/health_convert.h"
#include "common/status/status.h"
#include "controller/agent_gateway/text.h"
#include "controller/api/access_convert.h"
#include "controller/api/agent_selection.h"
#include "controller/api/await_reply.h"
#include "controller/api/fields.h"
#include "controller/api/guard.h"

namespace slipway::api {
namespace {

using domain::AgentMode;

constexpr Duration kDefaultLifetime = std::chrono::hours(1);
constexpr Duration kShortest = std::chrono::minutes(1);
constexpr Duration kLongest = std::chrono::hours(24 * 7);
constexpr Duration kShortestPause = std::chrono::seconds(1);
constexpr Duration kLongestPause = std::chrono::hours(24 * 30);
constexpr int kMaxNamed = 1000;
constexpr std::size_t kMaxReason = 1024;

v1::AgentMode ToProto(AgentMode mode) {
  switch (mode) {
    case AgentMode::kActive: return v1::AGENT_MODE_ACTIVE;
    case AgentMode::kPaused: return v1::AGENT_MODE_PAUSED;
    case AgentMode::kDraining: return v1::AGENT_MODE_DRAINING;
    case AgentMode::kRetiring: return v1::AGENT_MODE_RETIRING;
    case AgentMode::kRetired: return v1::AGENT_MODE_RETIRED;
    case AgentMode::kRevoked: return v1::AGENT_MODE_REVOKED;
  }
  return v1::AGENT_MODE_UNSPECIFIED;
}

absl::StatusOr<AgentMode> WantedMode(v1::AgentAction action) {
  switch (action) {
    case v1::AGENT_ACTION_PAUSE: return AgentMode::kPaused;
    case v1::AGENT_ACTION_DRAIN: return AgentMode::kDraining;
    case v1::AGENT_ACTION_RESUME: return AgentMode::kActive;
    case v1::AGENT_ACTION_RETIRE: return AgentMode::kRetiring;
    case v1::AGENT_ACTION_REVOKE: return AgentMode::kRevoked;
    default: return BadField("action", "none is given");
  }
}

// What the request wants of each agent, from `now` on.
absl::StatusOr<domain::Availability> Wanted(const v1::ChangeAgentsRequest& request,
                                            const domain::Account& account, WallTime now) {
  domain::Availability wanted;
  SLIPWAY_ASSIGN_OR_RETURN(wanted.mode, WantedMode(request.action()));
  wanted.reason = agent_gateway::StorableText(request.reason(), kMaxReason);
  wanted.by = account.name;
  if (request.agents().empty() || request.agents_size() > kMaxNamed) {
    return BadField("agents", fmt::format("{}, not 1 to {}", request.agents_size(), kMaxNamed));
  }
  const bool pause = wanted.mode == AgentMode::kPaused;
  if (pause && wanted.reason.empty()) {
    return BadField("reason", "a pause needs one, so that the next person knows");
  }
  if (request.has_timeout()) {
    const Duration timeout = rpc::FromProto(request.timeout());
    if (!pause) return BadField("timeout", "only a pause has one");
    if (timeout < kShortestPause || timeout > kLongestPause) {
      return BadField("timeout", "not between 1 second and 30 days");
    }
    wanted.until = now + timeout;
  }
  const bool leaves = wanted.mode == AgentMode::kRetiring || wanted.mode == AgentMode::kRevoked;
  if (leaves && std::any_of(request.agents().begin(), request.agents().end(), IsPattern)) {
    return BadField("agents", "what cannot be taken back needs each agent named, without * and ?");
  }
  return wanted;
}

bool IsSo(const domain::Availability& is, const domain::Availability& wanted, WallTime now) {
  const AgentMode mode = domain::ModeAt(is, now);
  if (mode == AgentMode::kPaused && wanted.mode == AgentMode::kPaused) {
    return is.reason == wanted.reason && is.until == wanted.until;
  }
  return mode == wanted.mode ||
         (mode == AgentMode::kRetired && wanted.mode == AgentMode::kRetiring);
}

}  // namespace

store::Cause AgentAdminService::CauseOf(const access::Caller& caller) const {
  return deps_.auth.access().CauseOf(caller,
                                     {caller.AuthorityFor(domain::Authority::Need::kOperator)});
}

AgentAdminService::Views AgentAdminService::AllViews() const {
  Views views;
  for (auto& view : deps_.scheduler.Agents()) views.emplace(view.agent, std::move(view));
  return views;
}

v1::Agent AgentAdminService::Describe(const domain::Agent& agent, const Views& views) const {
  v1::Agent out;
  const WallTime now = deps_.clock.Wall();
  out.set_id(agent.id.value());
  out.set_name(agent.name);
  auto labels = agent.labels;
  if (const auto about = gateway_.AboutAgent(agent.id)) {
    labels = about->labels;
    out.set_version(about->version);
    *out.mutable_health() = rpc::ToProto(about->health);
  }
  for (const auto& [key, value] : labels) (*out.mutable_labels())[key] = value;
  if (const auto view = views.find(agent.id); view != views.end()) {
    out.set_online(view->second.online);
    out.set_stopping(view->second.draining);
    out.set_slots(view->second.online ? view->second.slots : 0);
    out.set_busy(static_cast<std::uint32_t>(view->second.attempts.size()));
  }
  if (out.online()) {
    *out.mutable_last_seen() = rpc::ToProto(now);
  } else if (agent.last_seen != WallTime()) {
    *out.mutable_last_seen() = rpc::ToProto(agent.last_seen);
  }
  const AgentMode mode = domain::ModeAt(agent.availability, now);
  out.set_mode(ToProto(mode));
  out.set_draining(out.stopping() || mode != AgentMode::kActive);
  // The story of a pause that ended by itself is over.
  if (mode == agent.availability.mode) {
    out.set_mode_reason(agent.availability.reason);
    out.set_mode_by(agent.availability.by);
    if (agent.availability.since != WallTime()) {
      *out.mutable_mode_since() = rpc::ToProto(agent.availability.since);
    }
    if (agent.availability.until != WallTime()) {
      *out.mutable_mode_until() = rpc::ToProto(agent.availability.until);
    }
  }
  *out.mutable_joined_at() = rpc::ToProto(agent.joined_at);
  *out.mutable_certificate_not_after() = rpc::ToProto(agent.certificate.not_after);
  out.set_certificate_renewing(!agent.successor.fingerprint.empty());
  return out;
}

grpc::Status AgentAdminService::ListAgents(grpc::ServerContext* context,
                                           const v1::ListAgentsRequest* request,
                                           v1::ListAgentsResponse* response) {
  return rpc::ToGrpc(*context, DoList(*context, *request, *response));
}

absl::Status AgentAdminService::DoList(grpc::ServerContext& context,
                                       const v1::ListAgentsRequest& request,
                                       v1::ListAgentsResponse& response) {
  SLIPWAY_RETURN_IF_ERROR(deps_.auth.RequireOperator(context).status());
  SLIPWAY_ASSIGN_OR_RETURN(const auto agents, deps_.agents.List());
  const Views views = AllViews();
  for (const domain::Agent& agent : agents) {
    if (!request.include_gone() && domain::IsGone(agent.availability.mode)) continue;
    *response.add_agents() = Describe(agent, views);
  }
  return absl::OkStatus();
}

grpc::Status AgentAdminService::GetAgent(grpc::ServerContext* context,
                                         const v1::GetAgentRequest* request, v1::Agent* response) {
  return rpc::ToGrpc(*context, DoGet(*context, *request, *response));
}

absl::Status AgentAdminService::DoGet(grpc::ServerContext& context,
                                      const v1::GetAgentRequest& request, v1::Agent& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.RequireOperator(context));
  SLIPWAY_ASSIGN_OR_RETURN(const auto agents, deps_.agents.List());
  SLIPWAY_ASSIGN_OR_RETURN(const domain::Agent agent, SelectAgent(agents, request.agent()));
  const Views views = AllViews();
  response = Describe(agent, views);
  const auto view = views.find(agent.id);
  if (view == views.end()) return absl::OkStatus();
  for (const AttemptKey& key : view->second.attempts) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto found, deps_.reader.GetTask(key.task));
    v1::HeldTask& held = *response.add_held();
    held.set_task(key.task.value());
    held.set_attempt(key.attempt.value());
    // Who runs the machines need not see what is built on them.
    const domain::Question sight{.application = found.task.application};
    if (deps_.auth.access().Check(caller, sight, absl::NotFoundError("not seen")).ok()) {
      held.set_application(found.run.application_name);
    }
    held.set_platform(found.task.platform);
    held.set_kind(static_cast<v1::TaskKind>(found.task.kind));
    if (found.task.started_at != WallTime()) {
      *held.mutable_started_at() = rpc::ToProto(found.task.started_at);
    }
  }
  return absl::OkStatus();
}

grpc::Status AgentAdminService::ChangeAgents(grpc::ServerContext* context,
                                             const v1::ChangeAgentsRequest* request,
                                             v1::ChangeAgentsResponse* response) {
  return rpc::ToGrpc(*context, DoChange(*context, *request, *response));
}

absl::Status AgentAdminService::DoChange(grpc::ServerContext& context,
                                         const v1::ChangeAgentsRequest& request,
                                         v1::ChangeAgentsResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.RequireOperator(context));
  const WallTime now = deps_.clock.Wall();
  SLIPWAY_ASSIGN_OR_RETURN(const domain::Availability wanted, Wanted(request, caller.account, now));
  SLIPWAY_ASSIGN_OR_RETURN(const auto agents, deps_.agents.List());
  SLIPWAY_ASSIGN_OR_RETURN(const auto selected, SelectAgents(agents, {request.agents().begin(),
                                                                      request.agents().end()}));
  std::set<AgentId> asked;
  for (const domain::Agent& agent : selected) {
    if (IsSo(agent.availability, wanted, now)) continue;
    const auto reply = AwaitReply([&](scheduler::Scheduler::OnReply on_reply) {
      deps_.scheduler.ChangeAgent(
          agent.id, wanted, std::move(on_reply),
          {caller.address, {caller.AuthorityFor(domain::Authority::Need::kOperator)}});
    });
    SLIPWAY_RETURN_IF_ERROR(WithContext(reply.ok() ? reply->status : reply.status(), agent.name));
    asked.insert(agent.id);
  }
  const Views views = AllViews();
  for (const domain::Agent& agent : selected) {
    SLIPWAY_ASSIGN_OR_RETURN(const domain::Agent changed, deps_.agents.Get(agent.id));
    v1::ChangedAgent& out = *response.add_agents();
    *out.mutable_agent() = Describe(changed, views);
    out.set_changed(asked.contains(agent.id));
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
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.RequireOperator(context));
  Duration lifetime = kDefaultLifetime;
  if (request.has_lifetime()) lifetime = rpc::FromProto(request.lifetime());
  if (lifetime < kShortest || lifetime > kLongest) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD",
                     "lifetime: not between 1 minute and 7 days",
                     "Leave it out for one hour, or choose one in between.");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  store::Cause cause = CauseOf(caller);
  cause.request_id = request.request_id();
  const crypto::SecretBytes secret = crypto::NewToken("");
  domain::JoinToken token;
  token.token_hash = crypto::HashToken(secret.view()).Hex();
  token.created_at = deps_.clock.Wall();
  token.created_by = caller.account.name;
  token.expires_at = token.created_at + lifetime;
  SLIPWAY_RETURN_IF_ERROR(deps_.agents.AddJoinToken(token, cause));
  response.set_token(fmt::format("SLP1-{}-{}", ca_fingerprint_.Hex(), secret.view()));
  *response.mutable_expires_at() = rpc::ToProto(token.expires_at);
  response.set_id(domain::ShortId(token));
  return absl::OkStatus();
}

grpc::Status AgentAdminService::ListJoinTokens(grpc::ServerContext* context,
                                               const v1::ListJoinTokensRequest* request,
                                               v1::ListJoinTokensResponse* response) {
  return rpc::ToGrpc(*context, DoListTokens(*context, *request, *response));
}

absl::Status AgentAdminService::DoListTokens(grpc::ServerContext& context,
                                             const v1::ListJoinTokensRequest& request,
                                             v1::ListJoinTokensResponse& response) {
  SLIPWAY_RETURN_IF_ERROR(deps_.auth.RequireOperator(context).status());
  const WallTime now = deps_.clock.Wall();
  SLIPWAY_ASSIGN_OR_RETURN(const int size, PageSizeFrom(request.page_size()));
  SLIPWAY_ASSIGN_OR_RETURN(const auto tokens, deps_.agents.ListJoinTokens(
                                                  !request.include_closed(), now,
                                                  {.size = size, .token = request.page_token()}));
  response.set_next_page_token(tokens.next_page_token);
  response.set_total(tokens.total);
  SLIPWAY_ASSIGN_OR_RETURN(const auto agents, deps_.agents.List());
  std::map<AgentId, std::string> names;
  for (const domain::Agent& agent : agents) names.emplace(agent.id, agent.name);
  for (const domain::JoinToken& token : tokens.objects) {
    v1::JoinToken& out = *response.add_tokens();
    out.set_id(domain::ShortId(token));
    out.set_state(std::string(domain::JoinTokenStateName(domain::StateAt(token, now))));
    out.set_created_by(token.created_by);
    *out.mutable_created_at() = rpc::ToProto(token.created_at);
    *out.mutable_expires_at() = rpc::ToProto(token.expires_at);
    if (token.used_at != WallTime()) {
      out.set_used_by(token.used_by.value());
      out.set_used_by_name(names[token.used_by]);
      *out.mutable_used_at() = rpc::ToProto(token.used_at);
    }
    if (token.revoked_at != WallTime()) {
      out.set_revoked_by(token.revoked_by);
      *out.mutable_revoked_at() = rpc::ToProto(token.revoked_at);
    }
  }
  return absl::OkStatus();
}

grpc::Status AgentAdminService::RevokeJoinToken(grpc::ServerContext* context,
                                                const v1::RevokeJoinTokenRequest* request,
                                                v1::RevokeJoinTokenResponse*) {
  return rpc::ToGrpc(*context, DoRevokeToken(*context, *request));
}

absl::Status AgentAdminService::DoRevokeToken(grpc::ServerContext& context,
                                              const v1::RevokeJoinTokenRequest& request) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.RequireOperator(context));
  SLIPWAY_ASSIGN_OR_RETURN(const domain::JoinTokenState was,
                           deps_.agents.RevokeJoinToken(request.id(), CauseOf(caller)));
  if (was == domain::JoinTokenState::kOpen) return absl::OkStatus();
  if (was == domain::JoinTokenState::kUnknown) {
    return MakeError(absl::StatusCode::kNotFound, "NO_SUCH_TOKEN",
                     fmt::format("there is no join token '{}'", request.id()),
                     "`slipway agents token list` names the open ones.");
  }
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "TOKEN_NOT_OPEN",
      fmt::format("join token {} is {} already", request.id(), domain::JoinTokenStateName(was)),
      "`slipway agents token list --all` says by whom.");
}

}  // namespace slipway::api
