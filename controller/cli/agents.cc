#include <fmt/format.h>

#include <algorithm>

#include "common/base/ids.h"
#include "common/config/units.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/all_pages.h"
#include "controller/cli/commands.h"
#include "controller/cli/format.h"
#include "controller/cli/repeat_call.h"

namespace slipway::cli {
namespace {

using Agents = v1::AgentAdminService::Stub;

absl::StatusOr<google::protobuf::Duration> DurationFlag(const std::string& text, const char* flag) {
  const auto duration = config::ParseDuration(text);
  if (!duration.ok()) return UsageError(WithContext(duration.status(), flag));
  return rpc::ToProtoDuration(*duration);
}

// Between two questions whether agents have finished.
constexpr Duration kPause = std::chrono::milliseconds(500);
constexpr Duration kDefaultPatience = std::chrono::minutes(15);

bool AnyBusy(const v1::ChangeAgentsResponse& changed) {
  return std::any_of(changed.agents().begin(), changed.agents().end(),
                     [](const v1::ChangedAgent& one) { return one.agent().busy() > 0; });
}

// Asks until none of the agents holds a task or the patience is over.
absl::Status WaitUntilIdle(const Client& client, Duration patience,
                           v1::ChangeAgentsResponse& changed) {
  const SystemClock clock;
  const MonoTime give_up = clock.Mono() + patience;
  while (AnyBusy(changed) && clock.Mono() < give_up) {
    if (!client.WaitToRetry(client.stop(), kPause)) return InterruptedError();
    for (v1::ChangedAgent& one : *changed.mutable_agents()) {
      if (one.agent().busy() == 0) continue;
      v1::GetAgentRequest request;
      request.set_agent(one.agent().id());
      v1::Agent now;
      const absl::Status asked = client.Call(client.agents(), &Agents::GetAgent, request, now);
      // A controller that restarts knows still what was asked of its agents.
      if (!asked.ok() && !IsPassing(asked)) return asked;
      if (asked.ok()) *one.mutable_agent() = std::move(now);
    }
  }
  return absl::OkStatus();
}

}  // namespace

Outcome ListAgents(Session& session, bool all) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListAgentsRequest request;
  request.set_include_gone(all);
  v1::ListAgentsResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->agents(), &Agents::ListAgents, request, response));
  session.Print(response, RenderAgents);
  return ExitCode::kOk;
}

Outcome ShowAgent(Session& session, const std::string& agent) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::GetAgentRequest request;
  request.set_agent(agent);
  v1::Agent response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->agents(), &Agents::GetAgent, request, response));
  session.Print(response, RenderAgent);
  return ExitCode::kOk;
}

Outcome ChangeAgents(Session& session, v1::AgentAction action, const ChangeAgentsFlags& flags) {
  v1::ChangeAgentsRequest request;
  request.mutable_agents()->Assign(flags.agents.begin(), flags.agents.end());
  request.set_action(action);
  request.set_reason(flags.reason);
  if (!flags.timeout.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_timeout(), DurationFlag(flags.timeout, "--timeout"));
  }
  Duration patience = kDefaultPatience;
  if (!flags.patience.empty()) {
    const auto parsed = config::ParseDuration(flags.patience);
    if (!parsed.ok()) return UsageError(WithContext(parsed.status(), "--patience"));
    patience = *parsed;
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ChangeAgentsResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->agents(), &Agents::ChangeAgents, request, response));
  if (flags.wait) SLIPWAY_RETURN_IF_ERROR(WaitUntilIdle(*client, patience, response));
  session.Print(response, RenderChangedAgents);
  return flags.wait && AnyBusy(response) ? ExitCode::kFailed : ExitCode::kOk;
}

Outcome CreateJoinToken(Session& session, const std::string& lifetime) {
  v1::CreateJoinTokenRequest request;
  request.set_request_id(NewUuid());
  if (!lifetime.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_lifetime(), DurationFlag(lifetime, "--lifetime"));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::CreateJoinTokenResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      CallAgain(*client, client->agents(), &Agents::CreateJoinToken, request, response));
  if (session.as_document) {
    session.PrintDocument(response);
    return ExitCode::kOk;
  }
  session.out << response.token() << '\n';
  session.out.flush();
  // Beside the token, so that `TOKEN=$(slipway agents token)` gets nothing else.
  session.err << fmt::format(
      fmt::runtime(session.text(
          "one agent can join with it until {}; it is shown only once, and called {}\n",
          "可供一个代理加入，有效期至 {}；仅显示一次，编号 {}\n")),
      FormatTime(response.expires_at()), response.id());
  return ExitCode::kOk;
}

Outcome ListJoinTokens(Session& session, bool all) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListJoinTokensRequest request;
  request.set_include_closed(all);
  v1::ListJoinTokensResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      ReadAllPages(*client, client->agents(), &Agents::ListJoinTokens, request, response));
  session.Print(response, RenderJoinTokens);
  return ExitCode::kOk;
}

Outcome RevokeJoinToken(Session& session, const std::string& id) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::RevokeJoinTokenRequest request;
  request.set_id(id);
  v1::RevokeJoinTokenResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->agents(), &Agents::RevokeJoinToken, request, response));
  if (session.as_document) {
    session.PrintDocument(response);
  } else {
    session.out << fmt::format(fmt::runtime(session.text("nobody can join with token {} any more\n",
                                                         "令牌 {} 已作废，无法再用于加入\n")),
                               id);
  }
  return ExitCode::kOk;
}

}  // namespace slipway::cli
