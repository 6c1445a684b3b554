#include "controller/cli/render.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/rpc/convert.h"
#include "common/status/remedies.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/format.h"
#include "controller/cli/render_parameters.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

std::string StepMark(v1::StepState state, const Style& style) {
  switch (state) {
    case v1::STEP_STATE_SUCCEEDED: return style.Good("✓");
    case v1::STEP_STATE_FAILED: return style.Bad("✗");
    default: return style.Bold("▸");
  }
}

std::string Steps(const v1::Task& task, const View& view) {
  std::string text;
  std::int64_t attempt = 0;
  for (const v1::Step& step : task.steps()) {
    if (step.attempt() != attempt && task.attempt() > 1) {
      text += fmt::format(
          "  {}\n", fmt::format(fmt::runtime(view.text("attempt {}", "第 {} 次")), step.attempt()));
    }
    attempt = step.attempt();
    if (step.state() == v1::STEP_STATE_STARTED &&
        (attempt < task.attempt() || IsFinished(task.state()))) {
      text += fmt::format("  {} {}  {}\n", view.style.Bad("✗"), OneLine(step.name()),
                          view.text("its end never came", "没有等到它结束"));
      continue;
    }
    text += fmt::format("  {} {}  {}", StepMark(step.state(), view.style), OneLine(step.name()),
                        FormatBetween(step.started_at(), step.finished_at(), view.now));
    if (!step.detail().empty()) text += "  " + view.style.Faint(OneLine(step.detail()));
    text += '\n';
  }
  return text;
}

// A publish of unknown outcome is not finished, but nothing of it runs any more: it took until its
// last step ended.
std::string Took(const v1::Task& task, const View& view) {
  if (task.state() != v1::TASK_STATE_UNKNOWN || task.steps().empty())
    return FormatBetween(task.started_at(), task.finished_at(), view.now);
  const v1::Step& last = *task.steps().rbegin();
  return FormatBetween(task.started_at(),
                       last.has_finished_at() ? last.finished_at() : last.started_at(), view.now);
}

std::string FilesAndSize(std::uint32_t files, std::uint64_t bytes, Text t) {
  return fmt::format(fmt::runtime(files == 1 ? t("{} file, {}", "{} 个文件，{}")
                                             : t("{} files, {}", "{} 个文件，{}")),
                     files, FormatBytes(bytes));
}

void AddProduct(Facts& facts, const v1::BuildOutcome& build, Text t) {
  facts.Add(t("version", "版本"), build.version());
  AddParameters(facts, build.parameters(), t);
  facts.Add(t("commit", "提交"),
            build.commit_subject().empty()
                ? build.commit()
                : fmt::format("{}  {}", build.commit().substr(0, 12), build.commit_subject()));
  facts.Add(t("image", "镜像"), build.image_digest());
  facts.Add(t("hot cache", "热缓存"), build.same_as());
  if (build.manifest().empty()) return;
  facts.Add(t("artifact", "产物"), FormatDigest(build.manifest()));
  facts.Add("", FilesAndSize(build.artifact_files(), build.artifact_bytes(), t));
  facts.Add(t("script's code", "脚本的码"), build.script_qr());
}

bool HasChinese(std::string_view text) {
  // The first byte of U+4000 to U+9FFF in UTF-8.
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0xE4 && byte <= 0xE9;
  });
}

// The controller says it in both languages; this program in its user's; a library in English, or
// not at all.
std::string RemedyOf(const absl::Status& status, Text text) {
  const ErrorInfo info = GetErrorInfo(status);
  const Remedy known = RemedyFor(info.reason).value_or(Remedy());
  if (text.chinese() && !HasChinese(info.remedy)) {
    if (std::string chinese = GetRemedyZh(status); !chinese.empty()) return chinese;
    if (!known.chinese.empty()) return std::string(known.chinese);
  }
  if (!info.remedy.empty()) return info.remedy;
  if (known.english.empty() && ExitCodeOf(status) == ExitCode::kForbidden) {
    return text(
        "Ask an admin of the farm for the right (`slipway grants add`); `slipway whoami` shows "
        "who you are.",
        "请让农场管理员授权（`slipway grants add`）；`slipway whoami` 显示当前身份。");
  }
  return std::string(known.english);
}

const char* VerdictName(v1::ProbeVerdict verdict, Text t) {
  switch (verdict) {
    case v1::PROBE_VERDICT_PUBLISHED: return t("published", "已发布");
    case v1::PROBE_VERDICT_NOT_PUBLISHED: return t("not published", "未发布");
    default: return t("the platform does not tell", "平台无法告知");
  }
}

