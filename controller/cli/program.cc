#include "controller/cli/program.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <utility>

#include "common/config/document.h"
#include "common/status/status.h"
#include "controller/cli/audit_grammar.h"
#include "controller/cli/commands.h"
#include "controller/cli/grammar.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

// The command line's grammar, and where its values go. Must not move: CLI11 keeps pointers to the
// members.
class Program : private Grammar {
 public:
  explicit Program(Text text) : Grammar(text) {
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
    app_.get_formatter()->label("TEXT", "");
    app_.get_formatter()->column_width(34);
    AddGlobals();
    AddRuns();
    AddTasks();
    AddArchive();
    AddAgents();
    AddReleases();
    AddFarm();
    audit_.AddTo(*this, app_);
    app_.footer(t_(
        "Exit codes: 0 done; 1 the task or run failed; 2 wrong usage; 3 the controller said no or\n"
        "did not answer; 4 outcome unknown (a publish may have happened); 130 interrupted.\n"
        "Configuration: --config, else $SLIPWAY_CONFIG, ~/.config/slipway/client.yaml or\n"
        "/etc/slipway/client.yaml with the keys server, ca and token_file.",
        "退出码：0 完成；1 任务或运行失败；2 用法错误；3 控制器拒绝或没有应答；\n"
        "4 结果未知（发布可能已生效）；130 被中断。\n"
        "配置：--config，否则依次为 $SLIPWAY_CONFIG、~/.config/slipway/client.yaml、\n"
        "/etc/slipway/client.yaml，键为 server、ca、token_file。"));
  }

  CLI::App& app() { return app_; }
  [[nodiscard]] const ClientOptions& client() const { return client_; }
  [[nodiscard]] const std::string& config() const { return config_; }
  [[nodiscard]] bool json() const { return json_; }

  // REQUIRES: the arguments were parsed.
  Outcome Run(Session& session) const { return RunParsed(session); }

 private:
  void AddGlobals() {
    Option(&app_, "--server", client_.server, "HOST:PORT of the controller",
           "控制器地址（主机:端口）");
    Option(&app_, "--ca", client_.ca_file, "The controller's CA certificate (PEM file)",
           "控制器的 CA 证书（PEM 文件）");
    Option(&app_, "--token-file", client_.token_file, "File whose first line is the API token",
           "首行为 API 令牌的文件");
    Option(&app_, "--config", config_, "Client configuration (YAML)", "客户端配置（YAML）");
    Flag(&app_, "--json", json_, "Answers as JSON", "以 JSON 输出");
    Option(&app_, "--lang", language_, "Language: en or zh", "语言：en 或 zh")
        ->check(CLI::IsMember({"en", "zh"}));
  }

  void AddRuns() {
    CLI::App* submit = Command(app_, "submit", "Builds and, with --publish, publishes a commit",
                               "构建一个提交；加 --publish 则发布",
                               [this](Session& s) { return Submit(s, submit_); });
    Option(submit, "--app", submit_.application, "Application", "应用")->required();
    Option(submit, "--platform", submit_.platforms, "One or several platforms", "一个或多个平台")
        ->required()
        ->delimiter(',');
    Option(submit, "--ref", submit_.ref, "Branch, tag or commit (else the default branch)",
           "分支、标签或提交（缺省为默认分支）");
    Option(submit, "--version", submit_.version, "Version shown to people", "展示的版本号");
    Option(submit, "--description", submit_.description, "Handed to the platform",
           "提交给平台的说明");
    Flag(submit, "--publish", submit_.publish, "Publishes each product after its build",
         "构建成功后发布");
    Option(submit, "--target", submit_.target, "Publish target (else the platform's own)",
           "发布目标（缺省为该平台的默认目标）");
    AddWaiting(submit, submit_.require, submit_.queue_timeout);
    Option(submit, "--priority", submit_.priority, "-100 to 100 (0); higher goes first",
           "优先级 -100 到 100（0），高者优先")
        ->check(CLI::Range(-100, 100));
    Option(submit, "--group", submit_.group,
           "Builds of one group run one at a time, in the order of submit",
           "同组的构建按提交顺序逐个执行");
    Option(submit, "--request-id", submit_.request_id,
           "Unique per intent: submitting it again gives the same run",
           "唯一标识；重复提交得到同一次运行");
    Flag(submit, "-f,--follow", submit_.follow, "Stays until the end, with steps and log",
         "跟随到结束，显示步骤和日志");
    AddPatience(submit, submit_.patience);

    CLI::App* follow = Command(app_, "follow", "Follows a run to its end", "跟随一次运行到结束",
                               [this](Session& s) { return Follow(s, follow_); });
    Option(follow, "RUN", follow_.run, "Run", "运行")->required();
    AddPatience(follow, follow_.patience);
  }

