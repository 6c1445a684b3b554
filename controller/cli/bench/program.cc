#include "controller/cli/bench/program.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <utility>

#include "common/status/status.h"
#include "controller/cli/bench/loads.h"
#include "controller/cli/client_options.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/render.h"

namespace slipway::bench {
namespace {

using cli::ExitCode;
using cli::Text;

// The command line's grammar, and where its values go. Must not move: CLI11 keeps pointers to the
// members.
class Program {
 public:
  explicit Program(Text text) : t_(text) {
    app_.name("slipway-bench");
    app_.option_defaults()->group(t_("Options", "选项"));
    app_.set_help_flag("-h,--help", t_("Shows this help", "显示帮助"));
    app_.set_version_flag("--version", std::string("slipway-bench ") + SLIPWAY_VERSION,
                          t_("Shows the version of this program", "显示本程序的版本"));
    app_.get_help_ptr()->group(t_("Options", "选项"));
    app_.fallthrough();
    app_.require_subcommand(1);
    app_.get_formatter()->label("OPTIONS", t_("OPTIONS", "选项"));
    app_.get_formatter()->label("SUBCOMMAND", t_("COMMAND", "命令"));
    app_.get_formatter()->label("Usage", t_("Usage", "用法"));
    app_.get_formatter()->label("TEXT", "");
    app_.get_formatter()->column_width(34);
    app_.add_option("--server", client_.server,
                    t_("HOST:PORT of the controller", "控制器地址（主机:端口）"));
    app_.add_option(
        "--ca", client_.ca_file,
        t_("The controller's CA certificate (PEM file)", "控制器的 CA 证书（PEM 文件）"));
    app_.add_option(
        "--token-file", client_.token_file,
        t_("File whose first line is an admin's API token", "首行为管理员 API 令牌的文件"));
    auto* config = app_.add_option("--config", client_.config,
                                   t_("Client configuration (YAML)", "客户端配置（YAML）"));
    app_.add_option("--context", client_.context,
                    t_("One of the contexts of `slipway login`", "`slipway login` 保存的上下文"))
        ->excludes(config);
    app_.add_flag("--json", json_, t_("Figures as JSON", "以 JSON 输出指标"));
    app_.add_option("--lang", language_, t_("Language: en or zh", "语言：en 或 zh"))
        ->check(CLI::IsMember({"en", "zh"}));
    AddTasks();
    AddAgents();
    AddBuilds();
    AddLogs();
    AddCalls();
    app_.footer(t_(
        "Mock agents join the farm for the time of a measurement, take only the tasks made for\n"
        "them and are thrown out at the end; an application bench-… with its finished tasks\n"
        "stays. builds takes an application and the agents that the farm has. The load is real:\n"
        "measure a farm that is in use only when it may be slow.\n"
        "Exit codes: 0 measured; 1 a build failed; 2 wrong usage; 3 the controller said no or did\n"
        "not answer; 130 interrupted.",
        "模拟代理仅在测量期间加入农场，只接收为其准备的任务，结束时退出；\n"
        "名为 bench-… 的应用及其已完成的任务会保留。builds 使用农场已有的应用和代理。\n"
        "负载是真实的：对使用中的农场，请在允许变慢时测量。\n"
        "退出码：0 已测量；1 构建失败；2 用法错误；3 控制器拒绝或没有应答；130 被中断。"));
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  CLI::App& app() { return app_; }
  [[nodiscard]] const cli::ClientOptions& client() const { return client_; }
  [[nodiscard]] bool json() const { return json_; }
  // REQUIRES: the arguments were parsed.
  [[nodiscard]] Measured Run(const Bench& bench) const { return action_(bench); }

 private:
  CLI::App* Command(const char* name, const char* english, const char* chinese,
                    std::function<Measured(const Bench&)> action) {
    CLI::App* command = app_.add_subcommand(name, t_(english, chinese));
    command->group(t_("Commands", "命令"));
    command->get_help_ptr()->group(t_("Options", "选项"));
    command->callback([this, run = std::move(action)] { action_ = run; });
    return command;
  }

  template <typename Value>
  void Number(CLI::App* command, const char* name, Value& value, Value least, Value most,
              const char* english, const char* chinese) {
    command->add_option(name, value, fmt::format("{} ({})", t_(english, chinese), value))
        ->check(CLI::Range(least, most));
  }

  void AddTasks() {
    CLI::App* tasks = Command("tasks", "No-op builds on mock agents", "模拟代理上的空构建",
                              [this](const Bench& bench) { return MeasureTasks(bench, tasks_); });
    Number(tasks, "--agents", tasks_.agents, 1, 10'000, "Mock agents", "模拟代理数");
    Number(tasks, "--slots", tasks_.slots, 1, 64, "Slots of each", "每个代理的并发数");
    Number(tasks, "--tasks", tasks_.tasks, 1, 10'000'000, "Tasks to submit", "提交的任务数");
    Number(tasks, "--calls", tasks_.calls, 1, 10'000, "Calls at once", "同时进行的调用数");
    Number(tasks, "--batch", tasks_.batch, 1, 1000, "Tasks per call", "每次调用的任务数");
    Number(tasks, "--unfinished", tasks_.unfinished, 1, 1'000'000, "Unfinished tasks at most",
           "未完成任务上限");
    Number(tasks, "--rate", tasks_.rate, 0.0, 1e6, "Tasks per second; 0: as fast as it goes",
           "每秒任务数；0 为不限");
  }

  void AddAgents() {
    CLI::App* agents =
        Command("agents", "Idle mock agents that connect and come back", "空闲模拟代理的连接与恢复",
                [this](const Bench& bench) { return MeasureAgents(bench, agents_); });
    Number(agents, "--agents", agents_.agents, 1, 10'000, "Mock agents", "模拟代理数");
    Number(agents, "--idle", agents_.idle_seconds, 0, 86'400, "Seconds to stay idle", "空闲秒数");
    agents->add_flag("--restart", agents_.restart,
                     t_("Waits for a restart of the controller and measures until all are back",
                        "等待控制器重启，并测量全部恢复的时间"));
  }

  void AddBuilds() {
    CLI::App* builds = Command("builds", "Builds of an application, followed, on the farm's agents",
                               "在农场代理上构建某个应用并跟随", [this](const Bench& bench) {
                                 return MeasureBuilds(bench, builds_);
                               });
    builds->add_option("--app", builds_.application, t_("Name of the application", "应用名"))
        ->required();
    builds->add_option("--platform", builds_.platform, t_("Its platform", "平台"))->required();
    builds->add_option("--ref", builds_.ref,
                       t_("Branch, tag or commit; default: the repository's default branch",
                          "分支、标签或提交；默认为默认分支"));
    builds
        ->add_option("--require", builds_.require,
                     t_("Label that an agent must have: KEY=VALUE; repeatable",
                        "代理必须具有的标签：KEY=VALUE，可重复"))
        ->allow_extra_args(false);
    Number(builds, "--builds", builds_.builds, 1, 1'000'000, "Builds to submit", "提交的构建数");
    Number(builds, "--at-once", builds_.at_once, 1, 256, "Builds at once", "同时进行的构建数");
    Number(builds, "--warm-up", builds_.warm_up, 0, 1000, "Builds before that, not counted",
           "事先进行且不计入的构建数");
    Number(builds, "--pause", builds_.pause_ms, 0, 3'600'000, "Milliseconds to wait after a build",
           "每次构建后等待的毫秒数");
    builds->add_flag("--hot-cache", builds_.hot_cache,
                     t_("Lets the hot cache answer; else every build runs",
                        "允许由热缓存直接给出产物；否则每次都构建"));
  }

  void AddLogs() {
    CLI::App* logs =
        Command("logs", "Logs of mock builds and their followers", "模拟构建的日志及其查看者",
                [this](const Bench& bench) { return MeasureLogs(bench, logs_); });
    Number(logs, "--logs", logs_.logs, 1, 1000, "Logs at once", "同时输出的日志数");
    Number(logs, "--followers", logs_.followers, 1, 10'000, "Followers of each",
           "每份日志的查看者数");
    logs->add_option("--bytes", logs_.bytes,
                     t_("Bytes of each, as fast as they go; units as in 200MB, 64MiB (200MB)",
                        "每份日志的字节数，尽快输出；单位如 200MB、64MiB（200MB）"))
        ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true));
    Number(logs, "--lines", logs_.lines_per_s, 0.0, 1e5,
           "Lines per second of each log instead of bytes, timed one by one; 0: bytes",
           "改为每份日志每秒的行数，逐行计时；0 为按字节");
    Number(logs, "--seconds", logs_.seconds, 1, 3600, "With --lines: for how long",
           "与 --lines 同用：持续秒数");
    Number(logs, "--controller-pid", logs_.controller_pid, 0, 1 << 22,
           "Process of the controller on this machine, to measure its CPU; 0: do not",
           "本机控制器的进程号，用于测量其 CPU；0 为不测");
  }

  void AddCalls() {
    CLI::App* calls = Command("calls", "Unary calls, one after another", "依次进行的单次调用",
                              [this](const Bench& bench) { return MeasureCalls(bench, calls_); });
    Number(calls, "--calls", calls_.calls, 1, 10'000'000, "Calls to make", "调用次数");
    Number(calls, "--page", calls_.page, 0, 1000,
           "Applications to list with each; 0: who the caller is",
           "每次列出的应用数；0 为查询调用者身份");
  }

  const Text t_;
  CLI::App app_{t_("Measures a Slipway farm under load.", "对 Slipway 农场进行压力测量。")};
  std::function<Measured(const Bench&)> action_;
  cli::ClientOptions client_;
  std::string language_;
  bool json_ = false;
  TasksFlags tasks_;
  AgentsFlags agents_;
  BuildsFlags builds_;
  LogsFlags logs_;
  CallsFlags calls_;
};

}  // namespace

int RunProgram(const std::vector<std::string>& arguments, cli::Surroundings& surroundings) {
  const Text text(cli::ChooseLanguage(cli::LanguageFlag(arguments), surroundings.environment));
  Program program(text);
  try {
    // CLI11 takes them from the back.
    program.app().parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return program.app().exit(e, surroundings.out, surroundings.err);
    surroundings.err << "slipway-bench: " << text("", "用法错误：") << e.what() << '\n'
                     << text("  → slipway-bench --help, or slipway-bench COMMAND --help\n",
                             "  → slipway-bench --help，或 slipway-bench 命令 --help\n");
    return static_cast<int>(ExitCode::kUsage);
  }
  const auto measure = [&]() -> Measured {
    SLIPWAY_ASSIGN_OR_RETURN(const auto options,
                             cli::ResolveAccess(program.client(), surroundings.environment, text));
    const auto client = cli::Client::Make(options, text, surroundings.stop);
    return program.Run(
        {.client = *client, .options = options, .text = text, .say = [&](const std::string& line) {
           surroundings.err << line << std::endl;
         }});
  };
  const Measured measured = measure();
  if (measured.ok()) {
    surroundings.out << (program.json() ? FiguresToJson(*measured)
                                        : RenderFigures(*measured, text));
    surroundings.out.flush();
    return static_cast<int>(ExitCode::kOk);
  }
  const ExitCode code = cli::ExitCodeOf(measured.status());
  if (code != ExitCode::kInterrupted) {
    surroundings.err << cli::RenderError(measured.status(),
                                         {text, cli::Style(false), SystemClock().Wall()});
  }
  return static_cast<int>(code);
}

}  // namespace slipway::bench
