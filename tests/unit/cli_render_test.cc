#include <stdlib.h>

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "common/status/remedies.h"
#include "common/status/status.h"
#include "controller/cli/client_options.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/format.h"
#include "controller/cli/render.h"
#include "controller/cli/table.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::StatusIs;
using namespace std::chrono_literals;

const Text kEnglish(Language::kEnglish);
const Text kChinese(Language::kChinese);

View PlainView(Text text = kEnglish) {
  return {text, Style(false), WallTime(std::chrono::seconds(1'700'000'100))};
}

Environment Of(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) {
    const auto it = values.find(name);
    return it == values.end() ? std::string() : it->second;
  };
}

TEST_CASE("Language: the flag, then SLIPWAY_LANG, LC_ALL, LC_MESSAGES and LANG decide",
          "[unit][cli]") {
  CHECK(ChooseLanguage("", Of({})) == Language::kEnglish);
  CHECK(ChooseLanguage("", Of({{"LANG", "zh_CN.UTF-8"}})) == Language::kChinese);
  CHECK(ChooseLanguage("", Of({{"LANG", "zh_CN"}, {"LC_ALL", "C"}})) == Language::kEnglish);
  CHECK(ChooseLanguage("", Of({{"LC_ALL", "C"}, {"SLIPWAY_LANG", "zh"}})) == Language::kChinese);
  CHECK(ChooseLanguage("en", Of({{"SLIPWAY_LANG", "zh"}})) == Language::kEnglish);
  CHECK(LanguageOf("ZH-Hans") == Language::kChinese);
  CHECK(LanguageOf("zha_CN") == Language::kEnglish);
}

TEST_CASE("Exit codes: the origin of an error decides", "[unit][cli]") {
  const absl::Status error = absl::InvalidArgumentError("x");
  CHECK(ExitCodeOf(absl::OkStatus()) == ExitCode::kOk);
  CHECK(ExitCodeOf(error) == ExitCode::kFailed);
  CHECK(ExitCodeOf(UsageError(error)) == ExitCode::kUsage);
  CHECK(ExitCodeOf(ControllerError(error)) == ExitCode::kController);
  CHECK(ExitCodeOf(InterruptedError()) == ExitCode::kInterrupted);
  CHECK(ExitCodeOf(UsageError(absl::OkStatus())) == ExitCode::kOk);
}

TEST_CASE("Exit codes: one failed task fails the run, and an unknown outcome outranks that",
          "[unit][cli]") {
  const auto code = [](std::initializer_list<v1::TaskState> states) {
    v1::WatchRunResponse run;
    for (const auto state : states) run.add_tasks()->set_state(state);
    return ExitCodeOf(run.tasks());
  };
  CHECK(code({v1::TASK_STATE_SUCCEEDED, v1::TASK_STATE_SUCCEEDED}) == ExitCode::kOk);
  CHECK(code({v1::TASK_STATE_FAILED, v1::TASK_STATE_SKIPPED}) == ExitCode::kFailed);
  CHECK(code({v1::TASK_STATE_SUCCEEDED, v1::TASK_STATE_CANCELED}) == ExitCode::kFailed);
  CHECK(code({v1::TASK_STATE_FAILED, v1::TASK_STATE_UNKNOWN}) == ExitCode::kOutcomeUnknown);
}

TEST_CASE("Table: columns line up with wide characters, and no cell steers the terminal",
          "[unit][cli]") {
  CHECK(DisplayWidth("abc") == 3);
  CHECK(DisplayWidth("口袋小店") == 8);
  CHECK(DisplayWidth("e\xcc\x81") == 1);
  CHECK(DisplayWidth("\xff\xfe") == 2);
  Table table({"NAME", "X"});
  table.Add({"口袋小店", "1"});
  table.Add({"shop\x1b[2J\n!", "2"});
  const std::string text = table.Render();
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text == "NAME        X\n口袋小店    1\nshop [2J !  2\n");
}

TEST_CASE("Format: sizes, durations and local times for people", "[unit][cli]") {
  CHECK(FormatBytes(0) == "0 B");
  CHECK(FormatBytes(1023) == "1023 B");
  CHECK(FormatBytes(1536) == "1.5 KiB");
  CHECK(FormatBytes(std::uint64_t{500} << 20) == "500 MiB");
  CHECK(FormatElapsed(840ms) == "0.8 s");
  CHECK(FormatElapsed(59'600ms) == "1 min 0 s");
  CHECK(FormatElapsed(2h + 3min) == "2 h 3 min");
  CHECK(FormatElapsed(-5s) == "0.0 s");

  REQUIRE(setenv("TZ", "CST-8", 1) == 0);
  tzset();
  google::protobuf::Timestamp time;
  CHECK(FormatTime(time).empty());
  time.set_seconds(1'700'000'000);
  CHECK(FormatTime(time) == "2023-11-15 06:13:20");
  unsetenv("TZ");
  tzset();
  CHECK(FormatBetween(time, {}, WallTime(1'700'000'007s)) == "7.0 s");
}

TEST_CASE("Failure: class, message, the tool's own words and the remedy in the language",
          "[unit][cli]") {
  v1::Failure failure;
  failure.set_failure_class(v1::FAILURE_CLASS_CREDENTIAL);
  failure.set_reason("KEY_REFUSED");
  failure.set_message("the platform refused the key");
  failure.set_tool_words("Error: invalid signature\n\x1b[31merrCode -10008\xff");
  failure.set_remedy("Seal the current key.");
  failure.set_remedy_zh("请重新密封当前密钥。");
  CHECK(RenderFailure(failure, "  ", PlainView()) ==
        "  class   credential (the publishing or the repository's credential)\n"
        "  reason  KEY_REFUSED\n"
        "  the platform refused the key\n"
        "  in its own words:\n"
        "    | Error: invalid signature\n"
        "    |  [31merrCode -10008\xef\xbf\xbd\n"
        "  what to do:\n"
        "    Seal the current key.\n");
  CHECK_THAT(RenderFailure(failure, "", PlainView(kChinese)), Contains("请重新密封当前密钥。"));
  failure.clear_remedy_zh();
  CHECK_THAT(RenderFailure(failure, "", PlainView(kChinese)), Contains("Seal the current key."));
}

TEST_CASE("A refused publish says where the product is kept", "[unit][cli]") {
  v1::Task task;
  task.set_id("task-2");
  task.set_kind(v1::TASK_KIND_PUBLISH);
  task.set_platform("weixin");
  task.set_target("production");
  task.set_state(v1::TASK_STATE_FAILED);
  task.set_attempt(1);
  task.set_depends_on("task-1");
  task.mutable_result()->mutable_failure()->set_message("no");
  CHECK_THAT(RenderEnd(task, PlainView()), Contains("✗ weixin publish → production: failed") &&
                                               Contains("slipway logs task-2") &&
                                               Contains("slipway archive show task-1"));
}

TEST_CASE("Errors: message and remedy, nothing that steers the terminal", "[unit][cli]") {
  CHECK(RenderError(MakeError(absl::StatusCode::kNotFound, "X", "no\x1b task", "Look."),
                    PlainView()) == "slipway: no  task\n  → Look.\n");
}

TEST_CASE("Errors: the remedy is in the user's language, whoever found the error", "[unit][cli]") {
  const auto error = [](const char* reason, const char* remedy) {
    return MakeError(absl::StatusCode::kNotFound, reason, "no", remedy);
  };
  // The controller's, in both.
  const absl::Status sent = WithRemedyZh(error("X", "Look."), "请查看。");
  CHECK(RenderError(sent, PlainView()) == "slipway: no\n  → Look.\n");
  CHECK(RenderError(sent, PlainView(kChinese)) == "slipway: no\n  → 请查看。\n");
  // A library's, in English or none.
  for (const char* remedy : {"Fetch it anew.", ""}) {
    CHECK(RenderError(error("MANIFEST_CORRUPT", remedy), PlainView(kChinese)) ==
          "slipway: no\n  → 请重新获取。\n");
  }
  CHECK(RenderError(error("MANIFEST_CORRUPT", ""), PlainView()) ==
        "slipway: no\n  → Fetch it again.\n");
  // This program's own, which knows more than the table.
  CHECK(RenderError(error("FILE_EXISTS", "请指定不存在的目录。"), PlainView(kChinese)) ==
        "slipway: no\n  → 请指定不存在的目录。\n");
  CHECK(RenderError(error("", ""), PlainView(kChinese)) == "slipway: no\n");
}

TEST_CASE("Lists: nothing to list is said, states and failure classes are shown", "[unit][cli]") {
  CHECK(RenderTasks({}, PlainView()) == "no tasks\n");
  CHECK(RenderReleases({}, PlainView(kChinese)) == "没有发布\n");
  v1::ListTasksResponse tasks;
  v1::Task& task = *tasks.add_tasks();
  task.set_id("task-1");
  task.set_state(v1::TASK_STATE_FAILED);
  task.mutable_result()->mutable_failure()->set_failure_class(v1::FAILURE_CLASS_TIMEOUT);
  tasks.set_next_page_token("more");
  CHECK_THAT(RenderTasks(tasks, PlainView()), Contains("failed (timeout)") && Contains("--limit"));
  v1::ListAgentsResponse agents;
  v1::Agent& agent = *agents.add_agents();
  agent.set_name("agent-1");
  agent.set_online(true);
  agent.set_slots(4);
  agent.set_busy(1);
  (*agent.mutable_labels())["os"] = "linux";
  (*agent.mutable_labels())["arch"] = "amd64";
  CHECK_THAT(RenderAgents(agents, PlainView()),
             Contains("online") && Contains("1/4") && Contains("arch=amd64,os=linux"));
}

TEST_CASE("RenderTask: says what the reader may do, and what not now and why", "[unit][cli]") {
  v1::Task task;
  task.set_id("task-1");
  task.set_state(v1::TASK_STATE_FAILED);
  CHECK_THAT(RenderTask(task, PlainView()), !Contains("you may") && !Contains("not now"));
  task.add_allowed_actions()->set_action(v1::ACTION_READ_LOG);
  task.add_allowed_actions()->set_action(v1::ACTION_SUBMIT_AGAIN);
  for (const v1::Action action :
       {v1::ACTION_CANCEL, v1::ACTION_PROBE, static_cast<v1::Action>(99)}) {
    v1::ObjectAction& blocked = *task.add_allowed_actions();
    blocked.set_action(action);
    blocked.mutable_blocked()->set_message("task task-1 is failed already");
  }
  CHECK_THAT(RenderTask(task, PlainView()),
             Contains("you may  read the log, submit again\n") &&
                 Contains("not now  cancel, have the platform asked: task task-1 is failed "
                          "already\n"));
  CHECK_THAT(RenderTask(task, PlainView(kChinese)),
             Contains("查看日志、再次提交") && Contains("取消、向平台查询：task"));
}

TEST_CASE("RenderTask: an unknown publish took until its last step, however late one looks",
          "[unit][cli]") {
  v1::Task task;
  task.set_id("task-1");
  task.set_state(v1::TASK_STATE_UNKNOWN);
  task.mutable_started_at()->set_seconds(1'700'000'000);
  v1::Step& step = *task.add_steps();
  step.set_name("upload");
  step.set_state(v1::STEP_STATE_FAILED);
  step.mutable_started_at()->set_seconds(1'700'000'001);
  step.mutable_finished_at()->set_seconds(1'700'000'007);
  CHECK_THAT(RenderTask(task, PlainView()), Contains("took   7.0 s"));
}

TEST_CASE("RenderTask: a step of a lost attempt is not shown as going on", "[unit][cli]") {
  v1::Task task;
  task.set_id("task-1");
  task.set_state(v1::TASK_STATE_RUNNING);
  task.set_attempt(2);
  for (const std::uint32_t attempt : {1U, 2U}) {
    v1::Step& step = *task.add_steps();
    step.set_attempt(attempt);
    step.set_name("script");
    step.set_state(v1::STEP_STATE_STARTED);
    step.mutable_started_at()->set_seconds(1'700'000'000);
  }
  const std::string text = RenderTask(task, PlainView());
  CHECK_THAT(text, Contains("✗ script  its end never came\n") && Contains("▸ script  "));
  task.set_state(v1::TASK_STATE_CANCELED);
  CHECK_THAT(RenderTask(task, PlainView(kChinese)),
             Contains("✗ script  没有等到它结束") && !Contains("▸"));
}

TEST_CASE("JSON: names of the wire, also of fields that are not set", "[unit][cli]") {
  v1::Task task;
  task.set_id("task-1");
  task.set_state(v1::TASK_STATE_QUEUED);
  const std::string json = ToJson(task);
  CHECK_THAT(json, Contains("\"cancel_requested\": false") &&
                       Contains("\"state\": \"TASK_STATE_QUEUED\""));
  CHECK(json.back() == '\n');
}

TEST_CASE("Options: flags win over the file, whose names are relative to its folder",
          "[unit][cli]") {
  const testing::TempDir dir;
  testing::WriteFile(dir / "token", "slt_1\n");
  testing::WriteFile(dir / "ca.pem", "a CA");
  testing::WriteFile(dir / "client.yaml", "server: farm:7443\nca: ca.pem\ntoken_file: token\n");
  ClientOptions flags;
  flags.server = "other:1";
  const auto access = ResolveAccess(flags, Of({{"SLIPWAY_CONFIG", dir / "client.yaml"}}), kEnglish);
  REQUIRE_OK(access);
  CHECK(access->server == "other:1");
  CHECK(access->ca_pem == "a CA");
  CHECK(access->api_token == "slt_1");
}

TEST_CASE("Options: the home's file is found, a wrong key names its line", "[unit][cli]") {
  const testing::TempDir dir;
  testing::WriteFile(dir / ".config/slipway/client.yaml", "server: a:1\nca: b\ntoken: c\n");
  const auto options = ResolveAccess({}, Of({{"HOME", dir.path()}}), kEnglish);
  CHECK_THAT(options.status(), StatusIs(absl::StatusCode::kInvalidArgument, "client.yaml:3"));
  CHECK(ExitCodeOf(options.status()) == ExitCode::kUsage);
}

TEST_CASE("Options: a file that was named must exist", "[unit][cli]") {
  ClientOptions flags;
  flags.config = "/nonexistent/client.yaml";
  const auto options = ResolveAccess(flags, Of({}), kEnglish);
  CHECK(ExitCodeOf(options.status()) == ExitCode::kUsage);
}

}  // namespace
}  // namespace slipway::cli
