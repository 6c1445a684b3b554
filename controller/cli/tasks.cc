#include <fmt/format.h>

#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/explain_text.h"
#include "controller/cli/format.h"
#include "controller/cli/table.h"

namespace slipway::cli {
namespace {

// Between two questions whether a task has ended.
constexpr Duration kPause = std::chrono::milliseconds(300);

absl::StatusOr<v1::TaskState> ParseState(const std::string& word, Text text) {
  std::string known;
  for (int i = v1::TASK_STATE_WAITING; i <= v1::TASK_STATE_UNKNOWN; ++i) {
    const auto state = static_cast<v1::TaskState>(i);
    if (word == StateWord(state)) return state;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", StateWord(state));
  }
  return UsageError(MakeError(
      absl::StatusCode::kInvalidArgument, "BAD_STATE",
      fmt::format(fmt::runtime(text("--state: '{}' is none of {}", "--state：'{}' 不是 {} 之一")),
                  word, known)));
}

// Asks until `task` has ended or the patience is over. A controller that is away meanwhile keeps
// the order.
absl::Status WaitForEnd(const Client& client, Duration patience, v1::Task& task) {
  const SystemClock clock;
  const MonoTime give_up = clock.Mono() + patience;
  v1::GetTaskRequest request;
  request.set_id(task.id());
  while (!IsFinished(task.state()) && clock.Mono() < give_up) {
    if (!client.WaitToRetry(client.stop(), kPause)) return InterruptedError();
    v1::Task now;
    const absl::Status asked =
        client.Call(client.tasks(), &v1::TaskService::Stub::GetTask, request, now);
    if (!asked.ok() && !IsPassing(asked)) return asked;
    if (asked.ok()) task = std::move(now);
  }
  return absl::OkStatus();
}

}  // namespace

Outcome ListTasks(Session& session, const TasksFlags& flags) {
  v1::ListTasksRequest request;
  request.set_application(flags.application);
  request.set_run(flags.run);
  request.set_page_size(flags.limit);
  for (const std::string& word : flags.states) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto state, ParseState(word, session.text));
    request.add_states(state);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListTasksResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->tasks(), &v1::TaskService::Stub::ListTasks, request, response));
  session.Print(response, RenderTasks);
  return ExitCode::kOk;
}

Outcome ShowTask(Session& session, const std::string& id) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::GetTaskRequest request;
  request.set_id(id);
  v1::Task task;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->tasks(), &v1::TaskService::Stub::GetTask, request, task));
  session.Print(task, RenderTask);
  if (session.as_document || IsFinished(task.state()) || task.state() == v1::TASK_STATE_RUNNING) {
    return ExitCode::kOk;
  }
  v1::ExplainTaskRequest why_request;
  why_request.set_id(id);
  v1::ExplainTaskResponse why;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->tasks(), &v1::TaskService::Stub::ExplainTask, why_request, why));
  if (const std::string text = WaitText(why, session.text); !text.empty()) {
    session.out << fmt::format(
        fmt::runtime(session.text("waits: {}\n  → slipway tasks explain {}\n",
                                  "等待：{}\n  → slipway tasks explain {}\n")),
        OneLine(text), OneLine(id));
  }
  return ExitCode::kOk;
}

Outcome CancelTask(Session& session, const CancelFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto retry, RetryFor(flags.patience));
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::CancelTaskRequest request;
  request.set_id(flags.task);
  request.set_reason(flags.reason);
  v1::CancelTaskResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->tasks(), &v1::TaskService::Stub::CancelTask, request, response));
  v1::Task& task = *response.mutable_task();
  if (flags.wait) SLIPWAY_RETURN_IF_ERROR(WaitForEnd(*client, retry.patience, task));
  const bool over = IsFinished(task.state());
  const char* sentence =
      session.text("{}: its end is asked for; the agent ends it\n", "{}：已请求结束，由代理执行\n");
  if (task.state() == v1::TASK_STATE_CANCELED) {
    sentence = session.text("{} is canceled\n", "{} 已取消\n");
  } else if (over) {
    sentence = session.text("{} had ended: {}\n", "{} 已经结束：{}\n");
  }
  session.PrintDone(task, fmt::format(fmt::runtime(sentence), OneLine(task.id()),
                                      StateName(task.state(), session.text)));
  // Asked to wait, a script is told that the task goes on.
  return flags.wait && !over ? ExitCode::kFailed : ExitCode::kOk;
}

}  // namespace slipway::cli
