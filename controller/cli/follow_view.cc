#include "controller/cli/follow_view.h"

#include <fmt/format.h>

#include <set>

#include "controller/cli/exit_code.h"
#include "controller/cli/explain_text.h"
#include "controller/cli/format.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

// A longer line is printed in parts, so that a log without newlines costs no memory.
constexpr std::size_t kMaxPartial = 16 * 1024;

}  // namespace

std::string FollowView::Prefix(const TaskView& task) const {
  return several_ ? view_.style.Faint(fmt::format("[{}]", task.title)) + " " : "";
}

std::string FollowView::Own(const TaskView* task, const std::string& line) {
  std::string text;
  if (coloured_) text += "\x1b[0m";
  if (in_line_) text += '\n';
  coloured_ = false;
  in_line_ = false;
  if (task != nullptr) text += Prefix(*task);
  return text + line + '\n';
}

std::string FollowView::Tasks(const v1::WatchRunResponse& run) {
  if (tasks_.empty()) {
    std::set<std::string> platforms;
    for (const v1::Task& task : run.tasks()) platforms.insert(task.platform());
    several_ = platforms.size() > 1;
  }
  std::string text;
  for (const v1::Task& task : run.tasks()) {
    TaskView& seen = tasks_[task.id()];
    if (seen.title.empty()) seen.title = OneLine(TaskTitle(task, view_.text));
    text += Changed(task, seen);
    text += NewSteps(task, seen);
    // What ended well says so in the summary; what did not is said there at length.
    seen.state = task.state();
  }
  return text;
}

std::string FollowView::Changed(const v1::Task& task, TaskView& seen) {
  const Text t = view_.text;
  const std::string title = several_ ? "" : view_.style.Bold(seen.title) + ": ";
  std::string text;
  if (task.attempt() > seen.attempt && seen.attempt > 0) {
    text += Own(&seen, view_.style.Warning(
                           fmt::format(fmt::runtime(t("{}attempt {} begins", "{}第 {} 次尝试开始")),
                                       title, task.attempt())));
  }
  const bool moved = task.state() != seen.state || task.attempt() != seen.attempt;
  seen.attempt = std::max(seen.attempt, task.attempt());
  if (!moved) return text;
  seen.waits.clear();
  if (task.state() == v1::TASK_STATE_QUEUED) {
    text += Own(&seen, fmt::format("{}{}", title, t("waits for an agent", "等待代理")));
  } else if (task.state() == v1::TASK_STATE_RUNNING) {
    text += Own(&seen, fmt::format(fmt::runtime(t("{}runs on {}", "{}运行于 {}")), title,
                                   OneLine(task.agent())));
  }
  return text;
}

std::string FollowView::Waits(const v1::ExplainTaskResponse& why) {
  TaskView& seen = tasks_[why.task().id()];
  const std::string text = OneLine(WaitText(why, view_.text));
  // The answer may be older than what was printed of the task since.
  if (seen.state != v1::TASK_STATE_QUEUED || text.empty() || text == seen.waits) return "";
  seen.waits = text;
  const std::string title = several_ ? "" : view_.style.Bold(seen.title) + ": ";
  return Own(&seen,
             fmt::format(fmt::runtime(view_.text("{}waits: {}", "{}等待：{}")), title, text));
}

std::string FollowView::NewSteps(const v1::Task& task, TaskView& seen) {
  std::string text;
  for (const v1::Step& step : task.steps()) {
    v1::StepState& printed = seen.steps[{step.attempt(), step.number()}];
    if (printed == step.state()) continue;
    printed = step.state();
    const std::string name = OneLine(step.name());
    std::string line;
    if (step.state() == v1::STEP_STATE_STARTED) {
      line = view_.style.Bold("▸ " + name);
    } else {
      const std::string took = FormatBetween(step.started_at(), step.finished_at(), view_.now);
      line = step.state() == v1::STEP_STATE_SUCCEEDED ? view_.style.Good("✓ " + name)
                                                      : view_.style.Bad("✗ " + name);
      line += "  " + took;
    }
    if (!step.detail().empty()) line += "  " + view_.style.Faint(OneLine(step.detail()));
    text += Own(&seen, line);
  }
  return text;
}

std::string FollowView::Log(const std::string& task, std::string_view data, std::uint64_t skipped) {
  TaskView& seen = tasks_[task];
  std::string text;
  if (skipped > 0) {
    text +=
        Own(&seen,
            view_.style.Warning(fmt::format(
                fmt::runtime(view_.text("… {} bytes missing …", "…… 缺失 {} 字节 ……")), skipped)));
  }
  if (data.empty()) return text;
  seen.has_log = true;
  const std::string shown = terminal_ ? seen.filter.Filter(data) : std::string(data);
  coloured_ = terminal_ && seen.filter.coloured();
  if (several_) return text + Lines(seen, shown);
  if (!shown.empty()) in_line_ = shown.back() != '\n';
  return text + shown;
}

std::string FollowView::Lines(TaskView& task, const std::string& data) {
  std::string text;
  task.partial += data;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = task.partial.find('\n', begin);
    const bool whole = end != std::string::npos;
    if (!whole && task.partial.size() - begin < kMaxPartial) break;
    const std::size_t size = whole ? end - begin : kMaxPartial;
    text += Prefix(task) + task.partial.substr(begin, size);
    if (coloured_) text += "\x1b[0m";
    text += '\n';
    begin += size + (whole ? 1 : 0);
  }
  task.partial.erase(0, begin);
  coloured_ = false;
  return text;
}

std::string FollowView::LogEnd(const std::string& task, bool complete, std::uint64_t missing) {
  TaskView& seen = tasks_[task];
  std::string text;
  if (!seen.partial.empty()) text += Lines(seen, "\n");
  if (!several_ && (in_line_ || coloured_)) {
    text += coloured_ ? "\x1b[0m" : "";
    text += in_line_ ? "\n" : "";
    in_line_ = coloured_ = false;
  }
  if (missing > 0) {
    text += Own(&seen, view_.style.Warning(fmt::format(
                           fmt::runtime(view_.text("the log is not complete: {} bytes missing",
                                                   "日志不完整：缺失 {} 字节")),
                           missing)));
  } else if (!complete && seen.has_log) {
    text += Own(&seen, view_.style.Warning(view_.text("the log is not complete: its end never came",
                                                      "日志不完整：没有收到结尾")));
  }
  seen.has_log = false;
  return text;
}

std::string FollowView::LogDamaged(const std::string& task, const absl::Status& status) {
  return LogEnd(task, true, 0) +
         Own(&tasks_[task],
             view_.style.Warning(
                 fmt::format(fmt::runtime(view_.text("the log is damaged: {}", "日志已损坏：{}")),
                             std::string(status.message()))));
}

std::string FollowView::Trouble(const std::string& stream, const absl::Status& status) {
  const bool before = !troubled_.empty();
  if (status.ok()) {
    troubled_.erase(stream);
  } else {
    troubled_[stream] = true;
  }
  const bool now = !troubled_.empty();
  if (before == now) return "";
  if (!now) return Own(nullptr, view_.style.Good(view_.text("connected again", "已重新连接")));
  std::string text =
      Own(nullptr, view_.style.Warning(
                       view_.text("the controller does not answer; the run goes on, trying again …",
                                  "控制器没有应答；运行仍在继续，正在重试……")));
  return text + Indented(std::string(status.message()), "  ");
}

}  // namespace slipway::cli
