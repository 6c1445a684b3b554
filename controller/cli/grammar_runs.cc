#include "controller/cli/grammar.h"

namespace slipway::cli {

void Grammar::AddRuns() {
  CLI::App* submit = Command(app_, "submit",
                             "Builds a commit; --preview makes a test package, --publish publishes",
                             "构建一个提交；--preview 生成测试包，--publish 则发布",
                             [this](Session& s) { return Submit(s, submit_); });
  Option(submit, "--app", submit_.application, "Application", "应用")->required();
  Option(submit, "--platform", submit_.platforms,
         "One or several platforms; all: those that slipway.yaml declares",
         "一个或多个平台；all 表示 slipway.yaml 声明的全部平台")
      ->required()
      ->delimiter(',');
  Option(submit, "--ref", submit_.refs,
         "Branch, tag or commit (else the default branch); repeatable: a run each",
         "分支、标签或提交（缺省为默认分支）；可重复，各成一次运行")
      ->allow_extra_args(false);
  Option(submit, "--version", submit_.version, "Version shown to people", "展示的版本号");
  Option(submit, "--description", submit_.description, "Handed to the platform",
         "提交给平台的说明");
  CLI::Option* publish = Flag(submit, "--publish", submit_.publish,
                              "Publishes each product after its build", "构建成功后发布");
  Flag(submit, "--preview", submit_.preview,
       "Makes a test package of each product after its build: nothing is published",
       "构建成功后生成测试包（不发布）")
      ->excludes(publish);
  Option(submit, "--target", submit_.target,
         "Target of publish or preview (else the platform's own)",
         "发布或预览的目标（缺省为该平台的默认目标）");
  AddWaiting(submit, submit_.require, submit_.queue_timeout);
  Option(submit, "--priority", submit_.priority, "-100 to 100 (0); higher goes first",
         "优先级 -100 到 100（0），高者优先")
      ->check(CLI::Range(-100, 100));
  Option(submit, "--group", submit_.group,
         "Builds of one group run one at a time, in the order of submit",
         "同组的构建按提交顺序逐个执行");
  Option(submit, "--param", submit_.parameters,
         "What the build is told: NAME=VALUE; repeatable; see `slipway apps parameters`",
         "构建参数：NAME=VALUE，可重复；见 slipway apps parameters")
      ->allow_extra_args(false);
  Option(submit, "--channel", submit_.channels,
         "Hands each product on: page, email or email/NAME=a@example.com,b@…; repeatable",
         "将产物交付到渠道：page、email 或 email/名称=a@example.com,b@…，可重复")
      ->allow_extra_args(false);
  AddPackaging(submit, submit_.packaging);
  Option(submit, "--after-script", submit_.after_script,
         "Builds the commit that this script task ran against, if it passed",
         "构建该脚本任务所检查的提交；脚本必须已通过");
  Flag(submit, "--no-cache", submit_.no_cache,
       "Builds even what is at hand, with empty build caches",
       "即使产物已在热缓存中也重新构建，且不使用构建缓存");
  Option(submit, "--request-id", submit_.request_id,
         "Unique per intent: submitting it again gives the same run",
         "唯一标识；重复提交得到同一次运行");
  Flag(submit, "-f,--follow", submit_.follow, "Stays until the end, with steps and log",
       "跟随到结束，显示步骤和日志");
  AddPatience(submit, submit_.patience);

  CLI::App* publish_product =
      Command(app_, "publish", "Hands an archived product on, without building it",
              "将已归档的产物交付出去（不重新构建）",
              [this](Session& s) { return PublishProduct(s, publish_product_); });
  Option(publish_product, "PRODUCT", publish_product_.product,
         "Release, task that built or published it, or text of a QR code",
         "发布编号、构建或发布它的任务，或二维码内容")
      ->required();
  Flag(publish_product, "--preview", publish_product_.preview, "Makes a test package instead",
       "改为生成测试包");
  Option(publish_product, "--target", publish_product_.target,
         "Target of publish or preview (else the platform's own)",
         "发布或预览的目标（缺省为该平台的默认目标）");
  Option(publish_product, "--channel", publish_product_.channels,
         "To channels, as of submit; to the platform as well only with --target",
         "交付到渠道（同 submit）；仅在给出 --target 时同时发布到平台")
      ->allow_extra_args(false);
  AddPackaging(publish_product, publish_product_.packaging);
  Option(publish_product, "--description", publish_product_.description,
         "Shown to people (else that of the build)", "说明（缺省为构建时的说明）");
  AddWaiting(publish_product, publish_product_.require, publish_product_.queue_timeout);
  Option(publish_product, "--request-id", publish_product_.request_id,
         "Unique per intent: submitting it again gives the same run",
         "唯一标识；重复提交得到同一次运行");
  Flag(publish_product, "-f,--follow", publish_product_.follow,
       "Stays until the end, with steps and log", "跟随到结束，显示步骤和日志");
  AddPatience(publish_product, publish_product_.patience);

  CLI::App* again = Command(app_, "submit-again", "Submits again what a run asked for",
                            "再次提交一次运行所要求的内容",
                            [this](Session& s) { return SubmitAgain(s, submit_again_); });
  Option(again, "RUN", submit_again_.run, "Run", "运行")->required();
  Flag(again, "--only-failed", submit_again_.only_failed,
       "Only what failed: what was built is handed on without building it again",
       "仅重试失败的部分；已构建的产物不再重新构建");
  Option(again, "--request-id", submit_again_.request_id,
         "Unique per intent: submitting it again gives the same runs",
         "唯一标识；重复提交得到同样的运行");
  Flag(again, "-f,--follow", submit_again_.follow, "Stays until the end, with steps and log",
       "跟随到结束，显示步骤和日志");
  AddPatience(again, submit_again_.patience);

  CLI::App* script = Command(app_, "run-script", "Runs a script against a version; builds nothing",
                             "针对某个版本运行脚本（不构建）",
                             [this](Session& s) { return RunScript(s, run_script_); });
  Option(script, "FILE", run_script_.file, "The script, whatever it is called",
         "脚本文件，名称任意")
      ->required()
      ->type_name("FILE");
  Option(script, "--app", run_script_.application, "Application", "应用")->required();
  Option(script, "--ref", run_script_.ref, "Branch, tag or commit (else the default branch)",
         "分支、标签或提交（缺省为默认分支）");
  Option(script, "--platform", run_script_.platform,
         "Whose builder image (else the first of slipway.yaml)",
         "使用哪个平台的构建镜像（缺省为 slipway.yaml 中的第一个）");
  Option(script, "--param", run_script_.parameters, "As of submit: NAME=VALUE; repeatable",
         "同 submit：NAME=VALUE，可重复")
      ->allow_extra_args(false);
  AddWaiting(script, run_script_.require, run_script_.queue_timeout);
  Option(script, "--request-id", run_script_.request_id,
         "Unique per intent: submitting it again gives the same run",
         "唯一标识；重复提交得到同一次运行");
  Flag(script, "-f,--follow", run_script_.follow, "Stays until the end, with steps and log",
       "跟随到结束，显示步骤和日志");
  AddPatience(script, run_script_.patience);

  CLI::App* show_script =
      Command(app_, "script", "Prints the script that a task ran", "显示任务所运行的脚本",
              [this](Session& s) { return ShowScript(s, script_task_); });
  Option(show_script, "TASK", script_task_, "A task of kind script", "脚本任务")->required();

  CLI::App* follow = Command(app_, "follow", "Follows a run to its end", "跟随一次运行到结束",
                             [this](Session& s) { return Follow(s, follow_); });
  Option(follow, "RUN", follow_.run, "Run", "运行")->required();
  AddPatience(follow, follow_.patience);
}

void Grammar::AddWaiting(CLI::App* command, std::vector<std::string>& require,
                         std::string& queue_timeout) {
  Option(command, "--require", require, "Label that an agent must have: KEY=VALUE; repeatable",
         "代理必须具有的标签：KEY=VALUE，可重复")
      ->allow_extra_args(false);
  Option(command, "--queue-timeout", queue_timeout,
         "How long a task may wait for an agent: 30m; none: for ever",
         "任务等待代理的最长时间：30m；none 表示不限");
}

void Grammar::AddPatience(CLI::App* command, std::string& value) {
  Option(command, "--patience", value,
         "How long the controller may be away before following is given up (3m)",
         "控制器失联多久后放弃跟随（3m）");
}

void Grammar::AddTasks() {
  CLI::App* tasks = Command(app_, "tasks", "Lists tasks, newest first", "列出任务，最新的在前",
                            [this](Session& s) { return ListTasks(s, tasks_); });
  tasks->require_subcommand(0, 1);
  Option(tasks, "--app", tasks_.application, "Of this application", "限定应用");
  Option(tasks, "--run", tasks_.run, "Of this run", "限定运行");
  Option(tasks, "--state", tasks_.states, "In these states: queued, running, failed …",
         "限定状态：queued、running、failed 等")
      ->delimiter(',')
      ->type_name("{waiting,queued,offered,running,succeeded,failed,canceled,skipped,unknown}");
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

void Grammar::AddCancel(CLI::App& parent) {
  CLI::App* cancel = Command(parent, "cancel", "Ends a task", "取消任务",
                             [this](Session& s) { return CancelTask(s, cancel_); });
  Option(cancel, "TASK", cancel_.task, "Task", "任务")->required();
  Option(cancel, "--reason", cancel_.reason, "For the record", "取消原因，供记录");
  Flag(cancel, "--wait", cancel_.wait, "Stays until the task has ended", "等待任务结束");
  Option(cancel, "--patience", cancel_.patience, "How long to wait at most (3m)",
         "最长等待时间（3m）");
}

void Grammar::AddLimit(CLI::App* command, int& value) {
  Option(command, "--limit", value, "At most this many (50)", "最多条数（50）")
      ->check(CLI::Range(1, 1000));
}

}  // namespace slipway::cli