void AddResolution(Facts& facts, const v1::Resolution& resolution, Text t) {
  const bool published = resolution.verdict() == v1::PUBLISH_VERDICT_PUBLISHED;
  facts.Add(t("resolved as", "认定为"),
            published ? t("published", "已发布") : t("not published", "未发布"));
  facts.Add(t("by", "认定人"),
            fmt::format("{}, {}", resolution.resolved_by(), FormatTime(resolution.resolved_at())));
  facts.Add(t("probe", "探测任务"), resolution.probe_task());
  facts.Add(t("because", "依据"), resolution.reason());
  if (!resolution.has_late_result()) return;
  const v1::AttemptResult& late = resolution.late_result();
  const bool unknown = late.failure().failure_class() == v1::FAILURE_CLASS_PUBLISH_UNKNOWN;
  facts.Add(t("its own word since", "任务后来的报告"),
            unknown              ? t("does not know either", "同样未知")
            : late.has_failure() ? late.failure().message()
                                 : t("published", "已发布"));
}

void AddCode(Facts& facts, const v1::Task& task, Text t) {
  const v1::PlatformCode& code = task.result().publish().code();
  facts.Add(t("platform's code", "平台的码"), code.text());
  facts.Add(t("platform's image", "平台的图片"),
            !code.image_type().empty()
                ? fmt::format("{}: slipway qr {} --image FILE", code.image_type(), task.id())
                : code.image_url());
  if (code.has_expires_at()) {
    facts.Add(t("works until", "有效期至"), FormatTime(code.expires_at()));
  }
}

void AddProbe(Facts& facts, const v1::ProbeOutcome& probe, Text t) {
  facts.Add(t("answer", "查询结果"), VerdictName(probe.verdict(), t));
  facts.Add("", probe.words());
  facts.Add(t("version", "版本"), probe.version());
  facts.Add(t("link", "链接"), probe.link());
  facts.Add(t("what to do", "处理办法"),
            t.chinese() && !probe.remedy_zh().empty() ? probe.remedy_zh() : probe.remedy());
}

}  // namespace

std::string RenderTasks(const v1::ListTasksResponse& tasks, const View& view) {
  const Text t = view.text;
  if (tasks.tasks().empty()) return t("no tasks\n", "没有任务\n");
  Table table({t("TASK", "任务"), t("APPLICATION", "应用"), t("WHAT", "内容"), t("STATE", "状态"),
               t("VERSION", "版本"), t("AGENT", "代理"), t("CREATED", "创建时间"),
               t("TOOK", "用时")});
  for (const v1::Task& task : tasks.tasks()) {
    std::string state = StateName(task.state(), t);
    if (task.result().has_failure() && task.state() != v1::TASK_STATE_SUCCEEDED) {
      state += fmt::format(" ({})", FailureClassWord(task.result().failure().failure_class()));
    }
    table.Add({task.id(), task.application(), TaskTitle(task, t), state, task.version(),
               task.agent(), FormatTime(task.created_at()), Took(task, view)});
  }
  std::string text = table.Render();
  if (!tasks.next_page_token().empty()) {
    text += t("… more: --limit N\n", "…… 还有更多：--limit N\n");
  }
  return text;
}

std::string RenderTask(const v1::Task& task, const View& view) {
  const Text t = view.text;
  Facts facts;
  facts.Add(t("task", "任务"), task.id());
  facts.Add(t("run", "运行"), task.run());
  facts.Add(t("application", "应用"), task.application());
  facts.Add(t("what", "内容"), TaskTitle(task, t));
  std::string state = StateName(task.state(), t);
  if (task.cancel_requested() && !IsFinished(task.state())) {
    state += t(", cancel asked for", "，已请求取消");
  }
  facts.Add(t("state", "状态"), state);
  if (task.attempt() > 0) facts.Add(t("attempt", "尝试"), std::to_string(task.attempt()));
  facts.Add(t("agent", "代理"), task.agent());
  facts.Add(t("ref", "引用"), task.ref());
  // What a build really got is told with its product.
  if (task.result().build().parameters().empty()) AddParameters(facts, task.parameters(), t);
  facts.Add(t("waits for", "等待"), task.depends_on());
  facts.Add(t("requires", "所需标签"), FormatLabels(task.requirements()));
  if (task.priority() != 0) facts.Add(t("priority", "优先级"), std::to_string(task.priority()));
  facts.Add(t("group", "并发组"), task.group());
  facts.Add(t("queue timeout", "排队时限"), FormatSpan(task.queue_timeout()));
  facts.Add(t("submitted by", "提交人"), task.submitted_by());
  facts.Add(t("created", "创建时间"), FormatTime(task.created_at()));
  facts.Add(t("took", "用时"), Took(task, view));
  if (task.result().has_build()) {
    AddProduct(facts, task.result().build(), t);
  } else {
    facts.Add(t("version", "版本"), task.version());
  }
  facts.Add(t("link", "链接"), task.result().publish().link());
  AddCode(facts, task, t);
  facts.Add(t("release", "发布"), task.release());
  if (task.has_resolution()) AddResolution(facts, task.resolution(), t);
  if (task.result().has_probe()) AddProbe(facts, task.result().probe(), t);
  if (task.result().has_log()) {
    const v1::LogSummary& log = task.result().log();
    facts.Add(t("log", "日志"),
              log.missing() == 0
                  ? FormatBytes(log.size())
                  : fmt::format(fmt::runtime(t("{}, {} bytes missing", "{}，缺失 {} 字节")),
                                FormatBytes(log.size()), log.missing()));
  }
  AddActions(facts, task.allowed_actions(), view);
  std::string text = facts.Render();
  if (!task.steps().empty()) text += fmt::format("{}\n{}", t("steps", "步骤"), Steps(task, view));
  if (task.result().has_failure() && task.state() != v1::TASK_STATE_SUCCEEDED) {
    text += fmt::format("{}\n", t("failure", "失败原因"));
    text += RenderFailure(task.result().failure(), "  ", view);
  }
  return text;
}

