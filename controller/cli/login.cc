#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>

#include "common/status/status.h"
#include "controller/cli/access_commands.h"
#include "controller/cli/all_pages.h"
#include "controller/cli/farm_identity.h"
#include "controller/cli/render_access.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

using Sessions = v1::SessionService::Stub;

// What this program and machine are called in the list of logins.
std::string ClientName() {
  std::array<char, 65> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return fmt::format("slipway {} on {}", SLIPWAY_VERSION, host.data()).substr(0, 128);
}

// Of a farm that has no context yet: its host, and the port when another farm has that name.
std::string NewName(const ContextStore& contexts, const std::string& server) {
  const auto clean = [](std::string name) {
    for (char& c : name) {
      if (!ContextStore::IsName(std::string("x") + c)) c = '-';
    }
    name.erase(0, name.find_first_not_of("-."));
    name.resize(std::min<std::size_t>(name.size(), 64));
    return name.empty() ? std::string("farm") : name;
  };
  std::string name = clean(server.substr(0, server.rfind(':')));
  return contexts.Load(name).ok() ? clean(server) : name;
}

// The context that a login replaces, or a new one; with server and CA, as far as known.
absl::StatusOr<Context> Prepare(Session& session, const ContextStore& contexts) {
  const Text t = session.text;
  Context context;
  context.name = session.flags.context.empty() ? session.environment("SLIPWAY_CONTEXT")
                                               : session.flags.context;
  if (!context.name.empty() && !ContextStore::IsName(context.name)) {
    return UsageError(MakeError(
        absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
        fmt::format(
            fmt::runtime(t("'{}' cannot be the name of a context", "'{}' 不能作为上下文的名称")),
            OneLine(context.name)),
        t("Use letters, digits, '.', '_' and '-'.", "请使用字母、数字、'.'、'_' 和 '-'。")));
  }
  std::string server;
  if (!session.flags.server.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(server, ServerAddress(session.flags.server, t));
  }
  std::string known = context.name;
  if (known.empty() && server.empty()) known = contexts.Current();
  for (const std::string& name : contexts.Names()) {
    if (!known.empty()) break;
    const auto other = contexts.Load(name);
    if (other.ok() && other->server == server) known = name;
  }
  if (auto found = contexts.Load(known);
      found.ok() && (server.empty() || found->server == server)) {
    return *std::move(found);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto file,
                           LoadClientFile(session.flags.config, session.environment));
  if (server.empty() && file) server = file->server;
  if (server.empty()) {
    const char* remedy = t("Log in with `slipway login --server HOST:PORT`.",
                           "请用 `slipway login --server 主机:端口` 登录。");
    SLIPWAY_ASSIGN_OR_RETURN(
        server, session.Ask(t("Controller (HOST:PORT): ", "控制器（主机:端口）："), false, remedy));
    SLIPWAY_ASSIGN_OR_RETURN(server, ServerAddress(server, t));
  }
  context.server = server;
  if (file && file->server == server && !file->ca_file.empty() && session.flags.ca_file.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(context.ca_pem,
                             ReadSmallFile(file->ca_file, t("the CA certificate", "CA 证书"), t));
  }
  if (context.name.empty()) context.name = NewName(contexts, server);
  return context;
}

// An account of the farm with its password, or the API token that was named.
absl::StatusOr<v1::Account> Enter(Session& session, const LoginFlags& flags, Context& context) {
  const Text t = session.text;
  if (!session.flags.token_file.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(context.api_token, ReadTokenFile(session.flags.token_file, t));
    const auto client = Client::Make({.server = context.server,
                                      .ca_pem = context.ca_pem,
                                      .api_token = context.api_token,
                                      .context = "",
                                      .contexts = std::nullopt},
                                     t, session.stop);
    v1::Self self;
    SLIPWAY_RETURN_IF_ERROR(
        client->Call(client->sessions(), &Sessions::GetSelf, v1::GetSelfRequest(), self));
    context.login.reset();
    return self.account();
  }
  v1::LoginRequest request;
  request.set_account(flags.account);
  request.set_client(ClientName());
  const char* instead =
      t("Give --account NAME and --password-stdin.", "请给出 --account 账号 和 --password-stdin。");
  if (request.account().empty()) {
    const std::string question =
        context.account.empty()
            ? t("Account: ", "账号：")
            : fmt::format(fmt::runtime(t("Account [{}]: ", "账号 [{}]：")), context.account);
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_account(), session.Ask(question, false, instead));
    if (request.account().empty()) request.set_account(context.account);
  }
  if (flags.password_stdin) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_password(),
                             session.ReadSecretLine(t("the password", "密码")));
  } else {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_password(),
                             session.Ask(t("Password: ", "密码："), true, instead));
  }
  const auto client = Client::MakeWithoutToken(context.server, context.ca_pem, t, session.stop);
  v1::LoginResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->sessions(), &Sessions::Login, request, response));
  context.login = ToStored(response);
  context.api_token.clear();
  return response.account();
}

// Under the context's lock: a refresh in another process would write its own over it.
absl::Status Store(const ContextStore& contexts, const Context& context,
                   const std::stop_token& stop) {
  SLIPWAY_ASSIGN_OR_RETURN(const FileLock held, contexts.Lock(context.name, stop));
  return contexts.Save(context);
}

absl::Status Forget(const Access& access, const std::stop_token& stop) {
  SLIPWAY_ASSIGN_OR_RETURN(const FileLock held, access.contexts->Lock(access.context, stop));
  SLIPWAY_ASSIGN_OR_RETURN(Context context, access.contexts->Load(access.context));
  context.login.reset();
  context.api_token.clear();
  return access.contexts->Save(context);
}

}  // namespace

