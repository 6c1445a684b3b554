#include "controller/cli/access_words.h"
#include "controller/cli/completion.h"
#include "controller/cli/grammar.h"

namespace slipway::cli {
void Grammar::AddLogin() {
  CLI::App* login =
      Command(app_, "login", "Logs in to a farm and remembers it as a context",
              "登录农场，并保存为上下文", [this](Session& s) { return Login(s, login_); });
  Option(login, "--account", login_.account, "Name of the account (else asks)",
         "账号（缺省则询问）");
  Flag(login, "--password-stdin", login_.password_stdin,
       "The password is the first line of standard input (else asks)",
       "从标准输入的首行读取密码（缺省则询问）");
  Option(login, "--ca-fingerprint", login_.ca_fingerprint,
         "SHA-256 of the farm's CA, when there is no --ca (else asks)",
         "没有 --ca 时，农场 CA 的 SHA-256 指纹（缺省则询问）");
  login->footer(t_("With --token-file the context keeps that API token instead of a login.",
                   "给出 --token-file 时，上下文保存该 API 令牌而不是登录。"));
  CLI::App* logout = Command(app_, "logout", "Ends the login, here and at the farm", "退出登录",
                             [this](Session& s) { return Logout(s, all_); });
  Flag(logout, "--everywhere", all_, "All logins of the account", "结束该账号的所有登录");
  Command(app_, "whoami", "Who the farm takes you for", "显示当前身份",
          [](Session& s) { return WhoAmI(s); });
  CLI::App* logins = Command(app_, "logins", "Lists logins, newest first", "列出登录，最新的在前",
                             [this](Session& s) { return ListLogins(s, token_.account); });
  logins->require_subcommand(0, 1);
  Option(logins, "--account", token_.account, "Of this account (admins)", "限定账号（管理员）");
  CLI::App* end = Command(*logins, "end", "Ends a login", "结束一个登录",
                          [this](Session& s) { return EndLogin(s, id_); });
  Option(end, "LOGIN", id_, "Its id, from the list", "列表中的 ID")->required();
  CLI::App* passwd = Command(
      app_, "passwd", "Changes your password; ends your other logins", "修改密码，并结束其他登录",
      [this](Session& s) { return ChangePassword(s, login_.password_stdin); });
  Flag(passwd, "--password-stdin", login_.password_stdin,
       "The old and the new one are the first two lines of standard input",
       "从标准输入的前两行读取原密码和新密码");
}

void Grammar::AddContexts() {
  CLI::App* context =
      Command(app_, "context", "The farms that you are logged in to", "管理已登录的农场（上下文）");
  Command(*context, "list", "Lists contexts; * is in use", "列出上下文，* 为当前",
          [](Session& s) { return ListContexts(s); });
  CLI::App* use =
      Command(*context, "use", "Commands go to this farm from now on", "之后的命令使用该农场",
              [this](Session& s) { return UseContext(s, id_); });
  Option(use, "NAME", id_, "Context", "上下文")->required();
  CLI::App* show =
      Command(*context, "show", "One context (else the one in use)", "显示一个上下文（缺省为当前）",
              [this](Session& s) { return ShowContext(s, id_); });
  Option(show, "NAME", id_, "Context", "上下文");
  CLI::App* remove = Command(*context, "delete", "Forgets a farm", "删除上下文",
                             [this](Session& s) { return DeleteContext(s, id_); });
  Option(remove, "NAME", id_, "Context", "上下文")->required();
}

void Grammar::AddProfile(CLI::App* command) {
  Option(command, "NAME", account_.name, "Account", "账号")->required();
  Option(command, "--full-name", account_.full_name, "Name of the person", "姓名");
  Option(command, "--department", account_.department, "Department", "部门");
  Option(command, "--post", account_.post, "Post", "岗位");
  Option(command, "--employee-number", account_.employee_number, "Employee number", "工号");
  Option(command, "--email", account_.email, "Where notices go", "接收通知的邮箱");
}

void Grammar::AddAccounts() {
  CLI::App* accounts = Command(app_, "accounts", "Accounts (admins)", "账号（管理员）");
  CLI::App* list = Command(*accounts, "list", "Lists accounts", "列出账号",
                           [this](Session& s) { return ListAccounts(s, all_); });
  Flag(list, "--deleted", all_, "Deleted ones as well", "包括已删除的");
  CLI::App* show = Command(*accounts, "show", "One account", "显示一个账号",
                           [this](Session& s) { return ShowAccount(s, id_); });
  Option(show, "NAME", id_, "Account", "账号")->required();
  CLI::App* create = Command(
      *accounts, "create", "Makes an account; its password, if the farm makes it, is printed once",
      "创建账号；由农场生成的密码仅显示一次",
      [this](Session& s) { return CreateAccount(s, account_); });
  AddProfile(create);
  Option(create, "--kind", account_.kind, "What it is at most allowed", "账号类型")
      ->required()
      ->type_name(OneOf(KindWords()));
  Flag(create, "--password-stdin", account_.password_stdin,
       "Its password is the first line of standard input", "从标准输入的首行读取密码");
  CLI::App* update = Command(*accounts, "update", "Changes an account", "修改账号",
                             [this](Session& s) { return UpdateAccount(s, account_); });
  AddProfile(update);
  Option(update, "--kind", account_.kind, "What it is at most allowed", "账号类型")
      ->type_name(OneOf(KindWords()));
  Option(update, "--state", account_.state, "Whether it may log in", "是否允许登录")
      ->type_name("{active,disabled}");
  CLI::App* remove = Command(
      *accounts, "delete", "Deletes an account for ever; its name is never given again",
      "永久删除账号，其名称不再使用", [this](Session& s) { return DeleteAccount(s, id_, sure_); });
  Option(remove, "NAME", id_, "Account", "账号")->required();
  Flag(remove, "-y,--yes", sure_, "Does not ask", "不再询问");
  CLI::App* reset = Command(
      *accounts, "reset-password", "Gives an account a new password, printed once; ends its logins",
      "重置密码（仅显示一次），并结束其登录", [this](Session& s) { return ResetPassword(s, id_); });
  Option(reset, "NAME", id_, "Account", "账号")->required();
}

void Grammar::AddGroups() {
  CLI::App* groups = Command(app_, "groups", "Groups of accounts (admins)", "账号组（管理员）");
  Command(*groups, "list", "Lists groups", "列出组", [](Session& s) { return ListGroups(s); });
  CLI::App* set = Command(*groups, "set", "Makes a group or changes it", "创建或修改组",
                          [this](Session& s) { return SetGroup(s, group_); });
  set->callback([this, set] { group_.replace = set->count("--members") > 0; });
  Option(set, "NAME", group_.name, "Group", "组")->required();
  Option(set, "--description", group_.description, "For people", "说明");
  CLI::Option* members = Option(set, "--members", group_.members, "All its members; '' for none",
                                "全部成员；'' 表示没有")
                             ->delimiter(',');
  Option(set, "--add", group_.add, "More members", "添加成员")->delimiter(',')->excludes(members);
  Option(set, "--remove", group_.remove, "Members no longer", "移除成员")
      ->delimiter(',')
      ->excludes(members);
  CLI::App* remove = Command(*groups, "delete", "Deletes a group and its grants", "删除组及其授权",
                             [this](Session& s) { return DeleteGroup(s, id_); });
  Option(remove, "NAME", id_, "Group", "组")->required();
}

void Grammar::AddGrantScope(CLI::App* command) {
  Option(command, "WHO", grant_.subject, "ACCOUNT or group:NAME", "账号，或 group:组名")
      ->required();
  CLI::Option* all = Flag(command, "--all-apps", grant_.all_applications,
                          "All applications, those to come as well", "所有应用，包括以后新增的");
  Option(command, "--app", grant_.applications, "One or several applications", "一个或多个应用")
      ->delimiter(',')
      ->excludes(all);
  CLI::Option* operations =
      Option(command, "--op", grant_.operations, "One or several operations", "一个或多个操作")
          ->delimiter(',')
          ->type_name(OneOf(OperationWords()));
  Option(command, "--preset", grant_.preset,
         "developer: run_script, package, preview, publish; product: the same but run_script",
         "developer：run_script、package、preview、publish；product：不含 run_script")
      ->excludes(operations)
      ->type_name(OneOf(PresetWords()));
  Option(command, "--env", grant_.environment, "Only targets of this environment",
         "仅限该环境的目标");
  Option(command, "--pages", grant_.pages, "Only pages of a site below this path",
         "仅限该路径下的站点页面");
}

void Grammar::AddGrantCommands() {
  CLI::App* grants = Command(app_, "grants", "Who may do what (admins)", "授权（管理员）");
  CLI::App* list = Command(*grants, "list", "Lists grants", "列出授权",
                           [this](Session& s) { return ListGrants(s, grants_); });
  Option(list, "WHO", grants_.subject, "ACCOUNT, with those of its groups, or group:NAME",
         "账号（含其所在组的授权），或 group:组名");
  Option(list, "--app", grants_.application, "Of this application, those for all as well",
         "限定应用（含对全部应用的授权）");
  AddGrantScope(Command(*grants, "add", "Grants operations", "授予操作",
                        [this](Session& s) { return AddGrants(s, grant_); }));
  AddGrantScope(Command(*grants, "remove", "Takes operations back; all when none is named",
                        "收回操作；未指定则收回全部",
                        [this](Session& s) { return RemoveGrants(s, grant_); }));
}

void Grammar::AddApiTokens() {
  CLI::App* tokens = Command(app_, "tokens", "API tokens, for machines", "API 令牌，供机器使用");
  CLI::App* list =
      Command(*tokens, "list", "Lists API tokens, newest first", "列出 API 令牌，最新的在前",
              [this](Session& s) { return ListApiTokens(s, token_.account); });
  Option(list, "--account", token_.account, "Of this account (admins)", "限定账号（管理员）");
  CLI::App* create =
      Command(*tokens, "create", "Makes an API token, printed once", "创建 API 令牌，仅显示一次",
              [this](Session& s) { return CreateApiToken(s, token_); });
  Option(create, "NAME", token_.name, "For people", "名称")->required();
  Option(create, "--account", token_.account, "For this account (admins)",
         "为该账号创建（管理员）");
  Option(create, "--op", token_.operations, "Only these operations", "仅限这些操作")
      ->delimiter(',')
      ->type_name(OneOf(OperationWords()));
  Option(create, "--app", token_.applications, "Only these applications", "仅限这些应用")
      ->delimiter(',');
  Option(create, "--lifetime", token_.lifetime, "1m to 730d (90d)", "1m 到 730d（90d）");
  CLI::App* revoke = Command(*tokens, "revoke", "Ends an API token at once", "立即吊销 API 令牌",
                             [this](Session& s) { return RevokeApiToken(s, id_); });
  Option(revoke, "TOKEN", id_, "Its id, from the list", "列表中的 ID")->required();
}

void Grammar::AddCompletion() {
  CLI::App* completion =
      Command(app_, "completion", "Prints a script that completes commands in a shell",
              "输出 shell 补全脚本", [this](Session& s) -> Outcome {
                s.out << RenderCompletion(DescribeCommands(app_), id_);
                return ExitCode::kOk;
              });
  LimitTo(Option(completion, "SHELL", id_, "Which shell", "哪种 shell")->required(),
          {"bash", "zsh", "fish"});
  completion->footer(
      t_("bash: source <(slipway completion bash)\n"
         "zsh:  slipway completion zsh > \"${fpath[1]}/_slipway\"\n"
         "fish: slipway completion fish > ~/.config/fish/completions/slipway.fish",
         "bash：source <(slipway completion bash)\n"
         "zsh： slipway completion zsh > \"${fpath[1]}/_slipway\"\n"
         "fish：slipway completion fish > ~/.config/fish/completions/slipway.fish"));
}

}  // namespace slipway::cli