  void AddWaiting(CLI::App* command, std::vector<std::string>& require,
                  std::string& queue_timeout) {
    Option(command, "--require", require, "Label that an agent must have: KEY=VALUE; repeatable",
           "代理必须具有的标签：KEY=VALUE，可重复")
        ->allow_extra_args(false);
    Option(command, "--queue-timeout", queue_timeout,
           "How long a task may wait for an agent: 30m; none: for ever",
           "任务等待代理的最长时间：30m；none 表示不限");
  }

  void AddPatience(CLI::App* command, std::string& value) {
    Option(command, "--patience", value,
           "How long the controller may be away before following is given up (3m)",
           "控制器失联多久后放弃跟随（3m）");
  }

  void AddTasks() {
    CLI::App* tasks = Command(app_, "tasks", "Lists tasks, newest first", "列出任务，最新的在前",
                              [this](Session& s) { return ListTasks(s, tasks_); });
    tasks->require_subcommand(0, 1);
    Option(tasks, "--app", tasks_.application, "Of this application", "限定应用");
    Option(tasks, "--run", tasks_.run, "Of this run", "限定运行");
    Option(tasks, "--state", tasks_.states, "In these states: queued, running, failed …",
           "限定状态：queued、running、failed 等")
        ->delimiter(',');
    AddLimit(tasks, tasks_.limit);
    CLI::App* show = Command(*tasks, "show", "One task with its steps", "显示一个任务及其步骤",
                             [this](Session& s) { return ShowTask(s, id_); });
    Option(show, "TASK", id_, "Task", "任务")->required();
    CLI::App* explain =
        Command(*tasks, "explain", "Why a task waits: agents that fit, who is ahead, time limits",
                "说明任务为何等待：合适的代理、前面的任务与时限",
                [this](Session& s) { return ExplainTask(s, id_); });
    Option(explain, "TASK", id_, "Task", "任务")->required();
    AddCancel(*tasks);
    AddCancel(app_);

    CLI::App* logs = Command(app_, "logs", "Prints the log of a task, byte for byte",
                             "逐字节输出任务日志", [this](Session& s) { return Logs(s, logs_); });
    Option(logs, "TASK", logs_.task, "Task", "任务")->required();
    Flag(logs, "-f,--follow", logs_.follow, "Stays until the end of the log", "跟随到日志结束");
    Option(logs, "--attempt", logs_.attempt, "Which attempt (else the newest)",
           "第几次尝试（缺省为最新）")
        ->check(CLI::PositiveNumber);
    Option(logs, "--offset", logs_.offset, "First byte to print, from 0", "起始字节，从 0 开始");
    AddPatience(logs, logs_.patience);
  }

  void AddCancel(CLI::App& parent) {
    CLI::App* cancel = Command(parent, "cancel", "Ends a task", "取消任务",
                               [this](Session& s) { return CancelTask(s, id_, reason_); });
    Option(cancel, "TASK", id_, "Task", "任务")->required();
    Option(cancel, "--reason", reason_, "For the record", "取消原因，供记录");
  }

