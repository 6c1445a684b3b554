#include "controller/cli/grammar.h"

#include <algorithm>

namespace slipway::cli {

Grammar::Grammar(Text text) : t_(text) {
  app_.name("slipway");
  app_.option_defaults()->group(t_("Options", "选项"));
  app_.set_help_flag("-h,--help", t_("Shows this help", "显示帮助"));
  app_.get_help_ptr()->group(t_("Options", "选项"));
  app_.set_version_flag("--version", std::string("slipway ") + SLIPWAY_VERSION,
                        t_("Shows the version of this program", "显示本程序的版本"));
  app_.fallthrough();
  app_.require_subcommand(1);
  app_.get_formatter()->label("OPTIONS", t_("OPTIONS", "选项"));
  app_.get_formatter()->label("SUBCOMMAND", t_("COMMAND", "命令"));
  app_.get_formatter()->label("Usage", t_("Usage", "用法"));
  app_.get_formatter()->label("Positionals", t_("Arguments", "参数"));
  app_.get_formatter()->label("REQUIRED", t_("(required)", "（必填）"));
  app_.get_formatter()->label("Excludes", t_("Excludes", "不可同时使用"));
  app_.get_formatter()->label("TEXT", "");
  app_.get_formatter()->label("FILE", t_("FILE", "文件"));
  app_.get_formatter()->label("DIR", t_("DIR", "目录"));
  app_.get_formatter()->column_width(34);
  AddGlobals();
  AddLogin();
  AddContexts();
  AddRuns();
  AddTasks();
  AddArchive();
  AddAgents();
  AddReleases();
  AddFarm();
  AddCatalog();
  AddAccounts();
  AddGroups();
  AddGrantCommands();
  AddApiTokens();
  AddAudit();
  AddCompletion();
  app_.footer(t_(
      "Exit codes: 0 done; 1 the task or run failed; 2 wrong usage; 3 the controller said no or\n"
      "did not answer; 4 outcome unknown (a publish may have happened); 5 not logged in; 6 not\n"
      "allowed; 7 the farm is not as the files say (diff); 130 interrupted.\n"
      "The farm: --server, --ca and --token-file; what they leave out is taken from --config or\n"
      "--context, $SLIPWAY_CONFIG, $SLIPWAY_CONTEXT, the context in use (slipway login, slipway\n"
      "context use), ~/.config/slipway/client.yaml or /etc/slipway/client.yaml.",
      "退出码：0 完成；1 任务或运行失败；2 用法错误；3 控制器拒绝或没有应答；\n"
      "4 结果未知（发布可能已生效）；5 未登录；6 没有权限；7 农场与文件不一致（diff）；\n"
      "130 被中断。\n"
      "农场：--server、--ca 和 --token-file；未给出的依次取自 --config 或 --context、\n"
      "$SLIPWAY_CONFIG、$SLIPWAY_CONTEXT、当前上下文（slipway login、slipway context use）、\n"
      "~/.config/slipway/client.yaml、/etc/slipway/client.yaml。"));
}

OutputFormat Grammar::format() const {
  if (json_ || output_ == "json") return OutputFormat::kJson;
  return output_ == "yaml" ? OutputFormat::kYaml : OutputFormat::kTable;
}

Outcome Grammar::Run(Session& session) const {
  const auto it = std::find_if(actions_.rbegin(), actions_.rend(),
                               [](const auto& action) { return action.first->parsed(); });
  return it->second(session);
}

CLI::App* Grammar::Command(CLI::App& parent, const char* name, const char* english,
                           const char* chinese, Action action) {
  CLI::App* command = parent.add_subcommand(name, t_(english, chinese));
  command->group(t_("Commands", "命令"));
  command->get_help_ptr()->group(t_("Options", "选项"));
  if (action) {
    actions_.emplace_back(command, std::move(action));
  } else {
    command->require_subcommand(1);
  }
  return command;
}

void Grammar::AddGlobals() {
  Option(&app_, "--server", client_.server, "HOST:PORT of the controller",
         "控制器地址（主机:端口）");
  Option(&app_, "--ca", client_.ca_file, "The controller's CA certificate (PEM file)",
         "控制器的 CA 证书（PEM 文件）")
      ->type_name("FILE");
  Option(&app_, "--token-file", client_.token_file, "File whose first line is the API token",
         "首行为 API 令牌的文件")
      ->type_name("FILE");
  CLI::Option* config =
      Option(&app_, "--config", client_.config, "Client configuration (YAML)", "客户端配置（YAML）")
          ->type_name("FILE");
  Option(&app_, "--context", client_.context, "Which of the farms that you are logged in to",
         "使用哪个已登录的农场（上下文）")
      ->excludes(config);
  CLI::Option* output =
      Option(&app_, "-o,--output", output_, "How answers are printed", "输出格式");
  LimitTo(output, {"table", "json", "yaml"});
  Flag(&app_, "--json", json_, "The same as -o json", "等同于 -o json")->excludes(output);
  LimitTo(Option(&app_, "--lang", language_, "Language: en or zh", "语言：en 或 zh"), {"en", "zh"});
}

std::string Grammar::OneOf(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return "{" + text + "}";
}

void Grammar::LimitTo(CLI::Option* option, const std::vector<std::string>& words) {
  // Its own description would stand behind the name of the type.
  option->check(CLI::IsMember(words).description(""))->type_name(OneOf(words));
}

}  // namespace slipway::cli
