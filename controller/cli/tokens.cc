#include <fmt/format.h>

#include "common/base/ids.h"
#include "common/config/units.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/access_commands.h"
#include "controller/cli/access_words.h"
#include "controller/cli/all_pages.h"
#include "controller/cli/format.h"
#include "controller/cli/render_access.h"
#include "controller/cli/repeat_call.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

using Sessions = v1::SessionService::Stub;

}  // namespace

Outcome CreateApiToken(Session& session, const TokenFlags& flags) {
  const Text t = session.text;
  v1::CreateApiTokenRequest request;
  request.set_request_id(NewUuid());
  request.set_name(flags.name);
  request.set_account(flags.account);
  for (const std::string& word : flags.operations) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto operation, ParseOperation(word, t));
    request.add_operations(operation);
  }
  request.mutable_applications()->Assign(flags.applications.begin(), flags.applications.end());
  if (!flags.lifetime.empty()) {
    const auto lifetime = config::ParseDuration(flags.lifetime);
    if (!lifetime.ok()) return UsageError(WithContext(lifetime.status(), "--lifetime"));
    *request.mutable_lifetime() = rpc::ToProtoDuration(*lifetime);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::CreateApiTokenResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      CallAgain(*client, client->sessions(), &Sessions::CreateApiToken, request, response));
  if (session.as_document) {
    session.PrintDocument(response);
    return ExitCode::kOk;
  }
  const v1::ApiToken& token = response.token();
  session.PrintSecret(
      response.secret(),
      fmt::format(fmt::runtime(t("API token {} of {}, until {}; it is shown only once, and "
                                 "`slipway tokens revoke {}` ends it\n",
                                 "{1} 的 API 令牌 {0}，有效期至 {2}；仅显示一次，可用 "
                                 "`slipway tokens revoke {3}` 吊销\n")),
                  OneLine(token.name()), OneLine(token.account()),
                  token.has_expires_at() ? FormatTime(token.expires_at()) : t("ever", "永久"),
                  OneLine(token.id())));
  return ExitCode::kOk;
}

Outcome ListApiTokens(Session& session, const std::string& account) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListApiTokensRequest request;
  request.set_account(account);
  v1::ListApiTokensResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      ReadAllPages(*client, client->sessions(), &Sessions::ListApiTokens, request, response));
  session.Print(response, RenderApiTokens);
  return ExitCode::kOk;
}

Outcome RevokeApiToken(Session& session, const std::string& id) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::RevokeApiTokenRequest request;
  request.set_id(id);
  v1::RevokeApiTokenResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->sessions(), &Sessions::RevokeApiToken, request, response));
  session.PrintDone(
      response,
      fmt::format(fmt::runtime(session.text("API token {} is revoked\n", "API 令牌 {} 已吊销\n")),
                  OneLine(id)));
  return ExitCode::kOk;
}

}  // namespace slipway::cli