std::string RenderFailure(const v1::Failure& failure, const std::string& indent, const View& view) {
  const Text t = view.text;
  Facts facts(indent);
  facts.Add(t("class", "类别"), FailureClassName(failure.failure_class(), t));
  facts.Add(t("reason", "原因码"), failure.reason());
  std::string text = facts.Render();
  text += Indented(failure.message(), indent);
  if (!failure.tool_words().empty()) {
    text += fmt::format("{}{}\n", indent, t("in its own words:", "工具原话："));
    text += Indented(failure.tool_words(), indent + "  | ");
  }
  const std::string& remedy =
      t.chinese() && !failure.remedy_zh().empty() ? failure.remedy_zh() : failure.remedy();
  if (!remedy.empty()) {
    text += fmt::format("{}{}\n", indent, view.style.Bold(t("what to do:", "处理办法：")));
    text += Indented(remedy, indent + "  ");
  }
  return text;
}

std::string RenderEnd(const v1::Task& task, const View& view) {
  const Text t = view.text;
  const std::string took = Took(task, view);
  const std::string title = OneLine(TaskTitle(task, t));
  std::string text;
  if (task.state() == v1::TASK_STATE_SUCCEEDED) {
    text = fmt::format("{} {}  {}\n", view.style.Good("✓"), view.style.Bold(title), took);
    if (task.kind() == v1::TASK_KIND_BUILD && task.result().has_build()) {
      Facts facts("  ");
      AddProduct(facts, task.result().build(), t);
      text += facts.Render();
    }
    if (task.kind() == v1::TASK_KIND_PREVIEW) {
      Facts facts("  ");
      facts.Add(t("link", "链接"), task.result().publish().link());
      AddCode(facts, task, t);
      text += facts.Render();
    }
    if (task.result().has_probe()) {
      Facts facts("  ");
      AddProbe(facts, task.result().probe(), t);
      text += facts.Render();
    }
    return text;
  }
  const std::string mark =
      task.state() == v1::TASK_STATE_UNKNOWN ? view.style.Warning("?") : view.style.Bad("✗");
  text = fmt::format("{} {}: {}  {}\n", mark, view.style.Bold(title), StateName(task.state(), t),
                     took);
  if (task.result().has_failure()) text += RenderFailure(task.result().failure(), "  ", view);
  if (task.attempt() > 0) {
    text += fmt::format(
        fmt::runtime(t("  its log: slipway logs {}\n", "  查看日志：slipway logs {}\n")),
        task.id());
  }
  // Archived before and regardless of the publish that failed.
  const bool handed_over =
      task.kind() == v1::TASK_KIND_PUBLISH || task.kind() == v1::TASK_KIND_PREVIEW;
  if (handed_over && !task.depends_on().empty() && task.state() != v1::TASK_STATE_SKIPPED) {
    text += fmt::format(fmt::runtime(t("  the product is archived: slipway archive show {}\n",
                                       "  产物已归档：slipway archive show {}\n")),
                        task.depends_on());
  }
  return text;
}

std::string RenderRelease(const v1::Archived& archived, const View& view) {
  const Text t = view.text;
  const v1::Release& release = archived.release();
  Facts facts("  ");
  facts.Add(t("release", "发布"), release.id());
  facts.Add(t("version", "版本"), release.version());
  facts.Add(t("commit", "提交"), release.commit());
  facts.Add(t("artifact", "产物"), FormatDigest(release.manifest()));
  facts.Add("", FilesAndSize(archived.files(), archived.bytes(), t));
  facts.Add(t("released to", "发布到"), fmt::format(fmt::runtime(t("{}, target {}", "{}，目标 {}")),
                                                    release.platform(), release.target()));
  facts.Add(t("link", "链接"), release.link());
  facts.Add(t("code", "二维码内容"), release.qr_text());
  return facts.Render();
}

std::string RenderError(const absl::Status& status, const View& view) {
  std::string text = view.style.Bad("slipway:") + " ";
  std::string message = Indented(std::string(status.message()), "");
  if (message.empty()) message = absl::StatusCodeToString(status.code()) + "\n";
  text += message;
  if (const std::string remedy = RemedyOf(status, view.text); !remedy.empty()) {
    text += "  → " + Indented(remedy, "    ").substr(4);
  }
  return text;
}

}  // namespace slipway::cli