  void AddArchive() {
    CLI::App* archive = Command(app_, "archive", "Archived products", "已归档的产物");
    CLI::App* list =
        Command(*archive, "list", "Lists releases, newest first", "列出发布，最新的在前",
                [this](Session& s) { return ListArchive(s, list_); });
    Option(list, "--app", list_.application, "Of this application", "限定应用");
    Option(list, "--platform", list_.platform, "For this platform", "限定平台");
    AddLimit(list, list_.limit);
    CLI::App* show = Command(*archive, "show", "Who, when, commit, image, log and hashes",
                             "显示提交人、时间、提交、镜像、日志和校验值",
                             [this](Session& s) { return ShowArchived(s, id_); });
    AddName(show, id_);
    CLI::App* get =
        Command(*archive, "get", "Fetches the exact bytes, verified", "取回逐字节校验过的产物",
                [this](Session& s) { return GetArchived(s, get_); });
    AddName(get, get_.name);
    auto* form = get->add_option_group(t_("Form", "形式"));
    form->add_option("--dir", get_.dir, t_("As a new directory", "存为新目录"));
    form->add_option("--tar", get_.tar, t_("As a tar file", "存为 tar 文件"));
    form->add_option("--zip", get_.zip, t_("As a zip file", "存为 zip 文件"));
    form->require_option(1);
    Flag(get, "--force", get_.force, "Replaces an existing file", "覆盖已有文件");

    CLI::App* qr = Command(app_, "qr", "The QR code of a release", "显示发布的二维码",
                           [this](Session& s) { return ShowQr(s, qr_); });
    AddName(qr, qr_.name);
    Option(qr, "--png", qr_.png, "Writes a PNG file", "写入 PNG 文件");
    Option(qr, "--svg", qr_.svg, "Writes an SVG file", "写入 SVG 文件");
    Flag(qr, "--ascii", qr_.ascii, "Plain characters instead of blocks", "用普通字符代替方块");
    Flag(qr, "--text", qr_.text, "Only what the code says", "仅输出二维码的内容");
  }

  void AddReleases() {
    CLI::App* releases =
        Command(app_, "releases", "Lists releases, newest first", "列出发布，最新的在前",
                [this](Session& s) { return ListArchive(s, list_); });
    releases->require_subcommand(0, 1);
    Option(releases, "--app", list_.application, "Of this application", "限定应用");
    Option(releases, "--platform", list_.platform, "For this platform", "限定平台");
    AddLimit(releases, list_.limit);
    CLI::App* resolve = Command(
        *releases, "resolve", "Says what became of a publish of unknown outcome",
        "说明结果未知的发布究竟如何", [this](Session& s) { return ResolvePublish(s, resolve_); });
    Option(resolve, "TASK", resolve_.task, "The publish task", "发布任务")->required();
    auto* word = resolve->add_option_group(t_("What became of it", "结果"));
    word->add_flag("--published", resolve_.published,
                   t_("It is at the platform", "平台上已有该版本"));
    word->add_flag("--not-published", resolve_.not_published,
                   t_("It is not, and can not get there any more", "平台上没有，也不会再出现"));
    word->add_flag("--probe", resolve_.probe,
                   t_("Asks the platform, as far as it tells", "向平台查询（平台支持时）"));
    word->require_option(1);
    Option(resolve, "--version", resolve_.version, "With --published: as the platform shows it",
           "与 --published 一起：平台显示的版本号");
    Option(resolve, "--link", resolve_.link, "With --published: where people find it",
           "与 --published 一起：访问地址");
    Option(resolve, "--reason", resolve_.reason, "How it is known; stays on record", "依据，供记录")
        ->required();
    Flag(resolve, "-f,--follow", resolve_.follow, "With --probe: stays until it has answered",
         "与 --probe 一起：等待查询结束");
  }

  void AddName(CLI::App* command, std::string& value) {
    Option(command, "NAME", value, "Release, task, or the text of a QR code",
           "发布、任务或二维码的内容")
        ->required();
  }

  void AddAgents() {
    CLI::App* agents = Command(app_, "agents", "Lists agents", "列出代理",
                               [this](Session& s) { return ListAgents(s, all_); });
    agents->require_subcommand(0, 1);
    AddAll(agents);
    AddAll(Command(*agents, "list", "Lists agents", "列出代理",
                   [this](Session& s) { return ListAgents(s, all_); }));
    CLI::App* show =
        Command(*agents, "show", "One agent, and what it holds", "显示一个代理及其任务",
                [this](Session& s) { return ShowAgent(s, id_); });
    Option(show, "AGENT", id_, "Name or id", "名称或 ID")->required();

    CLI::App* pause = AddChange(*agents, "pause", v1::AGENT_ACTION_PAUSE,
                                "Takes no new work for a while", "暂停接收新任务");
    pause->get_option("--reason")->required();
    Option(pause, "--timeout", change_.timeout, "Resumes by itself after this long, 1s to 30d",
           "到时自动恢复，1s 到 30d");
    AddChange(*agents, "drain", v1::AGENT_ACTION_DRAIN, "Finishes its work and takes no more",
              "完成手头任务，不再接收新任务");
    AddChange(*agents, "resume", v1::AGENT_ACTION_RESUME,
              "Takes work again after pause, drain or retire", "恢复接收任务");
    AddChange(*agents, "retire", v1::AGENT_ACTION_RETIRE,
              "Finishes its work, then leaves the farm for good", "完成手头任务后永久退出");
    AddChange(*agents, "revoke", v1::AGENT_ACTION_REVOKE,
              "Throws it out at once; its builds go elsewhere", "立即吊销，构建转到其他代理");

    CLI::App* token = Command(*agents, "token", "Makes a one-time token for one agent to join",
                              "生成一次性的代理加入令牌",
                              [this](Session& s) { return CreateJoinToken(s, lifetime_); });
    token->require_subcommand(0, 1);
    Option(token, "--lifetime", lifetime_, "1m to 7d (1h)", "1m 到 7d（1h）");
    AddAll(Command(*token, "list", "Lists join tokens that can be used", "列出可用的加入令牌",
                   [this](Session& s) { return ListJoinTokens(s, all_); }));
    CLI::App* revoke = Command(*token, "revoke", "Makes a join token useless", "作废一个加入令牌",
                               [this](Session& s) { return RevokeJoinToken(s, id_); });
    Option(revoke, "TOKEN", id_, "Its short name, from the list", "列表中的编号")->required();
    AddImages(*agents);
  }

