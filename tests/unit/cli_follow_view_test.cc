#include <catch2/catch.hpp>
#include <string>

#include "controller/cli/follow_view.h"
#include "controller/cli/log_cursor.h"
#include "controller/cli/terminal_filter.h"

namespace slipway::cli {
namespace {

using Catch::Contains;

View PlainView(Language language = Language::kEnglish) {
  return {Text(language), Style(false), WallTime(std::chrono::seconds(1'700'000'100))};
}

v1::Task BuildTask(const std::string& id, const std::string& platform) {
  v1::Task task;
  task.set_id(id);
  task.set_kind(v1::TASK_KIND_BUILD);
  task.set_platform(platform);
  task.set_agent("agent-a");
  return task;
}

v1::WatchRunResponse RunOf(std::initializer_list<v1::Task> tasks) {
  v1::WatchRunResponse run;
  for (const v1::Task& task : tasks) *run.add_tasks() = task;
  return run;
}

void SetStep(v1::Task& task, const std::string& name, v1::StepState state) {
  v1::Step& step = *task.add_steps();
  step.set_attempt(task.attempt());
  step.set_number(static_cast<std::uint32_t>(task.steps_size()));
  step.set_name(name);
  step.set_state(state);
  step.mutable_started_at()->set_seconds(1'700'000'000);
  if (state != v1::STEP_STATE_STARTED) step.mutable_finished_at()->set_seconds(1'700'000'003);
}

TEST_CASE("FollowView: says each state and step once, however often it is repeated",
          "[unit][cli]") {
  FollowView view(PlainView(), false);
  v1::Task task = BuildTask("task-1", "weixin");
  task.set_state(v1::TASK_STATE_QUEUED);
  CHECK(view.Tasks(RunOf({task})) == "weixin build: waits for an agent\n");
  CHECK(view.Tasks(RunOf({task})).empty());

  task.set_state(v1::TASK_STATE_RUNNING);
  task.set_attempt(1);
  SetStep(task, "fetch", v1::STEP_STATE_STARTED);
  CHECK(view.Tasks(RunOf({task})) == "weixin build: runs on agent-a\n▸ fetch\n");
  CHECK(view.Tasks(RunOf({task})).empty());

  task.clear_steps();
  SetStep(task, "fetch", v1::STEP_STATE_SUCCEEDED);
  SetStep(task, "script", v1::STEP_STATE_FAILED);
  CHECK(view.Tasks(RunOf({task})) == "✓ fetch  3.0 s\n✗ script  3.0 s\n");
}

TEST_CASE(
    "FollowView: a single platform's log passes byte for byte, and own lines get lines of "
    "their own",
    "[unit][cli]") {
  FollowView view(PlainView(), false);
  v1::Task task = BuildTask("task-1", "weixin");
  task.set_state(v1::TASK_STATE_RUNNING);
  task.set_attempt(1);
  (void)view.Tasks(RunOf({task}));
  CHECK(view.Log("task-1", "\x1b]0;x\a\xff half", 0) == "\x1b]0;x\a\xff half");
  SetStep(task, "script", v1::STEP_STATE_STARTED);
  CHECK(view.Tasks(RunOf({task})) == "\n▸ script\n");
  CHECK(view.Log("task-1", "line\nopen", 0) == "line\nopen");
  CHECK(view.LogEnd("task-1", true, 0) == "\n");
}

TEST_CASE("FollowView: lines of several platforms are whole and named", "[unit][cli]") {
  FollowView view(PlainView(), false);
  v1::Task a = BuildTask("task-a", "weixin");
  v1::Task b = BuildTask("task-b", "alipay");
  (void)view.Tasks(RunOf({a, b}));
  CHECK(view.Log("task-a", "first ha", 0).empty());
  CHECK(view.Log("task-b", "other\n", 0) == "[alipay build] other\n");
  CHECK(view.Log("task-a", "lf\nsecond", 0) == "[weixin build] first half\n");
  CHECK(view.LogEnd("task-a", true, 0) == "[weixin build] second\n");
  // A log without newlines is printed in parts instead of being kept.
  CHECK(view.Log("task-b", std::string(100'000, 'x'), 0).size() > 90'000);
}

TEST_CASE("FollowView: a lost controller is named once for all streams, and so is its return",
          "[unit][cli]") {
  FollowView view(PlainView(), false);
  const absl::Status away = absl::UnavailableError("no answer");
  CHECK_THAT(view.Trouble("run", away), Contains("does not answer") && Contains("no answer"));
  CHECK(view.Trouble("task-1", away).empty());
  CHECK(view.Trouble("run", absl::OkStatus()).empty());
  CHECK(view.Trouble("task-1", absl::OkStatus()) == "connected again\n");
}

TEST_CASE("FollowView: missing bytes are said where they are missing and at the end",
          "[unit][cli]") {
  FollowView view(PlainView(Language::kChinese), false);
  v1::Task task = BuildTask("task-1", "weixin");
  (void)view.Tasks(RunOf({task}));
  CHECK(view.Log("task-1", "x\n", 12) == "…… 缺失 12 字节 ……\nx\n");
  CHECK(view.LogEnd("task-1", false, 12) == "日志不完整：缺失 12 字节\n");
  CHECK(view.Log("task-1", "x\n", 0) == "x\n");
  CHECK_THAT(view.LogEnd("task-1", false, 0), Contains("没有收到结尾"));
}

TEST_CASE("FollowView: a damaged log ends with what is wrong with it", "[unit][cli]") {
  FollowView view(PlainView(), false);
  v1::Task task = BuildTask("task-1", "weixin");
  (void)view.Tasks(RunOf({task}));
  (void)view.Log("task-1", "half a line", 0);
  CHECK(view.LogDamaged("task-1", absl::DataLossError("another SHA-256")) ==
        "\nthe log is damaged: another SHA-256\n");
}

TEST_CASE("FollowView: a new attempt is announced", "[unit][cli]") {
  FollowView view(PlainView(), false);
  v1::Task task = BuildTask("task-1", "weixin");
  task.set_state(v1::TASK_STATE_RUNNING);
  task.set_attempt(1);
  (void)view.Tasks(RunOf({task}));
  task.set_attempt(2);
  task.set_agent("agent-b");
  CHECK(view.Tasks(RunOf({task})) ==
        "weixin build: attempt 2 begins\nweixin build: runs on agent-b\n");
}

TEST_CASE("TerminalFilter: colours and text pass, whatever steers the terminal does not",
          "[unit][cli]") {
  const std::string hostile =
      "plain\t中文 \x1b[1;31mred\x1b[0m\r\n"
      "\x1b]0;title\a\x1b]52;c;Y2xpcA==\x1b\\\x1b[2J\x1b[?1049h\x1b[6nend\x07\x08\xc2\x9b"
      "31m\x1bPdcs\x1b\\!\x7f";
  const std::string wanted = "plain\t中文 \x1b[1;31mred\x1b[0m\r\nend31m!";
  TerminalFilter whole;
  CHECK(whole.Filter(hostile) == wanted);
  TerminalFilter bytewise;
  std::string passed;
  for (const char c : hostile) passed += bytewise.Filter(std::string(1, c));
  CHECK(passed == wanted);
  CHECK_FALSE(bytewise.coloured());
  (void)bytewise.Filter("\x1b[32m");
  CHECK(bytewise.coloured());
}

TEST_CASE("TerminalFilter: an unfinished title does not swallow the next line", "[unit][cli]") {
  TerminalFilter filter;
  CHECK(filter.Filter("\x1b]0;open\nnext\n") == "\nnext\n");
  CHECK(filter.Filter("\x1b[12\nnext\n") == "\nnext\n");
}

TEST_CASE("LogCursor: repeated bytes are dropped, gaps counted, a new attempt begins at 0",
          "[unit][cli]") {
  LogCursor cursor(0, 0);
  CHECK(cursor.Accept(1, 0, "hello").fresh == "hello");
  CHECK(cursor.attempt() == 1);
  CHECK(cursor.next() == 5);
  CHECK(cursor.Accept(1, 3, "loop").fresh == "op");
  CHECK(cursor.Accept(1, 0, "hel").fresh.empty());
  const auto gap = cursor.Accept(1, 10, "x");
  CHECK(gap.skipped == 3);
  CHECK(gap.fresh == "x");
  const auto again = cursor.Accept(2, 0, "new");
  CHECK(again.restarted);
  CHECK(again.fresh == "new");
  CHECK(cursor.next() == 3);
}

}  // namespace
}  // namespace slipway::cli
