#include <fmt/format.h>

#include "common/config/units.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/format.h"

namespace slipway::cli {

Outcome ListAgents(Session& session) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListAgentsResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->agents(), &v1::AgentAdminService::Stub::ListAgents,
                                       v1::ListAgentsRequest(), response));
  session.Print(response, RenderAgents);
  return ExitCode::kOk;
}

Outcome CreateJoinToken(Session& session, const std::string& lifetime) {
  v1::CreateJoinTokenRequest request;
  if (!lifetime.empty()) {
    const auto duration = config::ParseDuration(lifetime);
    if (!duration.ok()) return UsageError(WithContext(duration.status(), "--lifetime"));
    *request.mutable_lifetime() = rpc::ToProtoDuration(*duration);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::CreateJoinTokenResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(
      client->agents(), &v1::AgentAdminService::Stub::CreateJoinToken, request, response));
  if (session.json) {
    session.PrintJson(response);
    return ExitCode::kOk;
  }
  session.out << response.token() << '\n';
  session.out.flush();
  // Beside the token, so that `TOKEN=$(slipway agents token)` gets nothing else.
  session.err << fmt::format(
      fmt::runtime(session.text("one agent can join with it until {}; it is shown only once\n",
                                "可供一个代理加入，有效期至 {}；仅显示一次\n")),
      FormatTime(response.expires_at()));
  return ExitCode::kOk;
}

}  // namespace slipway::cli