  void AddAll(CLI::App* command) {
    Flag(command, "--all", all_, "Also what is over", "包括已失效的");
  }

  CLI::App* AddChange(CLI::App& parent, const char* name, v1::AgentAction action,
                      const char* english, const char* chinese) {
    CLI::App* command = Command(parent, name, english, chinese, [this, action](Session& s) {
      return ChangeAgents(s, action, change_);
    });
    Option(command, "AGENT", change_.agents, "Names, ids or patterns like 'mac-*'",
           "名称、ID，或 'mac-*' 这样的模式")
        ->required();
    Option(command, "--reason", change_.reason, "For the next person, and for the record",
           "原因，供他人查看和记录");
    return command;
  }

  void AddFarm() {
    CLI::App* apps = Command(app_, "apps", "Lists applications", "列出应用",
                             [](Session& s) { return ListApplications(s); });
    apps->require_subcommand(0, 1);
    CLI::App* create = Command(*apps, "create", "Adds an application", "添加应用",
                               [this](Session& s) { return CreateApplication(s, create_); });
    Option(create, "NAME", create_.name, "Its name", "应用名")->required();
    Option(create, "--repository", create_.repository, "Git URL", "Git 地址")->required();
    Option(create, "--description", create_.description, "For people", "说明");
    AddWaiting(create, create_.require, create_.queue_timeout);
    CLI::App* set = Command(*apps, "set", "Changes an application, for submits from now on",
                            "修改应用，对之后的提交生效",
                            [this](Session& s) { return SetApplication(s, set_); });
    Option(set, "NAME", set_.name, "Its name", "应用名")->required();
    Option(set, "--description", set_.description, "For people", "说明");
    AddWaiting(set, set_.require, set_.queue_timeout);
    Flag(set, "--require-nothing", set_.require_nothing, "Removes all required labels",
         "清除全部所需标签")
        ->excludes("--require");
    CLI::App* show = Command(*apps, "show", "One application", "显示一个应用",
                             [this](Session& s) { return ShowApplication(s, id_); });
    Option(show, "NAME", id_, "Its name", "应用名")->required();

    CLI::App* credentials = Command(app_, "credentials", "Publishing credentials", "发布凭证");
    CLI::App* seal = Command(
        *credentials, "seal", "Encrypts a platform's key, so that it can lie in git",
        "加密平台密钥，以便存入 git", [this](Session& s) { return SealCredential(s, seal_); });
    Option(seal, "--app", seal_.application, "Application", "应用")->required();
    Option(seal, "--platform", seal_.platform, "Platform", "平台")->required();
    Option(seal, "--app-id", seal_.app_id, "The application's id at the platform",
           "应用在平台上的 ID")
        ->required();
    Option(seal, "--key", seal_.key_file, "File with the platform's key", "平台密钥文件")
        ->required();
    Option(seal, "--out", seal_.out_file, "File to write (else standard output)",
           "输出文件（缺省为标准输出）");
    Flag(seal, "--force", seal_.force, "Replaces an existing file", "覆盖已有文件");

    Command(app_, "version", "Versions of this program and of the controller",
            "显示本程序与控制器的版本", [](Session& s) { return ShowVersion(s); });
  }

