#include "controller/cli/render_access.h"

#include <fmt/format.h>

#include "common/rpc/convert.h"
#include "controller/cli/access_words.h"
#include "controller/cli/format.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

std::string Joined(const google::protobuf::RepeatedPtrField<std::string>& words, const char* none) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? none : text;
}

const char* TokenState(const v1::ApiToken& token, const View& view) {
  const Text t = view.text;
  if (token.has_revoked_at()) return t("revoked", "已吊销");
  if (token.has_expires_at() && rpc::FromProto(token.expires_at()) <= view.now) {
    return t("expired", "已过期");
  }
  return t("good", "有效");
}

}  // namespace

std::string RenderAccounts(const v1::ListAccountsResponse& accounts, const View& view) {
  const Text t = view.text;
  Table table({t("ACCOUNT", "账号"), t("KIND", "类型"), t("STATE", "状态"), t("NAME", "姓名"),
               t("DEPARTMENT", "部门"), t("GROUPS", "组")});
  for (const v1::Account& account : accounts.accounts()) {
    table.Add({account.name(), KindName(account.kind(), t), AccountStateName(account.state(), t),
               account.full_name(), account.department(), Joined(account.groups(), "")});
  }
  return table.Render();
}

std::string RenderAccount(const v1::Account& account, const View& view) {
  const Text t = view.text;
  Facts facts;
  facts.Add(t("account", "账号"), account.name());
  facts.Add("id", account.id());
  facts.Add(t("kind", "类型"), KindName(account.kind(), t));
  facts.Add(t("state", "状态"), AccountStateName(account.state(), t));
  facts.Add(t("name", "姓名"), account.full_name());
  facts.Add(t("department", "部门"), account.department());
  facts.Add(t("post", "岗位"), account.post());
  facts.Add(t("employee number", "工号"), account.employee_number());
  facts.Add(t("email", "邮箱"), account.email());
  facts.Add(t("groups", "组"), Joined(account.groups(), ""));
  facts.Add(t("created", "创建时间"), FormatTime(account.created_at()));
  facts.Add(t("created by", "创建人"), account.created_by());
  return facts.Render();
}

std::string RenderSelf(const v1::Self& self, const View& view) {
  const Text t = view.text;
  Facts facts;
  facts.Add(t("account", "账号"), self.account().name());
  facts.Add(t("name", "姓名"), self.account().full_name());
  facts.Add(t("kind", "类型"), KindName(self.account().kind(), t));
  facts.Add(t("groups", "组"), Joined(self.account().groups(), ""));
  facts.Add(t("login", "登录"), self.login());
  if (self.has_api_token()) {
    const v1::ApiToken& token = self.api_token();
    facts.Add(t("API token", "API 令牌"), fmt::format("{} ({})", token.name(), token.id()));
    facts.Add(t("only to", "仅限操作"), JoinOperations(token.operations(), ""));
    facts.Add(t("only for", "仅限应用"), Joined(token.applications(), ""));
    facts.Add(t("ends", "到期"), FormatTime(token.expires_at()));
  }
  return facts.Render();
}

std::string RenderLogins(const v1::ListLoginsResponse& logins, const View& view) {
  const Text t = view.text;
  if (logins.logins().empty()) return t("no logins\n", "没有登录\n");
  Table table({t("LOGIN", "登录"), t("CLIENT", "客户端"), t("ADDRESS", "地址"), t("BEGAN", "开始"),
               t("REFRESHED", "最近刷新"), t("ENDS", "到期"), ""});
  for (const v1::Login& login : logins.logins()) {
    table.Add({login.id(), login.client(), login.address(), FormatTime(login.created_at()),
               FormatTime(login.refreshed_at()), FormatTime(login.expires_at()),
               login.current() ? t("this one", "当前") : ""});
  }
  return table.Render();
}

std::string RenderApiTokens(const v1::ListApiTokensResponse& tokens, const View& view) {
  const Text t = view.text;
  if (tokens.tokens().empty()) {
    return t("no API tokens; `slipway tokens create NAME` makes one\n",
             "没有 API 令牌；用 `slipway tokens create 名称` 创建\n");
  }
  Table table({t("TOKEN", "令牌"), t("NAME", "名称"), t("ACCOUNT", "账号"), t("STATE", "状态"),
               t("OPERATIONS", "操作"), t("APPLICATIONS", "应用"), t("ENDS", "到期"),
               t("LAST USED", "最近使用")});
  for (const v1::ApiToken& token : tokens.tokens()) {
    table.Add({token.id(), token.name(), token.account(), TokenState(token, view),
               JoinOperations(token.operations(), t("all", "全部")),
               Joined(token.applications(), t("all", "全部")),
               token.has_expires_at() ? FormatTime(token.expires_at()) : t("never", "永不"),
               token.has_last_used_at() ? FormatTime(token.last_used_at()) : t("never", "从未")});
  }
  return table.Render();
}

std::string RenderGroups(const v1::ListGroupsResponse& groups, const View& view) {
  const Text t = view.text;
  if (groups.groups().empty()) {
    return t("no groups; `slipway groups set NAME --members A,B` makes one\n",
             "没有组；用 `slipway groups set 名称 --members A,B` 创建\n");
  }
  Table table({t("GROUP", "组"), t("MEMBERS", "成员"), t("DESCRIPTION", "说明")});
  for (const v1::AccountGroup& group : groups.groups()) {
    table.Add({group.name(), Joined(group.members(), ""), group.description()});
  }
  return table.Render();
}

std::string RenderGroup(const v1::AccountGroup& group, const View& view) {
  const Text t = view.text;
  Facts facts;
  facts.Add(t("group", "组"), group.name());
  facts.Add(t("description", "说明"), group.description());
  facts.Add(t("members", "成员"), Joined(group.members(), t("none", "无")));
  return facts.Render();
}

std::string RenderGrants(const v1::ListGrantsResponse& grants, const View& view) {
  const Text t = view.text;
  if (grants.grants().empty()) {
    return t("no grants; `slipway grants add ACCOUNT --app APP --preset developer` makes some\n",
             "没有授权；用 `slipway grants add 账号 --app 应用 --preset developer` 添加\n");
  }
  Table table({t("WHO", "对象"), t("APPLICATION", "应用"), t("OPERATIONS", "操作"),
               t("ENVIRONMENT", "环境"), t("PAGES", "页面")});
  for (const v1::Grant& grant : grants.grants()) {
    table.Add({grant.has_group() ? "group:" + grant.group() : grant.account(),
               grant.application().empty() ? t("all", "全部") : grant.application(),
               JoinOperations(grant.operations(), ""),
               grant.environment().empty() ? t("all", "全部") : grant.environment(),
               grant.pages().empty() ? t("all", "全部") : grant.pages()});
  }
  return table.Render();
}

}  // namespace slipway::cli
