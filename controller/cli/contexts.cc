#include <fmt/format.h>
#include <google/protobuf/struct.pb.h>

#include "common/crypto/pki.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/access_commands.h"
#include "controller/cli/format.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

// "login", "token" or nothing: for programs.
const char* KindOf(const Context& context) {
  if (context.login) return "login";
  return context.api_token.empty() ? "" : "token";
}

std::string Standing(const Context& context, Text t) {
  if (context.login) return t("logged in", "已登录");
  return context.api_token.empty() ? t("logged out", "未登录") : t("API token", "API 令牌");
}

std::string Fingerprint(const Context& context) {
  const auto facts = crypto::ReadCertificate(context.ca_pem);
  return facts.ok() ? facts->fingerprint.ToString() : "";
}

// No token is ever among it.
google::protobuf::Struct ToStruct(const Context& context, bool current) {
  google::protobuf::Struct answer;
  auto& fields = *answer.mutable_fields();
  fields["name"].set_string_value(context.name);
  fields["server"].set_string_value(context.server);
  fields["account"].set_string_value(context.account);
  fields["kind"].set_string_value(KindOf(context));
  fields["ca_fingerprint"].set_string_value(Fingerprint(context));
  fields["current"].set_bool_value(current);
  return answer;
}

// What commands use that name none.
std::string Chosen(Session& session, const ContextStore& contexts) {
  if (!session.flags.context.empty()) return session.flags.context;
  const std::string named = session.environment("SLIPWAY_CONTEXT");
  return named.empty() ? contexts.Current() : named;
}

}  // namespace

Outcome ListContexts(Session& session) {
  const Text t = session.text;
  SLIPWAY_ASSIGN_OR_RETURN(const ContextStore contexts, ContextStore::Find(session.environment, t));
  const std::string chosen = Chosen(session, contexts);
  google::protobuf::Struct answer;
  auto& list = *(*answer.mutable_fields())["contexts"].mutable_list_value();
  Table table({"", t("CONTEXT", "上下文"), t("CONTROLLER", "控制器"), t("ACCOUNT", "账号"),
               t("STATE", "状态")});
  for (const std::string& name : contexts.Names()) {
    const auto context = contexts.Load(name);
    if (!context.ok()) {
      session.err << RenderError(context.status(), session.ErrView());
      continue;
    }
    *list.add_values()->mutable_struct_value() = ToStruct(*context, name == chosen);
    table.Add({name == chosen ? "*" : "", name, context->server, context->account,
               Standing(*context, t)});
  }
  if (session.as_document) {
    session.PrintDocument(answer);
  } else if (list.values().empty()) {
    session.out << t("no contexts; `slipway login --server HOST:PORT` makes one\n",
                     "没有上下文；用 `slipway login --server 主机:端口` 登录\n");
  } else {
    session.out << table.Render();
  }
  return ExitCode::kOk;
}

Outcome UseContext(Session& session, const std::string& name) {
  const Text t = session.text;
  SLIPWAY_ASSIGN_OR_RETURN(const ContextStore contexts, ContextStore::Find(session.environment, t));
  SLIPWAY_RETURN_IF_ERROR(contexts.Use(name));
  SLIPWAY_ASSIGN_OR_RETURN(const Context context, contexts.Load(name));
  session.PrintDone(
      ToStruct(context, true),
      fmt::format(fmt::runtime(t("context '{}' ({}) is in use\n", "当前上下文为 '{}'（{}）\n")),
                  name, OneLine(context.server)));
  if (const std::string named = session.environment("SLIPWAY_CONTEXT");
      !named.empty() && named != name) {
    session.err << fmt::format(
        fmt::runtime(t("SLIPWAY_CONTEXT={} goes before it\n", "但 SLIPWAY_CONTEXT={} 优先\n")),
        OneLine(named));
  }
  return ExitCode::kOk;
}

Outcome ShowContext(Session& session, const std::string& name) {
  const Text t = session.text;
  SLIPWAY_ASSIGN_OR_RETURN(const ContextStore contexts, ContextStore::Find(session.environment, t));
  const std::string chosen = Chosen(session, contexts);
  const std::string shown = name.empty() ? chosen : name;
  if (shown.empty()) {
    return UsageError(MakeError(absl::StatusCode::kNotFound, "NO_SUCH_CONTEXT",
                                t("no context is in use", "没有正在使用的上下文")));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Context context, contexts.Load(shown));
  Facts facts;
  facts.Add(t("context", "上下文"), context.name);
  facts.Add(t("controller", "控制器"), context.server);
  facts.Add(t("account", "账号"), context.account);
  facts.Add(t("state", "状态"), Standing(context, t));
  if (context.login) {
    facts.Add(t("until", "有效期至"), FormatTime(rpc::ToProto(context.login->refresh_expires_at)));
  }
  facts.Add(t("CA", "CA"), Fingerprint(context));
  facts.Add(t("file", "文件"), contexts.FileOf(context.name));
  session.PrintDone(ToStruct(context, shown == chosen), facts.Render());
  return ExitCode::kOk;
}

Outcome DeleteContext(Session& session, const std::string& name) {
  const Text t = session.text;
  SLIPWAY_ASSIGN_OR_RETURN(const ContextStore contexts, ContextStore::Find(session.environment, t));
  const auto context = contexts.Load(name);
  SLIPWAY_RETURN_IF_ERROR(contexts.Delete(name));
  session.PrintDone(
      google::protobuf::Struct(),
      fmt::format(fmt::runtime(t("context '{}' is gone\n", "上下文 '{}' 已删除\n")), name));
  if (context.ok() && context->login) {
    session.err << t(
        "its login goes on at the farm until it ends by itself; `slipway logins end ID` "
        "ends it from another one\n",
        "该登录在农场上仍有效，直到自行到期；可在其他登录中用 `slipway logins end ID` "
        "结束\n");
  }
  return ExitCode::kOk;
}

}  // namespace slipway::cli
