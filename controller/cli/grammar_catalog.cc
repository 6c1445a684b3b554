#include "controller/cli/grammar.h"

namespace slipway::cli {

void Grammar::AddCatalog() {
  CLI::App* apply =
      Command(app_, "apply", "Makes the farm be as YAML files say", "按 YAML 文件配置农场",
              [this](Session& s) { return ApplyCatalog(s, catalog_); });
  AddFiles(apply);
  Flag(apply, "--dry-run", catalog_.dry_run, "Only shows what would change", "只显示将有的变更");
  CLI::App* diff = Command(app_, "diff", "Shows what apply would change", "显示 apply 将有的变更",
                           [this](Session& s) { return DiffCatalog(s, catalog_); });
  AddFiles(diff);
  Command(app_, "export", "Writes out applications, targets and environments for apply",
          "导出应用、发布目标与环境，供 apply 使用", [](Session& s) { return ExportCatalog(s); });
  AddTargets();
  AddEnvironments();
}

void Grammar::AddFiles(CLI::App* command) {
  Option(command, "-f,--file", catalog_.files, "YAML file; '-' is standard input",
         "YAML 文件；'-' 表示标准输入")
      ->required()
      ->type_name("FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  Flag(command, "--prune", catalog_.prune,
       "Deletes targets and environments that no file names; never applications",
       "删除文件中没有的发布目标与环境（不删除应用）");
}

void Grammar::AddTargets() {
  CLI::App* targets =
      Command(app_, "targets", "Lists the targets that you may publish to or make previews for",
              "列出可发布或生成预览的目标", [this](Session& s) { return ListTargets(s, id_); });
  targets->require_subcommand(0, 1);
  CLI::App* list =
      Command(*targets, "list", "Lists the targets that you may use", "列出您可以使用的目标",
              [this](Session& s) { return ListTargets(s, id_); });
  Option(list, "--platform", id_, "For this platform", "限定平台");
  const auto name = [this](CLI::App* command, std::string& value) {
    Option(command, "TARGET", value, "PLATFORM/NAME; PLATFORM alone means PLATFORM/PLATFORM",
           "平台/名称；只写平台即 平台/平台")
        ->required();
  };
  name(Command(*targets, "show", "One target", "显示一个发布目标",
               [this](Session& s) { return ShowTarget(s, id_); }),
       id_);
  CLI::App* create = Command(*targets, "create", "Adds a target", "添加发布目标",
                             [this](Session& s) { return CreateTarget(s, target_); });
  CLI::App* set = Command(*targets, "set", "Changes a target, for publishes that start from now on",
                          "修改发布目标，对之后开始的发布生效",
                          [this](Session& s) { return SetTarget(s, target_); });
  for (CLI::App* command : {create, set}) {
    name(command, target_.name);
    Option(command, "--image", target_.image, "Image with the platform's client", "发布镜像");
    Option(command, "--environment", target_.environment, "Environment ('': none)",
           "所属环境（'' 表示无）");
    Option(command, "--network", target_.network, "bridge or host", "网络：bridge 或 host");
    Option(command, "--proxy", target_.proxy, "HTTP proxy URL ('': none)",
           "HTTP 代理地址（'' 表示无）");
    Option(command, "--ca-file", target_.ca_file, "Further CA certificates, PEM ('': none)",
           "额外的 CA 证书，PEM（'' 表示无）")
        ->type_name("FILE");
    Option(command, "--deadline", target_.deadline, "The client's, 10s to 2h (10m)",
           "客户端时限，10s 到 2h（10m）");
    Option(command, "--require", target_.require, "KEY=VALUE that an agent must have",
           "代理须有的标签 KEY=VALUE");
  }
  AddChannelFlags(create);
  AddChannelFlags(set);
  CLI::App* secret =
      Command(*targets, "secret", "Sets what a channel proves itself with: an SMTP password",
              "设置渠道的密钥：SMTP 密码",
              [this](Session& s) { return SetTargetSecret(s, target_secret_); });
  name(secret, target_secret_.name);
  CLI::Option* file = Option(secret, "--secret-file", target_secret_.secret_file,
                             "Where it is; -: a line of standard input", "密钥文件；- 表示标准输入")
                          ->type_name("FILE");
  Flag(secret, "--none", target_secret_.none, "Removes it", "删除密钥")->excludes(file);
  Flag(set, "--require-nothing", target_.require_nothing, "Removes all required labels",
       "清除全部所需标签")
      ->excludes("--require");
  name(Command(*targets, "delete", "Deletes a target that nothing is on its way to",
               "删除没有未完成发布的目标", [this](Session& s) { return DeleteTarget(s, id_); }),
       id_);
}

void Grammar::AddChannelFlags(CLI::App* command) {
  const auto group = [&](CLI::Option* option) {
    option->group(t_("CHANNELS (platforms email, page, webhook, wecom, dingtalk, feishu)",
                     "渠道（平台 email、page、webhook、wecom、dingtalk、feishu）"));
    return option;
  };
  group(Option(command, "--smtp", target_.server, "smtps://HOST[:PORT], or smtp:// with STARTTLS",
               "邮件服务器 smtps://主机[:端口]，或 smtp://（STARTTLS）"));
  group(Option(command, "--url", target_.url,
               "Of a webhook or robot: https://…; robots: the service's own, if left out",
               "webhook 或机器人的地址 https://…；机器人缺省为该服务的官方地址"));
  group(Option(command, "--user", target_.user, "Account at the server ('': none)",
               "服务器账号（'' 表示无）"));
  group(Option(command, "--from", target_.from, "Address of the sender", "发件人地址"));
  group(Option(command, "--to", target_.to, "Who gets each mail; repeatable",
               "每封邮件的收件人，可重复")
            ->allow_extra_args(false));
  group(Option(command, "--may-reach", target_.may_reach,
               "Whom submits may name beside: an address or @example.com; repeatable",
               "提交时可另外指定的收件人：地址或 @example.com，可重复")
            ->allow_extra_args(false));
  group(Option(command, "--language", target_.language, "Of mails and pages: en or zh-CN (en)",
               "邮件和页面的语言：en 或 zh-CN（en）"));
  group(Option(command, "--attach-up-to", target_.attach_up_to,
               "Packages up to this size are attached (10MiB; at most 25MiB; 0: never)",
               "不超过此大小的安装包作为附件（10MiB；最大 25MiB；0 表示不附）"));
  group(Option(command, "--valid-for", target_.valid_for, "How long links can be used (14d)",
               "链接有效期（14d）"));
  group(Flag(command, "--no-tls", target_.plain, "Only for a server on the controller's machine",
             "不加密，仅限控制器本机的服务器"));
}

void Grammar::AddEnvironments() {
  CLI::App* environments = Command(
      app_, "environments", "Lists the environments that you may publish to or make previews for",
      "列出可发布或生成预览的环境", [](Session& s) { return ListEnvironments(s); });
  environments->require_subcommand(0, 1);
  Command(*environments, "list", "Lists the environments that you may use", "列出您可以使用的环境",
          [](Session& s) { return ListEnvironments(s); });
  const auto name = [this](CLI::App* command, std::string& value) {
    Option(command, "NAME", value, "Its name", "环境名")->required();
  };
  name(Command(*environments, "show", "One environment", "显示一个环境",
               [this](Session& s) { return ShowEnvironment(s, id_); }),
       id_);
  CLI::App* create = Command(*environments, "create", "Adds an environment", "添加环境",
                             [this](Session& s) { return CreateEnvironment(s, environment_); });
  CLI::App* set = Command(*environments, "set", "Changes an environment", "修改环境",
                          [this](Session& s) { return SetEnvironment(s, environment_); });
  for (CLI::App* command : {create, set}) {
    name(command, environment_.name);
    Option(command, "--description", environment_.description, "For people", "说明");
    Option(command, "--order", environment_.order, "Lists show lower ones first (0)",
           "列表中的顺序，小的在前（0）");
  }
  name(Command(*environments, "delete", "Deletes an environment that nothing names",
               "删除没有被引用的环境", [this](Session& s) { return DeleteEnvironment(s, id_); }),
       id_);
}

}  // namespace slipway::cli