Outcome Login(Session& session, const LoginFlags& flags) {
  const Text t = session.text;
  prctl(PR_SET_DUMPABLE, 0);
  SLIPWAY_ASSIGN_OR_RETURN(const ContextStore contexts, ContextStore::Find(session.environment, t));
  SLIPWAY_ASSIGN_OR_RETURN(Context context, Prepare(session, contexts));
  if (!session.flags.ca_file.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(context.ca_pem, ReadSmallFile(session.flags.ca_file,
                                                           t("the CA certificate", "CA 证书"), t));
  } else if (context.ca_pem.empty() || !flags.ca_fingerprint.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(context.ca_pem,
                             LearnCa(session, context.server, flags.ca_fingerprint));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const v1::Account account, Enter(session, flags, context));
  context.account = account.name();
  SLIPWAY_RETURN_IF_ERROR(Store(contexts, context, session.stop));
  SLIPWAY_RETURN_IF_ERROR(contexts.Use(context.name));
  session.PrintDone(account,
                    fmt::format(fmt::runtime(t("logged in to {} as {}; context '{}' is in use\n",
                                               "已以 {1} 登录 {0}；当前上下文为 '{2}'\n")),
                                context.server, OneLine(account.name()), context.name));
  return ExitCode::kOk;
}

Outcome Logout(Session& session, bool everywhere) {
  const Text t = session.text;
  const auto client = session.Controller();
  if (client.status().code() == absl::StatusCode::kUnauthenticated) {
    session.err << t("nobody was logged in\n", "没有登录\n");
    return ExitCode::kOk;
  }
  if (!client.ok()) return client.status();
  const Access& access = session.access();
  if (access.context.empty() && !everywhere) {
    return UsageError(MakeError(
        absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
        t("there is no login here, only an API token in a file",
          "这里没有登录，只有文件中的 API 令牌"),
        t("`slipway tokens revoke ID` ends the token, `slipway logout --everywhere` the logins of "
          "its account.",
          "用 `slipway tokens revoke ID` 吊销令牌，用 `slipway logout --everywhere` "
          "结束其账号的所有登录。")));
  }
  v1::LogoutRequest request;
  request.set_everywhere(everywhere);
  v1::LogoutResponse response;
  absl::Status told;
  const bool is_token = !access.api_token.empty();
  if (!is_token || everywhere) {
    told = (*client)->Call((*client)->sessions(), &Sessions::Logout, request, response);
  }
  if (!access.context.empty()) SLIPWAY_RETURN_IF_ERROR(Forget(access, session.stop));
  // It has ended already: what was asked for.
  const bool ended = told.code() == absl::StatusCode::kUnauthenticated;
  if (!told.ok() && !ended) {
    session.err << t("forgotten here, but the controller was not told:\n",
                     "本机已删除登录信息，但未能通知控制器：\n");
    return told;
  }
  session.PrintDone(
      response,
      is_token && !everywhere
          ? std::string(t("the API token is forgotten here, and good as before elsewhere\n",
                          "本机已删除 API 令牌，但令牌在别处仍然有效\n"))
          : fmt::format(fmt::runtime(t("logged out; {} ended\n", "已退出；共结束 {} 个登录\n")),
                        response.ended()));
  return ExitCode::kOk;
}

Outcome WhoAmI(Session& session) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::Self self;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->sessions(), &Sessions::GetSelf, v1::GetSelfRequest(), self));
  session.Print(self, RenderSelf);
  if (session.as_document) return ExitCode::kOk;
  Facts facts;
  facts.Add(session.text("controller", "控制器"), session.access().server);
  facts.Add(session.text("context", "上下文"), session.access().context);
  session.out << facts.Render();
  return ExitCode::kOk;
}

Outcome ListLogins(Session& session, const std::string& account) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListLoginsRequest request;
  request.set_account(account);
  v1::ListLoginsResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      ReadAllPages(*client, client->sessions(), &Sessions::ListLogins, request, response));
  session.Print(response, RenderLogins);
  return ExitCode::kOk;
}

Outcome EndLogin(Session& session, const std::string& id) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::EndLoginRequest request;
  request.set_id(id);
  v1::EndLoginResponse response;
  SLIPWAY_RETURN_IF_ERROR(client->Call(client->sessions(), &Sessions::EndLogin, request, response));
  session.PrintDone(
      response, fmt::format(fmt::runtime(session.text("login {} has ended\n", "登录 {} 已结束\n")),
                            OneLine(id)));
  return ExitCode::kOk;
}

Outcome ChangePassword(Session& session, bool from_stdin) {
  const Text t = session.text;
  prctl(PR_SET_DUMPABLE, 0);
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ChangePasswordRequest request;
  if (from_stdin) {
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_old_password(),
                             session.ReadSecretLine(t("the password until now", "原密码")));
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_new_password(),
                             session.ReadSecretLine(t("the new password", "新密码")));
  } else {
    const char* instead = t("Give --password-stdin.", "请加上 --password-stdin。");
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_old_password(),
                             session.Ask(t("Password until now: ", "原密码："), true, instead));
    SLIPWAY_ASSIGN_OR_RETURN(*request.mutable_new_password(),
                             session.Ask(t("New password: ", "新密码："), true, instead));
    SLIPWAY_ASSIGN_OR_RETURN(const std::string again,
                             session.Ask(t("The same again: ", "再次输入："), true, instead));
    if (again != request.new_password()) {
      return UsageError(MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                                  t("the two new passwords differ", "两次输入的新密码不一致")));
    }
  }
  v1::ChangePasswordResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->sessions(), &Sessions::ChangePassword, request, response));
  session.PrintDone(response, t("the password is changed; all other logins have ended\n",
                                "密码已修改；其他登录均已结束\n"));
  return ExitCode::kOk;
}

}  // namespace slipway::cli