  void AddImages(CLI::App& agents) {
    CLI::App* prepare =
        Command(agents, "prepare", "Lets agents have images ready before a task needs them",
                "让代理提前备好镜像", [this](Session& s) { return PrepareImages(s, prepare_); });
    Option(prepare, "--image", prepare_.images, "One or several images", "一个或多个镜像")
        ->required()
        ->delimiter(',');
    Option(prepare, "--agent", prepare_.agents, "Only on these agents (else on all)",
           "限定代理（缺省为全部）")
        ->delimiter(',');
    Flag(prepare, "--no-wait", prepare_.no_wait, "Does not wait until they are there",
         "不等待完成");
    Option(prepare, "--patience", prepare_.patience, "How long to wait at most (15m)",
           "最长等待时间（15m）");
    CLI::App* images =
        Command(agents, "images", "Lists the images that agents are to have ready",
                "列出代理需备好的镜像", [this](Session& s) { return ListImages(s, images_); });
    Option(images, "--agent", images_.agent, "Of this agent", "限定代理");
    Option(images, "--forget", images_.forget, "Asks for this image no longer",
           "不再要求备好该镜像");
  }

  CLI::App app_{t_("Builds and publishes with a Slipway farm.", "使用 Slipway 农场构建与发布。")};

  ClientOptions client_;
  std::string config_;
  std::string language_;
  bool json_ = false;
  SubmitFlags submit_;
  FollowFlags follow_;
  TasksFlags tasks_;
  LogsFlags logs_;
  ArchiveListFlags list_;
  ArchiveGetFlags get_;
  QrFlags qr_;
  CreateApplicationFlags create_;
  SetApplicationFlags set_;
  SealFlags seal_;
  PrepareImagesFlags prepare_;
  ListImagesFlags images_;
  ResolveFlags resolve_;
  std::string id_;
  std::string reason_;
  std::string lifetime_;
  ChangeAgentsFlags change_;
  bool all_ = false;
  AuditGrammar audit_;
};

// What is wrong with the command line. CLI11 asks for what is missing before it says what it did
// not understand, which is what the person typed.
std::string UsageProblem(const CLI::App& app, const CLI::ParseError& error, Text t) {
  const std::vector<std::string> left = app.remaining(true);
  if (left.empty()) return error.what();
  const CLI::App* place = &app;
  std::string path;
  while (!place->get_subcommands().empty()) {
    place = place->get_subcommands().back();
    path += place->get_name() + " ";
  }
  std::vector<std::string> commands;
  for (const CLI::App* command : place->get_subcommands([](const CLI::App*) { return true; })) {
    // Groups of options have no name.
    if (!command->get_name().empty()) commands.push_back(command->get_name());
  }
  const std::string word = OneLine(left.front());
  if (commands.empty() || word.starts_with('-')) {
    return fmt::format(fmt::runtime(t("'{}' was not expected", "不应出现 '{}'")), word);
  }
  const std::string near = config::NearestWord(word, commands);
  return fmt::format(fmt::runtime(near.empty() ? t("there is no command '{}'", "没有命令 '{}'")
                                               : t("there is no command '{}'; did you mean '{}'?",
                                                   "没有命令 '{}'；您是想用 '{}' 吗？")),
                     path + word, path + near);
}

}  // namespace

int RunProgram(const std::vector<std::string>& arguments, Surroundings& surroundings) {
  const Text text(ChooseLanguage(LanguageFlag(arguments), surroundings.environment));
  Program program(text);
  try {
    // CLI11 takes them from the back.
    program.app().parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return program.app().exit(e, surroundings.out, surroundings.err);
    surroundings.err << "slipway: " << text("", "用法错误：")
                     << UsageProblem(program.app(), e, text) << '\n'
                     << text("  → slipway --help, or slipway COMMAND --help\n",
                             "  → slipway --help，或 slipway 命令 --help\n");
    return static_cast<int>(ExitCode::kUsage);
  }
  Session session(surroundings, text, program.json(), program.client(), program.config());
  const Outcome outcome = program.Run(session);
  session.out.flush();
  if (outcome.ok()) return static_cast<int>(*outcome);
  const ExitCode code = ExitCodeOf(outcome.status());
  if (code != ExitCode::kInterrupted) {
    session.err << RenderError(outcome.status(), session.ErrView());
  }
  return static_cast<int>(code);
}

}  // namespace slipway::cli
